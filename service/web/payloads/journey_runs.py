"""The runs of a journey: instances, step events and the explanation of one person's."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from marshmallow import fields, post_load, validate

from service.core.json import JsonObject
from service.flows.explain_journey import JourneyExplanation
from service.journeys.explain import Basis, Line
from service.journeys.models import JourneyInstance, StepEvent
from service.web.payloads.base import Payload
from service.web.payloads.journeys import moment_text


class PersonArgumentsSchema(Payload):
    """Whom it is about, by any identity."""

    entity_id = fields.String(required=True, data_key="entityId", validate=validate.Length(1, 1024))
    namespace = fields.String(required=True, data_key="entityIdNS", validate=validate.Length(1, 64))

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> tuple[str, str]:
        """Return namespace and id."""
        return values["namespace"], values["entity_id"]


class InstanceSchema(Payload):
    """One person in one version."""

    id = fields.UUID(required=True)
    version_id = fields.UUID(required=True, data_key="journeyVersionId")
    identity_id = fields.UUID(required=True, data_key="identityId")
    status = fields.String(required=True)
    node_id = fields.String(required=True, allow_none=True, data_key="nodeId")
    waiting_for = fields.String(required=True, data_key="waitingFor")
    due_at = fields.String(required=True, allow_none=True, data_key="dueAt")
    end_detail = fields.String(required=True, allow_none=True, data_key="endDetail")
    entered_at = fields.AwareDateTime(required=True, data_key="enteredAt")
    ended_at = fields.AwareDateTime(required=True, allow_none=True, data_key="endedAt")


class InstanceListSchema(Payload):
    """The runs of one person in one journey, newest first."""

    items = fields.List(fields.Nested(InstanceSchema), required=True)


class StepEventListSchema(Payload):
    """The steps of one run in their order, in XDM's shape."""

    items = fields.List(
        fields.Dict(keys=fields.String(), values=fields.Raw(allow_none=True)), required=True
    )


class ExplainLineSchema(Payload):
    """One gate."""

    gate = fields.String(required=True)
    passed = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={"description": "Empty where it waits still, or is not kept."},
    )
    basis = fields.String(required=True, metadata={"enum": [each.value for each in Basis]})
    reason = fields.String(required=True, allow_none=True)
    seen = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(allow_none=True),
        required=True,
        metadata={"description": "The values that the gate saw."},
    )
    at = fields.AwareDateTime(required=True, allow_none=True)
    instance_id = fields.UUID(required=True, allow_none=True, data_key="instanceId")
    node_id = fields.String(required=True, allow_none=True, data_key="nodeId")


class ExplanationSchema(Payload):
    """One person and one journey: every gate in order."""

    journey_id = fields.UUID(required=True, data_key="journeyId")
    version = fields.Integer(required=True)
    entity_id = fields.String(required=True, data_key="entityId")
    namespace = fields.String(required=True, data_key="entityIdNS")
    profile_id = fields.UUID(required=True, allow_none=True, data_key="profileId")
    lines = fields.List(fields.Nested(ExplainLineSchema), required=True)


def instance_answer(row: JourneyInstance) -> JsonObject:
    """Return what ``InstanceSchema`` dumps."""
    state: JsonObject = row.state
    return {
        "id": row.id,
        "version_id": row.version_id,
        "identity_id": row.identity_id,
        "status": row.status,
        "node_id": state.get("node_id"),
        "waiting_for": state["waiting_for"],
        "due_at": state.get("due_at"),
        "end_detail": (state.get("ended") or {}).get("detail"),
        "entered_at": row.entered_at,
        "ended_at": row.ended_at,
    }


def steps_answer(rows: Iterable[StepEvent]) -> JsonObject:
    """Return what ``StepEventListSchema`` dumps."""
    return {"items": [row.body for row in rows]}


def explanation_answer(found: JourneyExplanation) -> JsonObject:
    """Return what ``ExplanationSchema`` dumps."""
    return {
        "journey_id": found.version.journey_id,
        "version": found.version.version,
        "entity_id": found.value,
        "namespace": found.namespace,
        "profile_id": found.profile_id,
        "lines": [_line(each) for each in found.lines],
    }


def _line(line: Line) -> JsonObject:
    return {
        "gate": str(line.gate),
        "passed": line.passed,
        "basis": line.basis.value,
        "reason": line.reason,
        "seen": _plain(line.seen),
        "at": line.at,
        "instance_id": line.instance_id,
        "node_id": line.node_id,
    }


def _plain(value: Any) -> Any:
    """Return a value with its moments as text."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return moment_text(value) if isinstance(value, datetime) else value
