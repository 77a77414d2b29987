"""What datastreams, inlets and mobile properties share: an id, and a name of their own."""

from typing import TypeVar
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.catalog.models import Datastream, Inlet, MobileProperty
from service.core.errors import ConflictError, NotFoundError
from service.sandboxes.scope import Scope

Row = TypeVar("Row", Datastream, Inlet, MobileProperty)
_CALLED = {
    Datastream: "datastream",
    Inlet: "inlet",
    MobileProperty: "mobile property",
}
_VOWELS = "aeiou"


def get(
    session: Session, scope: Scope, table: type[Row], key: UUID, *, is_locked: bool = False
) -> Row:
    """Return one row; ``is_locked`` keeps others from changing it until the transaction ends.

    Raises:
        NotFoundError: The sandbox has no such row.
    """
    row = session.get(table, (scope.sandbox_id, key), with_for_update=is_locked or None)
    if row is None:
        raise NotFoundError(f"There is no {_CALLED[table]} {key}.")
    return row


def list_page(
    session: Session, scope: Scope, table: type[Row], *, limit: int, after: UUID | None = None
) -> tuple[Row, ...]:
    """Return up to ``limit`` rows, oldest first, that come after one's id."""
    chosen = select(table).where(table.sandbox_id == scope.sandbox_id)
    if after is not None:
        chosen = chosen.where(table.id > after)
    return tuple(session.scalars(chosen.order_by(table.id).limit(limit)))


def refuse_taken(session: Session, scope: Scope, table: type[Row], name: str) -> None:
    """Refuse a name that another row of the sandbox has.

    Raises:
        ConflictError: It is taken.
    """
    taken = select(table.id).where(table.sandbox_id == scope.sandbox_id, table.name == name)
    if session.scalar(taken) is not None:
        raise _taken(table, name)


def flush(session: Session, table: type[Row], name: str) -> None:
    """Write what is pending, of which only the name can be refused.

    Raises:
        ConflictError: Somebody else took the name at the same moment.
    """
    try:
        session.flush()
    except IntegrityError as error:
        raise _taken(table, name) from error


def _taken(table: type[Row], name: str) -> ConflictError:
    called = _CALLED[table]
    article = "An" if called[0] in _VOWELS else "A"
    return ConflictError(f"{article} {called} named {name} exists already.")
