"""Custom actions; a secret goes in and never comes out."""

from typing import Any

from marshmallow import fields, post_load, validate

from service.outbound.actions import MAX_RETRIES, MAX_TIMEOUT_MS, NewAction, public_auth
from service.outbound.adapters.registry import ADAPTERS
from service.outbound.follow_up import OnBacklog, OnUnknown
from service.outbound.token_choice import PLATFORMS
from service.web.payloads.base import NOT_AN_OBJECT, Choice, Flag, PageInfoSchema, Payload, Whole

_NONE = "none"
_VARIABLES = (
    "Templates name `profile`, `event`, `parameters`, `delivery`, `journey`, `tracking` and, where "
    "the adapter sends to a push token (fcm, push), `token`."
)
_SETTINGS = {
    "appId": {"type": ["string", "null"], "description": "Tokens of this app; left out, of any."},
    "platform": {
        "enum": [*sorted(PLATFORMS), None],
        "description": "Tokens of this platform; left out, of any. The adapter fcm takes `fcm`.",
    },
    "projectId": {"type": "string", "description": "Left out, the service account's."},
    "ttlS": {"type": "integer", "description": "How long FCM may hold a message, in seconds."},
    "priority": {"enum": ["HIGH", "NORMAL"]},
    "collapseKey": {"type": "string"},
    "endpoint": {"type": "string", "description": "Where FCM is, when it is not at Google's."},
}
_SAID: dict[str, str | list[Any] | dict[Any, Any]] = {"invalid": NOT_AN_OBJECT}
_TEXT = {"type": "string", "minLength": 1}
_LOCATION = {"type": "string", "enum": ["header", "query"], "default": "header"}
_SECRET = {
    **_TEXT,
    "writeOnly": True,
    "description": (
        "The secret, or `env:ACTION_SECRET_…`, which names a variable of the processes that send. "
        "Left out in a PUT, the one that is stored stays."
    ),
}
_SHOWN_SECRET = {
    "type": "string",
    "readOnly": True,
    "description": "Where the secret is kept: `env:ACTION_SECRET_…`, or `***` for stored here.",
}
_SERVICE_ACCOUNT = {
    **_SECRET,
    "type": ["string", "object"],
    "description": "Google's service-account file, as an object or as text; else as for basic.",
}


def _variant(kind: str, *, required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    return {
        "title": kind,
        "type": "object",
        "required": ["type", *required],
        "properties": {"type": {"const": kind}, **properties},
        "additionalProperties": False,
    }


_WRITTEN_AUTH = [
    _variant(_NONE),
    _variant("basic", required=("username",), username=_TEXT, password=_SECRET),
    _variant("apiKey", required=("name",), name=_TEXT, value=_SECRET, location=_LOCATION),
    _variant("serviceAccount", credentials=_SERVICE_ACCOUNT),
]
_SHOWN_AUTH = [
    _variant(_NONE),
    _variant("basic", username=_TEXT, secret=_SHOWN_SECRET),
    _variant("apiKey", name=_TEXT, secret=_SHOWN_SECRET, location=_LOCATION),
    _variant("serviceAccount", secret=_SHOWN_SECRET),
]


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
                "What to call, without templates for now; the adapter fcm finds its own."
            )
        },
    )
    method = fields.String(load_default="POST", validate=validate.OneOf(["POST", "PUT"]))
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
                f"The body, its strings templates; for fcm the message's data. {_VARIABLES}"
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
                "`appId` and `platform` choose the push token (fcm, push); the others are of fcm."
            ),
            "properties": _SETTINGS,
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

    auth = fields.Raw(
        load_default=lambda: {"type": _NONE},
        metadata={"oneOf": _WRITTEN_AUTH, "description": "How calls prove who sends them."},
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> NewAction:
        """Return the action to keep."""
        return NewAction(**values)


class ActionSchema(_ActionFields):
    """A custom action as it is kept."""

    id = fields.UUID(required=True)
    auth = fields.Function(public_auth, required=True, metadata={"oneOf": _SHOWN_AUTH})
    created_at = fields.AwareDateTime(required=True, data_key="createdAt")
    updated_at = fields.AwareDateTime(required=True, data_key="updatedAt")


class ActionPageSchema(Payload):
    """A part of the custom actions, oldest first."""

    items = fields.List(fields.Nested(ActionSchema), required=True)
    page = fields.Nested(PageInfoSchema, required=True)
