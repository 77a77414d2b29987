"""Batch runs of segments."""

from marshmallow import fields

from service.web.payloads.base import Payload

_SAID = {"type": "Expected a list of objects, each with a segmentId."}


class SegmentJobItemSchema(Payload):
    """One segment to evaluate."""

    error_messages = _SAID

    segment_id = fields.UUID(required=True, data_key="segmentId")


class SegmentJobSchema(Payload):
    """A batch run: ``QUEUED``, ``PROCESSING``, ``SUCCEEDED`` or ``FAILED``."""

    id = fields.UUID(required=True)
    status = fields.String(required=True)
    segments = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Ids; `*` stands for every segment."},
    )
    metrics = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(allow_none=True),
        metadata={"description": "What the run changed: `realized`, `exited`, `entered`."},
    )
    created_at = fields.AwareDateTime(data_key="createdAt")
    ended_at = fields.AwareDateTime(data_key="endedAt", allow_none=True)
