"""The kill switch: from its commit on nothing new starts, in other processes within a second.

First the halt is committed, then what waits is ended or left, in bounded transactions, then the
numbers are counted: counting a large store must not delay the stop.

Source: service/decisions/0025-after-the-send.md.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.core.secret import SecretKeyError
from service.db.session import unit_of_work
from service.flows import deliver, delivery_halts
from service.flows.delivery_steps import DeliveryTools
from service.outbound import actions, deliveries, delivery_views, destinations, halt_counts, halts
from service.outbound.deliveries import Lane
from service.outbound.halts import HaltKind, NewHalt, WaitingMode
from service.outbound.models import Halt
from service.sandboxes.scope import Scope

AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class _Subject:
    """What a halt is about: some actions or one journey, and the lines that they wait in."""

    actions: tuple[UUID, ...]
    journeys: tuple[UUID, ...]
    lines: tuple[str, ...]


def switch_on(tools: DeliveryTools, scope: Scope, new: NewHalt) -> Halt:
    """Halt something and return the halt with its numbers.

    ``waiting`` is what waited, of which ``held`` waits on or ``dropped`` was ended; ``inFlight``
    calls had their permit already; ``sentLastHour`` is what cannot be taken back.

    Raises:
        ConflictError: It is halted already.
    """
    with unit_of_work(tools.sessions) as session:
        row = halts.switch_on(session, scope, new, now=tools.clock.now())
    with unit_of_work(tools.sessions) as session:
        subject = _subject(session, scope, new, tools)
        waiting = halt_counts.waiting(session, scope, subject.lines)
    numbers: JsonObject = {"waiting": waiting}
    if new.mode is WaitingMode.DROP:
        numbers["dropped"] = sum(_drop(tools, scope, line) for line in subject.lines)
    with unit_of_work(tools.sessions) as session:
        if new.mode is WaitingMode.HOLD:
            numbers["held"] = halt_counts.waiting(session, scope, subject.lines)
        in_flight, sent = halt_counts.calls(
            session,
            scope,
            actions=subject.actions,
            journeys=subject.journeys,
            now=tools.clock.now(),
        )
        return halts.note(
            session, scope, row.id, {**numbers, "inFlight": in_flight, "sentLastHour": sent}
        )


def _subject(session: Session, scope: Scope, new: NewHalt, tools: DeliveryTools) -> _Subject:
    lines = halt_counts.lines(session, scope, now=tools.clock.now())
    if new.kind is HaltKind.JOURNEY:
        journey_id = UUID(new.subject)
        ending = f":{journey_id.hex}"
        mine = tuple(line for line in lines if line.endswith(ending))
        return _Subject((), (journey_id,), mine)
    if new.kind is HaltKind.ACTION:
        named = [UUID(new.subject)]
    else:
        named = [
            each.id
            for each in actions.list_all(session, scope)
            if _host_of(tools, session, scope, each.id) == new.subject
        ]
    keys = {each.hex for each in named}
    mine = tuple(line for line in lines if line.split(":")[1] in keys)
    return _Subject(tuple(named), (), mine)


def _host_of(tools: DeliveryTools, session: Session, scope: Scope, action_id: UUID) -> str | None:
    try:
        action = tools.actions.find(session, scope, action_id)
    except (InvalidInputError, SecretKeyError):
        return None  # nothing is sent through it either
    return None if action is None else destinations.host_of(action.url)


def _drop(tools: DeliveryTools, scope: Scope, line: str) -> int:
    """End what waits in a line, due or not; what a lane holds at this moment ends there."""
    lane = delivery_views.parse_lane(line, scope)
    dropped = 0
    while found := _drop_some(tools, lane, line):
        dropped += found
    return dropped


def _drop_some(tools: DeliveryTools, lane: Lane, line: str) -> int:
    with unit_of_work(tools.sessions) as session:
        now = tools.clock.now()
        due = deliveries.claim_line(
            session, lane.scope, line, now=now + halt_counts.EVER, limit=AT_ONCE
        )
        claimed = deliveries.read_claimed(session, lane.scope, due) if due else []
        settled = [delivery_halts.dropped(each) for each in claimed]
        recorded = deliver.record_within(session, tools, lane, settled, now)
    return recorded.told
