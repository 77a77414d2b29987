"""Moves stored secrets to the newest key, and tells which keys are still needed.

Every ``EncryptedText`` column is found through the metadata, so a table that is added later is
visited too. Source: service/decisions/0007-secrets.md.
"""

import pkgutil
from collections import Counter
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from sqlalchemy import Column, Select, Table, func, literal, select, tuple_, update
from sqlalchemy.orm import Session

import service
from service.core.secret import Keyring, SecretKeyError
from service.db.base import Base
from service.db.session import SessionFactory, unit_of_work
from service.db.types import EncryptedText

_BATCH = 200
_MARK_ROTATE = "/* across sandboxes: rotate-secrets */"
_MARK_CHECK = "/* across sandboxes: check-keys */"


@dataclass(frozen=True, slots=True)
class EncryptedColumn:
    """One column that holds ciphertext."""

    table: Table
    column: Column[str]

    @property
    def name(self) -> str:
        """``table.column``."""
        return f"{self.table.name}.{self.column.name}"


@dataclass(frozen=True, slots=True)
class KeyUse:
    """How many values of one column need one key."""

    column: str
    key_id: str
    count: int


@dataclass(slots=True)
class Rotation:
    """What a rotation did.

    Attributes:
        rewritten: Values that the newest key encrypts now.
        unreadable: Values per column that no configured key can read; they were left alone.
    """

    rewritten: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)


def encrypted_columns() -> tuple[EncryptedColumn, ...]:
    """Return every encrypted column of the store."""
    for module in pkgutil.walk_packages(service.__path__, "service."):
        if module.name.endswith(".models"):
            import_module(module.name)
    return tuple(
        EncryptedColumn(table, column)
        for table in Base.metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, EncryptedText)
    )


def key_uses(session: Session, keyring: Keyring) -> tuple[KeyUse, ...]:
    """Count the stored values by column and key, the newest key's too."""
    id_length = len(keyring.current_id)
    uses: list[KeyUse] = []
    for each in encrypted_columns():
        key_id = func.substr(each.column, 1, id_length)
        counted = (
            select(key_id, func.count())
            .prefix_with(_MARK_CHECK)
            .where(each.column.is_not(None))
            .group_by(key_id)
            .order_by(key_id)
        )
        uses.extend(KeyUse(each.name, row[0], row[1]) for row in session.execute(counted))
    return tuple(uses)


def check_keys(session: Session, keyring: Keyring) -> None:
    """Refuse to start with a store whose secrets cannot all be read.

    Raises:
        SecretKeyError: A stored value names a key that is not configured; the message names it.
    """
    unknown = [use for use in key_uses(session, keyring) if use.key_id not in keyring.ids]
    if unknown:
        listed = ", ".join(f"{use.column} needs {use.key_id} ({use.count})" for use in unknown)
        raise SecretKeyError(f"EDGEPOST_SECRET_KEYS lacks keys that stored secrets need: {listed}.")


def rotate(sessions: SessionFactory, keyring: Keyring, *, batch: int = _BATCH) -> Rotation:
    """Re-encrypt what an older key encrypted, a batch per transaction.

    It may be ended at any moment and started again: what is done stays done. Other processes go
    on writing; those that still start with an older key leave values for another run.
    """
    rotation = Rotation()
    for each in encrypted_columns():
        last: tuple[Any, ...] | None = None
        while True:
            with unit_of_work(sessions) as session:
                rows = session.execute(_stale(each, keyring, last, batch)).all()
                for row in rows:
                    _rewrite(session, each, tuple(row), keyring, rotation)
            if len(rows) < batch:
                break
            last = tuple(rows[-1])[:-1]
    return rotation


def _stale(
    each: EncryptedColumn,
    keyring: Keyring,
    last: tuple[Any, ...] | None,
    batch: int,
) -> Select[Any]:
    """Select keys and ciphertext of values that an older key encrypted, locked, in key order."""
    key = tuple(each.table.primary_key.columns)
    stale = (
        select(*key, each.column)
        .prefix_with(_MARK_ROTATE)
        .where(each.column.is_not(None), ~each.column.startswith(f"{keyring.current_id}:"))
    )
    if last is not None:
        values = (literal(value, column.type) for value, column in zip(last, key, strict=True))
        stale = stale.where(tuple_(*key) > tuple_(*values))
    return stale.order_by(*key).limit(batch).with_for_update()


def _rewrite(
    session: Session,
    each: EncryptedColumn,
    row: tuple[Any, ...],
    keyring: Keyring,
    rotation: Rotation,
) -> None:
    *key, ciphertext = row
    try:
        fresh = keyring.encrypt(keyring.decrypt(ciphertext))
    except SecretKeyError:
        rotation.unreadable[each.name] += 1
        return
    columns = each.table.primary_key.columns
    mine = [column == value for column, value in zip(columns, key, strict=True)]
    session.execute(
        update(each.table).prefix_with(_MARK_ROTATE).where(*mine).values({each.column: fresh}),
    )
    rotation.rewritten += 1
