"""Who comes into a journey, and why somebody may not.

Called inside the transaction that qualified the person or stored the event, so that an answered
request has entered everyone it lets in. Nothing is planned here: an entered person gets a stimulus
and a worker walks on from there.
Source: Journey Optimizer, entry management and audience qualification;
service/decisions/0012-journey-engine.md.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.audit import gate_traces
from service.audit.gate_traces import Trace
from service.core.ids import new_key
from service.journeys import entry_rows, history, inbox, instances
from service.journeys.conditions import NO_FACTS
from service.journeys.definitions import JourneyDefinition, JourneyType
from service.journeys.entry_gates import Candidate, already_inside, refusal
from service.journeys.entry_rows import Door, PersonKey
from service.journeys.history import HappenedStep
from service.journeys.inbox import Told
from service.journeys.instances import NewInstance
from service.journeys.state import InstanceState
from service.journeys.step_events import Run, Step
from service.journeys.stimuli import Entered
from service.journeys.walk import Walk
from service.ledger import entries
from service.profiles.events import EventToKeep
from service.sandboxes.scope import Scope
from service.segments.evaluation import MembershipChange

_NOT_FOR_CONTEXT = frozenset({"identityMap", "pushNotificationDetails"})
_ORCHESTRATION = ("_experience", "campaign", "orchestration", "eventID")


@dataclass(frozen=True, slots=True)
class ReadingRate:
    """How fast people found by a batch begin to walk.

    Attributes:
        per_s: How many in one second.
        ahead: How many of the same run entered before these.

    Source: Journey Optimizer, Read audience: 500 to 20,000 profiles a second, default 5,000.
    """

    per_s: int = 5000
    ahead: int = 0


@dataclass(frozen=True, slots=True)
class _Admitted:
    """Somebody whom every gate let through, with the rows that will say so."""

    candidate: Candidate
    key: PersonKey
    entered: Entered
    new: NewInstance


def enter_qualified(
    session: Session,
    scope: Scope,
    changes: Sequence[MembershipChange],
    *,
    now: datetime,
    reading: ReadingRate | None = None,
) -> int:
    """Let in everyone whose membership change a live journey waits for; return how many.

    Each who may not enter leaves a gate trace with the values seen. People found by a batch begin
    to walk at a ``reading`` rate, those of a request at once. The memberships are written and the
    caller commits, then wakes the workers when anyone entered.
    """
    doors = _doors_by_ref(
        session,
        scope,
        JourneyType.AUDIENCE_QUALIFICATION,
        {str(change.segment_id) for change in changes},
    )
    at = now.isoformat().replace("+00:00", "Z")
    candidates = [
        Candidate(
            door,
            change.profile_id,
            status=str(change.status),
            segment={
                "id": str(change.segment_id),
                "status": str(change.status),
                "timestamp": at,
                "cause": str(change.cause),
                "eventId": str(change.event_id) if change.event_id else None,
            },
        )
        for change in changes
        for door in doors.get(str(change.segment_id), ())
    ]
    return _enter(session, scope, candidates, now, reading)


def enter_by_event(
    session: Session,
    scope: Scope,
    events: Sequence[EventToKeep],
    *,
    now: datetime,
) -> int:
    """Let in the person of each event whose orchestration ``eventID`` a live journey waits for.

    Returns how many entered; the others leave gate traces. The events are stored and the caller
    commits, then wakes the workers when anyone entered.
    """
    named = [
        (each, event_id)
        for each in events
        if (event_id := orchestration_event_id(each.event.xdm)) is not None
    ]
    doors = _doors_by_ref(session, scope, JourneyType.UNITARY, {ref for _, ref in named})
    candidates = [
        Candidate(
            door,
            each.identity_id,
            event={k: v for k, v in each.event.xdm.items() if k not in _NOT_FOR_CONTEXT},
            named=_named(each, door.namespace),
        )
        for each, event_id in named
        for door in doors.get(event_id, ())
    ]
    return _enter(session, scope, candidates, now, None)


def _named(each: EventToKeep, namespace: str) -> UUID | None:
    """Return the first identity of a namespace that an event carries."""
    carried = (of.key for of in each.event.identities if of.namespace == namespace)
    return next(carried, None)


def orchestration_event_id(xdm: Mapping[str, Any]) -> str | None:
    """Return what an event says to journeys, ``None`` when it says nothing.

    Source: XDM field group orchestration details, ``_experience.campaign.orchestration.eventID``.
    """
    found: Any = xdm
    for name in _ORCHESTRATION:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) and found else None


def _doors_by_ref(
    session: Session,
    scope: Scope,
    kind: JourneyType,
    refs: set[str],
) -> dict[str, list[Door]]:
    by_ref: dict[str, list[Door]] = {}
    for door in entry_rows.doors(session, scope, kind, refs):
        by_ref.setdefault(door.entry_ref, []).append(door)
    return by_ref


def _enter(
    session: Session,
    scope: Scope,
    candidates: Sequence[Candidate],
    now: datetime,
    reading: ReadingRate | None,
) -> int:
    if not candidates:
        return 0
    at_door = _identified(session, scope, candidates)
    pasts = entry_rows.pasts(
        session,
        scope,
        {(each.door.journey_id, key.identity_id) for each, key in at_door if key.value is not None},
    )
    traces: list[Trace] = []
    admitted: dict[tuple[UUID, UUID], _Admitted] = {}
    for each, key in at_door:
        place = (each.door.journey_id, key.identity_id)
        past = pasts.get(place)
        refused = refusal(each, key, past, now, is_inside=place in admitted)
        if refused is None:
            admitted[place] = _admitted(each, key, now, is_reentrance=past is not None)
        else:
            traces.append(refused)
    opened = instances.open_new(session, scope, [each.new for each in admitted.values()])
    inside = [each for each in admitted.values() if each.new.id in opened]
    traces += [
        already_inside(each.candidate, each.key)
        for each in admitted.values()
        if each.new.id not in opened
    ]
    _record(session, scope, inside, now, reading)
    gate_traces.record(session, scope, traces, now=now)
    return len(inside)


def _identified(
    session: Session,
    scope: Scope,
    candidates: Sequence[Candidate],
) -> list[tuple[Candidate, PersonKey]]:
    """Pair everyone with the identity they would enter by.

    It is the one the event carried, else the one known longest. An event that names nobody is
    left out: there is no person whom anyone could ask about.
    """
    people = entry_rows.people(session, scope, [each.question for each in candidates])
    return [(each, people[each.question]) for each in candidates if each.question in people]


def _admitted(
    candidate: Candidate,
    key: PersonKey,
    now: datetime,
    *,
    is_reentrance: bool,
) -> _Admitted:
    door = candidate.door
    new = NewInstance(new_key(), door.journey_id, door.version_id, key.identity_id, now)
    entered = Entered(now, candidate.event, candidate.segment, is_reentrance)
    return _Admitted(candidate, key, entered, new)


def _record(
    session: Session,
    scope: Scope,
    inside: Sequence[_Admitted],
    now: datetime,
    reading: ReadingRate | None,
) -> None:
    """Write what follows from being inside: the first step, the first stimulus, the ledger."""
    told = [
        Told(each.new.id, each.entered, _begins_at(now, reading, place))
        for place, each in enumerate(inside)
    ]
    inbox.tell(session, scope, told)
    history.record(session, scope, list(_entrances(inside)))
    counts = Counter(each.new.version_id for each in inside)
    deltas = [
        delta
        for version, count in counts.items()
        for delta in entries.people_entered(version, count)
    ]
    entries.append(session, scope, deltas, now=now)


def _begins_at(now: datetime, reading: ReadingRate | None, place: int) -> datetime:
    if reading is None:
        return now
    return now + timedelta(seconds=(reading.ahead + place) / reading.per_s)


def _entrances(inside: Iterable[_Admitted]) -> Iterator[HappenedStep]:
    """Yield each entrance; people who come in alike share the step, which names no person."""
    known: dict[tuple[UUID, str | None, bool], Sequence[Step]] = {}
    for each in inside:
        door, new = each.candidate.door, each.new
        alike = (door.version_id, each.candidate.status, each.entered.is_reentrance)
        if alike not in known:
            known[alike] = _steps_at(door, each.entered)
        run = Run(
            instance_id=new.id,
            journey_id=new.journey_id,
            journey_version_id=new.version_id,
            journey_version=door.version,
            journey_name=door.name,
            external_key=f"{door.namespace}:{each.key.value}",
            profile_id=str(each.key.profile_id),
        )
        for step in known[alike]:
            yield HappenedStep(step, run)


def _steps_at(door: Door, entered: Entered) -> Sequence[Step]:
    """Return the entrance exactly as the planner will record it, so that it is stored once."""
    entry = () if door.entry is None else (door.entry,)
    walk = Walk(JourneyDefinition(door.name, entry), InstanceState(), NO_FACTS, entered.at, 0)
    walk.enter(entered)
    return walk.steps
