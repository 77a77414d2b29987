"""What an instance can be told; each is stored as a row until it is planned."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from service.core.errors import EdgepostError
from service.core.json import JsonObject
from service.outbound.interactions import Interaction


class UnknownStimulusError(EdgepostError):
    """A stored stimulus is of a kind or shape that this version does not know."""


class DeliveryOutcome(StrEnum):
    """How a delivery ended, as the journey sees it."""

    SENT = "sent"
    FAILED = "failed"
    CAPPED = "capped"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    TIMED_OUT = "timedout"


@dataclass(frozen=True, slots=True)
class Entered:
    """A person came in at ``at``; ``event`` or ``segment`` says why."""

    at: datetime
    event: JsonObject | None = None
    segment: JsonObject | None = None
    is_reentrance: bool = False


@dataclass(frozen=True, slots=True)
class TimerFired:
    """The timer that was set at this sequence is due."""

    sequence: int


@dataclass(frozen=True, slots=True)
class DeliveryEnded:
    """The delivery of one node has its final outcome.

    ``code`` is the HTTP status or the reason (``410``, ``consent``); ``origin_error`` and
    ``origin_code`` tell of the attempt before the last. ``response`` is the vendor's JSON answer;
    where the action maps its answers, ``mapped`` is what it maps, under ``response`` or
    ``errorResponse``, instead.
    """

    node_id: str
    outcome: DeliveryOutcome
    code: str | None = None
    origin_error: str | None = None
    origin_code: str | None = None
    response: Any = None
    execution_ms: int | None = None
    mapped: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Interacted:
    """The person did something with the message of one node."""

    node_id: str
    interaction: Interaction


@dataclass(frozen=True, slots=True)
class EventArrived:
    """An event of the person with an orchestration ``eventID`` came while inside."""

    event_id: str
    event: JsonObject


@dataclass(frozen=True, slots=True)
class Stopped:
    """The journey was stopped: everyone inside leaves."""


@dataclass(frozen=True, slots=True)
class ProfileErased:
    """The person is erased: the run stops and forgets what it carried."""


@dataclass(frozen=True, slots=True)
class LifeEnded:
    """The instance is older than it may become; sent by housekeeping."""


Stimulus: TypeAlias = (
    Entered
    | TimerFired
    | DeliveryEnded
    | Interacted
    | EventArrived
    | Stopped
    | ProfileErased
    | LifeEnded
)

_KINDS: dict[str, type[Stimulus]] = {
    "entered": Entered,
    "timerFired": TimerFired,
    "deliveryEnded": DeliveryEnded,
    "interacted": Interacted,
    "eventArrived": EventArrived,
    "stopped": Stopped,
    "profileErased": ProfileErased,
    "lifeEnded": LifeEnded,
}
_NAMES = {of: name for name, of in _KINDS.items()}


def stimulus_to_row(stimulus: Stimulus) -> tuple[str, JsonObject]:
    """Return the kind and payload under which a stimulus is stored."""
    return _NAMES[type(stimulus)], msgspec.to_builtins(stimulus)


def stimulus_from_row(kind: str, payload: JsonObject) -> Stimulus:
    """Return the stimulus that ``stimulus_to_row`` wrote.

    Raises:
        UnknownStimulusError: Kind or payload is not known here.
    """
    known = _KINDS.get(kind)
    if known is None:
        raise UnknownStimulusError("A stored stimulus has an unknown kind.", kind=kind)
    try:
        return msgspec.convert(payload, known)
    except msgspec.ValidationError as error:
        raise UnknownStimulusError("A stored stimulus cannot be read.", kind=kind) from error
