"""What came of checking an action's authentication; never a token."""

from marshmallow import fields

from service.web.payloads.base import Payload


class AuthenticationCheckSchema(Payload):
    """Whether an action can prove who calls, now."""

    kind = fields.String(required=True, metadata={"description": "The action's `auth.type`."})
    is_ok = fields.Boolean(required=True, data_key="ok")
    fetched = fields.Boolean(
        required=True,
        metadata={"description": "Whether there was a token to get; else nothing was tried."},
    )
    detail = fields.String(required=True)
    may_retry = fields.Boolean(
        required=True,
        data_key="mayRetry",
        metadata={"description": "Whether waiting can help, where it failed."},
    )
    elapsed_ms = fields.Integer(required=True, data_key="elapsedMs")
    warnings = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "What to do before long, such as replacing a certificate."},
    )
