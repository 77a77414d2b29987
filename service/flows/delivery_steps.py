"""The values a delivery passes through on its way to the vendor and back."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from service.audit.gate_traces import Trace
from service.core import json
from service.core.clock import Clock
from service.core.json import JsonObject
from service.db.session import SessionFactory
from service.journeys.stimuli import DeliveryEnded, DeliveryOutcome
from service.outbound.actions import Action, ActionDirectory
from service.outbound.attempts import AttemptOutcome, EndedAttempt
from service.outbound.auth import VendorTokens
from service.outbound.connections import ConnectionLimit
from service.outbound.dead_letters import DeadLetters
from service.outbound.dead_tokens import Alarm
from service.outbound.deliveries import Claimed, DeliveryState, EndedDelivery
from service.outbound.destinations import DestinationDirectory
from service.outbound.endpoint_directory import EndpointDirectory
from service.outbound.endpoint_limits import Limits
from service.outbound.fair_claims import DueLines
from service.outbound.follow_up import Again, End, Tried
from service.outbound.gates import Gate
from service.outbound.halts import HaltDirectory
from service.outbound.outcomes import Outcome
from service.outbound.permit_life import PermitLife
from service.outbound.permit_shares import PermitShares
from service.outbound.store_clock import StoreWatch
from service.outbound.transport import Call, Reply, Transport
from service.profiles.push_tokens import DeadToken
from service.sandboxes.scope import Scope

_LONGEST_RESPONSE = 8192
_NUL = rb"\u0000"  # PostgreSQL's JSON cannot hold it


@dataclass(frozen=True, slots=True)
class DeliveryTools:
    """What delivering uses; one per process, shared by its lanes.

    Attributes:
        watch: Notices when the store's clock is set; ``None`` where ours is not a real one.
        worker: This process's name, in its attempts and leases; never used again by another.
        life_percent: A permit's life as a share of its cap's period.
        destinations: How they stood when this process looked last.
        sink_folder: Where sinks may write files; ``None`` where the operator allows none.
        halts: What was halted when this process looked last.
    """

    sessions: SessionFactory
    clock: Clock
    transport: Transport
    actions: ActionDirectory
    endpoints: EndpointDirectory
    tokens: VendorTokens
    letters: DeadLetters
    watch: StoreWatch | None
    worker: str
    life_percent: float = 2.0
    destinations: DestinationDirectory = field(default_factory=DestinationDirectory)
    sink_folder: Path | None = None
    halts: HaltDirectory = field(default_factory=HaltDirectory)


@dataclass(frozen=True, slots=True)
class LaneMemory:
    """What one lane has learned: how long its starts take, who is due, who competes with it.

    Used by one thread.
    """

    life: PermitLife = field(default_factory=PermitLife)
    lines: DueLines = field(default_factory=DueLines)
    shares: PermitShares = field(default_factory=PermitShares)


@dataclass(frozen=True, slots=True)
class LaneTerms:
    """What a lane connects for, and what limits it; nothing if its action cannot be used."""

    action: Action | None = None
    limits: Limits | None = None

    @property
    def connections(self) -> tuple[ConnectionLimit, ...]:
        """What limits its connections."""
        return () if self.limits is None else self.limits.connections


@dataclass(frozen=True, slots=True)
class Permitted:
    """A delivery with an open attempt and a permit."""

    delivery: Claimed
    attempt_id: UUID
    budget_until: datetime

    @property
    def tried(self) -> Tried:
        """What a follow-up must know of the attempt."""
        held = self.delivery
        return Tried(held.attempt, self.budget_until, held.expires_at, held.origin_error)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one transaction kept: final states by name, and what a dead worker's reaper had."""

    ended: dict[DeliveryState, int]
    put_back: int
    fenced: int

    @property
    def told(self) -> int:
        """How many instances were told; wake the workers when it is not 0."""
        return sum(self.ended.values())


