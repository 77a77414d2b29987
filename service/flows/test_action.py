"""Send test request: one message of an action, made and sent just as a delivery's is.

The same renderer, proof, guard, transport and limits; a permit and a connection are asked for like
anybody's, so a test may well come back ``capped``. Nothing is kept of it: no delivery, no token
effect, no second attempt.

Source: Journey Optimizer, custom actions, "Send test request".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from service.core.ids import new_key
from service.core.json import JsonObject
from service.core.secret import Secret
from service.db.session import unit_of_work
from service.flows import sink_lane
from service.flows.delivery_steps import DeliveryTools
from service.flows.lane_connections import LaneConnections
from service.identity.identity_map import identity_key
from service.outbound import (
    action_parameters,
    actions,
    auth,
    gates,
    halts,
    permits,
    rendering,
    shown_calls,
)
from service.outbound.actions import Action
from service.outbound.adapters.contract import MessageContext
from service.outbound.adapters.registry import get_adapter
from service.outbound.atlas import load_atlas
from service.outbound.atlas_rules import OutcomeKind, RetryKind
from service.outbound.capping import LONGEST_LIFE_MS
from service.outbound.deliveries import Lane
from service.outbound.destinations import host_of
from service.outbound.endpoint_directory import Limits
from service.outbound.fair_share import Claimant
from service.outbound.gates import Refused
from service.outbound.permit_shares import PermitShares
from service.outbound.permits import Terms
from service.outbound.recipient_address import NoAddressError
from service.outbound.shared_tokens import TokenUnavailableError
from service.outbound.shown_calls import ShownReply, ShownRequest
from service.outbound.templating import TemplateError
from service.outbound.transport import Call, CallParts, Reply, ReplyKind, Trouble
from service.outbound.transport_options import lane_options
from service.profiles.lookups import Recipient, read_recipients
from service.sandboxes.scope import Scope

_LIFE: Final = timedelta(hours=1)
_CONNECTION_WAIT_S: Final = 2.0
_ASK_AGAIN_S: Final = 0.25
_LONGEST_CONNECT_MS: Final = 5000
_NODE: Final = "test"
_NOBODY: Final = UUID(int=0)

RENDERED, CAPPED, SUPPRESSED, FAILED, NOT_SENT = (
    "rendered",
    "capped",
    "suppressed",
    "failed",
    "notSent",
)


@dataclass(frozen=True, slots=True)
class Trial:
    """What one test message is made of.

    Attributes:
        identity: Namespace and value of the person; without one the profile is empty.
        token: A push token to send to; without one the person's own is chosen.
    """

    identity: tuple[str, str] | None = field(default=None, repr=False)
    parameters: JsonObject = field(default_factory=dict, repr=False)
    event: JsonObject = field(default_factory=dict, repr=False)
    token: Secret | None = None


@dataclass(frozen=True, slots=True)
class TrialResult:
    """What came of it.

    Attributes:
        outcome: ``rendered`` (a preview), what the atlas says of the answer, or why nothing was
            sent: ``capped``, ``suppressed``, ``failed``, ``notSent``.
        reason: The rule of the atlas, or our own reason.
        advice: What to do about it; empty where there is nothing to do.
        fields: What a journey would see of the answer, where the action maps it.
    """

    outcome: str
    reason: str | None = None
    detail: str = ""
    advice: str = ""
    request: ShownRequest | None = None
    reply: ShownReply | None = None
    elapsed_ms: int | None = None
    fields: JsonObject | None = field(default=None, repr=False)
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Made:
    """A message that can be sent until ``valid_until``, in monotonic seconds."""

    parts: CallParts
    signed: CallParts
    own_token: Secret | None
    valid_until: float

    @property
    def shown(self) -> ShownRequest:
        return shown_calls.shown_request(self.parts, self.signed, self.own_token)


def preview(tools: DeliveryTools, scope: Scope, action_id: UUID, trial: Trial) -> TrialResult:
    """Return what would be sent, or why nothing would; nothing is sent, and no token fetched.

    Raises:
        NotFoundError: There is no such action.
        InvalidInputError: The environment lacks its secret.
    """
    action, _ = _read(tools, scope, action_id)
    is_fetched = isinstance(action.spec.auth, auth.FetchedAuth)
    made = _make(tools, scope, action, trial, is_signed=not is_fetched)
    return made if isinstance(made, TrialResult) else TrialResult(RENDERED, request=made.shown)


def send(tools: DeliveryTools, scope: Scope, action_id: UUID, trial: Trial) -> TrialResult:
    """Send one message and return what became of it; blocks for the action's timeout at most.

    No transaction is open while the vendor is called.

    Raises:
        NotFoundError: There is no such action.
        InvalidInputError: The environment lacks its secret.
        StoreUnavailableError: Nothing was sent.
    """
    tools = replace(tools, worker=f"test:{new_key().hex}")
    action, limits = _read(tools, scope, action_id)
    if tools.halts.last(scope).of_lane(action.id, host_of(action.url)) is not None:
        return TrialResult(SUPPRESSED, halts.REASON, "The action or its destination is halted.")
    try:
        auth.make_ready(action.spec.auth, tools.tokens, scope, action.spec.connection)
    except TokenUnavailableError as error:
        return TrialResult(FAILED, "auth", error.detail)
    connections = LaneConnections(tools, Lane(scope, action.id))
    try:
        if not _has_connection(tools, connections, limits):
            detail = "Every connection that the endpoint's configuration allows is taken."
            return TrialResult(CAPPED, "connections", detail)
        made = _make(tools, scope, action, trial, is_signed=True)
        if isinstance(made, TrialResult):
            return made
        usable_until = _permit(tools, scope, action, limits, made)
        if isinstance(usable_until, TrialResult):
            return usable_until
        reply = _call(tools, scope, action, made, min(usable_until, made.valid_until))
    finally:
        connections.release()
    return _told(tools, scope, action, made, reply)


def _read(tools: DeliveryTools, scope: Scope, action_id: UUID) -> tuple[Action, Limits]:
    with unit_of_work(tools.sessions) as session:
        actions.get(session, scope, action_id)
        action = tools.actions.find(session, scope, action_id)
        assert action is not None  # noqa: S101 - its row was just read
        limits = tools.endpoints.limits(session, scope, method=action.method, url=action.url)
        tools.halts.find(session, scope, at=tools.clock.monotonic())
    return action, limits


def _make(
    tools: DeliveryTools, scope: Scope, action: Action, trial: Trial, *, is_signed: bool
) -> _Made | TrialResult:
    """Ask the gates where a person is named, render and sign."""
    asked_at, now = tools.clock.monotonic(), tools.clock.now()
    unknown = action_parameters.unknown_in(action.spec.parameters, trial.parameters)
    if unknown is not None:
        detail = f"The action declares no parameter {unknown}."
        return TrialResult(FAILED, "parameter", detail, facts={"parameter": unknown})
    recipient, token = None, trial.token
    if trial.identity is not None:
        key = identity_key(*trial.identity)
        with unit_of_work(tools.sessions) as session:
            recipient = read_recipients(session, scope, {key}).get(key)
        chosen = _chosen_token(action, trial, recipient, now + _LIFE, now)
        if isinstance(chosen, TrialResult):
            return chosen
        token = chosen or token
    context = MessageContext(
        delivery_id=(delivery_id := new_key()),
        idempotency_key=str(delivery_id),
        token=token,
        profile=recipient.attributes if recipient else {},
        event=trial.event,
        parameters=trial.parameters,
        journey_version_id=_NOBODY,
        instance_id=_NOBODY,
        node_id=_NODE,
        expires_at=now + _LIFE,
        identity=trial.identity or ("", ""),
    )
    try:
        parts = rendering.render(action.spec, context, now=now)
        signed = parts
        if is_signed:
            spec = action.spec
            signed = auth.authenticate(parts, spec.auth, tools.tokens, scope, spec.connection)
    except NoAddressError as error:
        return TrialResult(SUPPRESSED, error.reason, error.detail, facts=error.fields)
    except TemplateError as error:
        return TrialResult(FAILED, error.reason, error.detail, facts=error.fields)
    except TokenUnavailableError as error:
        return TrialResult(FAILED, "auth", error.detail)
    return _Made(parts, signed, None if trial.token else token, asked_at + gates.VALID_S)


def _chosen_token(
    action: Action, trial: Trial, recipient: Recipient | None, expires_at: Any, now: Any
) -> Secret | TrialResult | None:
    """Return the person's token to send to, ``None`` for none, or the gate that stayed shut."""
    needs_own = action.needs_token and trial.token is None
    tokens = () if recipient is None else recipient.tokens
    verdict = gates.judge(
        replace(action.addressing, needs_token=needs_own),
        expires_at=expires_at,
        now=now,
        attributes=None if recipient is None else recipient.attributes,
        tokens=tokens,
    )
    if isinstance(verdict, Refused):
        return TrialResult(SUPPRESSED, verdict.reason, facts=verdict.facts)
    found = next((each for each in tokens if each.token_id == verdict.token_id), None)
    return None if found is None else Secret(found.token)


