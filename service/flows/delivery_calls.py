"""From permit to call, and from reply to record: gates, render, sign, classify."""

from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus

from service.core.clock import Clock
from service.flows import delivery_halts
from service.flows.delivery_sight import Seen, look
from service.flows.delivery_steps import (
    Batch,
    DeliveryTools,
    Permitted,
    Ready,
    Settled,
    mapped_of,
    response_of,
)
from service.outbound import destinations, gates, rendering
from service.outbound.actions import Action
from service.outbound.adapters.registry import calls_any_endpoint, get_adapter
from service.outbound.atlas_rules import OutcomeKind, RetryKind
from service.outbound.attempts import AttemptOutcome, EndedAttempt
from service.outbound.auth import authenticate, refused
from service.outbound.dead_tokens import Alarm, DeadVerdicts, died_before
from service.outbound.deliveries import DeliveryState, Lane
from service.outbound.follow_up import (
    Again,
    End,
    follow_up,
    jitter,
    timed_out,
)
from service.outbound.gates import Gate, Refused
from service.outbound.outcomes import Outcome
from service.outbound.recipient_address import NoAddressError
from service.outbound.shared_tokens import TokenUnavailableError
from service.outbound.templating import TemplateError
from service.outbound.transport import Call, CallParts, Reply
from service.profiles.push_tokens import DeadToken
from service.sandboxes.scope import Scope

_LONGEST_CONNECT_MS = 5000
_TOKEN_WAIT = timedelta(seconds=1)
_STATES = {Gate.EXPIRY: DeliveryState.EXPIRED}


def prepare(tools: DeliveryTools, lane: Lane, batch: Batch) -> tuple[list[Ready], list[Settled]]:
    """Ask the gates, render and sign; return the calls to make and what ended before one.

    Everything is read now, after the permits, and holds for two seconds.

    Raises:
        StoreUnavailableError: Nothing could be read; nothing was sent.
    """
    action = batch.action
    if action is None or not batch.permitted:
        return [], []
    seen = look(tools, lane, action, batch.permitted)
    now = tools.clock.now()
    startable_until = min(batch.usable_until, seen.valid_until)
    ready: list[Ready] = []
    settled: list[Settled] = []
    for permitted in batch.permitted:
        limits = (batch.asked_at, startable_until)
        try:
            made = _prepare_one(tools, lane.scope, action, permitted, seen, limits, now)
        except Exception as error:  # noqa: BLE001 - one person's message must not end the lane
            made = _unpreparable(permitted, error)
        if isinstance(made, Ready):
            ready.append(made)
        else:
            settled.append(made)
    return ready, settled


def never_left(permitted: Permitted, clock: Clock, why: str) -> Settled:
    """Return what becomes of a permitted delivery that our own side kept from starting."""
    now = clock.now()
    attempt = EndedAttempt(permitted.attempt_id, AttemptOutcome.NOT_SENT, error_code=why)
    held = permitted.delivery
    step: End | Again = Again(AttemptOutcome.NOT_SENT, now, held.attempt, held.origin_error)
    if now >= permitted.budget_until:
        step = timed_out(permitted.tried, {"trouble": why}, AttemptOutcome.NOT_SENT)
    return Settled(held, step, permitted.budget_until, attempt)


def interpret(tools: DeliveryTools, ready: Ready, reply: Reply, verdicts: DeadVerdicts) -> Settled:
    """Return what a reply means for its delivery."""
    now = tools.clock.now()
    action, permitted = ready.action, ready.permitted
    outcome = get_adapter(action.spec.adapter).read(reply, now=now)
    if outcome.retry_kind is RetryKind.REAUTH1 or reply.status == HTTPStatus.UNAUTHORIZED:
        outcome = _with_a_fresh_token(tools, ready, outcome)
    step = follow_up(outcome, reply, permitted.tried, action.policy, now=now, chance=jitter())
    elapsed_ms = (reply.ended_ns - reply.started_ns) // 1_000_000 if reply.started_ns else None
    dead_token = None
    judged = verdicts.judge(outcome, now=now)
    if judged and ready.token_id is not None:
        called_at = now - timedelta(milliseconds=elapsed_ms or 0)
        dead_token = DeadToken(ready.token_id, outcome.rule_id, died_before(outcome, called_at))
    return Settled(
        delivery=permitted.delivery,
        step=step,
        budget_until=permitted.budget_until,
        attempt=EndedAttempt(
            permitted.attempt_id,
            step.attempt,
            status_code=reply.status or None,
            error_code=str(reply.trouble) if reply.trouble else outcome.rule_id,
            elapsed_ms=elapsed_ms,
        ),
        token_id=ready.token_id,
        vendor_message_id=outcome.vendor_message_id,
        response=response_of(reply) if action.answers is None else None,
        mapped=mapped_of(action, step, reply),
        dead_token=dead_token,
        alarm=judged if isinstance(judged, Alarm) else None,
        outcome=outcome,
    )


