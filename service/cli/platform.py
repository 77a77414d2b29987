"""What ``web``, ``worker`` and ``clock`` share: the environment, and a store that is ready."""

from service.cli.store import opened_store
from service.core.errors import EdgepostError
from service.core.secret import Keyring
from service.db.session import unit_of_work
from service.flows import rotate_secrets
from service.settings import Settings, read_settings
from service.web import logging


def platform_settings() -> Settings:
    """Return the environment's settings; several processes on one SQLite file are refused."""
    settings = read_settings()
    if settings.is_embedded:
        raise EdgepostError(
            "DATABASE_URL names a SQLite file, which one process may write: use `edgepost run`, "
            "or set DATABASE_URL to PostgreSQL.",
        )
    logging.configure(settings.log_level)
    return settings


def refuse_unready(settings: Settings) -> None:
    """End at once, by name, when the store cannot serve this code or these keys."""
    with opened_store(settings) as sessions, unit_of_work(sessions) as session:
        rotate_secrets.check_keys(session, Keyring.of(settings.secret_keys))
