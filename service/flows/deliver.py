"""The way of a delivery: claim with permits, gates, render and sign, call, classify, record.

No transaction is open while a vendor is called. ``claim_batch`` and ``record`` are one transaction
each; between them a killed worker leaves open attempts, which ``reap_doubtful`` ends as unknown.

Source: service/decisions/0005-permit-life.md, service/decisions/0008-attempt-states.md.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.audit import gate_traces
from service.core.errors import InvalidInputError
from service.core.secret import SecretKeyError
from service.db.session import unit_of_work
from service.flows.delivery_steps import Batch, DeliveryTools, Permitted, Recorded, Settled
from service.journeys import inbox
from service.journeys.inbox import Told
from service.outbound import attempts, deliveries, delivery_views
from service.outbound.actions import Action
from service.outbound.attempts import AttemptOutcome, Doubtful
from service.outbound.auth import ServiceAccountAuth, TokenUnavailableError
from service.outbound.capping import Grant, take_permits
from service.outbound.connections import ConnectionLimit
from service.outbound.deliveries import Claimed, DeliveryState, Lane, Waiting
from service.outbound.endpoint_directory import Limits
from service.outbound.follow_up import Again, End, OnBacklog, OnUnknown, Tried, timed_out
from service.outbound.gates import Gate
from service.outbound.permit_life import PermitLife
from service.profiles import push_tokens
from service.sandboxes import registry
from service.sandboxes.scope import Scope

LEASE_GRACE = timedelta(seconds=30)
"""How long after its budget a call's end may be recorded before it counts as doubtful."""

BACKLOG_AFTER = timedelta(seconds=30)
"""How long a delivery waits for its first permit before somebody must have been away."""

_NOT_TRIED = AttemptOutcome.NOT_SENT


def claim_batch(
    tools: DeliveryTools, lane: Lane, *, limit: int, life: PermitLife | None = None
) -> Batch:
    """Take due deliveries of a lane and permits for them; both are committed on return.

    What cannot or may not be sent any more is ended at once: expired, out of budget, over the cap
    at its first request. A retry that got no permit goes back, inside its budget. Permits live for
    their share of the period, or as long as the lane's calls need by ``life``.

    Raises:
        StoreUnavailableError: Nothing was taken.
    """
    with unit_of_work(tools.sessions) as session:
        now = tools.clock.now()
        claimed = deliveries.claim(session, lane, now=now, limit=limit)
        action = _find_action(tools, session, lane) if claimed else None
        live, settled = _still_wanted(claimed, action, now)
        if action is None or not live:
            return Batch(len(claimed), _record(session, tools.worker, lane, settled, now))
        limits = tools.endpoints.limits(session, lane.scope, method=action.method, url=action.url)
        life_ms = (life or PermitLife()).next_ms(limits.cap, tools.life_percent)
        grant = take_permits(
            session,
            lane.scope,
            limits.cap,
            wanted=len(live),
            clock=tools.clock,
            life_ms=life_ms,
            watch=tools.watch,
        )
        permitted = _open_attempts(session, tools, lane, action, live[: grant.count], grant, limits)
        settled += [
            _without_permit(each, action, grant, limits, now) for each in live[grant.count :]
        ]
        recorded = _record(session, tools.worker, lane, settled, now)
    asked_at = grant.usable_until - life_ms / 1000
    return Batch(len(claimed), recorded, action, permitted, asked_at, grant.usable_until)


def prepare_lane(tools: DeliveryTools, lane: Lane) -> tuple[ConnectionLimit, ...]:
    """Have a lane's bearer ready and return what limits its connections.

    A token endpoint may be slow, and a permit that waits for it runs out: so the bearer is fetched
    here, before permits and with no transaction open. Nothing is returned when the action cannot be
    used anyway.

    Raises:
        StoreUnavailableError: The limits cannot be read now.
    """
    with unit_of_work(tools.sessions) as session:
        action = _find_action(tools, session, lane)
        if action is None:
            return ()
        found = tools.endpoints.limits(session, lane.scope, method=action.method, url=action.url)
    if isinstance(action.spec.auth, ServiceAccountAuth):
        with suppress(TokenUnavailableError):  # each delivery will say so for itself
            tools.tokens.header(action.spec.auth)
    return found.connections


