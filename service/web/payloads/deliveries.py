"""Deliveries and their attempts; a push token appears by its last six characters."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from service.core.json import JsonObject
from service.core.secret import mask_token
from service.flows.describe_deliveries import DescribedDelivery
from service.outbound.deliveries import DeliveryState
from service.outbound.feedback import FeedbackStatus
from service.outbound.interactions import InteractionKind
from service.outbound.models import DeliveryAttempt, DeliveryInteraction
from service.web.payloads.base import (
    Choice,
    PageArguments,
    PageArgumentsSchema,
    PageInfoSchema,
    Payload,
)

_COPIED = (
    "id",
    "journey_id",
    "journey_version_id",
    "node_id",
    "instance_id",
    "action_id",
    "identity_id",
    "state",
    "reason",
    "vendor_message_id",
    "created_at",
    "expires_at",
    "ended_at",
    "opened_at",
    "feedback",
    "feedback_at",
    "feedback_reason",
    "replay_of",
)


@dataclass(frozen=True, slots=True)
class DeliveryArguments:
    """Which deliveries, to whom, and which part of them.

    Attributes:
        chosen: Fields of ``DeliveryFilter``.
        recipient: Namespace and value of an identity, or ``None`` for everybody.
    """

    chosen: JsonObject
    recipient: tuple[str, str] | None
    page: PageArguments


class DeliveryArgumentsSchema(PageArgumentsSchema):
    """The query of the deliveries."""

    journey_id = fields.UUID(data_key="journeyId")
    journey_version_id = fields.UUID(data_key="journeyVersionId")
    node_id = fields.String(data_key="nodeId", validate=validate.Length(1, 64))
    action_id = fields.UUID(data_key="actionId")
    instance_id = fields.UUID(data_key="instanceId")
    state = Choice(DeliveryState)
    entity_id = fields.String(
        load_default=None,
        data_key="entityId",
        validate=validate.Length(1, 1024),
        metadata={"description": "The identity that the journey runs for; with `entityIdNS`."},
    )
    namespace = fields.String(
        load_default=None, data_key="entityIdNS", validate=validate.Length(1, 64)
    )

    @validates_schema
    def check(self, values: dict[str, Any], **_: Any) -> None:
        """Refuse half an identity."""
        if (values["entity_id"] is None) != (values["namespace"] is None):
            raise ValidationError("entityId and entityIdNS go together.", "entityId")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> DeliveryArguments:
        """Return the arguments as a value."""
        page = PageArguments(values.pop("limit"), values.pop("after"))
        namespace, value = values.pop("namespace"), values.pop("entity_id")
        recipient = None if namespace is None else (namespace, value)
        return DeliveryArguments(values, recipient, page)


class RecipientSchema(Payload):
    """The identity that a journey runs for."""

    namespace = fields.String(required=True)
    id = fields.String(required=True)


class UsedTokenSchema(Payload):
    """The push token that was sent to."""

    app_id = fields.String(required=True, data_key="appId")
    platform = fields.String(required=True)
    token = fields.String(required=True, metadata={"description": "Its last six characters."})


class InteractionSchema(Payload):
    """What was done with the message, as an SDK told it."""

    id = fields.UUID(required=True)
    kind = fields.String(
        required=True, validate=validate.OneOf([each.value for each in InteractionKind])
    )
    action_id = fields.String(
        required=True,
        allow_none=True,
        data_key="actionID",
        metadata={"description": "The button of a custom action: its label, or identifier."},
    )
    at = fields.AwareDateTime(required=True)


class DeliverySchema(Payload):
    """One message to one person from one node of a journey."""

    id = fields.UUID(required=True)
    journey_id = fields.UUID(required=True, data_key="journeyId")
    journey_version_id = fields.UUID(required=True, data_key="journeyVersionId")
    node_id = fields.String(required=True, data_key="nodeId")
    instance_id = fields.UUID(required=True, data_key="instanceId")
    action_id = fields.UUID(required=True, data_key="actionId")
    identity_id = fields.UUID(required=True, data_key="identityId")
    identity = fields.Nested(
        RecipientSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Empty when it was erased."},
    )
    push_token = fields.Nested(
        UsedTokenSchema, required=True, allow_none=True, data_key="pushToken"
    )
    state = fields.String(
        required=True, validate=validate.OneOf([each.value for each in DeliveryState])
    )
    reason = fields.String(required=True, allow_none=True)
    facts = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(allow_none=True),
        required=True,
        metadata={"description": "What was known when it ended."},
    )
    attempt_count = fields.Integer(required=True, data_key="attemptCount")
    vendor_message_id = fields.String(required=True, allow_none=True, data_key="vendorMessageId")
    created_at = fields.AwareDateTime(required=True, data_key="createdAt")
    expires_at = fields.AwareDateTime(required=True, data_key="expiresAt")
    ended_at = fields.AwareDateTime(required=True, allow_none=True, data_key="endedAt")
    received_at = fields.AwareDateTime(
        required=True,
        allow_none=True,
        data_key="receivedAt",
        metadata={"description": "When the device first said so; iOS and the web never do."},
    )
    opened_at = fields.AwareDateTime(required=True, allow_none=True, data_key="openedAt")
    feedback = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf([each.value for each in FeedbackStatus]),
        metadata={"description": "The vendor's last word after the send, from its receipts."},
    )
    feedback_at = fields.AwareDateTime(required=True, allow_none=True, data_key="feedbackAt")
    feedback_reason = fields.String(required=True, allow_none=True, data_key="feedbackReason")
    replay_of = fields.UUID(
        required=True,
        allow_none=True,
        data_key="replayOf",
        metadata={"description": "The delivery that this one repeats."},
    )
    dismissed_at = fields.AwareDateTime(required=True, allow_none=True, data_key="dismissedAt")
    interactions = fields.List(
        fields.Nested(InteractionSchema),
        required=True,
        metadata={"description": "Oldest first, up to a hundred."},
    )


class AttemptSchema(Payload):
    """One call; without an outcome it is under way, or its worker is gone."""

    id = fields.UUID(required=True)
    number = fields.Integer(required=True)
    worker = fields.String(required=True)
    cap_id = fields.UUID(
        required=True,
        allow_none=True,
        data_key="capId",
        metadata={"description": "Whose permit it used: an endpoint config, or a built-in cap."},
    )
    permitted_at = fields.AwareDateTime(required=True, data_key="permittedAt")
    leased_until = fields.AwareDateTime(required=True, data_key="leasedUntil")
    ended_at = fields.AwareDateTime(required=True, allow_none=True, data_key="endedAt")
    outcome = fields.String(required=True, allow_none=True)
    status_code = fields.Integer(required=True, allow_none=True, data_key="statusCode")
    error_code = fields.String(required=True, allow_none=True, data_key="errorCode")
    elapsed_ms = fields.Integer(required=True, allow_none=True, data_key="elapsedMs")


class OneDeliverySchema(DeliverySchema):
    """A delivery with every call that was made for it."""

    attempts = fields.List(fields.Nested(AttemptSchema), required=True)


class DeliveryPageSchema(Payload):
    """A part of the deliveries, newest first."""

    items = fields.List(fields.Nested(DeliverySchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)


def delivery_answer(described: DescribedDelivery) -> JsonObject:
    """Return what ``DeliverySchema`` dumps."""
    row, identity, token = described.delivery, described.identity, described.token
    return {
        **{name: getattr(row, name) for name in _COPIED},
        "identity": identity and {"namespace": identity.namespace, "id": identity.value},
        "push_token": token
        and {
            "app_id": token.app_id,
            "platform": token.platform,
            "token": mask_token(token.token),
        },
        "facts": row.facts or {},
        "attempt_count": row.attempts,
        "received_at": _first(described.interactions, InteractionKind.RECEIVED),
        "dismissed_at": _first(described.interactions, InteractionKind.DISMISSED),
        "interactions": described.interactions,
    }


def _first(interactions: Sequence[DeliveryInteraction], kind: InteractionKind) -> datetime | None:
    return next((each.at for each in interactions if each.kind == kind), None)


def one_delivery_answer(
    described: DescribedDelivery, attempts: Sequence[DeliveryAttempt]
) -> JsonObject:
    """Return what ``OneDeliverySchema`` dumps."""
    return {**delivery_answer(described), "attempts": attempts}
