"""Step events: what happened to one person at one node, in Adobe's field names.

A node at which people rest writes two steps, when they come to rest and when they go on; the
second says ``journeyNodeProcessed``. Every other node writes one.

Source: XDM field groups journeyStepEventCommonFields and journeyStepEventActionExecutionFields;
Journey Optimizer, step event field pages. Where their spellings differ: stepStatus as XDM has it,
actionExecutionError is one of http, capped, timedout, error.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypedDict
from uuid import UUID

from service.core.ids import derived_key
from service.core.json import JsonObject
from service.journeys.definitions import (
    Condition,
    Constant,
    CustomAction,
    JourneyDefinition,
    NodeType,
    TransitionKind,
)
from service.journeys.state import Arrival, Ending
from service.journeys.stimuli import DeliveryOutcome
from service.outbound.interactions import Interaction

ON_ERROR = "on-error"
ON_TIMEOUT = "on-timeout"
_NAMED_WAYS = {
    TransitionKind.TIMEOUT_OR_ERROR: ON_ERROR,
    TransitionKind.TIMEOUT: ON_TIMEOUT,
}
_NODE_TYPES = {
    NodeType.AUDIENCE_QUALIFICATION: "segmentTrigger",
    NodeType.UNITARY: "event",
    NodeType.CONDITION: "condition",
    NodeType.WAIT: "wait",
    NodeType.CUSTOM_ACTION: "action",
    NodeType.REACTION: "reaction",
    NodeType.END: "end",
}
_STEP_TYPES = {
    NodeType.AUDIENCE_QUALIFICATION: "SegmentTriggerStep",
    NodeType.UNITARY: "EventStep",
    NodeType.CONDITION: "ConditionalRouterStep",
    NodeType.WAIT: "TimerStep",
    NodeType.CUSTOM_ACTION: "ActionStep",
    NodeType.REACTION: "ReactionStep",
    NodeType.END: "EndStep",
}
_ERRORS = {
    DeliveryOutcome.CAPPED: "capped",
    DeliveryOutcome.TIMED_OUT: "timedout",
    DeliveryOutcome.EXPIRED: "error",
    DeliveryOutcome.UNKNOWN: "error",
}


class StepStatus(StrEnum):
    """XDM's four."""

    TRANSITIONS = "Transitions"
    END_STEP = "EndStep"
    ERROR = "Error"
    TIMED_OUT = "TimedOut"


class StepKind(StrEnum):
    """What the ledgers count; an end adds its reason."""

    ENTRANCE = "entrance"
    DISPATCH = "dispatch"
    STEP = "step"
    END = "end"


@dataclass(frozen=True, slots=True)
class ParentStep:
    """The node before, and the transition taken from it."""

    node_id: str
    node_name: str
    node_type: NodeType
    transition_id: str
    transition_name: str
    is_condition: bool


@dataclass(frozen=True, slots=True)
class ActionStep:
    """What is known of an action at this step; ``outcome`` once its delivery has ended."""

    action_id: str
    action_name: str
    is_parameterized: bool
    outcome: DeliveryOutcome | None = None
    code: str | None = None
    origin_error: str | None = None
    origin_code: str | None = None
    execution_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one instance; ``sequence`` counts from 1 without gaps.

    ``awaits_reaction`` marks a dispatch whose message a node further on listens to; ``reaction`` is
    what such a node learned, and without ``is_message_sent`` there was nothing to listen to.
    """

    sequence: int
    node_id: str
    node_name: str
    node_type: NodeType
    at: datetime
    kind: StepKind = StepKind.STEP
    status: StepStatus = StepStatus.TRANSITIONS
    is_node_processed: bool = True
    is_reentrance: bool = False
    event_id: str | None = None
    is_external_event: bool = False
    qualification: str | None = None
    processing_ms: int | None = None
    parent: ParentStep | None = None
    action: ActionStep | None = None
    awaits_reaction: bool = False
    reaction: Interaction | None = None
    is_message_sent: bool = True
    ended: Ending | None = None

    @property
    def ledger_kind(self) -> str:
        """``entrance``, ``dispatch``, ``step`` or ``end:<reason>``."""
        return f"end:{self.ended.reason.value}" if self.ended else self.kind.value


class StepDetails(TypedDict, total=False):
    """The fields of a ``Step`` that only some steps have."""

    at: datetime
    kind: StepKind
    status: StepStatus
    is_node_processed: bool
    is_reentrance: bool
    event_id: str | None
    is_external_event: bool
    qualification: str | None
    processing_ms: int | None
    action: ActionStep | None
    awaits_reaction: bool
    reaction: Interaction | None
    is_message_sent: bool
    ended: Ending | None


@dataclass(frozen=True, slots=True)
class Run:
    """The instance a step belongs to; ``external_key`` is ``namespace:value``."""

    instance_id: UUID
    journey_id: UUID
    journey_version_id: UUID
    journey_version: int
    journey_name: str
    external_key: str
    profile_id: str | None


def action_step(action: CustomAction) -> ActionStep:
    """Return what a step says of its action before there is an outcome."""
    return ActionStep(
        action_id=action.action_id,
        action_name=action.action_name or action.name or action.id,
        is_parameterized=any(not isinstance(item.source, Constant) for item in action.parameters),
    )


def parent_of(definition: JourneyDefinition, arrival: Arrival | None) -> ParentStep | None:
    """Return the node a person came from, ``None`` at the entry."""
    source = definition.by_id.get(arrival.node_id) if arrival else None
    if arrival is None or source is None:
        return None
    taken = source.transitions[arrival.transition]
    return ParentStep(
        node_id=source.id,
        node_name=source.name or source.id,
        node_type=source.type,
        transition_id=_NAMED_WAYS.get(taken.kind, f"{source.id}/{arrival.transition}"),
        transition_name=taken.name,
        is_condition=isinstance(source, Condition),
    )


def step_id(instance_id: UUID, sequence: int) -> UUID:
    """Return a step's key: the same however often it is planned."""
    return derived_key("step_event", str(instance_id), str(sequence))


