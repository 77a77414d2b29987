"""What SQLite lacks to evaluate a segment rule as PostgreSQL does; ``db.engine`` registers them."""

import sqlite3

from service.core.json import decode, encode_text
from service.db.folding import fold

FOLD = "edgepost_fold"
MEMBER = "edgepost_member"


def register(connection: sqlite3.Connection) -> None:
    """Give a connection the functions that compiled rules call."""
    connection.create_function(FOLD, 1, _fold, deterministic=True)
    connection.create_function(MEMBER, 2, _member, deterministic=True)


def _fold(text: str | None) -> str | None:
    return None if text is None else fold(text)


def _member(document: str | None, name: str) -> str | None:
    """Return the JSON text under a key that SQLite's own paths cannot spell."""
    value = None if document is None else decode(document)
    return encode_text(value[name]) if isinstance(value, dict) and name in value else None
