"""Brings a store to the newest migration and tells whether it is there."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

FOLDER = Path(__file__).resolve().parents[2] / "migrations"
_LOCK = 0x65646765  # any constant: the advisory lock that migrations hold


def migrate(engine: Engine) -> None:
    """Apply every missing revision; several processes may call it at once, one does the work."""
    with engine.connect() as connection, _alone(connection), connection.begin():
        command.upgrade(_config(connection), "head")


def is_current(connection: Connection) -> bool:
    """Tell whether the store is at the newest revision this code knows."""
    applied = MigrationContext.configure(connection).get_current_revision()
    return applied == ScriptDirectory(str(FOLDER)).get_current_head()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Hold an advisory lock on PostgreSQL, a file lock beside a SQLite file."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()
        try:
            yield
        finally:
            connection.rollback()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()
        return
    database = connection.engine.url.database
    if not database or database == ":memory:":
        yield
        return
    with Path(f"{database}.migrating").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