def step_to_xdm(step: Step, run: Run) -> JsonObject:
    """Return the step event as it is stored and exported; what does not apply is left out.

    ``_edgepost`` holds what Adobe's schema has no field for: how the instance ended, how the
    delivery did, and what was done with its message.
    """
    fields: JsonObject = {
        "nodeID": step.node_id,
        "nodeName": step.node_name,
        "nodeType": _NODE_TYPES[step.node_type],
        "journeyNodeProcessed": step.is_node_processed,
        "stepID": str(step_id(run.instance_id, step.sequence)),
        "stepName": step.node_name,
        "stepType": _STEP_TYPES[step.node_type],
        "stepStatus": step.status.value,
        "journeyID": str(run.journey_id),
        "journeyVersionID": str(run.journey_version_id),
        "journeyVersionName": run.journey_name,
        "journeyVersion": str(run.journey_version),
        "instanceID": str(run.instance_id),
        "instanceType": "unitary",
        "externalKey": run.external_key,
        "profileID": run.profile_id,
        "entrance": True if step.kind is StepKind.ENTRANCE else None,
        "reentrance": step.is_reentrance or None,
        "instanceEnded": True if step.ended else None,
        "eventID": step.event_id,
        "isExternalEvent": step.is_external_event or None,
        "origSegmentQualificationStatus": step.qualification,
        "processingTime": step.processing_ms,
        **_parent_fields(step, run),
        **_action_fields(step.action),
    }
    ours = {
        "endReason": step.ended.reason.value if step.ended else None,
        "endDetail": step.ended.detail if step.ended else None,
        "deliveryOutcome": str(step.action.outcome)
        if step.action and step.action.outcome
        else None,
        "deliveryCode": step.action.code if step.action else None,
        "awaitsReaction": step.awaits_reaction or None,
        "messageNotSent": None if step.is_message_sent else True,
        "interaction": step.reaction.kind.value if step.reaction else None,
        "interactionActionID": step.reaction.action_id if step.reaction else None,
    }
    event: JsonObject = {
        "_id": fields["stepID"],
        "timestamp": step.at.isoformat().replace("+00:00", "Z"),
        "_experience": {"journeyOrchestration": {"stepEvents": _present(fields)}},
    }
    return event | ({"_edgepost": _present(ours)} if any(ours.values()) else {})


def _parent_fields(step: Step, run: Run) -> JsonObject:
    parent = step.parent
    if parent is None:
        return {}
    return {
        "parentNodeID": parent.node_id,
        "parentNodeName": parent.node_name,
        "parentNodeType": _NODE_TYPES[parent.node_type],
        "parentStepID": str(step_id(run.instance_id, step.sequence - 1)),
        "parentTransitionID": parent.transition_id,
        "parentTransitionName": parent.transition_name or None,
        "parentTransitionType": "condition" if parent.is_condition else "basic",
    }


def _action_fields(action: ActionStep | None) -> JsonObject:
    if action is None:
        return {}
    error = execution_error(action.outcome, action.code) if action.outcome else None
    return {
        "actionID": action.action_id,
        "actionName": action.action_name,
        "actionType": "customHttpAction",
        "actionParameterized": action.is_parameterized,
        "actionExecutionTime": action.execution_ms,
        "actionExecutionError": error,
        "actionExecutionErrorCode": (action.code or action.outcome) if error else None,
        "actionExecutionOriginError": action.origin_error,
        "actionExecutionOriginCode": action.origin_code,
    }


def execution_error(outcome: DeliveryOutcome, code: str | None) -> str | None:
    """Return ``actionExecutionError``: what went wrong, ``None`` when nothing did.

    A refusal by HTTP status is ``http``. Expired and unknown deliveries are ``error``; without a
    code of their own that word is their ``actionExecutionErrorCode``.
    """
    if outcome in {DeliveryOutcome.SENT, DeliveryOutcome.SUPPRESSED}:
        return None
    if outcome is DeliveryOutcome.FAILED:
        return "http" if code and code.isdecimal() else "error"
    return _ERRORS[outcome]


def _present(fields: JsonObject) -> JsonObject:
    return {key: value for key, value in fields.items() if value is not None}
