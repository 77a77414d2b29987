"""The gates at a journey's door, in the order in which they are asked.

Source: Journey Optimizer, entry management, audience qualification, journey versions.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.audit.gate_traces import Trace
from service.core.json import JsonObject
from service.journeys.definitions import INSTANCE_LIFE, Qualification
from service.journeys.entry_rows import Door, Past, PersonKey, Question
from service.journeys.reentrance import EntryRefusal, refusal_of
from service.journeys.versions import VersionState


class EntryGate(StrEnum):
    """What is asked of a person at the door, in this order."""

    VERSION_LIVE = "versionLive"
    ENTRY_STATUS = "entryStatus"
    NAMESPACE = "namespace"
    REENTRANCE = "reentrance"


class EntryReason(StrEnum):
    """Why a gate stayed shut; ``REENTRANCE`` says one of ``EntryRefusal`` instead."""

    NOT_LIVE = "notLive"
    ENTRY_STATUS_MISMATCH = "entryStatusMismatch"
    NAMESPACE_ABSENT = "namespaceAbsent"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody at a door: ``asked`` is an identity of theirs, ``named`` one the event carried."""

    door: Door
    asked: UUID
    status: str | None = None
    event: JsonObject | None = None
    segment: JsonObject | None = None
    named: UUID | None = None

    @property
    def question(self) -> Question:
        """What tells the identity by which they would enter."""
        return Question(self.asked, self.door.namespace, self.named)


def refusal(
    candidate: Candidate,
    key: PersonKey,
    past: Past | None,
    now: datetime,
    *,
    is_inside: bool,
) -> Trace | None:
    """Return the trace of the first gate that stays shut, ``None`` when all are open."""
    door = candidate.door
    if door.state != VersionState.LIVE:
        return _trace(candidate, key, EntryGate.VERSION_LIVE, EntryReason.NOT_LIVE)
    if (
        candidate.status not in {None, door.entry_status}
        and door.entry_status != Qualification.BOTH
    ):
        mismatch = EntryReason.ENTRY_STATUS_MISMATCH
        return _trace(candidate, key, EntryGate.ENTRY_STATUS, mismatch)
    if key.value is None:
        return _trace(candidate, key, EntryGate.NAMESPACE, EntryReason.NAMESPACE_ABSENT)
    why = refusal_of(
        door.reentrance,
        is_inside=is_inside or (past is not None and past.is_inside),
        last_entered_at=past.last_entered_at if past else None,
        last_ended_at=past.last_ended_at if past else None,
        now=now,
    )
    if why is None:
        return None
    return _trace(candidate, key, EntryGate.REENTRANCE, why, **_seen_past(door, past, why))


def already_inside(candidate: Candidate, key: PersonKey) -> Trace:
    """Return the trace of somebody whom another transaction let in at the same moment."""
    return _trace(candidate, key, EntryGate.REENTRANCE, EntryRefusal.ALREADY_INSIDE)


def _seen_past(door: Door, past: Past | None, why: EntryRefusal) -> JsonObject:
    if past is None:
        return {}
    seen: JsonObject = {"lastEnteredAt": past.last_entered_at}
    if past.last_ended_at is not None:
        seen["lastEndedAt"] = past.last_ended_at
    if why is EntryRefusal.REENTRANCE_WAIT and past.last_ended_at is not None:
        seen["blockedUntil"] = past.last_ended_at + door.reentrance.wait
    elif why is EntryRefusal.REENTRANCE_NOT_ALLOWED:
        seen["blockedUntil"] = past.last_entered_at + INSTANCE_LIFE
    return seen


def _trace(
    candidate: Candidate,
    key: PersonKey,
    gate: EntryGate,
    reason: EntryReason | EntryRefusal,
    **seen: Any,
) -> Trace:
    """Return a refusal with what the gate saw of the version, the person and the cause."""
    door = candidate.door
    values = {
        "version": door.version,
        "state": door.state,
        "namespace": door.namespace,
        "entersOn": door.entry_status or None,
        "status": candidate.status,
        "segmentId": candidate.segment["id"] if candidate.segment else None,
        "eventID": None if candidate.segment else door.entry_ref,
        "profileId": str(key.profile_id),
        **{name: _text(value) for name, value in seen.items()},
    }
    facts = {name: value for name, value in values.items() if value is not None}
    return Trace(key.identity_id, door.journey_id, gate.value, reason.value, facts)


def _text(value: Any) -> Any:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
