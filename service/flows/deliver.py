"""The way of a delivery: claim with permits, gates, render and sign, call, classify, record.

No transaction is open while a vendor is called. ``claim_batch`` and ``record`` are one transaction
each; between them a killed worker leaves open attempts, which ``reap_doubtful`` ends as unknown.

Source: service/decisions/0005-permit-life.md, service/decisions/0008-attempt-states.md.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy.orm import Session

from service.audit import gate_traces
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.core.secret import SecretKeyError
from service.db.session import unit_of_work
from service.flows import dead_verdicts, delivery_door, delivery_halts, keep_dead_letters
from service.flows.delivery_permits import (
    Asking,
    ask,
    budget,
    hold,
    is_late,
    queue_size,
    queued_until,
    tried,
    weights_of,
)
from service.flows.delivery_steps import (
    Batch,
    DeliveryTools,
    LaneMemory,
    LaneTerms,
    Recorded,
    Settled,
)
from service.journeys import inbox
from service.journeys.inbox import Told
from service.outbound import attempts, deliveries, delivery_views, destinations, fair_claims
from service.outbound.actions import Action
from service.outbound.attempts import AttemptOutcome, Doubtful
from service.outbound.auth import make_ready
from service.outbound.deliveries import Claimed, DeliveryState, Lane, Waiting
from service.outbound.endpoint_limits import Limits
from service.outbound.follow_up import Again, End, OnBacklog, OnUnknown, timed_out
from service.outbound.gates import Gate
from service.outbound.halts import WaitingMode
from service.outbound.shared_tokens import TokenUnavailableError
from service.sandboxes import registry
from service.sandboxes.scope import Scope

_NOT_TRIED = AttemptOutcome.NOT_SENT


def claim_batch(
    tools: DeliveryTools,
    lane: Lane,
    *,
    limit: int,
    memory: LaneMemory | None = None,
    per_call: int = 1,
) -> Batch:
    """Take due deliveries of a lane and permits for them; both are committed on return.

    Each journey gives its share. What cannot or may not be sent any more is ended at once: expired,
    out of budget, over a cap that does not queue at its first request. What only has to wait goes
    back. Nothing is permitted while the destination's breaker is open, but one probe, and nothing
    at all for what is halted.

    Args:
        tools: The process's own.
        lane: The action whose deliveries are taken.
        limit: How many at most.
        memory: What the lane has learned; permits live as long as its calls need.
        per_call: How many deliveries go with one call, and so with one permit.

    Raises:
        StoreUnavailableError: Nothing was taken.
    """
    memory = memory or LaneMemory()
    with unit_of_work(tools.sessions) as session:
        now = tools.clock.now()
        action = _find_action(tools, session, lane)
        if action is None:
            claimed = fair_claims.claim(session, lane, now=now, limit=limit, lines=memory.lines)
            settled = [_unusable(each) for each in claimed]
            return Batch(len(claimed), record_within(session, tools, lane, settled, now))
        halts = tools.halts.find(session, lane.scope, at=tools.clock.monotonic())
        host = destinations.host_of(action.url)
        if halts and halts.of_lane(lane.action_id, host) is WaitingMode.HOLD:
            return delivery_halts.NOTHING
        limits = tools.endpoints.limits(session, lane.scope, method=action.method, url=action.url)
        door = delivery_door.look(session, tools, lane, action.url, now)
        claimed = fair_claims.claim(
            session,
            lane,
            now=now,
            limit=min(limit, door.limit, queue_size(limits, per_call) or limit),
            weights=weights_of(limits),
            lines=memory.lines,
            without=halts.held_journeys,
        )
        live, settled = _still_wanted(claimed, action, limits, now)
        live, stopped = delivery_halts.sift(live, action, halts)
        settled += stopped
        if not live or not door.enter(session):
            settled += hold(live)
            recorded = record_within(session, tools, lane, settled, now)
            return Batch(len(claimed), recorded, again_in_s=door.again_in_s)
        asking = Asking(lane, action, limits, door.pace, per_call)
        asked = ask(session, tools, asking, live, memory, now)
        door.close(session, has_started=bool(asked.permitted))
        recorded = record_within(session, tools, lane, settled + asked.settled, now)
    return Batch(
        len(claimed),
        recorded,
        action,
        asked.permitted,
        asked.asked_at,
        asked.usable_until,
        is_probe=door.is_probe,
        again_in_s=asked.again_in_s,
    )


def prepare_lane(tools: DeliveryTools, lane: Lane) -> LaneTerms:
    """Have a lane's bearer ready and return how it may connect.

    A token endpoint may be slow, and a permit that waits for it runs out: so the bearer is fetched
    here, before permits and with no transaction open.

    Raises:
        StoreUnavailableError: The limits cannot be read now.
    """
    with unit_of_work(tools.sessions) as session:
        action = _find_action(tools, session, lane)
        if action is None:
            return LaneTerms()
        found = tools.endpoints.limits(session, lane.scope, method=action.method, url=action.url)
        tools.halts.find(session, lane.scope, at=tools.clock.monotonic())
    with suppress(TokenUnavailableError):  # each delivery will say so for itself
        make_ready(action.spec.auth, tools.tokens, lane.scope, action.spec.connection)
    return LaneTerms(action, found)


def record(tools: DeliveryTools, lane: Lane, settled: Sequence[Settled]) -> Recorded:
    """Keep outcomes, final states, the stimuli that wake instances, and the ledger, together.

    Attempts that the reaper has ended meanwhile change nothing.

    Raises:
        StoreUnavailableError: Nothing was kept; record the same again later.
    """
    with unit_of_work(tools.sessions) as session:
        return record_within(session, tools, lane, settled, tools.clock.now())


def reap_doubtful(tools: DeliveryTools, *, limit: int = 500) -> int:
    """End the calls of workers that did not come back as unknown; return how many there were.

    Their deliveries end as ``unknown``, or go back if the action says that duplicates are harmless.
    """
    with unit_of_work(tools.sessions) as session:
        now = tools.clock.now()
        doubtful = attempts.reap(session, now=now, limit=limit)
        scopes = {each.id: Scope(each.id, each.name) for each in registry.list_all(session)}
        by_lane: dict[str, list[Doubtful]] = {}
        for each in doubtful:
            by_lane.setdefault(each.lane, []).append(each)
        for key, calls in sorted(by_lane.items()):
            lane = delivery_views.parse_lane(key, scopes[calls[0].sandbox_id])
            _settle_doubtful(session, tools, lane, calls, now)
    return len(doubtful)


def _find_action(tools: DeliveryTools, session: Session, lane: Lane) -> Action | None:
    try:
        return tools.actions.find(session, lane.scope, lane.action_id)
    except (InvalidInputError, SecretKeyError):
        return None


def _still_wanted(
    claimed: Sequence[Claimed], action: Action, limits: Limits, now: datetime
) -> tuple[list[Claimed], list[Settled]]:
    """Return what to ask permits for, and the ends of the rest; no slot or permit is taken yet."""
    live: list[Claimed] = []
    settled: list[Settled] = []
    for each in claimed:
        queued = queued_until(each, limits)
        if now >= each.expires_at:
            facts = {"expiresAt": each.expires_at.isoformat()}
            settled.append(_expired(each, "expired", facts, Gate.EXPIRY))
        elif each.budget_until is not None and now >= each.budget_until:
            settled.append(Settled(each, timed_out(tried(each), {}, _NOT_TRIED), None))
        elif queued is not None and now >= queued:
            facts = {"queuedUntil": queued.isoformat()}
            settled.append(_expired(each, "queueExpired", facts, Gate.EXPIRY))
        elif queued is None and is_late(each, now) and action.on_backlog is OnBacklog.DROP:
            facts = {"createdAt": each.created_at.isoformat()}
            settled.append(_expired(each, "backlog", facts, Gate.BACKLOG))
        else:
            live.append(each)
    return live, settled


def _unusable(held: Claimed) -> Settled:
    end = End(_NOT_TRIED, DeliveryState.FAILED, "actionUnusable", {})
    return Settled(held, end, None)


def _expired(held: Claimed, reason: str, facts: JsonObject, gate: Gate) -> Settled:
    end = End(_NOT_TRIED, DeliveryState.EXPIRED, reason, facts)
    return Settled(held, end, None, gate=gate)


def _settle_doubtful(
    session: Session, tools: DeliveryTools, lane: Lane, calls: Sequence[Doubtful], now: datetime
) -> None:
    """End or put back the deliveries of reaped attempts; their attempts are ended already."""
    numbers = {each.delivery_id: each.number for each in calls}
    action = _find_action(tools, session, lane)
    settled: list[Settled] = []
    for held in deliveries.read_waiting(session, lane.scope, numbers):
        number = numbers[held.id]
        may_repeat = (
            action is not None
            and action.on_unknown is OnUnknown.RETRY
            and number <= action.max_retries
            and now < held.expires_at
        )
        step: End | Again = End(AttemptOutcome.UNKNOWN, DeliveryState.UNKNOWN, "leaseEnded", {})
        if may_repeat:
            origin = {"error": "error", "code": "leaseEnded", "rule": "leaseEnded"}
            step = Again(AttemptOutcome.UNKNOWN, now, number + 1, origin)
        until = now + budget(held, action) if action is not None and may_repeat else None
        settled.append(Settled(held, step, until))
    record_within(session, tools, lane, settled, now)


def record_within(
    session: Session,
    tools: DeliveryTools,
    lane: Lane,
    settled: Sequence[Settled],
    now: datetime,
) -> Recorded:
    """Write what became of deliveries; push tokens before deliveries, as everywhere.

    The caller commits.
    """
    scope = lane.scope
    calls = [each.attempt for each in settled if each.attempt is not None]
    own = attempts.finish(session, scope, calls, worker=tools.worker, now=now)
    kept = [each for each in settled if each.attempt is None or each.attempt.attempt_id in own]
    dead_verdicts.keep(session, lane, kept, now=now)
    final = [end for each in kept if (end := each.ended) is not None]
    ended = deliveries.end(session, scope, final, now=now)
    keep_dead_letters.keep(session, tools, lane, kept, ended, now=now)
    waiting = [back for each in kept if (back := _waiting(lane, each)) is not None]
    deliveries.put_back(session, scope, waiting)
    told = [
        Told(each.delivery.instance_id, stimulus, now)
        for each in kept
        if each.delivery.id in ended
        and each.delivery.replay_of is None
        and (stimulus := each.stimulus(now)) is not None
    ]
    inbox.tell(session, scope, told)
    traces = [
        trace for each in kept if each.delivery.id in ended and (trace := each.trace) is not None
    ]
    gate_traces.record(session, scope, traces, now=now)
    states = Counter(each.state for each in final if each.delivery_id in ended)
    return Recorded(dict(states), len(waiting), len(settled) - len(kept))


def _waiting(lane: Lane, each: Settled) -> Waiting | None:
    if not isinstance(each.step, Again):
        return None
    return Waiting(
        each.delivery.id,
        lane.line(each.delivery.journey_id),
        each.step.due_at,
        each.step.next_number,
        each.budget_until,
        each.step.origin_error,
    )
