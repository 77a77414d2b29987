"""Custom actions; a secret goes in and never comes out."""

from typing import Any

from marshmallow import fields, post_load, validate

from service.outbound.action_parameters import MAX_PARAMETERS
from service.outbound.actions import public_auth, public_connection
from service.outbound.adapters.registry import ADAPTERS
from service.outbound.adapters.webhook import METHODS
from service.outbound.follow_up import OnBacklog, OnUnknown
from service.outbound.new_action import MAX_RETRIES, MAX_TIMEOUT_MS, NewAction
from service.web.payloads.action_auth import (
    SHOWN_AUTH,
    SHOWN_CONNECTION,
    WRITTEN_AUTH,
    WRITTEN_CONNECTION,
)
from service.web.payloads.action_fields import (
    ActionParameterSchema,
    answers_field,
    setting_properties,
)
from service.web.payloads.base import NOT_AN_OBJECT, Choice, Flag, PageInfoSchema, Payload, Whole

_NONE = "none"
_VARIABLES = (
    "Templates name `profile`, `identity`, `event`, `parameters`, `delivery`, `journey`, "
    "`tracking` and, where the adapter sends to a push token, `token`."
)
_SAID: dict[str, str | list[Any] | dict[Any, Any]] = {"invalid": NOT_AN_OBJECT}


class _ActionFields(Payload):
    name = fields.String(
        required=True,
        validate=validate.Regexp(
            r"\A[A-Za-z0-9_]{1,30}\Z",
            error="Expected 1 to 30 letters, digits and underscores: `cart_push`.",
        ),
    )
    adapter = fields.String(required=True, validate=validate.OneOf(list(ADAPTERS)))
    url = fields.String(
        load_default="",
        validate=validate.Length(max=2048),
        metadata={
            "description": (
                "What to call. `{{ expressions }}` may stand in its path and are percent-encoded; "
                "scheme, host and port are static. Of webhook and push; the others find their own."
            )
        },
    )
    method = fields.String(
        load_default="POST",
        validate=validate.OneOf(METHODS),
        metadata={"description": "GET and DELETE have no body."},
    )
    headers = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        load_default=dict,
        error_messages=_SAID,
        metadata={
            "description": (
                f"Templates by header name. They are shown: no place for secrets. {_VARIABLES}"
            )
        },
    )
    payload = fields.Raw(
        load_default=dict,
        metadata={
            "type": ["object", "array", "string", "number", "boolean"],
            "description": (
                "The body, its strings templates; for fcm the message's data. Left out, the body "
                f"is the declared parameters. {_VARIABLES}"
            ),
        },
    )
    settings = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(allow_none=True),
        load_default=dict,
        error_messages=_SAID,
        metadata={
            "description": (
                "`appId` and `platform` choose the push token, where the adapter sends to one; the "
                "others are its own."
            ),
            "properties": setting_properties(),
        },
    )
    timeout_ms = Whole(
        load_default=MAX_TIMEOUT_MS,
        data_key="timeoutMs",
        validate=validate.Range(1, MAX_TIMEOUT_MS),
        metadata={"description": "The whole time of a delivery, retries included."},
    )
    max_retries = Whole(
        load_default=MAX_RETRIES,
        data_key="maxRetries",
        validate=validate.Range(0, MAX_RETRIES),
    )
    on_unknown = Choice(
        OnUnknown,
        load_default=OnUnknown.RECORD,
        data_key="onUnknown",
        metadata={"description": "What follows a call whose answer was never seen."},
    )
    on_backlog = Choice(
        OnBacklog,
        load_default=OnBacklog.SEND,
        data_key="onBacklog",
        metadata={"description": "What becomes of messages that waited while we were away."},
    )
    is_marketing = Flag(
        load_default=True,
        data_key="marketing",
        metadata={"description": "Whether marketing consent is asked for."},
    )


class NewActionSchema(_ActionFields):
    """A custom action as its author writes it, whole; what is left out takes its default."""

    query = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        load_default=dict,
        error_messages=_SAID,
        metadata={
            "description": f"Templates by name of a query parameter, encoded for it. {_VARIABLES}"
        },
    )
    parameters = fields.List(
        fields.Nested(ActionParameterSchema),
        load_default=tuple,
        validate=validate.Length(max=MAX_PARAMETERS),
        metadata={
            "description": (
                "What the journey's node must or may give, with types. Without any, a node may "
                "give whatever it likes."
            )
        },
    )
    answers = answers_field()
    auth = fields.Raw(
        load_default=lambda: {"type": _NONE},
        metadata={"oneOf": WRITTEN_AUTH, "description": "How calls prove who sends them."},
    )
    connection = fields.Raw(
        load_default=None, allow_none=True, metadata={**WRITTEN_CONNECTION, "type": "object"}
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> NewAction:
        """Return the action to keep."""
        return NewAction(**{**values, "parameters": tuple(values["parameters"])})


class ActionSchema(_ActionFields):
    """A custom action as it is kept."""

    id = fields.UUID(required=True)
    query = fields.Function(lambda row: row.query or {}, metadata={"type": "object"})
    parameters = fields.Function(
        lambda row: row.parameters or [],
        metadata={"type": "array", "items": {"type": "object"}},
    )
    answers = fields.Function(lambda row: row.answers or {}, metadata={"type": "object"})
    auth = fields.Function(public_auth, required=True, metadata={"oneOf": SHOWN_AUTH})
    connection = fields.Function(public_connection, required=True, metadata=SHOWN_CONNECTION)
    created_at = fields.AwareDateTime(required=True, data_key="createdAt")
    updated_at = fields.AwareDateTime(required=True, data_key="updatedAt")


class ActionPageSchema(Payload):
    """A part of the custom actions, oldest first."""

    items = fields.List(fields.Nested(ActionSchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)
