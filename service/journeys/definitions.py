"""A journey as its author wrote it: a graph of activities, in values that never change.

``service.journeys.document`` reads it from JSON, ``service.journeys.validation`` says whether it
can run, ``service.journeys.planner`` walks it.

Source: Journey Optimizer, Journey retrieve API (node, transition, reentrance, timeouts) and its
guardrails page. Its pages disagree about the longest wait (29 days, or the 91 of a run) and the
longest re-entrance wait (90 or 91 days): both are 90 days here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from service.outbound.interactions import InteractionKind

MAX_ACTIVITIES = 50
MAX_DOCUMENT_BYTES = 2 * 1024 * 1024
MAX_WAIT = timedelta(days=90)
MIN_WAIT = timedelta(seconds=1)
MAX_REACTION = timedelta(days=30)
INSTANCE_LIFE = timedelta(days=91)
DEFAULT_REENTRANCE_WAIT = timedelta(minutes=5)
MAX_REENTRANCE_WAIT = timedelta(days=90)
DEFAULT_ACTION_TIMEOUT_S = 30
MAX_ACTION_TIMEOUT_S = 30


class JourneyType(StrEnum):
    """How people enter; named as Adobe's retrieve API names the journey's type."""

    AUDIENCE_QUALIFICATION = "audience_qualification"
    UNITARY = "unitary"


class NodeType(StrEnum):
    """The activities there are."""

    AUDIENCE_QUALIFICATION = "audience_qualification"
    UNITARY = "unitary"
    CONDITION = "condition"
    WAIT = "wait"
    CUSTOM_ACTION = "custom_action"
    REACTION = "reaction"
    END = "end"


class Qualification(StrEnum):
    """Which change of a segment membership lets a person in."""

    REALIZED = "realized"
    EXITED = "exited"
    BOTH = "both"


class TransitionKind(StrEnum):
    """When a transition is taken; ``conditionType`` in JSON, absent for a plain one."""

    NEXT = "next"
    EXPRESSION = "expression"
    PERCENTAGE = "percentage"
    OTHERWISE = "otherwise"
    TIMEOUT = "timeout"
    TIMEOUT_OR_ERROR = "timeoutOrError"


@dataclass(frozen=True, slots=True)
class Transition:
    """One way out of a node; a draft may not have a target yet."""

    kind: TransitionKind
    target_id: str | None
    name: str = ""
    expression: str | None = None
    percent: int = 0


@dataclass(frozen=True, slots=True)
class Constant:
    """A parameter's value, fixed in the definition."""

    value: Any


@dataclass(frozen=True, slots=True)
class ContextValue:
    """A parameter read from what the run carries: its event, its segment, its last action."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProfileValue:
    """A parameter read from the profile at the moment the action is reached."""

    path: str


ParameterSource: TypeAlias = Constant | ContextValue | ProfileValue


@dataclass(frozen=True, slots=True)
class Parameter:
    """Where one parameter of a custom action gets its value; ``path`` is dotted."""

    path: str
    source: ParameterSource
    label: str = ""


@dataclass(frozen=True, slots=True)
class QualificationEntry:
    """People enter when their membership of a segment changes."""

    id: str
    name: str
    segment_id: str
    status: Qualification
    transitions: tuple[Transition, ...]

    type: ClassVar[NodeType] = NodeType.AUDIENCE_QUALIFICATION


@dataclass(frozen=True, slots=True)
class EventEntry:
    """People enter when an event carries this orchestration ``eventID``."""

    id: str
    name: str
    event_id: str
    transitions: tuple[Transition, ...]

    type: ClassVar[NodeType] = NodeType.UNITARY


@dataclass(frozen=True, slots=True)
class Condition:
    """The first path whose expression is true is taken, else the ``otherwise`` path.

    Percentages split people by lot instead. Without an ``otherwise`` path a person for whom no
    path is left leaves the journey.
    """

    id: str
    name: str
    transitions: tuple[Transition, ...]

    type: ClassVar[NodeType] = NodeType.CONDITION


@dataclass(frozen=True, slots=True)
class Wait:
    """People rest here for a fixed time."""

    id: str
    name: str
    duration: timedelta
    transitions: tuple[Transition, ...]

    type: ClassVar[NodeType] = NodeType.WAIT


@dataclass(frozen=True, slots=True)
class CustomAction:
    """A third party is called; people rest here until the delivery has an outcome."""

    id: str
    name: str
    action_id: str
    action_name: str
    parameters: tuple[Parameter, ...]
    transitions: tuple[Transition, ...]

    type: ClassVar[NodeType] = NodeType.CUSTOM_ACTION


@dataclass(frozen=True, slots=True)
class Reaction:
    """People rest here until they do something with the message of an action before, or do not.

    What they did with it before they came here counts. ``action_id`` is the button of a custom
    action, ``None`` for any.
    """

    id: str
    name: str
    message_node_id: str
    interaction: InteractionKind
    action_id: str | None
    timeout: timedelta
    transitions: tuple[Transition, ...]

    type: ClassVar[NodeType] = NodeType.REACTION


@dataclass(frozen=True, slots=True)
class End:
    """The journey is over for the person; a label only."""

    id: str
    name: str
    transitions: tuple[Transition, ...] = ()

    type: ClassVar[NodeType] = NodeType.END


Entry: TypeAlias = QualificationEntry | EventEntry
Node: TypeAlias = Entry | Condition | Wait | CustomAction | Reaction | End


@dataclass(frozen=True, slots=True)
class Reentrance:
    """Whether a person who has left may come again, and how long after leaving."""

    is_allowed: bool = True
    wait: timedelta = DEFAULT_REENTRANCE_WAIT


@dataclass(frozen=True, slots=True)
class JourneyDefinition:
    """The whole graph, nodes in the author's order.

    It may be a draft: only ``validation.validate`` promises that it can run.
    """

    name: str
    nodes: tuple[Node, ...]
    description: str = ""
    type: JourneyType | None = None
    start_node_id: str | None = None
    identity_namespace: str | None = None
    reentrance: Reentrance = Reentrance()
    action_timeout_s: int = DEFAULT_ACTION_TIMEOUT_S
    size_bytes: int = 0
    by_id: Mapping[str, Node] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {node.id: node for node in reversed(self.nodes)})

    def awaits_reaction_to(self, node_id: str) -> bool:
        """Tell whether some node waits for what people do with the message of another."""
        return any(
            isinstance(node, Reaction) and node.message_node_id == node_id for node in self.nodes
        )

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The nodes at which people enter; exactly one when the journey can run."""
        return tuple(
            node for node in self.nodes if isinstance(node, QualificationEntry | EventEntry)
        )


def transition_of(node: Node, kind: TransitionKind) -> int | None:
    """Return the place of the node's first transition of a kind among its transitions."""
    for index, transition in enumerate(node.transitions):
        if transition.kind is kind:
            return index
    return None
