"""What the planner decides; the engine makes it true in one transaction."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from service.core.json import JsonObject
from service.journeys.conditions import FactsWanted
from service.journeys.state import Ending, InstanceState
from service.journeys.step_events import Step


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Write one delivery of this node; (instance, node) happens once.

    ``parameters`` are the values of the node's mappings, nested by their dotted paths.
    ``timeout_s`` is the whole call's budget, retries included. ``sequence`` is the step that
    recorded it.
    """

    node_id: str
    action_id: str
    parameters: JsonObject
    timeout_s: int
    sequence: int


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Tell the instance ``TimerFired(sequence)``, not before ``due_at``."""

    due_at: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class EndInstance:
    """Close the instance. A delivery of ``open_delivery_node_id`` may still be under way."""

    ending: Ending
    open_delivery_node_id: str | None = None


Intent: TypeAlias = Dispatch | SetTimer | EndInstance


class Ignored(StrEnum):
    """Why a stimulus changed nothing; kept with it, so that it can be explained."""

    ALREADY_ENDED = "alreadyEnded"
    ALREADY_ENTERED = "alreadyEntered"
    NOT_ENTERED = "notEntered"
    NOT_WAITING_FOR_DELIVERY = "notWaitingForDelivery"
    DELIVERY_OF_OTHER_NODE = "deliveryOfOtherNode"
    NOT_WAITING_FOR_REACTION = "notWaitingForReaction"
    OTHER_REACTION = "otherReaction"
    NOT_WAITING_FOR_TIMER = "notWaitingForTimer"
    TIMER_OF_OTHER_STEP = "timerOfOtherStep"
    TOO_EARLY = "tooEarly"
    NO_NODE_WAITS_FOR_EVENTS = "noNodeWaitsForEvents"


@dataclass(frozen=True, slots=True)
class Plan:
    """The next state and what must be written with it.

    With ``facts_wanted`` nothing else is decided: the state is the old one, and the same
    stimulus is planned again with the facts. With ``ignored`` the state is the old one too; only
    a timer that fired early is set again.
    """

    state: InstanceState
    steps: tuple[Step, ...] = ()
    intents: tuple[Intent, ...] = ()
    facts_wanted: FactsWanted | None = None
    ignored: Ignored | None = None
