"""Receipt sources; a secret goes in and never comes out."""

from typing import Any

from marshmallow import fields, post_load, validate

from service.core.json import JsonObject
from service.core.secret import Secret
from service.outbound.models import ReceiptSource
from service.outbound.receipt_signatures import CHECKS
from service.outbound.receipt_sources import NewReceiptSource
from service.web.payloads.base import PageInfoSchema, Payload, name_field


class ReceiptSourceSchema(Payload):
    """Where one vendor posts what became of messages."""

    id = fields.UUID(dump_only=True)
    name = name_field(64, required=True)
    provider = fields.String(
        required=True,
        validate=validate.OneOf(list(CHECKS)),
        metadata={
            "description": "`twilio`: status callbacks; `sendgrid`: the signed event webhook; "
            "`oneSignal`: an event stream that sends `Authorization: Bearer <secret>` and the body "
            "`{event: {id, kind, timestamp}, message: {name}}`; `generic`: Standard Webhooks, "
            "`type` ending with `delivered`, `bounced`, `failed`, `opened`, `clicked` or "
            "`unsubscribed`, and `data.deliveryId`."
        },
    )
    secret = fields.String(
        required=True,
        load_only=True,
        validate=validate.Length(8, 4096),
        metadata={
            "description": "What signatures are checked with: the auth token, the verification key "
            "(base64), a bearer secret, or `whsec_…`."
        },
    )
    public_url = fields.URL(
        load_default=None,
        allow_none=True,
        data_key="publicUrl",
        schemes={"http", "https"},
        require_tld=False,
        metadata={
            "description": "The URL that the vendor calls, without query, when a proxy changes it "
            "on the way: Twilio signs it."
        },
    )
    path = fields.String(dump_only=True, metadata={"description": "Where to post."})
    created_at = fields.AwareDateTime(dump_only=True, data_key="createdAt")

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> NewReceiptSource:
        """Return what to make."""
        return NewReceiptSource(
            values["name"], values["provider"], Secret(values["secret"]), values["public_url"]
        )


class ReceiptSourcePageSchema(Payload):
    """A part of the sources, oldest first."""

    items = fields.List(fields.Nested(ReceiptSourceSchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)


class TakenSchema(Payload):
    """What came of a request."""

    receipts = fields.Integer(required=True)
    changed = fields.Integer(
        required=True, metadata={"description": "Deliveries whose feedback is new."}
    )
    unknown_ = fields.Integer(
        required=True,
        attribute="unknown",
        data_key="unknown",
        metadata={"description": "Receipts that name no delivery of the sandbox."},
    )


def source_answer(row: ReceiptSource) -> JsonObject:
    """Return what ``ReceiptSourceSchema`` dumps."""
    return {
        "id": row.id,
        "name": row.name,
        "provider": row.provider,
        "public_url": row.settings.get("publicUrl"),
        "path": f"/receipts/{row.id}",
        "created_at": row.created_at,
    }
