"""What follows a call: the delivery ends, or goes back for another attempt inside its budget.

Pure: the vendor's meaning comes from ``outcomes``, the rest from the action and the time left.

Source: Journey Optimizer, custom actions (one budget, at most three retries, each with a permit of
its own, ``timedout`` with the origin error); service/decisions/0008-attempt-states.md.
"""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from service.core.json import JsonObject
from service.outbound.atlas_rules import OutcomeKind, RetryKind
from service.outbound.attempts import AttemptOutcome
from service.outbound.deliveries import DeliveryState
from service.outbound.outcomes import Outcome
from service.outbound.transport import Reply, ReplyKind, Trouble

TIMED_OUT = "timedout"
_LONGEST_REASON = 64
_AGAIN_AFTER = timedelta(milliseconds=50)
_OURS = frozenset({Trouble.PERMIT_REFUSED, Trouble.LANE_CLOSED, Trouble.CALL_FULL})


class OnUnknown(StrEnum):
    """What follows a call whose answer was never seen."""

    RECORD = "record"
    RETRY = "retry"


class OnBacklog(StrEnum):
    """What becomes of deliveries that waited because the store or the workers were away."""

    SEND = "send"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Policy:
    """What an action allows."""

    max_retries: int
    on_unknown: OnUnknown


@dataclass(frozen=True, slots=True)
class Tried:
    """The attempt that ended.

    Attributes:
        number: From 1; attempts that never left for our own reasons are not counted.
        budget_until: When the call's whole time is over.
        expires_at: When the message loses its meaning.
        origin_error: The error of the attempt before, if there was one.
    """

    number: int
    budget_until: datetime
    expires_at: datetime
    origin_error: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class End:
    """The delivery ends.

    ``is_timeout`` is what the journey is told: the state may be ``unknown`` and the cause a
    timeout.
    """

    attempt: AttemptOutcome
    state: DeliveryState
    reason: str | None
    facts: JsonObject
    is_timeout: bool = False


@dataclass(frozen=True, slots=True)
class Again:
    """Another attempt, not before ``due_at``, with permit and gates of its own."""

    attempt: AttemptOutcome
    due_at: datetime
    next_number: int
    origin_error: JsonObject | None


def follow_up(
    outcome: Outcome, reply: Reply, tried: Tried, policy: Policy, *, now: datetime, chance: float
) -> End | Again:
    """Return what follows a reply.

    Args:
        outcome: What the reply means by the vendor's table.
        reply: The reply itself.
        tried: The attempt and its limits.
        policy: What the action allows.
        now: This moment.
        chance: From 0 to 1, spreads the waits of many deliveries that failed together.
    """
    facts = facts_of(outcome, reply)
    if reply.kind is ReplyKind.NOT_SENT and reply.trouble in _OURS:
        return _never_left(tried, facts, now)
    match outcome.kind:
        case OutcomeKind.SENT:
            return End(AttemptOutcome.SENT, DeliveryState.SENT, None, facts)
        case OutcomeKind.UNKNOWN:
            return _doubtful(outcome, reply, tried, policy, facts, now, chance)
        case OutcomeKind.RETRY:
            return _retry(outcome, reply, tried, policy, facts, now, chance)
    attempt = _attempt_outcome(reply, AttemptOutcome.FAILED)
    return End(attempt, DeliveryState.FAILED, _reason(outcome), _with_origin(facts, tried))


def timed_out(tried: Tried, facts: JsonObject, attempt: AttemptOutcome) -> End:
    """Return the end of a delivery whose budget is over before it could be sent."""
    return End(attempt, DeliveryState.FAILED, TIMED_OUT, _with_origin(facts, tried), True)  # noqa: FBT003 - a dataclass field


def wait_s(outcome: Outcome, number: int, chance: float) -> float:
    """Return how long to wait before the attempt after ``number``.

    What the vendor asked for holds and is only lengthened, by up to a fifth; otherwise the wait
    grows twofold from the table's shortest to its longest, half of it by chance.
    """
    if outcome.retry_kind is RetryKind.REAUTH1:
        return 0.0
    if outcome.retry_after_s is not None:
        return outcome.retry_after_s * (1 + chance / 5)
    if outcome.retry_kind is RetryKind.RECONNECT and number == 1:
        return 0.0
    shortest = max(outcome.backoff_min_s, 0.05)
    longest = max(outcome.backoff_cap_s, shortest)
    grown = min(longest, shortest * 2 ** min(number - 1, 30))
    return grown * (0.5 + chance / 2) if grown > shortest else shortest * (1 + chance / 5)


