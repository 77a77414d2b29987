"""Segments as the Segmentation Service API spells them, with the method and why it was chosen."""

from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from service.segments.definitions import ExpressionFormat, NewSegment, SegmentChanges
from service.segments.methods import Evaluation
from service.segments.models import Segment
from service.web.payloads.base import Flag, PageInfoSchema, Payload, name_field

_MODEL = "_xdm.context.profile"
_ABOUT_EVALUATION = {"description": "The method that is asked for: one, or none for batch."}


class ExpressionSchema(Payload):
    """A rule; ``value`` is PQL text."""

    type = fields.String(required=True, validate=validate.OneOf(["PQL"]))
    format = fields.String(
        required=True,
        validate=validate.OneOf([each.value for each in ExpressionFormat]),
    )
    value = fields.String(required=True, validate=validate.Length(min=1))


class SegmentModelSchema(Payload):
    """What the rule is about: people."""

    name = fields.String(required=True, validate=validate.OneOf([_MODEL]))


class MethodSchema(Payload):
    """Whether a method is asked for, or in force."""

    enabled = Flag(required=True)


class EvaluationInfoSchema(Payload):
    """``batch`` is on the schedule, ``continuous`` is streaming; ``synchronous`` is refused."""

    batch = fields.Nested(
        MethodSchema, metadata={"description": "On the schedule; also when nothing is asked for."}
    )
    continuous = fields.Nested(
        MethodSchema,
        metadata={
            "description": (
                "Streaming: inside the request that brings the event. Refused with the reason "
                "where the rule cannot be; it never becomes batch in silence."
            )
        },
    )
    synchronous = fields.Nested(
        MethodSchema, metadata={"description": "Edge evaluation, which is not offered."}
    )

    @validates_schema
    def refuse_edge(self, values: dict[str, Any], **_: Any) -> None:
        """Refuse what would silently not happen."""
        if values.get("synchronous", {}).get("enabled"):
            raise ValidationError("Edge evaluation is not offered.", "synchronous")
        if all(values.get(name, {}).get("enabled") for name in ("batch", "continuous")):
            raise ValidationError("Ask for batch or continuous, not for both.", "continuous")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> Evaluation | None:
        """Return what is asked for, ``None`` when nothing is."""
        if values.get("continuous", {}).get("enabled"):
            return Evaluation.STREAMING
        return Evaluation.BATCH if values.get("batch", {}).get("enabled") else None


class ChosenEvaluationSchema(Payload):
    """How the segment is evaluated and why."""

    mode = fields.String(required=True, metadata={"enum": [each.value for each in Evaluation]})
    reason = fields.String(required=True)


class SegmentSchema(Payload):
    """A segment definition."""

    id = fields.UUID(dump_only=True)
    name = name_field(256, required=True)
    description = fields.String(load_default="", validate=validate.Length(max=4096))
    expression = fields.Nested(ExpressionSchema, required=True)
    model = fields.Nested(SegmentModelSchema, required=True, data_key="schema")
    evaluation_info = fields.Nested(
        EvaluationInfoSchema, data_key="evaluationInfo", metadata=_ABOUT_EVALUATION
    )
    evaluation = fields.Nested(ChosenEvaluationSchema, dump_only=True)
    created_at = fields.AwareDateTime(dump_only=True, data_key="createdAt")
    updated_at = fields.AwareDateTime(dump_only=True, data_key="updatedAt")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> NewSegment:
        """Return the segment to create."""
        return NewSegment(
            name=values["name"],
            description=values["description"],
            expression_text=values["expression"]["value"],
            expression_format=values["expression"]["format"],
            requested_evaluation=values.get("evaluation_info"),
        )


class SegmentChangesSchema(Payload):
    """What to change; a key that is left out leaves its value as it is."""

    name = name_field(256)
    description = fields.String(validate=validate.Length(max=4096))
    expression = fields.Nested(ExpressionSchema)
    evaluation_info = fields.Nested(
        EvaluationInfoSchema, data_key="evaluationInfo", metadata=_ABOUT_EVALUATION
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> SegmentChanges:
        """Return the changes."""
        rule = values.get("expression", {})
        return SegmentChanges(
            name=values.get("name"),
            description=values.get("description"),
            expression_text=rule.get("value"),
            expression_format=rule.get("format"),
            requested_evaluation=values.get("evaluation_info"),
        )


class SegmentPageSchema(Payload):
    """A part of the segments, oldest first."""

    segments = fields.List(fields.Nested(SegmentSchema), required=True, attribute="items")
    page = fields.Nested(PageInfoSchema, required=True)


def segment_answer(row: Segment) -> dict[str, Any]:
    """Return what ``SegmentSchema`` dumps."""
    is_streaming = row.evaluation == Evaluation.STREAMING
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "expression": {
            "type": "PQL",
            "format": row.expression_format,
            "value": row.expression,
        },
        "model": {"name": _MODEL},
        "evaluation_info": {
            "batch": {"enabled": not is_streaming},
            "continuous": {"enabled": is_streaming},
            "synchronous": {"enabled": False},
        },
        "evaluation": {"mode": row.evaluation, "reason": row.evaluation_reason},
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }
