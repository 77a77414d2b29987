"""One engine per process, set up so that both stores keep what they acknowledge."""

import sqlite3
from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from service.core.json import decode, encode_text
from service.db import sqlite_functions

_BUSY_MS = 10_000
_POSTGRES_SETTINGS = (
    "timezone=UTC",
    "jit=off",
    "plan_cache_mode=force_custom_plan",
    "random_page_cost=1.1",
)


def open_engine(url: str, *, pool_size: int = 8) -> Engine:
    """Open the store.

    PostgreSQL connections run without JIT and with custom plans: JIT makes a 58 ms streaming
    statement 450 ms, and a generic plan made while tables are empty scans them for ever.
    SQLite runs in WAL with ``synchronous=FULL`` and begins every transaction as a writer.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(url)
    # psycopg prepares a statement after its fifth use; set statements never change their text.
    return create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=4,
        pool_pre_ping=True,
        pool_timeout=3,
        hide_parameters=True,
        json_serializer=encode_text,
        json_deserializer=decode,
        connect_args={
            "options": " ".join(f"-c {setting}" for setting in _POSTGRES_SETTINGS),
            "connect_timeout": 3,
            "tcp_user_timeout": 5000,
        },
    )


def _open_sqlite(url: str) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        json_serializer=encode_text,
        json_deserializer=decode,
        connect_args={"timeout": _BUSY_MS / 1000, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - narrows the driver's type
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={_BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        _patiently(cursor, f"PRAGMA {pragma}")
    cursor.close()
    sqlite_functions.register(connection)


def _patiently(cursor: sqlite3.Cursor, statement: str) -> None:
    """Retry: the busy handler does not cover the first switch to WAL by several processes."""
    for _ in range(50):
        try:
            cursor.execute(statement)
        except sqlite3.OperationalError:
            continue
        return
    cursor.execute(statement)


def _begin_immediate(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