@dataclass(frozen=True, slots=True)
class Batch:
    """What one claim brought: permits under one grant.

    Attributes:
        claimed: How many deliveries were taken, those that ended at once included.
        recorded: What was ended or put back in the same transaction.
        action: ``None`` when there was nothing to permit.
        asked_at: Monotonic seconds at which the permits were asked for.
        usable_until: Monotonic seconds after which no call of the batch may start.
        is_probe: Its one call is the one that an open breaker lets through.
        again_in_s: How long to leave the lane alone, since what waits in it has to.
    """

    claimed: int
    recorded: Recorded
    action: Action | None = None
    permitted: tuple[Permitted, ...] = ()
    asked_at: float = 0.0
    usable_until: float = 0.0
    is_probe: bool = False
    again_in_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A rendered and signed call that may start until ``startable_until``.

    Its permit was asked for at ``asked_at``; both are monotonic seconds.
    """

    permitted: Permitted
    action: Action
    call: Call
    asked_at: float
    startable_until: float
    token_id: UUID | None
    scope: Scope


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a delivery, to be recorded.

    ``attempt`` is ``None`` when there was no call to make; ``trace`` says which gate stayed shut;
    ``outcome`` is what the reply meant, where there was one; with an ``alarm`` its ``dead_token``
    is not to be believed unasked.
    """

    delivery: Claimed
    step: End | Again
    budget_until: datetime | None
    attempt: EndedAttempt | None = None
    token_id: UUID | None = None
    vendor_message_id: str | None = None
    response: Any = field(default=None, repr=False)
    mapped: JsonObject | None = field(default=None, repr=False)
    dead_token: DeadToken | None = None
    alarm: Alarm | None = None
    gate: Gate | None = None
    outcome: Outcome | None = None

    @property
    def ended(self) -> EndedDelivery | None:
        """The delivery's final state, if this is its end."""
        if not isinstance(self.step, End):
            return None
        was_tried = self.attempt is not None and self.step.attempt is not AttemptOutcome.SUPPRESSED
        return EndedDelivery(
            delivery_id=self.delivery.id,
            state=self.step.state,
            reason=self.step.reason,
            facts=_storable(self.step.facts),
            attempts=self.delivery.attempt - (0 if was_tried else 1),
            token_id=self.token_id,
            vendor_message_id=_storable(self.vendor_message_id),
        )

    @property
    def trace(self) -> Trace | None:
        """The gate that stayed shut, for explain."""
        if self.gate is None or not isinstance(self.step, End):
            return None
        held = self.delivery
        return Trace(
            identity_id=held.identity_id,
            journey_id=held.journey_id,
            gate=self.gate,
            reason=self.step.reason or self.step.state,
            facts=self.step.facts,
            instance_id=held.instance_id,
            node_id=held.node_id,
        )

    def without_details(self) -> "Settled":
        """Return the same end with nothing in it that came from outside."""
        step = replace(self.step, facts={}) if isinstance(self.step, End) else self.step
        return replace(self, step=step, response=None, mapped=None, vendor_message_id=None)

    def stimulus(self, now: datetime) -> DeliveryEnded | None:
        """What the waiting instance is told, if this is the end."""
        if not isinstance(self.step, End):
            return None
        facts, origin = self.step.facts, self.step.facts.get("originError") or {}
        status = facts.get("statusCode")
        return DeliveryEnded(
            node_id=self.delivery.node_id,
            outcome=_outcome(self.step),
            code=self.step.reason if status is None else str(status),
            origin_error=origin.get("error"),
            origin_code=origin.get("code"),
            response=self.response,
            mapped=self.mapped,
            execution_ms=max(0, int((now - self.delivery.created_at).total_seconds() * 1000)),
        )


def response_of(reply: Reply) -> JsonObject | list[Any] | None:
    """Return a vendor's small JSON answer, as a journey may read it."""
    if not reply.body or len(reply.body) > _LONGEST_RESPONSE or _NUL in reply.body:
        return None
    try:
        answer = json.decode(reply.body)
    except msgspec.DecodeError:
        return None
    return answer if isinstance(answer, dict | list) else None


def mapped_of(action: Action, step: End | Again, reply: Reply) -> JsonObject | None:
    """Return the fields of a last answer that the action maps; ``None`` where it maps none."""
    if action.answers is None or not isinstance(step, End):
        return None
    return action.answers.read(reply.body, is_error=step.state is not DeliveryState.SENT)


def _storable(value: Any) -> Any:
    """Return a value without the one character that a store refuses."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, dict):
        return {key: _storable(item) for key, item in value.items()}
    return value


def _outcome(step: End) -> DeliveryOutcome:
    return DeliveryOutcome.TIMED_OUT if step.is_timeout else DeliveryOutcome(step.state)
