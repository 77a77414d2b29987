"""Permits for claimed deliveries, and what becomes of those that get none.

Source: service/decisions/0005-permit-life.md, service/decisions/0008-attempt-states.md,
service/decisions/0019-fair-share.md, service/decisions/0020-destinations.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from service.flows.delivery_steps import DeliveryTools, LaneMemory, Permitted, Settled
from service.outbound import attempts, permits
from service.outbound.actions import Action
from service.outbound.attempts import AttemptOutcome
from service.outbound.deliveries import Claimed, DeliveryState, Lane
from service.outbound.endpoint_documents import OnExceed
from service.outbound.endpoint_limits import Limits
from service.outbound.fair_share import Claimant
from service.outbound.follow_up import Again, End, OnBacklog, Tried, timed_out
from service.outbound.gates import Gate
from service.outbound.permits import Permits, Terms

LEASE_GRACE = timedelta(seconds=30)
"""How long after its budget a call's end may be recorded before it counts as doubtful."""

BACKLOG_AFTER = timedelta(seconds=30)
"""How long a delivery waits for its first permit before somebody must have been away."""

LONGEST_HOLD_S = 1.0
"""How long a lane leaves alone what waits in it: then it looks again what has expired."""

_SHORTEST_HOLD_S = 0.1
_LEAST_CLAIM = 32
_NOT_TRIED = AttemptOutcome.NOT_SENT


@dataclass(frozen=True, slots=True)
class Asking:
    """A lane that asks permits for an action's deliveries.

    Attributes:
        pace: The share of its caps that the destination bears.
        per_call: How many deliveries go with one call.
    """

    lane: Lane
    action: Action
    limits: Limits
    pace: float = 1.0
    per_call: int = 1


@dataclass(frozen=True, slots=True)
class Asked:
    """What asking brought: open attempts, what ends or goes back, how long to leave it alone."""

    permitted: tuple[Permitted, ...]
    settled: list[Settled]
    asked_at: float
    usable_until: float
    again_in_s: float


def ask(
    session: Session,
    tools: DeliveryTools,
    asking: Asking,
    live: Sequence[Claimed],
    memory: LaneMemory,
    now: datetime,
) -> Asked:
    """Take permits for deliveries under every rate and open their attempts. The caller commits."""
    rates = asking.limits.rates
    lives = [memory.life.next_ms(rate.cap, tools.life_percent) for rate in rates]
    terms = Terms(tools.clock, min(lives), tools.watch, asking.pace, asking.per_call)
    claimants = [_claimant(each, asking.action) for each in live]
    given = permits.take(
        session, asking.lane.scope, rates, Counter(claimants), terms, memory.shares
    )
    places: Counter[Claimant] = Counter()
    granted: list[Claimed] = []
    settled: list[Settled] = []
    is_held = False
    for each, claimant in zip(live, claimants, strict=True):
        place = places[claimant]
        places[claimant] += 1
        if place < given.granted[claimant]:
            granted.append(each)
            continue
        is_dropped = place in given.dropped.get(claimant, ())
        made = _without_permit(each, asking.action, given, now, is_dropped=is_dropped)
        is_held |= isinstance(made.step, Again) and made.step.due_at <= now
        settled.append(made)
    permitted = _open_attempts(session, tools, asking, granted, given)
    hold = _hold_s(given, is_idle=not granted) if is_held else 0.0
    return Asked(permitted, settled, given.asked_at, given.usable_until, hold)


def hold(live: Sequence[Claimed]) -> list[Settled]:
    """Put deliveries back where they were in their lines: their destination has to be left alone.

    They are neither dropped nor asked permits for, until it may be called or their time is over.
    """
    return [_back_in_line(each) for each in live]


def queue_size(limits: Limits, per_call: int) -> int | None:
    """Return how many deliveries it is worth to claim where rates queue; ``None`` without any.

    To claim more than they can let through would only put it back, but for some that may have
    waited too long.
    """
    caps = [rate.cap.max_calls_count for rate in limits.rates if rate.on_exceed is OnExceed.QUEUE]
    return max(min(caps) * per_call, _LEAST_CLAIM) if caps else None


