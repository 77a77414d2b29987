"""Where one person stands in one journey: all the planner knows about the past."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import msgspec

from service.core.errors import EdgepostError
from service.core.json import JsonObject
from service.journeys.definitions import INSTANCE_LIFE

STATE_VERSION = 1


class StateVersionError(EdgepostError):
    """A stored state was written by a version of the service that this one does not know."""


class WaitingFor(StrEnum):
    """What moves the person on."""

    ENTRY = "entry"
    TIMER = "timer"
    DELIVERY = "delivery"
    REACTION = "reaction"
    NOTHING = "nothing"


class EndReason(StrEnum):
    """The columns of the people's ledger that an instance can end in."""

    FINISHED = "finished"
    EXITED = "exited"
    STOPPED = "stopped"
    FAILED = "failed"


class EndDetail(StrEnum):
    """Why it ended in that column; a failed action writes its outcome here instead."""

    END_REACHED = "endReached"
    NO_PATH_MATCHED = "noPathMatched"
    JOURNEY_STOPPED = "journeyStopped"
    PROFILE_ERASED = "profileErased"
    INSTANCE_TIMED_OUT = "instanceTimedout"
    DEFINITION_BROKEN = "definitionBroken"


@dataclass(frozen=True, slots=True)
class Ending:
    """How an instance ended."""

    reason: EndReason
    detail: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """The node and the place among its transitions that led here."""

    node_id: str
    transition: int


@dataclass(frozen=True, slots=True)
class InstanceState:
    """One place in one journey. ``InstanceState()`` has not been planned yet.

    ``sequence`` counts the steps recorded so far and grows with each; a timer carries the value
    it was set at, which is how a late one is known. ``context`` is what expressions and
    parameters read under ``context.``: ``event``, ``segment``, ``lastAction``, ``lastError``, and
    ``action`` by node. ``not_sent`` are the nodes to whose messages a reaction listens in vain.
    """

    waiting_for: WaitingFor = WaitingFor.ENTRY
    sequence: int = 0
    node_id: str | None = None
    arrived_by: Arrival | None = None
    entered_at: datetime | None = None
    rests_since: datetime | None = None
    due_at: datetime | None = None
    context: JsonObject = field(default_factory=dict)
    ended: Ending | None = None
    not_sent: tuple[str, ...] = ()

    @property
    def life_ends_at(self) -> datetime | None:
        """The moment after which the instance may not go on; ``None`` before entry.

        Source: Journey Optimizer, journey properties: 91 days.
        """
        return None if self.entered_at is None else self.entered_at + INSTANCE_LIFE


def state_to_json(state: InstanceState) -> JsonObject:
    """Return a state as small JSON that names its own version."""
    stored: JsonObject = {"v": STATE_VERSION, **msgspec.to_builtins(state)}
    return stored


def state_from_json(stored: JsonObject) -> InstanceState:
    """Return the state that ``state_to_json`` wrote.

    Raises:
        StateVersionError: It is of another version, or not a state.
    """
    version = stored.get("v")
    if version != STATE_VERSION:
        raise StateVersionError("A stored journey state has an unknown version.", version=version)
    fields = {key: value for key, value in stored.items() if key != "v"}
    try:
        return msgspec.convert(fields, InstanceState)
    except msgspec.ValidationError as error:
        raise StateVersionError("A stored journey state cannot be read.") from error
