"""Test requests and previews of custom actions."""

from typing import Any

from marshmallow import fields, post_load, validate

from service.core.json import JsonObject
from service.core.secret import Secret
from service.flows.test_action import Trial
from service.outbound.transport import Headers
from service.web.payloads.base import NOT_AN_OBJECT, Payload, Whole

_SAID: dict[str, str | list[Any] | dict[Any, Any]] = {"invalid": NOT_AN_OBJECT}


class TrialIdentitySchema(Payload):
    """Whose profile the message is made of."""

    namespace = fields.String(required=True, validate=validate.Length(1, 64))
    id = fields.String(required=True, validate=validate.Length(1, 1024))


class TrialSchema(Payload):
    """What one test message is made of; all of it may be left out."""

    identity = fields.Nested(
        TrialIdentitySchema,
        load_default=None,
        metadata={
            "description": (
                "The person; the gates are asked as for any message. Needs `profiles.read` too. "
                "Left out, the profile is empty."
            )
        },
    )
    parameters = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(allow_none=True),
        load_default=dict,
        error_messages=_SAID,
        metadata={"description": "What the journey's node would give."},
    )
    event = fields.Dict(
        keys=fields.String(),
        values=fields.Raw(allow_none=True),
        load_default=dict,
        error_messages=_SAID,
        metadata={"description": "The XDM of the event that would have let the person in."},
    )
    token = fields.String(
        load_default=None,
        validate=validate.Length(1, 4096),
        metadata={"description": "A push token; left out, the person's own is chosen."},
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> Trial:
        """Return what the message is made of."""
        person, token = values["identity"], values["token"]
        return Trial(
            identity=None if person is None else (person["namespace"], person["id"]),
            parameters=values["parameters"],
            event=values["event"],
            token=None if token is None else Secret(token),
        )


class ShownRequestSchema(Payload):
    """A request with its proof masked."""

    method = fields.String(required=True)
    url = fields.String(required=True)
    headers = fields.Function(lambda shown: headers_of(shown.headers), metadata={"type": "object"})
    body = fields.String(required=True)


class ShownReplySchema(Payload):
    """An answer; its body up to 4 KiB."""

    status = Whole(required=True)
    headers = fields.Function(lambda shown: headers_of(shown.headers), metadata={"type": "object"})
    body = fields.String(required=True)
    is_body_cut = fields.Boolean(required=True, data_key="isBodyCut")


class TrialResultSchema(Payload):
    """What came of a test request or preview."""

    outcome = fields.String(
        required=True,
        metadata={
            "description": (
                "`rendered` (a preview), `sent`, `retry`, `failed` or `unknown` as the error atlas "
                "reads the answer, or why nothing was sent: `capped`, `suppressed`, `failed`, "
                "`notSent`."
            )
        },
    )
    reason = fields.String(
        allow_none=True, metadata={"description": "The atlas's rule, or our own reason."}
    )
    detail = fields.String(required=True)
    advice = fields.String(required=True, metadata={"description": "What to do about it."})
    request = fields.Nested(ShownRequestSchema, allow_none=True)
    reply = fields.Nested(ShownReplySchema, allow_none=True)
    elapsed_ms = Whole(allow_none=True, data_key="elapsedMs")
    fields_ = fields.Raw(
        attribute="fields",
        data_key="fields",
        allow_none=True,
        metadata={
            "type": "object",
            "description": "What a journey would see of the answer, where the action maps it.",
        },
    )
    facts = fields.Raw(metadata={"type": "object"})


def headers_of(headers: Headers) -> JsonObject:
    """Return headers by name; values of one name are joined, as HTTP allows."""
    found: JsonObject = {}
    for name, value in headers:
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found
