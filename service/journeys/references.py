"""Which journeys use a segment or a custom action, so that neither goes while people need it.

Source: Journey Optimizer, custom actions: one that a journey uses cannot be deleted.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, cast, exists, or_, select
from sqlalchemy.orm import Session

from service.core.json import JsonObject
from service.journeys.models import JourneyInstance, JourneyVersion
from service.journeys.versions import VersionState
from service.sandboxes.scope import Scope


@dataclass(frozen=True, slots=True)
class Use:
    """A version of a journey that uses something."""

    journey_id: UUID
    name: str
    version: int
    state: VersionState

    def shown(self) -> JsonObject:
        """Return it as an error answer lists it."""
        return {"id": str(self.journey_id), "name": self.name, "version": self.version}


def of_segment(session: Session, scope: Scope, segment_id: UUID) -> tuple[Use, ...]:
    """Return the live versions that people enter by a segment, or that ask about it.

    A closed version lets nobody in any more, so it needs its segment no longer.
    """
    is_live = JourneyVersion.state == VersionState.LIVE.value
    return _using(session, scope, str(segment_id), is_live, _names_segment)


def of_action(session: Session, scope: Scope, action_id: UUID) -> tuple[Use, ...]:
    """Return the versions that call, or are to call, a custom action.

    They are drafts, live ones, and closed ones with people inside.
    """
    is_inside = exists().where(
        JourneyInstance.sandbox_id == scope.sandbox_id,
        JourneyInstance.version_id == JourneyVersion.id,
        JourneyInstance.ended_at.is_(None),
    )
    is_needed = or_(
        JourneyVersion.state.in_([VersionState.DRAFT.value, VersionState.LIVE.value]),
        and_(JourneyVersion.state == VersionState.CLOSED.value, is_inside),
    )
    return _using(session, scope, str(action_id), is_needed, _names_action)


def _using(
    session: Session,
    scope: Scope,
    key: str,
    is_needed: ColumnElement[bool],
    does_name: Callable[[Mapping[str, Any], str], bool],
) -> tuple[Use, ...]:
    """Return needed versions of which some node names a key; few definitions leave the store."""
    chosen = select(JourneyVersion).where(
        JourneyVersion.sandbox_id == scope.sandbox_id,
        is_needed,
        cast(JourneyVersion.definition, Text()).contains(key),
    )
    rows = session.scalars(chosen.order_by(JourneyVersion.journey_id, JourneyVersion.version))
    return tuple(
        Use(row.journey_id, row.name, row.version, VersionState(row.state))
        for row in rows
        if any(does_name(node, key) for node in _objects(row.definition.get("nodes")))
    )


def _names_segment(node: Mapping[str, Any], key: str) -> bool:
    asked = (way.get("expression") for way in _objects(node.get("transitions")))
    return node.get("segmentId") == key or any(
        isinstance(text, str) and key in text for text in asked
    )


def _names_action(node: Mapping[str, Any], key: str) -> bool:
    return node.get("actionId") == key


def _objects(found: Iterable[Any] | None) -> Iterator[Mapping[str, Any]]:
    return (each for each in found or () if isinstance(each, Mapping))
