"""Named stores of facts; every source gets two of its own, so no fact lacks one."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.catalog.models import Dataset
from service.core.errors import NotFoundError
from service.core.ids import new_key
from service.sandboxes.scope import Scope

RETENTION_DAYS = 91


class SchemaClass(StrEnum):
    """The XDM class of a dataset's facts."""

    PROFILE = "profile"
    EXPERIENCE_EVENT = "experienceevent"


@dataclass(frozen=True, slots=True)
class SourceDatasets:
    """Where one source's events and profile records go."""

    events: UUID
    profiles: UUID


def create_for_source(
    session: Session,
    scope: Scope,
    *,
    source: str,
    now: datetime,
) -> SourceDatasets:
    """Create the system datasets of a new datastream or inlet. The caller commits.

    ``source`` describes it and holds its id, so that names stay unique when sources are renamed.
    Facts are kept 91 days, as long as a phone may retry and a journey may last.
    """
    events = _system(scope, f"{source}: events", SchemaClass.EXPERIENCE_EVENT, now)
    profiles = _system(scope, f"{source}: profiles", SchemaClass.PROFILE, now)
    session.add_all((events, profiles))
    session.flush()
    return SourceDatasets(events.id, profiles.id)


def get(session: Session, scope: Scope, dataset_id: UUID) -> Dataset:
    """Return one dataset.

    Raises:
        NotFoundError: The sandbox has no such dataset.
    """
    row = session.get(Dataset, (scope.sandbox_id, dataset_id))
    if row is None:
        raise NotFoundError(f"There is no dataset {dataset_id}.")
    return row


def missing(
    session: Session, scope: Scope, ids: Collection[UUID], schema_class: SchemaClass
) -> tuple[UUID, ...]:
    """Return those of ``ids`` that are no dataset of this class in the sandbox, in key order."""
    if not ids:
        return ()
    found = select(Dataset.id).where(
        Dataset.sandbox_id == scope.sandbox_id,
        Dataset.id.in_(ids),
        Dataset.schema_class == schema_class,
    )
    return tuple(sorted(set(ids) - set(session.scalars(found))))


def list_all(session: Session, scope: Scope) -> tuple[Dataset, ...]:
    """Return every dataset of the sandbox, oldest first."""
    mine = Dataset.sandbox_id == scope.sandbox_id
    return tuple(session.scalars(select(Dataset).where(mine).order_by(Dataset.id)))


def _system(scope: Scope, name: str, schema_class: SchemaClass, now: datetime) -> Dataset:
    return Dataset(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        name=name,
        schema_class=schema_class,
        retention_days=RETENTION_DAYS,
        is_system=True,
        created_at=now,
    )
