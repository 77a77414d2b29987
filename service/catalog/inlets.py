"""Streaming ingestion connections: how servers and files send events and known profiles."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.catalog import datasets, named_rows
from service.catalog.models import Inlet
from service.core.ids import new_key
from service.sandboxes.models import Sandbox
from service.sandboxes.scope import Scope


@dataclass(frozen=True, slots=True)
class NewInlet:
    """An inlet to create; ``requires_token`` makes it an authenticated one."""

    name: str
    org_id: str
    is_enabled: bool = True
    requires_token: bool = False


@dataclass(frozen=True, slots=True)
class InletChanges:
    """What to change; ``None`` leaves a value as it is."""

    name: str | None = None
    is_enabled: bool | None = None
    requires_token: bool | None = None


_FIND = (
    select(Inlet, Sandbox.name)
    .join(Sandbox, Sandbox.id == Inlet.sandbox_id)
    .prefix_with("/* across sandboxes: find-inlet */")
)


def create(session: Session, scope: Scope, new: NewInlet, *, now: datetime) -> Inlet:
    """Create an inlet with its system datasets. The caller commits.

    Raises:
        ConflictError: The name is taken in this sandbox.
    """
    named_rows.refuse_taken(session, scope, Inlet, new.name)
    key = new_key()
    source = f"inlet {new.name} {key}"
    made = datasets.create_for_source(session, scope, source=source, now=now)
    row = Inlet(
        sandbox_id=scope.sandbox_id,
        id=key,
        name=new.name,
        org_id=new.org_id,
        is_enabled=new.is_enabled,
        requires_token=new.requires_token,
        event_dataset_id=made.events,
        profile_dataset_id=made.profiles,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    named_rows.flush(session, Inlet, new.name)
    return row


def update(
    session: Session,
    scope: Scope,
    inlet_id: UUID,
    changes: InletChanges,
    *,
    now: datetime,
) -> Inlet:
    """Change an inlet; running processes follow within five seconds. The caller commits.

    Raises:
        NotFoundError: The sandbox has no such inlet.
        ConflictError: The new name is taken.
    """
    row = get(session, scope, inlet_id)
    if changes.name not in {None, row.name}:
        named_rows.refuse_taken(session, scope, Inlet, str(changes.name))
    for field in fields(changes):
        value = getattr(changes, field.name)
        if value is not None:
            setattr(row, field.name, value)
    row.updated_at = now
    named_rows.flush(session, Inlet, row.name)
    return row


def get(session: Session, scope: Scope, inlet_id: UUID) -> Inlet:
    """Return one inlet.

    Raises:
        NotFoundError: The sandbox has no such inlet.
    """
    return named_rows.get(session, scope, Inlet, inlet_id)


def list_page(
    session: Session,
    scope: Scope,
    *,
    limit: int,
    after: UUID | None = None,
) -> tuple[Inlet, ...]:
    """Return up to ``limit`` inlets, oldest first, that come after one's id."""
    return named_rows.list_page(session, scope, Inlet, limit=limit, after=after)


def find_source(session: Session, inlet_id: UUID) -> tuple[Inlet, Scope] | None:
    """Return an inlet by its id alone, with the sandbox that it belongs to.

    A streaming URL names no sandbox: the id is unique over all of them.
    """
    found = session.execute(_FIND.where(Inlet.id == inlet_id)).one_or_none()
    return None if found is None else (found[0], Scope(found[0].sandbox_id, found[1]))
