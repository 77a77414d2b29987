"""What people did with messages, as step events of the runs that sent them.

They stand beside the numbered steps: nobody plans them, they come also when the run is over, and no
ledger counts them. Who and where they say is what the step that dispatched the message said.

Source: XDM field groups journeyStepEventCommonFields, push notification tracking, and message
interaction of customer journey management (``interactionType``: ``open``, ``click``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import derived_key, sorted_keys
from service.core.json import JsonObject
from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement
from service.journeys import history
from service.journeys.history import StepRow
from service.outbound.interactions import EVENT_TYPES, Interaction, InteractionKind
from service.outbound.kept_interactions import TrackedEvent
from service.sandboxes.scope import Scope

KIND = "interaction"
_SENT_BY = SetStatement(
    """
    SELECT d.id, d.instance_id, d.journey_version_id, d.node_id, i.ended_at, s.body
    FROM {r} JOIN delivery AS d ON d.sandbox_id = :sandbox_id AND d.id = r.id
    JOIN journey_instance AS i ON i.sandbox_id = :sandbox_id AND i.id = d.instance_id
    LEFT JOIN step_event AS s ON s.sandbox_id = :sandbox_id AND s.instance_id = d.instance_id
        AND s.node_id = d.node_id AND s.kind = 'dispatch'
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={
        "id": KEY,
        "instance_id": KEY,
        "journey_version_id": KEY,
        "node_id": TEXT,
        "ended_at": MOMENT,
        "body": JSON_OBJECT,
    },
)
_SAID_OF_RUN = (
    *("nodeID", "nodeName", "nodeType", "stepName", "stepType", "journeyID", "journeyVersionID"),
    *("journeyVersionName", "journeyVersion", "instanceID", "instanceType", "externalKey"),
    *("profileID", "actionID", "actionName", "actionType"),
)
_INTERACTION_TYPES = {
    InteractionKind.OPENED: "open",
    InteractionKind.CUSTOM_ACTION: "click",
}


@dataclass(frozen=True, slots=True, order=True)
class Listening:
    """An instance inside whose journey waits for what people do with the message of a node."""

    instance_id: UUID
    node_id: str


def record(
    session: Session, scope: Scope, tracked: Sequence[TrackedEvent]
) -> tuple[tuple[Listening, Interaction], ...]:
    """Store a step event for each kept interaction; return whom to tell of which, each once.

    Two statements, however many there are. The caller commits.
    """
    rows = _SENT_BY.run(
        session,
        {"sandbox_id": scope.sandbox_id},
        r=[(key,) for key in sorted_keys(each.delivery_id for each in tracked)],
    )
    sent_by = {row.id: row for row in rows}
    known = [(each, sent_by[each.delivery_id]) for each in tracked if each.delivery_id in sent_by]
    history.store(session, scope, [_step(each, run) for each, run in known])
    listening = [
        (Listening(run.instance_id, run.node_id), each.interaction)
        for each, run in known
        if run.ended_at is None and _is_awaited(run.body)
    ]
    return tuple(dict.fromkeys(listening))


def _is_awaited(dispatched: JsonObject | None) -> bool:
    """Tell whether a reaction may wait for it; it may, when the step that knew is gone."""
    ours: Any = {"awaitsReaction": True} if dispatched is None else dispatched.get("_edgepost", {})
    return "awaitsReaction" in ours


def _step(tracked: TrackedEvent, run: Any) -> StepRow:
    key = derived_key(KIND, str(run.instance_id), str(tracked.key))
    return StepRow(
        id=key,
        instance_id=run.instance_id,
        version_id=run.journey_version_id,
        node_id=run.node_id,
        sequence=history.BESIDE,
        kind=KIND,
        at=tracked.at,
        body=_to_xdm(key, tracked, run),
        delivery_id=tracked.delivery_id,
    )


def _to_xdm(key: UUID, tracked: TrackedEvent, run: Any) -> JsonObject:
    interaction = tracked.interaction
    event_type = EVENT_TYPES[interaction.kind]
    said = _step_fields(run.body)
    own = {
        "nodeID": run.node_id,
        "instanceID": str(run.instance_id),
        "journeyVersionID": str(run.journey_version_id),
        "stepID": str(key),
        "stepStatus": "Transitions",
        "eventID": event_type,
        "isExternalEvent": True,
    }
    management: JsonObject = {
        "messageExecution": {
            "messageExecutionID": f"{run.journey_version_id}:{run.node_id}",
            "messageID": str(tracked.delivery_id),
            "journeyVersionID": str(run.journey_version_id),
            "journeyVersionInstanceID": str(run.instance_id),
        },
    }
    if interaction.kind in _INTERACTION_TYPES:
        management["messageInteraction"] = {
            "interactionType": _INTERACTION_TYPES[interaction.kind],
        }
    event: JsonObject = {
        "_id": str(key),
        "timestamp": tracked.at.isoformat().replace("+00:00", "Z"),
        "eventType": event_type,
        "_experience": {
            "journeyOrchestration": {"stepEvents": {**said, **own}},
            "customerJourneyManagement": management,
        },
        "_edgepost": {"interaction": interaction.kind.value},
    }
    if interaction.action_id is not None:
        event["pushNotificationTracking"] = {"customAction": {"actionID": interaction.action_id}}
    return event


def _step_fields(dispatched: JsonObject | None) -> JsonObject:
    found: Any = dispatched or {}
    for name in ("_experience", "journeyOrchestration", "stepEvents"):
        found = found.get(name, {})
    return {name: found[name] for name in _SAID_OF_RUN if name in found}
