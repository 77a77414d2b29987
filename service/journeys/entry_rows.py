"""What an entry reads: the doors that are open, who stands before them, and who was in before."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core import json
from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.journeys.definitions import (
    Entry,
    EventEntry,
    JourneyType,
    NodeType,
    Qualification,
    QualificationEntry,
    Reentrance,
)
from service.journeys.versions import VersionState
from service.sandboxes.scope import Scope

_DOORS = SetStatement(
    """
    SELECT v.id, v.journey_id, v.version, v.name, v.state, v.entry_ref, v.entry_status,
        v.namespace, v.reentrance_s,
        CASE WHEN v.state = 'live' THEN CAST(v.definition AS text) END AS definition
    FROM journey_version AS v
    WHERE v.sandbox_id = :sandbox_id AND v.entry_ref IN (SELECT r.ref FROM {r})
        AND v.entry_kind = :kind AND v.state <> 'draft'
    ORDER BY v.journey_id, v.version
    """,
    rows={"r": {"ref": TEXT}},
    params={"sandbox_id": INTEGER, "kind": TEXT},
    result={
        "id": KEY,
        "journey_id": KEY,
        "version": INTEGER,
        "name": TEXT,
        "state": TEXT,
        "entry_ref": TEXT,
        "entry_status": TEXT,
        "namespace": TEXT,
        "reentrance_s": INTEGER,
        "definition": TEXT,
    },
)
# Both look rows up one by one: a join of a young table, of which the server knows nothing yet,
# would be planned as a walk over the whole sandbox.
_PEOPLE = SetStatement(
    """
    WITH asked AS MATERIALIZED (
        SELECT r.asked, r.namespace, r.named,
            (SELECT i.graph_id FROM identity AS i
                WHERE i.sandbox_id = :sandbox_id AND i.id = r.asked) AS graph_id,
            (SELECT i.profile_id FROM identity AS i
                WHERE i.sandbox_id = :sandbox_id AND i.id = r.asked) AS profile_id
        FROM {r}
    ), chosen AS MATERIALIZED (
        SELECT a.asked, a.namespace, a.named, a.profile_id,
            COALESCE(
                (SELECT n.id FROM identity AS n
                    WHERE n.sandbox_id = :sandbox_id AND n.id = a.named
                        AND n.profile_id = a.profile_id AND n.namespace = a.namespace),
                (SELECT m.id FROM identity AS m
                    WHERE m.sandbox_id = :sandbox_id AND m.graph_id = a.graph_id
                        AND m.profile_id = a.profile_id AND m.namespace = a.namespace
                    ORDER BY m.created_at, m.id LIMIT 1)
            ) AS identity_id
        FROM asked AS a WHERE a.profile_id IS NOT NULL
    )
    SELECT c.asked, c.namespace, c.named, c.profile_id, c.identity_id,
        (SELECT v.value FROM identity AS v
            WHERE v.sandbox_id = :sandbox_id AND v.id = c.identity_id) AS value
    FROM chosen AS c
    """,
    rows={"r": {"asked": KEY, "namespace": TEXT, "named": KEY}},
    params={"sandbox_id": INTEGER},
    result={
        "asked": KEY,
        "namespace": TEXT,
        "named": KEY,
        "profile_id": KEY,
        "identity_id": KEY,
        "value": TEXT,
    },
)
_PASTS = SetStatement(
    """
    SELECT r.journey_id, r.identity_id,
        (SELECT MAX(t.entered_at) FROM journey_instance AS t
            WHERE t.sandbox_id = :sandbox_id AND t.identity_id = r.identity_id
                AND t.journey_id = r.journey_id) AS entered_at,
        (SELECT MAX(t.ended_at) FROM journey_instance AS t
            WHERE t.sandbox_id = :sandbox_id AND t.identity_id = r.identity_id
                AND t.journey_id = r.journey_id) AS ended_at,
        (SELECT COUNT(*) FROM journey_instance AS t
            WHERE t.sandbox_id = :sandbox_id AND t.identity_id = r.identity_id
                AND t.journey_id = r.journey_id AND t.ended_at IS NULL) AS open_count
    FROM {r}
    """,
    rows={"r": {"journey_id": KEY, "identity_id": KEY}},
    params={"sandbox_id": INTEGER},
    result={
        "journey_id": KEY,
        "identity_id": KEY,
        "entered_at": MOMENT,
        "ended_at": MOMENT,
        "open_count": INTEGER,
    },
)


@dataclass(frozen=True, slots=True)
class Door:
    """The version of a journey that decides who enters: the live one, else the latest published.

    ``entry`` is its entry node, ``None`` when it is not live.
    """

    version_id: UUID
    journey_id: UUID
    version: int
    name: str
    state: str
    entry_ref: str
    entry_status: str
    namespace: str
    reentrance: Reentrance
    entry: Entry | None


@dataclass(frozen=True, slots=True)
class Question:
    """Who enters a journey of a namespace: an identity of theirs, and one the event carried."""

    asked: UUID
    namespace: str
    named: UUID | None = None


@dataclass(frozen=True, slots=True)
class PersonKey:
    """An identity of a profile; ``value`` is ``None`` when it is not in the journey's namespace."""

    profile_id: UUID
    identity_id: UUID
    value: str | None


