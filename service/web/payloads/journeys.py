"""Journeys in the shape of Journey Optimizer's retrieve API, with what it leaves out.

These classes document. What is sent is read by ``journeys.document`` alone, which names everything
that is wrong at once, each with its JSON pointer and code.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate

from service.core.json import JsonObject
from service.journeys.definitions import JourneyType, NodeType, Qualification, TransitionKind
from service.journeys.models import JourneyVersion
from service.journeys.problems import Problem
from service.journeys.versions import VersionState
from service.outbound.interactions import InteractionKind
from service.sandboxes.scope import Scope
from service.web.payloads.base import (
    HAS_VISIBLE,
    NOT_AN_OBJECT,
    PageInfoSchema,
    Payload,
    name_field,
)

# Adobe's API says Deployed where its pages say Live.
_STATUS = {
    VersionState.DRAFT: "Draft",
    VersionState.LIVE: "Deployed",
    VersionState.CLOSED: "Closed",
    VersionState.STOPPED: "Stopped",
    VersionState.FINISHED: "Finished",
}
_DURATION = {"oneOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]}
_IGNORED = {"description": "Ignored when sent, so that an answer can be sent back."}


def _text(name: str = "", about: str = "") -> fields.String:
    about_it = {"description": about} if about else {}
    return fields.String(allow_none=True, data_key=name or None, metadata=about_it)


def _one_of(words: type[Any], name: str = "", about: str = "") -> fields.String:
    listed = [None, "", *(word.value for word in words)]
    return fields.String(
        allow_none=True,
        data_key=name or None,
        metadata={"enum": listed, **({"description": about} if about else {})},
    )


def _pql(about: str) -> fields.String:
    return _text("expression", about)


class TransitionSchema(Payload):
    """One way out of a node."""

    target_node_id = _text("targetNodeId")
    target_name = fields.Raw(data_key="targetName", allow_none=True, metadata=_IGNORED)
    name = _text()
    condition_type = _one_of(TransitionKind, "conditionType")
    expression = _pql("PQL over the profile and, under `context.`, over what the run carries.")
    percent = fields.Integer(strict=True, allow_none=True)


class ParameterSchema(Payload):
    """What a custom action is given."""

    label = _text()
    param_path = fields.String(
        required=True, data_key="paramPath", metadata={"description": "Names joined by dots."}
    )
    expression = fields.String(
        required=True,
        metadata={
            "description": 'A profile path, a path under `context.`, or a constant: `"VIP"`.'
        },
    )


class NodeSchema(Payload):
    """One activity; each type has keys of its own beside id, type, name and transitions."""

    id = fields.String(required=True)
    type = fields.String(required=True, metadata={"enum": [each.value for each in NodeType]})
    name = _text()
    description = fields.Raw(allow_none=True)
    transitions = fields.List(fields.Nested(TransitionSchema), allow_none=True)
    identity_namespace = _text("identityNamespace", "The same as the journey's.")
    segment_id = _text("segmentId")
    status = _one_of(Qualification, about="Which change of the membership lets people in.")
    event_id = _text("eventID", "`_experience.campaign.orchestration.eventID` of the event.")
    delay = fields.Raw(
        allow_none=True,
        metadata={**_DURATION, "description": "ISO 8601 (`PT30M`, `P3D`) or whole seconds."},
    )
    action_id = _text("actionId")
    action_name = _text("actionName")
    fallback = fields.Boolean(
        allow_none=True,
        data_key="fallbackOnTimeoutOrError",
        metadata={"description": "Goes together with a `timeoutOrError` transition."},
    )
    param_mappings = fields.List(
        fields.Nested(ParameterSchema), allow_none=True, data_key="paramMappings"
    )
    message_node_id = _text(
        "messageNodeId", "The custom action before whose message a reaction waits for."
    )
    interaction = _one_of(
        InteractionKind, about="What ends the wait; an open or dismissal is a receipt too."
    )
    button_id = _text(
        "actionID", "Which button (label, on iOS identifier) of `customAction`; any without it."
    )
    timeout = fields.Raw(
        allow_none=True,
        metadata={
            **_DURATION,
            "description": "From one second to 30 days, as `delay`; then the `timeout` transition.",
        },
    )


class ReentranceSchema(Payload):
    """Whether people may come again, and how long after they left."""

    policy = fields.String(
        allow_none=True, metadata={"enum": [None, "", "allow", "never"], "default": "allow"}
    )
    duration_s = fields.Integer(
        strict=True, allow_none=True, data_key="durationInSecs", metadata={"default": 300}
    )


class TimeoutsSchema(Payload):
    """Seconds that a call may take, retries included."""

    action_execution = fields.Integer(
        strict=True, allow_none=True, data_key="actionExecution", metadata={"default": 30}
    )


class WarningSchema(Payload):
    """Something that does not keep a journey from running."""

    path = fields.String(required=True)
    code = fields.String(required=True)
    message = fields.String(required=True)


class JourneyMetadataSchema(Payload):
    """What became of a version."""

    version_id = fields.UUID(
        data_key="versionId", metadata={"description": "`journeyVersionID` of step events."}
    )
    created_at = fields.AwareDateTime(data_key="createdAt")
    deployed_at = fields.AwareDateTime(data_key="lastDeployedAt", allow_none=True)
    ended_at = fields.AwareDateTime(data_key="endedAt", allow_none=True)
    warnings = fields.List(fields.Nested(WarningSchema))


class _AnsweredSchema(Schema):
    """What only answers decide; sent back, it must still be what it was."""

    id = fields.UUID(allow_none=True, metadata=_IGNORED)
    version = fields.Integer(strict=True, allow_none=True, metadata=_IGNORED)
    status = fields.String(
        allow_none=True,
        validate=validate.OneOf([*_STATUS.values(), None]),
        metadata=_IGNORED,
    )
    ims_org_id = fields.String(data_key="imsOrgId", allow_none=True, metadata=_IGNORED)
    sandbox_name = fields.String(data_key="sandboxName", allow_none=True, metadata=_IGNORED)
    metadata = fields.Nested(JourneyMetadataSchema, allow_none=True, metadata=_IGNORED)


def _refuse_blank(name: Any) -> None:
    """Leave all but text to the reading of the document."""
    if isinstance(name, str):
        HAS_VISIBLE(name)


class _NamedSchema(Schema):
    name = fields.Raw(allow_none=True, validate=_refuse_blank)


class JourneySchema(_AnsweredSchema, Payload):
    """A journey: one version of a graph of activities."""

    name = name_field(256, required=True)
    description = _text()
    type = _one_of(JourneyType, about="Follows from the entry; stated, it must fit.")
    identity_namespace = _text("identityNamespace", "Which identity people run by: `CRMID`.")
    start_node_id = _text("startNodeId")
    reentrance = fields.Nested(ReentranceSchema, allow_none=True)
    timeouts = fields.Nested(TimeoutsSchema, allow_none=True)
    nodes = fields.List(fields.Nested(NodeSchema), allow_none=True)

    def load(self, data: Any, **_: Any) -> Any:
        """Return the document as it was sent."""
        if not isinstance(data, dict):
            raise ValidationError(NOT_AN_OBJECT)
        _AnsweredSchema(unknown=EXCLUDE).load(data)
        _NamedSchema(unknown=EXCLUDE).load(data)
        return data

    def dump(self, obj: Any, **_: Any) -> Any:
        """Return the document as it is."""
        return obj


class JourneyPageSchema(Payload):
    """The latest version of a part of the journeys, oldest journey first."""

    items = fields.List(fields.Nested(JourneySchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)


class VersionArgumentsSchema(Payload):
    """Which version; the latest unless one is named."""

    version = fields.Integer(load_default=None, strict=False, validate=validate.Range(min=1))


def journey_answer(
    row: JourneyVersion,
    scope: Scope,
    org_id: str,
    warnings: Iterable[Problem] = (),
) -> JsonObject:
    """Return the author's document with what became of it."""
    metadata = {
        "versionId": str(row.id),
        "createdAt": moment_text(row.created_at),
        "lastDeployedAt": moment_text(row.published_at),
        "endedAt": moment_text(row.ended_at),
        "warnings": [
            {"path": each.path, "code": each.code.value, "message": each.message}
            for each in warnings
        ],
    }
    return {
        **row.definition,
        "id": str(row.journey_id),
        "version": row.version,
        "status": _STATUS[VersionState(row.state)],
        "imsOrgId": org_id,
        "sandboxName": scope.sandbox,
        "metadata": metadata,
    }


def moment_text(at: datetime | None) -> str | None:
    """Return a moment as JSON spells it."""
    return None if at is None else at.isoformat().replace("+00:00", "Z")
