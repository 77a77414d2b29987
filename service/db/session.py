"""The one unit of work: commit at the end, roll back on any error."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session, sessionmaker

from service.core.errors import StoreUnavailableError

_SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    },
)
SERIALIZATION_STATES = frozenset({"40001", "40P01"})


class SessionFactory:
    """Opens sessions on one engine.

    On SQLite one process-wide lock stands before ``BEGIN IMMEDIATE``, so threads of the embedded
    process queue in memory and not in the busy handler.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._make = sessionmaker(engine, expire_on_commit=False)
        self._writer = Lock() if engine.dialect.name == "sqlite" else None

    @contextmanager
    def opened(self) -> Iterator[Session]:
        """Yield a session that is closed, and rolled back unless committed, at the end."""
        if self._writer is None:
            with self._make() as session:
                yield session
            return
        with self._writer, self._make() as session:
            yield session


@contextmanager
def unit_of_work(sessions: SessionFactory) -> Iterator[Session]:
    """Yield a session; commit when the block ends, roll back when it raises.

    Raises:
        StoreUnavailableError: The database is away; nothing was stored.
    """
    try:
        with sessions.opened() as session:
            yield session
            session.commit()
    except DBAPIError as error:
        if is_store_away(error):
            raise StoreUnavailableError("The database cannot be reached; try again.") from error
        raise
    except PoolTimeoutError as error:
        raise StoreUnavailableError("No database connection is free; try again.") from error


def is_store_away(error: DBAPIError) -> bool:
    """Tell whether the store itself failed, as opposed to what was asked of it."""
    if error.connection_invalidated:
        return True
    state = sqlstate(error)
    if state is None:
        # psycopg gives no code when the connection itself failed; SQLite gives its own codes.
        code = getattr(error.orig, "sqlite_errorcode", None)
        return isinstance(error, OperationalError) if code is None else code & 0xFF in _SQLITE_AWAY
    return state[:2] in {"08", "53", "57", "58"} or state == "25006"


def is_conflict(error: DBAPIError) -> bool:
    """Tell whether the same work may succeed when it is simply done again."""
    return sqlstate(error) in SERIALIZATION_STATES


def sqlstate(error: DBAPIError) -> str | None:
    """Return PostgreSQL's five-character code, ``None`` on SQLite."""
    return getattr(error.orig, "sqlstate", None)