def record(tools: DeliveryTools, lane: Lane, settled: Sequence[Settled]) -> Recorded:
    """Keep outcomes, final states, the stimuli that wake instances, and the ledger, together.

    Attempts that the reaper has ended meanwhile change nothing.

    Raises:
        StoreUnavailableError: Nothing was kept; record the same again later.
    """
    with unit_of_work(tools.sessions) as session:
        return _record(session, tools.worker, lane, settled, tools.clock.now())


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
    claimed: Sequence[Claimed], action: Action | None, now: datetime
) -> tuple[list[Claimed], list[Settled]]:
    """Return what to ask permits for, and the ends of the rest."""
    live: list[Claimed] = []
    settled: list[Settled] = []
    for each in claimed:
        if action is None:
            end = End(_NOT_TRIED, DeliveryState.FAILED, "actionUnusable", {})
            settled.append(Settled(each, end, None))
        elif now >= each.expires_at:
            facts = {"expiresAt": each.expires_at.isoformat()}
            end = End(_NOT_TRIED, DeliveryState.EXPIRED, "expired", facts)
            settled.append(Settled(each, end, None, gate=Gate.EXPIRY))
        elif each.budget_until is not None and now >= each.budget_until:
            settled.append(Settled(each, timed_out(_tried(each), {}, _NOT_TRIED), None))
        elif _is_late(each, now) and action.on_backlog is OnBacklog.DROP:
            facts = {"createdAt": each.created_at.isoformat()}
            end = End(_NOT_TRIED, DeliveryState.EXPIRED, "backlog", facts)
            settled.append(Settled(each, end, None, gate=Gate.BACKLOG))
        else:
            live.append(each)
    return live, settled


def _open_attempts(
    session: Session,
    tools: DeliveryTools,
    lane: Lane,
    action: Action,
    granted: Sequence[Claimed],
    grant: Grant,
    limits: Limits,
) -> tuple[Permitted, ...]:
    """Write the attempts of permitted deliveries; a first permit starts the call's budget."""
    now = tools.clock.now()
    budgets = [each.budget_until or now + _budget(each, action) for each in granted]
    ids = attempts.start(
        session,
        lane,
        [(each.id, each.attempt) for each in granted],
        worker=tools.worker,
        cap_id=limits.cap.id,
        permitted_at=grant.granted_at,
        leased_until=max(budgets, default=now) + LEASE_GRACE,
    )
    return tuple(
        Permitted(each, attempt_id, budget)
        for each, attempt_id, budget in zip(granted, ids, budgets, strict=True)
    )


def _without_permit(
    held: Claimed, action: Action, grant: Grant, limits: Limits, now: datetime
) -> Settled:
    """Drop at the first request; a retry waits inside its budget, a backlog until it fits.

    Source: Journey Optimizer, Capping API: what is over the cap is rejected, never queued.
    """
    due_at = now + timedelta(milliseconds=grant.retry_after_ms)
    if held.budget_until is not None:
        if due_at >= held.budget_until:
            return Settled(held, timed_out(_tried(held), {}, _NOT_TRIED), None)
        again = Again(_NOT_TRIED, due_at, held.attempt, held.origin_error)
        return Settled(held, again, held.budget_until)
    if _is_late(held, now) and action.on_backlog is OnBacklog.SEND:
        return Settled(held, Again(_NOT_TRIED, due_at, held.attempt, None), None)
    facts = {
        "capId": str(limits.cap.id),
        "configId": str(limits.config_id) if limits.config_id else None,
        "maxCallsCount": limits.cap.max_calls_count,
        "periodInMs": limits.cap.period_in_ms,
        "retryAfterMs": grant.retry_after_ms,
    }
    end = End(_NOT_TRIED, DeliveryState.CAPPED, "capped", facts)
    return Settled(held, end, None, gate=Gate.CAP)


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
        budget = now + _budget(held, action) if action is not None and may_repeat else None
        settled.append(Settled(held, step, budget))
    _record(session, tools.worker, lane, settled, now)


def _record(
    session: Session, worker: str, lane: Lane, settled: Sequence[Settled], now: datetime
) -> Recorded:
    """Write what became of deliveries; push tokens before deliveries, as everywhere."""
    scope = lane.scope
    calls = [each.attempt for each in settled if each.attempt is not None]
    own = attempts.finish(session, scope, calls, worker=worker, now=now)
    kept = [each for each in settled if each.attempt is None or each.attempt.attempt_id in own]
    dead = [token for each in kept if (token := each.dead_token) is not None]
    push_tokens.denylist(session, scope, dead, now=now)
    final = [end for each in kept if (end := each.ended) is not None]
    ended = deliveries.end(session, scope, final, now=now)
    waiting = [back for each in kept if (back := _waiting(lane, each)) is not None]
    deliveries.put_back(session, scope, waiting)
    told = [
        Told(each.delivery.instance_id, stimulus, now)
        for each in kept
        if each.delivery.id in ended and (stimulus := each.stimulus(now)) is not None
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
        lane.key,
        each.step.due_at,
        each.step.next_number,
        each.budget_until,
        each.step.origin_error,
    )


def _tried(held: Claimed) -> Tried:
    return Tried(
        held.attempt, held.budget_until or held.expires_at, held.expires_at, held.origin_error
    )


def _is_late(held: Claimed, now: datetime) -> bool:
    return held.budget_until is None and now - held.created_at > BACKLOG_AFTER


def _budget(held: Claimed, action: Action) -> timedelta:
    return timedelta(milliseconds=min(held.timeout_ms, action.timeout_ms))