def weights_of(limits: Limits) -> Mapping[UUID, int]:
    """Return the weights of journeys: the first rate's that names one."""
    return {
        journey_id: weight
        for rate in reversed(limits.rates)
        for journey_id, weight in rate.weights.items()
    }


def queued_until(held: Claimed, limits: Limits) -> datetime | None:
    """Return until when a delivery may wait for its first permit; ``None`` if nothing queues."""
    waits = [
        held.created_at + rate.expire_after
        for rate in limits.rates
        if rate.on_exceed is OnExceed.QUEUE and rate.expire_after is not None
    ]
    return min(waits) if waits and held.budget_until is None else None


def is_late(held: Claimed, now: datetime) -> bool:
    """Tell whether somebody must have been away since the delivery was due first."""
    return held.budget_until is None and now - held.created_at > BACKLOG_AFTER


def tried(held: Claimed) -> Tried:
    """Return what a follow-up must know of a delivery without an attempt of its own now."""
    return Tried(
        held.attempt, held.budget_until or held.expires_at, held.expires_at, held.origin_error
    )


def budget(held: Claimed, action: Action) -> timedelta:
    """Return the whole time of a delivery's call, retries included."""
    return timedelta(milliseconds=min(held.timeout_ms, action.timeout_ms))


def _claimant(held: Claimed, action: Action) -> Claimant:
    return Claimant(held.journey_id, action.is_marketing, held.attempt > 1)


def _open_attempts(
    session: Session,
    tools: DeliveryTools,
    asking: Asking,
    granted: Sequence[Claimed],
    given: Permits,
) -> tuple[Permitted, ...]:
    """Write the attempts of permitted deliveries; a first permit starts the call's budget."""
    now = tools.clock.now()
    budgets = [each.budget_until or now + budget(each, asking.action) for each in granted]
    ids = attempts.start(
        session,
        asking.lane,
        [(each.id, each.attempt) for each in granted],
        worker=tools.worker,
        cap_id=asking.limits.rates[0].cap.id,
        permitted_at=given.granted_at,
        leased_until=max(budgets, default=now) + LEASE_GRACE,
    )
    return tuple(
        Permitted(each, attempt_id, until)
        for each, attempt_id, until in zip(granted, ids, budgets, strict=True)
    )


def _without_permit(
    held: Claimed, action: Action, given: Permits, now: datetime, *, is_dropped: bool
) -> Settled:
    """Drop at the first request what is over a cap that does not queue.

    A retry waits inside its budget, a backlog until it fits, and what a queue or the destination's
    pace holds back keeps its place in its line.

    Source: Journey Optimizer, Capping API: what is over the cap is rejected, never queued;
    Throttling API: what is over the rate is queued, first in first out.
    """
    due_at = now + timedelta(milliseconds=given.retry_after_ms)
    if held.budget_until is not None:
        if due_at >= held.budget_until:
            return Settled(held, timed_out(tried(held), {}, _NOT_TRIED), None)
        again = Again(_NOT_TRIED, due_at, held.attempt, held.origin_error)
        return Settled(held, again, held.budget_until)
    if not is_dropped:
        return _back_in_line(held)
    if is_late(held, now) and action.on_backlog is OnBacklog.SEND:
        return Settled(held, Again(_NOT_TRIED, due_at, held.attempt, None), None)
    return _capped(held, given)


def _capped(held: Claimed, given: Permits) -> Settled:
    rate = given.refusing
    facts = {
        "capId": str(rate.cap.id),
        "configId": str(rate.config_id) if rate.config_id else None,
        "maxCallsCount": rate.cap.max_calls_count,
        "periodInMs": rate.cap.period_in_ms,
        "retryAfterMs": given.retry_after_ms,
        "onExceed": str(rate.on_exceed),
    }
    end = End(_NOT_TRIED, DeliveryState.CAPPED, "capped", facts)
    return Settled(held, end, None, gate=Gate.CAP)


def _back_in_line(held: Claimed) -> Settled:
    again = Again(_NOT_TRIED, held.due_at, held.attempt, held.origin_error)
    return Settled(held, again, held.budget_until)


def _hold_s(given: Permits, *, is_idle: bool) -> float:
    longest = LONGEST_HOLD_S if is_idle else _SHORTEST_HOLD_S
    return min(longest, given.retry_after_ms / 1000)
