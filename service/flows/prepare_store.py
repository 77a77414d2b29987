"""What must be true of a store before any process uses it."""

from contextlib import suppress
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from service.core.clock import SystemClock
from service.core.errors import StoreUnavailableError
from service.core.secret import Keyring
from service.db.migrations import migrate
from service.db.session import SessionFactory, is_store_away, unit_of_work
from service.flows import rotate_secrets
from service.flows.open_sandbox import ensure_default_sandbox


def prepare_store(sessions: SessionFactory, keyring: Keyring) -> None:
    """Apply missing migrations, open ``prod`` and make sure that every secret can be read.

    A SQLite file, which holds push tokens, is its owner's only. Several processes may call it at
    once.

    Raises:
        SecretKeyError: A stored secret needs a key that is not configured; the message names it.
        StoreUnavailableError: The database is away, or the file cannot be written.
    """
    _make_private(sessions.engine)
    try:
        migrate(sessions.engine)
    except DBAPIError as error:
        if is_store_away(error):
            raise StoreUnavailableError("The database cannot be reached; try again.") from error
        raise
    ensure_default_sandbox(sessions, now=SystemClock().now())
    with unit_of_work(sessions) as session:
        rotate_secrets.check_keys(session, keyring)


def _make_private(engine: Engine) -> None:
    """Let only the owner read a SQLite file; what SQLite puts beside it gets the same mode."""
    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or database == ":memory:":
        return
    try:
        for end in ("", ".migrating"):
            Path(database + end).touch(mode=0o600)
    except OSError as error:
        raise StoreUnavailableError(f"{database} cannot be written: {error.strerror}.") from error
    for end in ("", ".migrating", "-wal", "-shm"):
        with suppress(FileNotFoundError, PermissionError):
            Path(database + end).chmod(0o600)