def _has_connection(tools: DeliveryTools, connections: LaneConnections, limits: Limits) -> bool:
    """Lease one connection; whoever holds them all has a moment to give one back."""
    until = tools.clock.monotonic() + _CONNECTION_WAIT_S
    while not connections.allowed(limits.connections, wanted=1):
        if tools.clock.monotonic() >= until:
            return False
        tools.clock.wait(_ASK_AGAIN_S)
    return True


def _permit(
    tools: DeliveryTools, scope: Scope, action: Action, limits: Limits, made: _Made
) -> float | TrialResult:
    """Take one permit under every rate, committed on return; return until when it can be used."""
    asker = Claimant(_NOBODY, action.is_marketing)
    terms = Terms(tools.clock, LONGEST_LIFE_MS, tools.watch)
    with unit_of_work(tools.sessions) as session:
        given = permits.take(session, scope, limits.rates, {asker: 1}, terms, PermitShares())
    if given.granted[asker]:
        return given.usable_until
    rate = given.refusing
    facts = {
        "configId": str(rate.config_id) if rate.config_id else None,
        "maxCallsCount": rate.cap.max_calls_count,
        "periodInMs": rate.cap.period_in_ms,
        "retryAfterMs": given.retry_after_ms,
    }
    detail = "The endpoint's rate is used up for now."
    return TrialResult(CAPPED, CAPPED, detail, request=made.shown, facts=facts)