@dataclass(frozen=True, slots=True)
class Past:
    """What is remembered of one person in one journey, over all its versions."""

    last_entered_at: datetime
    last_ended_at: datetime | None
    is_inside: bool


def doors(session: Session, scope: Scope, kind: JourneyType, refs: Iterable[str]) -> list[Door]:
    """Return one door for each published journey that enters by one of ``refs``."""
    asked = [(ref,) for ref in sorted(refs)]
    if not asked:
        return []
    params = {"sandbox_id": scope.sandbox_id, "kind": kind.value}
    chosen: dict[UUID, Any] = {}
    for row in _DOORS.run(session, params, r=asked):
        held = chosen.get(row.journey_id)
        if held is None or held.state != VersionState.LIVE:
            chosen[row.journey_id] = row
    return [_door(row) for row in chosen.values()]


def people(
    session: Session,
    scope: Scope,
    asked: Iterable[Question],
) -> dict[Question, PersonKey]:
    """Return for each question the identity by which the person would enter.

    It is the named one, where that belongs to the profile, else the one known longest. A profile
    without one is there by its own key with the value ``None``; an identity that nobody knows is
    left out.
    """
    rows = [
        (each.asked, each.namespace, each.named)
        for each in sorted(set(asked), key=lambda each: (each.asked, each.namespace))
    ]
    return {
        Question(row.asked, row.namespace, row.named): PersonKey(
            row.profile_id,
            row.identity_id or row.profile_id,
            row.value,
        )
        for row in _PEOPLE.run(session, {"sandbox_id": scope.sandbox_id}, r=rows)
    }


def pasts(
    session: Session,
    scope: Scope,
    asked: Iterable[tuple[UUID, UUID]],
) -> dict[tuple[UUID, UUID], Past]:
    """Return what is remembered of pairs (journey, identity); the rest was never in."""
    rows = sorted(asked)
    if not rows:
        return {}
    return {
        (row.journey_id, row.identity_id): Past(row.entered_at, row.ended_at, row.open_count > 0)
        for row in _PASTS.run(session, {"sandbox_id": scope.sandbox_id}, r=rows)
        if row.entered_at is not None
    }


def _door(row: Any) -> Door:
    is_allowed = row.reentrance_s is not None
    return Door(
        version_id=row.id,
        journey_id=row.journey_id,
        version=row.version,
        name=row.name,
        state=row.state,
        entry_ref=row.entry_ref,
        entry_status=row.entry_status,
        namespace=row.namespace,
        reentrance=Reentrance(is_allowed, timedelta(seconds=row.reentrance_s or 0)),
        entry=None if row.definition is None else entry_node(row.definition),
    )


@lru_cache(maxsize=256)
def entry_node(definition: str) -> Entry | None:
    """Return the node at which people enter a stored definition, without ways out and status.

    Nothing else of the definition is read, so a journey published by a newer release, with
    activities or words unknown here, does not keep anyone from entering.
    """
    document: Mapping[str, Any] = json.decode(definition)
    for node in document.get("nodes", ()):
        name = node.get("name") or ""
        if node.get("type") == NodeType.AUDIENCE_QUALIFICATION:
            segment_id = node.get("segmentId") or ""
            return QualificationEntry(node["id"], name, segment_id, Qualification.REALIZED, ())
        if node.get("type") == NodeType.UNITARY:
            return EventEntry(node["id"], name, node.get("eventID") or "", ())
    return None
