"""People walk on: due stimuli are claimed, planned and made true in one transaction.

A batch may hold people of many journeys and sandboxes; each kind of row is read and written by one
statement per sandbox. A worker that dies gives its stimuli back, and a plan that was lost with its
transaction is simply made again.
Source: service/decisions/0001-lock-order.md, 0012-journey-engine.md.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.audit import gate_traces
from service.core.clock import Clock
from service.core.errors import EdgepostError, StoreUnavailableError
from service.core.json import JsonObject
from service.db.session import SessionFactory, is_conflict, unit_of_work
from service.flows.moving_instances import Moving
from service.jobs import wakeup
from service.journeys import facts, history, inbox, instances, versions
from service.journeys.conditions import NO_FACTS, Facts, FactsWanted
from service.journeys.facts import Asked
from service.journeys.inbox import Claimed
from service.journeys.planner import plan
from service.journeys.plans import Plan
from service.journeys.problems import DefinitionError
from service.journeys.state import StateVersionError, state_from_json
from service.journeys.stimuli import Stimulus, UnknownStimulusError, stimulus_from_row
from service.ledger import entries
from service.outbound import cancelling, deliveries
from service.sandboxes import registry
from service.sandboxes.scope import Scope

AT_ONCE = 500
_AGAIN_AFTER = timedelta(minutes=5)
_TRIES = 3
_LOG = structlog.get_logger("service.flows.advance_journeys")


class PlanWantsMoreError(EdgepostError):
    """A plan asked twice for facts; the planner promises that one fetch is enough."""


def advance(sessions: SessionFactory, clock: Clock, *, limit: int = AT_ONCE) -> int:
    """Move everyone whose time has come, up to ``limit`` stimuli; return how many were taken.

    A batch that fails is tried again smaller, until the stimulus it fails on is alone: that one is
    put off for five minutes and logged, so that nobody waits behind it.

    Raises:
        StoreUnavailableError: Nothing was moved; try again later.
    """
    conflicts = 0
    while True:
        try:
            with unit_of_work(sessions) as session:
                return advance_once(session, now=clock.now(), limit=limit)
        except StoreUnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - one person's trouble must not stop the others
            if isinstance(error, DBAPIError) and is_conflict(error) and conflicts < _TRIES:
                conflicts += 1
            elif limit > 1:
                limit //= 2
            else:
                return _put_off_one(sessions, clock, type(error).__name__)


def advance_once(session: Session, *, now: datetime, limit: int) -> int:
    """Claim up to ``limit`` due stimuli and write all that follows; return how many were claimed.

    The caller commits. Until then the stimuli are still there for everybody else.
    """
    claimed = inbox.claim(session, now=now, limit=limit)
    if not claimed:
        return 0
    scopes = {each.id: Scope(each.id, each.name) for each in registry.list_all(session)}
    for sandbox_id in sorted({each.sandbox_id for each in claimed}):
        mine = [each for each in claimed if each.sandbox_id == sandbox_id]
        _advance_sandbox(session, scopes[sandbox_id], mine, now)
    return len(claimed)


def _advance_sandbox(
    session: Session,
    scope: Scope,
    claimed: Sequence[Claimed],
    now: datetime,
) -> None:
    moving, unreadable = _read(session, scope, claimed)
    _plan_all(session, scope, moving, now)
    _write(session, scope, moving, now)
    if unreadable:
        _LOG.warning("stimuli_not_understood", sandbox=scope.sandbox, count=len(unreadable))
        inbox.give_back(session, scope, unreadable, due_at=now + _AGAIN_AFTER)


def _read(
    session: Session,
    scope: Scope,
    claimed: Sequence[Claimed],
) -> tuple[list[Moving], list[Claimed]]:
    """Lock the instances and read what they were told.

    What this release cannot read was written by a newer one and is kept for it. Stimuli of
    instances that are gone are gone with them.
    """
    told: dict[UUID, list[Claimed]] = {}
    for each in claimed:
        told.setdefault(each.instance_id, []).append(each)
    locked = instances.lock(session, scope, told)
    running = versions.running(session, scope, {each.version_id for each in locked.values()})
    moving: list[Moving] = []
    unreadable: list[Claimed] = []
    for key, instance in locked.items():
        try:
            state = state_from_json(instance.stored_state)
            stimuli = [stimulus_from_row(each.kind, each.payload) for each in told[key]]
            version = running[instance.version_id]
        except (StateVersionError, UnknownStimulusError, DefinitionError):
            unreadable += told[key]
        else:
            moving.append(Moving.of(instance, version, state, stimuli))
    return moving, unreadable


def _plan_all(session: Session, scope: Scope, moving: Sequence[Moving], now: datetime) -> None:
    """Plan every stimulus, each instance's in their order; facts are fetched for all at once."""
    while turn := [(each, each.told.popleft()) for each in moving if each.told]:
        plans = [
            plan(each.version.definition, each.state, stimulus, NO_FACTS, now, each.locked.seed)
            for each, stimulus in turn
        ]
        wanting = [at for at, planned in enumerate(plans) if planned.facts_wanted is not None]
        for at, planned in zip(
            wanting,
            _plan_with_facts(session, scope, [(*turn[at], plans[at]) for at in wanting], now),
            strict=True,
        ):
            plans[at] = planned
        for (each, stimulus), planned in zip(turn, plans, strict=True):
            each.take(stimulus, planned)