def _call(
    tools: DeliveryTools, scope: Scope, action: Action, made: _Made, startable_until: float
) -> Reply:
    clock = tools.clock
    call = Call.of(
        _NODE,
        made.signed,
        timeout_ms=action.timeout_ms,
        connect_timeout_ms=min(action.timeout_ms, _LONGEST_CONNECT_MS),
    )
    options = lane_options(action.spec, 1)
    lane = sink_lane.open_lane(
        tools,
        Lane(scope, action.id),
        action,
        options,
        lambda _: clock.monotonic() <= startable_until,
    )
    until = clock.monotonic() + action.timeout_ms / 1000 + 1
    ended: list[Reply] = []
    try:
        lane.submit(call)
        while not ended and clock.monotonic() < until:
            ended = lane.run_once(_ASK_AGAIN_S)
    except ValueError:  # a header holds a control character
        ended = [Reply(_NODE, ReplyKind.NOT_SENT, trouble=Trouble.MALFORMED)]
    finally:
        ended += lane.close()
    return ended[0]


def _told(
    tools: DeliveryTools, scope: Scope, action: Action, made: _Made, reply: Reply
) -> TrialResult:
    outcome = get_adapter(action.spec.adapter).read(reply, now=tools.clock.now())
    if outcome.retry_kind is RetryKind.REAUTH1:
        auth.refused(made.signed, action.spec.auth, tools.tokens, scope)
    is_sent = outcome.kind is OutcomeKind.SENT
    hidden = shown_calls.proofs(made.parts, made.signed)
    rule = next(each for each in load_atlas().rules if each.id == outcome.rule_id)
    mapped = action.answers.read(reply.body, is_error=not is_sent) if action.answers else None
    return TrialResult(
        outcome=str(outcome.kind) if reply.started_ns else NOT_SENT,
        reason=outcome.rule_id,
        detail=outcome.detail,
        advice="" if is_sent else rule.advice,
        request=made.shown,
        reply=shown_calls.shown_reply(reply, hidden, made.own_token) if reply.status else None,
        elapsed_ms=(reply.ended_ns - reply.started_ns) // 1_000_000 if reply.started_ns else None,
        fields=mapped,
        facts={"trouble": str(reply.trouble)} if reply.trouble else {},
    )