def _with_a_fresh_token(tools: DeliveryTools, ready: Ready, outcome: Outcome) -> Outcome:
    """Let a refused token go; the call is worth repeating once where another can be had.

    A vendor's own table says which 401 is about our token; that of an endpoint of any kind, which
    Journey Optimizer never calls again, cannot know that there is a token.
    """
    is_any = calls_any_endpoint(ready.action.spec.adapter)
    if outcome.retry_kind is not RetryKind.REAUTH1 and not is_any:
        return outcome
    call = ready.call
    parts = CallParts(call.method, call.url, call.headers, call.body)
    if not refused(parts, ready.action.spec.auth, tools.tokens, ready.scope) or not is_any:
        return outcome
    return replace(outcome, kind=OutcomeKind.RETRY, retry_kind=RetryKind.REAUTH1)


def uninterpretable(ready: Ready, error: Exception) -> Settled:
    """Return the end of a delivery whose answer nobody foresaw: what it meant is unknown."""
    permitted = ready.permitted
    facts = {"detail": f"the answer could not be read: {type(error).__name__}"}
    step = End(AttemptOutcome.UNKNOWN, DeliveryState.UNKNOWN, "unreadable", facts)
    attempt = EndedAttempt(permitted.attempt_id, AttemptOutcome.UNKNOWN, error_code="unreadable")
    return Settled(permitted.delivery, step, permitted.budget_until, attempt)


def _prepare_one(
    tools: DeliveryTools,
    scope: Scope,
    action: Action,
    permitted: Permitted,
    seen: Seen,
    limits: tuple[float, float],
    now: datetime,
) -> Ready | Settled:
    held = permitted.delivery
    recipient = seen.recipients.get(held.identity_id)
    tokens = seen.tokens(action, held)
    verdict = gates.judge(
        action.addressing,
        expires_at=held.expires_at,
        now=now,
        attributes=None if recipient is None else recipient.attributes,
        tokens=tokens,
    )
    if isinstance(verdict, Refused):
        return _refused(permitted, verdict)
    token = next((each for each in tokens if each.token_id == verdict.token_id), None)
    halts = seen.halts
    stopped = halts.of_call(held.journey_id, action.id, destinations.host_of(action.url))
    if stopped is not None:
        return delivery_halts.stopped(permitted, stopped)
    timeout_ms = _milliseconds(permitted.budget_until - now)
    if timeout_ms <= 0:
        return never_left(permitted, tools.clock, "timeout")
    try:
        context = seen.context(held, token)
        parts = rendering.render(action.spec, context, now=now)
        stopped = halts.of_call(held.journey_id, action.id, destinations.host_of(parts.url))
        if stopped is not None:  # where the host varies it is known only now
            return delivery_halts.stopped(permitted, stopped)
        spec = action.spec
        parts = authenticate(parts, spec.auth, tools.tokens, scope, spec.connection)
    except NoAddressError as error:
        return _refused(permitted, Refused(Gate.ADDRESS, error.reason, {**error.fields}))
    except TemplateError as error:
        return _unrenderable(permitted, error)
    except TokenUnavailableError as error:
        return _without_bearer(permitted, action, error, now)
    call = Call.of(
        permitted.attempt_id,
        parts,
        timeout_ms=timeout_ms,
        connect_timeout_ms=min(timeout_ms, _LONGEST_CONNECT_MS),
    )
    token_id = token.token_id if token else None
    return Ready(permitted, action, call, *limits, token_id, scope)


def _refused(permitted: Permitted, refused: Refused) -> Settled:
    state = _STATES.get(refused.gate, DeliveryState.SUPPRESSED)
    step = End(AttemptOutcome.SUPPRESSED, state, refused.reason, refused.facts)
    attempt = EndedAttempt(
        permitted.attempt_id, AttemptOutcome.SUPPRESSED, error_code=refused.reason
    )
    return Settled(permitted.delivery, step, permitted.budget_until, attempt, gate=refused.gate)


def _unrenderable(permitted: Permitted, error: TemplateError) -> Settled:
    facts = {"detail": error.detail, **error.fields}
    step = End(AttemptOutcome.FAILED, DeliveryState.FAILED, error.reason, facts)
    attempt = EndedAttempt(permitted.attempt_id, AttemptOutcome.FAILED, error_code=error.reason)
    return Settled(permitted.delivery, step, permitted.budget_until, attempt)


def _unpreparable(permitted: Permitted, error: Exception) -> Settled:
    facts = {"detail": f"the message could not be made: {type(error).__name__}"}
    step = End(AttemptOutcome.FAILED, DeliveryState.FAILED, "unpreparable", facts)
    attempt = EndedAttempt(permitted.attempt_id, AttemptOutcome.FAILED, error_code="unpreparable")
    return Settled(permitted.delivery, step, permitted.budget_until, attempt)


def _without_bearer(
    permitted: Permitted, action: Action, error: TokenUnavailableError, now: datetime
) -> Settled:
    held = permitted.delivery
    attempt = EndedAttempt(permitted.attempt_id, AttemptOutcome.NOT_SENT, error_code="auth")
    step: End | Again = End(
        AttemptOutcome.NOT_SENT, DeliveryState.FAILED, "auth", {"detail": error.detail}
    )
    due_at = now + _TOKEN_WAIT * held.attempt
    if error.may_retry and held.attempt <= action.max_retries and due_at < permitted.budget_until:
        origin = {"error": "error", "code": "auth", "rule": "auth"}
        step = Again(AttemptOutcome.NOT_SENT, due_at, held.attempt + 1, origin)
    return Settled(held, step, permitted.budget_until, attempt)


def _milliseconds(span: timedelta) -> int:
    return span // timedelta(milliseconds=1)