def _plan_with_facts(
    session: Session,
    scope: Scope,
    wanting: Sequence[tuple[Moving, Stimulus, Plan]],
    now: datetime,
) -> list[Plan]:
    asked = [
        Asked(
            wanted,
            each.locked.id,
            each.locked.profile_id,
            _context_of(each, stimulus, wanted, now),
        )
        for each, stimulus, planned in wanting
        if (wanted := planned.facts_wanted) is not None
    ]
    if not asked:
        return []
    found = facts.fetch(session, scope, asked, now=now)
    plans = [
        plan(each.version.definition, each.state, stimulus, known, now, each.locked.seed)
        for (each, stimulus, _), known in zip(wanting, found, strict=True)
    ]
    if any(planned.facts_wanted is not None for planned in plans):
        raise PlanWantsMoreError("A plan asked for facts twice.")
    return plans


def _context_of(
    each: Moving,
    stimulus: Stimulus,
    wanted: FactsWanted,
    now: datetime,
) -> JsonObject:
    """Return what the run carries once it was told; the same whichever way it goes then."""
    if not any(map(facts.reads_context, wanted.expressions)):
        return {}
    any_facts = Facts(
        dict.fromkeys(wanted.expressions, False),
        dict.fromkeys(wanted.paths),
        dict.fromkeys(wanted.messages, frozenset()),
    )
    version = each.version
    after = plan(version.definition, each.state, stimulus, any_facts, now, each.locked.seed)
    return after.state.context


def _write(session: Session, scope: Scope, moving: Sequence[Moving], now: datetime) -> None:
    """Make the plans true, in the order of the locks: instances, deliveries, then what is new."""
    moved = [each for each in moving if each.has_moved]
    instances.save(session, scope, [(each.locked.id, each.state) for each in moved], now=now)
    new = [delivery for each in moved for delivery in each.deliveries()]
    deliveries.create(session, scope, new, now=now)
    over = [key for each in moved for key in each.to_cancel()]
    cancelling.cancel(session, scope, over, reason="journeyEnded", now=now)
    history.record(session, scope, [step for each in moved for step in each.happened()])
    inbox.tell(session, scope, [told for each in moving for told in each.timers()])
    ended = Counter((each.locked.version_id, status) for each in moved for status in each.ended())
    deltas = [
        delta
        for (version_id, status), count in ended.items()
        for delta in entries.people_ended(version_id, status, count)
    ]
    entries.append(session, scope, deltas, now=now)
    traces = [trace for each in moving for trace in each.traces()]
    gate_traces.record(session, scope, traces, now=now)
    if new:
        wakeup.notify(session)


def _put_off_one(sessions: SessionFactory, clock: Clock, error_type: str) -> int:
    with unit_of_work(sessions) as session:
        claimed = inbox.claim(session, now=clock.now(), limit=1)
        scopes = {each.id: Scope(each.id, each.name) for each in registry.list_all(session)}
        for each in claimed:
            scope = scopes[each.sandbox_id]
            inbox.give_back(session, scope, [each], due_at=clock.now() + _AGAIN_AFTER)
            _LOG.error(
                "stimulus_put_off",
                sandbox=scope.sandbox,
                instance_id=str(each.instance_id),
                stimulus_id=str(each.id),
                error_type=error_type,
            )
    return len(claimed)