def facts_of(outcome: Outcome, reply: Reply) -> JsonObject:
    """Return what is kept of a reply: enough to search for, never a body."""
    facts: JsonObject = {"rule": outcome.rule_id, "scope": str(outcome.scope)}
    if reply.status:
        facts["statusCode"] = reply.status
    if reply.trouble is not None:
        facts["trouble"] = str(reply.trouble)
    if outcome.detail:
        facts["detail"] = outcome.detail
    return facts


def _doubtful(
    outcome: Outcome,
    reply: Reply,
    tried: Tried,
    policy: Policy,
    facts: JsonObject,
    now: datetime,
    chance: float,
) -> End | Again:
    if policy.on_unknown is OnUnknown.RETRY and tried.number <= policy.max_retries:
        again = _again(outcome, reply, tried, AttemptOutcome.UNKNOWN, now, chance)
        if again is not None:
            return again
    return End(
        AttemptOutcome.UNKNOWN,
        DeliveryState.UNKNOWN,
        _reason(outcome),
        _with_origin(facts, tried),
        is_timeout=reply.trouble is Trouble.TIMEOUT,
    )


def _retry(
    outcome: Outcome,
    reply: Reply,
    tried: Tried,
    policy: Policy,
    facts: JsonObject,
    now: datetime,
    chance: float,
) -> End | Again:
    attempt = _attempt_outcome(reply, AttemptOutcome.RETRY)
    if tried.number >= _allowed(outcome, tried, policy):
        facts = _with_origin(facts, tried)
        is_timeout = reply.trouble is Trouble.TIMEOUT
        return End(attempt, DeliveryState.FAILED, _reason(outcome), facts, is_timeout)
    again = _again(outcome, reply, tried, attempt, now, chance)
    if again is not None:
        return again
    origin: Any = origin_error(outcome, reply)
    return End(
        attempt, DeliveryState.FAILED, TIMED_OUT, {**facts, "originError": origin}, is_timeout=True
    )


def _allowed(outcome: Outcome, tried: Tried, policy: Policy) -> int:
    """Return how many attempts there may be in all."""
    allowed = policy.max_retries + 1
    if outcome.retry_kind is RetryKind.REAUTH1:
        # Worth one more whatever came before, but a fresh proof that is refused is the end.
        was_fresh = (tried.origin_error or {}).get("rule") == outcome.rule_id
        return min(allowed, tried.number if was_fresh else tried.number + 1)
    return min(allowed, outcome.max_attempts) if outcome.max_attempts else allowed


def _again(
    outcome: Outcome,
    reply: Reply,
    tried: Tried,
    attempt: AttemptOutcome,
    now: datetime,
    chance: float,
) -> Again | None:
    due_at = now + timedelta(seconds=wait_s(outcome, tried.number, chance))
    if due_at >= min(tried.budget_until, tried.expires_at):
        return None
    return Again(attempt, due_at, tried.number + 1, origin_error(outcome, reply))


def _never_left(tried: Tried, facts: JsonObject, now: datetime) -> End | Again:
    """Follow a call that our own side held back: it is due again, and was no attempt."""
    due_at = now + _AGAIN_AFTER
    if due_at >= tried.budget_until:
        return timed_out(tried, facts, AttemptOutcome.NOT_SENT)
    return Again(AttemptOutcome.NOT_SENT, due_at, tried.number, tried.origin_error)


def origin_error(outcome: Outcome, reply: Reply) -> JsonObject:
    """Return the error a later timeout reports, in Journey Optimizer's words."""
    if reply.status:
        return {"error": "http", "code": str(reply.status), "rule": outcome.rule_id}
    error = TIMED_OUT if reply.trouble is Trouble.TIMEOUT else "error"
    return {"error": error, "code": str(reply.trouble or ""), "rule": outcome.rule_id}


def jitter() -> float:
    """Return a chance from 0 to 1."""
    return random.random()  # noqa: S311 - spreads waits, guards nothing


def _attempt_outcome(reply: Reply, answered: AttemptOutcome) -> AttemptOutcome:
    return AttemptOutcome.NOT_SENT if reply.kind is ReplyKind.NOT_SENT else answered


def _reason(outcome: Outcome) -> str:
    return outcome.rule_id[:_LONGEST_REASON]


def _with_origin(facts: JsonObject, tried: Tried) -> JsonObject:
    return facts if tried.origin_error is None else {**facts, "originError": tried.origin_error}
