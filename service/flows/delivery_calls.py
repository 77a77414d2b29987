"""From permit to call, and from reply to record: gates, render, sign, classify."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.core import json
from service.core.clock import Clock
from service.core.json import JsonObject
from service.core.secret import Secret
from service.db.session import unit_of_work
from service.db.statements import INTEGER, JSON_OBJECT, KEY, SetStatement
from service.flows.delivery_steps import (
    Batch,
    DeliveryTools,
    Permitted,
    Ready,
    Settled,
    response_of,
)
from service.outbound import gates
from service.outbound.actions import Action
from service.outbound.adapters.contract import MessageContext
from service.outbound.adapters.registry import get_adapter
from service.outbound.atlas_rules import RetryKind
from service.outbound.attempts import AttemptOutcome, EndedAttempt
from service.outbound.auth import ServiceAccountAuth, TokenUnavailableError, authenticate
from service.outbound.dead_tokens import DeadVerdicts
from service.outbound.deliveries import DeliveryState, Lane
from service.outbound.follow_up import (
    Again,
    End,
    follow_up,
    jitter,
    timed_out,
)
from service.outbound.gates import Gate, Refused
from service.outbound.templating import TemplateError
from service.outbound.transport import Call, Reply
from service.profiles.lookups import OwnedToken, Recipient, read_recipients
from service.profiles.push_tokens import DeadToken

_LONGEST_CONNECT_MS = 5000
_TOKEN_WAIT = timedelta(seconds=1)
_STATES = {Gate.EXPIRY: DeliveryState.EXPIRED}

_EVENTS = SetStatement(
    """
    SELECT t.id, t.state FROM {r}
    JOIN journey_instance AS t ON t.sandbox_id = :sandbox_id AND t.id = r.id
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"id": KEY, "state": JSON_OBJECT},
)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the gates and templates see, read together, with until when it may be relied on."""

    recipients: Mapping[UUID, Recipient]
    events: Mapping[UUID, JsonObject]
    valid_until: float


def prepare(tools: DeliveryTools, lane: Lane, batch: Batch) -> tuple[list[Ready], list[Settled]]:
    """Ask the gates, render and sign; return the calls to make and what ended before one.

    Everything is read now, after the permits, and holds for two seconds.

    Raises:
        StoreUnavailableError: Nothing could be read; nothing was sent.
    """
    action = batch.action
    if action is None or not batch.permitted:
        return [], []
    seen = _read(tools, lane, action, batch.permitted)
    now = tools.clock.now()
    startable_until = min(batch.usable_until, seen.valid_until)
    ready: list[Ready] = []
    settled: list[Settled] = []
    for permitted in batch.permitted:
        limits = (batch.asked_at, startable_until)
        try:
            made = _prepare_one(tools, action, permitted, seen, limits, now)
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
    auth = action.spec.auth
    if outcome.retry_kind is RetryKind.REAUTH1 and isinstance(auth, ServiceAccountAuth):
        refused = tuple(pair for pair in ready.call.headers if pair[0] == "Authorization")
        tools.tokens.forget(auth, refused)
    step = follow_up(outcome, reply, permitted.tried, action.policy, now=now, chance=jitter())
    elapsed_ms = (reply.ended_ns - reply.started_ns) // 1_000_000 if reply.started_ns else None
    dead_token = None
    if verdicts.should_denylist(outcome) and ready.token_id is not None:
        called_at = now - timedelta(milliseconds=elapsed_ms or 0)
        dead_token = DeadToken(ready.token_id, outcome.rule_id, called_at)
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
        response=response_of(reply),
        dead_token=dead_token,
    )


def uninterpretable(ready: Ready, error: Exception) -> Settled:
    """Return the end of a delivery whose answer nobody foresaw: what it meant is unknown."""
    permitted = ready.permitted
    facts = {"detail": f"the answer could not be read: {type(error).__name__}"}
    step = End(AttemptOutcome.UNKNOWN, DeliveryState.UNKNOWN, "unreadable", facts)
    attempt = EndedAttempt(permitted.attempt_id, AttemptOutcome.UNKNOWN, error_code="unreadable")
    return Settled(permitted.delivery, step, permitted.budget_until, attempt)


def _read(
    tools: DeliveryTools, lane: Lane, action: Action, permitted: Sequence[Permitted]
) -> _Seen:
    asked_at = tools.clock.monotonic()
    people = {each.delivery.identity_id for each in permitted}
    events: dict[UUID, JsonObject] = {}
    with unit_of_work(tools.sessions) as session:
        recipients = read_recipients(session, lane.scope, people)
        if _speaks_of_event(action):
            instances = sorted((each.delivery.instance_id,) for each in permitted)
            params = {"sandbox_id": lane.scope.sandbox_id}
            for row in _EVENTS.run(session, params, r=instances):
                events[row.id] = (row.state.get("context") or {}).get("event") or {}
    return _Seen(recipients, events, asked_at + gates.VALID_S)


def _speaks_of_event(action: Action) -> bool:
    return "event" in json.encode_text([action.spec.payload, action.spec.headers])


def _prepare_one(
    tools: DeliveryTools,
    action: Action,
    permitted: Permitted,
    seen: _Seen,
    limits: tuple[float, float],
    now: datetime,
) -> Ready | Settled:
    held = permitted.delivery
    recipient = seen.recipients.get(held.identity_id)
    verdict = gates.judge(
        action.addressing,
        expires_at=held.expires_at,
        now=now,
        attributes=None if recipient is None else recipient.attributes,
        tokens=() if recipient is None else recipient.tokens,
    )
    if isinstance(verdict, Refused):
        return _refused(permitted, verdict)
    token = (
        next((each for each in recipient.tokens if each.token_id == verdict.token_id), None)
        if recipient is not None
        else None
    )
    timeout_ms = _milliseconds(permitted.budget_until - now)
    if timeout_ms <= 0:
        return never_left(permitted, tools.clock, "timeout")
    try:
        context = _context(permitted, recipient, token, seen.events.get(held.instance_id))
        parts = get_adapter(action.spec.adapter).render(action.spec, context, now=now)
        parts = authenticate(parts, action.spec.auth, tools.tokens)
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
    return Ready(permitted, action, call, *limits, token.token_id if token else None)


def _context(
    permitted: Permitted,
    recipient: Recipient | None,
    token: OwnedToken | None,
    event: Mapping[str, Any] | None,
) -> MessageContext:
    held = permitted.delivery
    return MessageContext(
        delivery_id=held.id,
        idempotency_key=str(held.id),
        token=Secret(token.token) if token else None,
        profile=recipient.attributes if recipient else {},
        event=event or {},
        parameters=held.parameters,
        journey_version_id=held.journey_version_id,
        instance_id=held.instance_id,
        node_id=held.node_id,
        expires_at=held.expires_at,
    )


def _refused(permitted: Permitted, refused: Refused) -> Settled:
    state = _STATES.get(refused.gate, DeliveryState.SUPPRESSED)
    step = End(AttemptOutcome.SUPPRESSED, state, refused.reason, refused.facts)
    attempt = EndedAttempt(
        permitted.attempt_id, AttemptOutcome.SUPPRESSED, error_code=refused.reason
    )
    return Settled(permitted.delivery, step, permitted.budget_until, attempt, gate=refused.gate)


def _unrenderable(permitted: Permitted, error: TemplateError) -> Settled:
    facts = {"detail": error.detail, **error.fields}
    step = End(AttemptOutcome.FAILED, DeliveryState.FAILED, "template", facts)
    attempt = EndedAttempt(permitted.attempt_id, AttemptOutcome.FAILED, error_code="template")
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
