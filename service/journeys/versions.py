"""Versions of journeys, as they are stored.

Source: Journey Optimizer, journey lifecycle and journey versions.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from service.core import json
from service.core.errors import NotFoundError
from service.db.statements import INTEGER, KEY, TEXT, SetStatement
from service.journeys.definitions import JourneyDefinition
from service.journeys.document import parse
from service.journeys.models import JourneyVersion
from service.sandboxes.scope import Scope

_READ = SetStatement(
    """
    SELECT v.id, v.journey_id, v.version, v.name, v.state, CAST(v.definition AS text) AS definition
    FROM journey_version AS v
    WHERE v.sandbox_id = :sandbox_id AND v.id IN (SELECT r.id FROM {r})
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={
        "id": KEY,
        "journey_id": KEY,
        "version": INTEGER,
        "name": TEXT,
        "state": TEXT,
        "definition": TEXT,
    },
)


class VersionState(StrEnum):
    """Where a version is in its life; only a draft can be changed, only a live one be entered."""

    DRAFT = "draft"
    LIVE = "live"
    CLOSED = "closed"
    STOPPED = "stopped"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class RunningVersion:
    """A version as an engine needs it."""

    id: UUID
    journey_id: UUID
    version: int
    name: str
    state: str
    definition: JourneyDefinition


def get(
    session: Session,
    scope: Scope,
    journey_id: UUID,
    version: int | None = None,
) -> JourneyVersion:
    """Return one version of a journey, the latest unless it is named.

    Raises:
        NotFoundError: There is no such journey or version.
    """
    for each in reversed(list_all(session, scope, journey_id)):
        if version is None or each.version == version:
            return each
    named = "" if version is None else f" version {version} of"
    raise NotFoundError(f"There is no{named} journey {journey_id}.")


def list_page(
    session: Session,
    scope: Scope,
    *,
    limit: int,
    after: UUID | None = None,
) -> tuple[JourneyVersion, ...]:
    """Return the latest version of up to ``limit`` journeys, oldest journey first."""
    other = aliased(JourneyVersion)
    latest = (
        select(func.max(other.version))
        .where(
            other.sandbox_id == scope.sandbox_id,
            other.journey_id == JourneyVersion.journey_id,
        )
        .scalar_subquery()
    )
    chosen = select(JourneyVersion).where(
        JourneyVersion.sandbox_id == scope.sandbox_id,
        JourneyVersion.version == latest,
    )
    if after is not None:
        chosen = chosen.where(JourneyVersion.journey_id > after)
    return tuple(session.scalars(chosen.order_by(JourneyVersion.journey_id).limit(limit)))


def running(
    session: Session,
    scope: Scope,
    version_ids: Iterable[UUID],
) -> Mapping[UUID, RunningVersion]:
    """Return versions with their definitions, read once per text and process."""
    rows = _READ.run(
        session,
        {"sandbox_id": scope.sandbox_id},
        r=[(key,) for key in sorted(set(version_ids))],
    )
    return {
        row.id: RunningVersion(
            row.id,
            row.journey_id,
            row.version,
            row.name,
            row.state,
            _parsed(row.definition),
        )
        for row in rows
    }


@lru_cache(maxsize=256)
def _parsed(definition: str) -> JourneyDefinition:
    return parse(json.decode(definition))


def list_all(session: Session, scope: Scope, journey_id: UUID) -> list[JourneyVersion]:
    """Return every version of a journey, oldest first; none when there is no such journey."""
    mine = (
        JourneyVersion.sandbox_id == scope.sandbox_id,
        JourneyVersion.journey_id == journey_id,
    )
    order = JourneyVersion.version
    return list(session.scalars(select(JourneyVersion).where(*mine).order_by(order)))
