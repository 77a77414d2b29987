"""Apple Push Notification service over HTTP/2, with provider tokens.

The action's payload is the JSON that the device gets: ``aps`` and what the Adobe Messaging SDK
(``adb_uri``, ``adb_media``, ``adb_iam_id``) and the app itself want; ids for tracking are added in
``_xdm``. An action is for one environment, so that its limits and connections are those of one
host: production and its tokens, unless its setting ``platform`` is ``apnsSandbox``.

Settings, all optional: ``topic`` (default: the token's app), ``environment``, ``pushType``,
``priority``, ``collapseId`` (a template), ``ttlS``, ``liveActivity``, ``endpoint``.

Source: Apple, Sending notification requests to APNs; AEP Messaging SDK for iOS.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.adapters import apns_payload
from service.outbound.adapters.apns_payload import PUSH_TYPES
from service.outbound.adapters.contract import (
    ActionSpec,
    MessageContext,
    refuse_unknown_setting,
    variable_names,
    variables,
)
from service.outbound.auth_apns import ApnsKeyAuth
from service.outbound.egress import AddressGuard, Resolver
from service.outbound.live_activity import LiveActivity
from service.outbound.outcomes import Outcome, classify
from service.outbound.templating import TemplateError, check_tree, render_text
from service.outbound.transport import CallParts, HttpVersion, Reply

HOSTS: Final = {
    "production": "https://api.push.apple.com",
    "sandbox": "https://api.sandbox.push.apple.com",
}
_ENVIRONMENTS: Final = {"apns": "production", "apnsSandbox": "sandbox"}
_LONGEST_TTL: Final = timedelta(days=30)
_LONGEST_COLLAPSE_ID: Final = 64
_TOPIC = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
_TOKEN = re.compile(r"[0-9A-Za-z:_-]+")
_DESCRIPTIONS: Mapping[str, JsonObject] = {
    "topic": {"type": "string", "description": "The app's bundle id; left out, the token's app."},
    "environment": {
        "enum": [*HOSTS],
        "description": "Left out, what `platform` says; production without one.",
    },
    "pushType": {"enum": [*PUSH_TYPES], "description": "Left out, `alert`."},
    "priority": {"enum": [1, 5, 10], "description": "Left out, 10; 5 for `background`."},
    "collapseId": {
        "type": "string",
        "description": "A template; a later message replaces one of the same id. 64 bytes.",
    },
    "ttlS": {
        "type": "integer",
        "minimum": 0,
        "maximum": int(_LONGEST_TTL.total_seconds()),
        "description": "How long APNs may hold a message, in seconds; 0 for one try.",
    },
    "liveActivity": {
        "type": "object",
        "description": "Sends to the tokens of live activities instead of push tokens.",
        "required": ["event"],
        "properties": {
            "event": {"enum": ["start", "update", "end"]},
            "attributeType": {"type": "string", "description": "What is started."},
            "activityId": {
                "type": "string",
                "description": "A template: which is updated or ended, or the id of a new one.",
            },
        },
    },
    "endpoint": {"type": "string", "description": "Where APNs is, when it is not at Apple's."},
}
_SETTINGS = frozenset(_DESCRIPTIONS)


class ApnsAdapter:
    """APNs."""

    name = "apns"
    needs_token = True
    http_version = HttpVersion.HTTP_2
    platforms = frozenset(_ENVIRONMENTS)
    setting_descriptions = _DESCRIPTIONS

    def check(
        self, action: ActionSpec, guard: AddressGuard, resolve: Resolver | None = None
    ) -> None:
        """Refuse an action that APNs could not take; ``url`` and ``method`` of it are not used.

        Raises:
            InvalidInputError: Settings, payload or authentication are wrong.
        """
        refuse_unknown_setting(self, action.settings, _SETTINGS)
        if not isinstance(action.auth, ApnsKeyAuth):
            raise InvalidInputError("The adapter apns authenticates with an APNs key only.")
        _check_settings(action)
        guard.check_url(_host(action), resolve)
        names = variable_names(self)
        check_tree(action.settings.get("collapseId", ""), names, at="settings.collapseId")
        activity = LiveActivity.of(action.settings)
        if activity is not None:
            check_tree(activity.activity_id, names, at="settings.liveActivity.activityId")
        apns_payload.check(_push_type(action), activity, action.payload)
        check_tree(action.payload, names)

    def target(self, action: ActionSpec) -> CallParts:
        """Return where every message of an action goes; ``*`` stands for the token."""
        return CallParts("POST", f"{_host(action)}/3/device/*", (), b"")

    def render(self, action: ActionSpec, context: MessageContext, *, now: datetime) -> CallParts:
        """Return the request for one device; APNs may hold it until it expires, 30 days at most.

        Raises:
            TemplateError: There is no usable token or topic, a variable is missing, or the message
                is over the limit of its push type.
        """
        token = context.token.reveal() if context.token is not None else ""
        if not _TOKEN.fullmatch(token):
            raise TemplateError("A message to APNs needs a device token.", variable="token")
        values = variables(context)
        headers = [
            ("Content-Type", "application/json"),
            ("apns-topic", _topic(action, context)),
            ("apns-push-type", _push_type(action)),
            ("apns-id", str(context.delivery_id)),
            ("apns-expiration", str(_expiration(action.settings, context.expires_at, now))),
            ("apns-priority", str(_priority(action))),
        ]
        collapse_id = _collapse_id(action.settings.get("collapseId", ""), values)
        if collapse_id:
            headers.append(("apns-collapse-id", collapse_id))
        activity = LiveActivity.of(action.settings)
        body = apns_payload.render(_push_type(action), activity, action.payload, context, now=now)
        url = f"{_host(action)}/3/device/{token}"
        return CallParts("POST", url, tuple(headers), json.encode(body))

    def read(self, reply: Reply, *, now: datetime) -> Outcome:
        """Return what APNs' reply means."""
        return classify(self.name, reply, now=now)


def _check_settings(action: ActionSpec) -> None:
    settings, push_type = action.settings, _push_type(action)
    for name in ("topic", "environment", "pushType", "collapseId", "endpoint"):
        if not isinstance(settings.get(name, ""), str):
            raise _wrong(name, "must be a text")
    if not _TOPIC.fullmatch(settings.get("topic", "any")):
        raise _wrong("topic", "must be the app's bundle id")
    if push_type == "mdm" and "topic" not in settings:
        raise _wrong("topic", "must be the UID of the MDM push certificate for the type mdm")
    if settings.get("environment", "production") not in HOSTS:
        raise _wrong("environment", f"is one of {', '.join(HOSTS)}")
    if push_type not in PUSH_TYPES:
        raise _wrong("pushType", f"is one of {', '.join(PUSH_TYPES)}")
    _check_numbers(settings, push_type)
    if "liveActivity" in settings and push_type != "liveactivity":
        raise _wrong("pushType", "must be liveactivity, or left out, with liveActivity")
    if "liveActivity" not in settings and push_type == "liveactivity":
        raise _wrong("liveActivity", "must say what becomes of which live activity")


def _check_numbers(settings: Mapping[str, Any], push_type: str) -> None:
    allowed = PUSH_TYPES[push_type].priorities
    if settings.get("priority", allowed[0]) not in allowed or settings.get("priority") is True:
        written = " or ".join(str(each) for each in allowed)
        raise _wrong("priority", f"must be {written} for the push type {push_type}")
    ttl_s, longest = settings.get("ttlS", 0), int(_LONGEST_TTL.total_seconds())
    if not isinstance(ttl_s, int) or isinstance(ttl_s, bool) or not 0 <= ttl_s <= longest:
        raise _wrong("ttlS", f"must be a whole number from 0 to {longest}")


def _wrong(name: str, what: str) -> InvalidInputError:
    return InvalidInputError(f"settings.{name} {what}.", at=f"settings.{name}", setting=name)


def _push_type(action: ActionSpec) -> str:
    default = "liveactivity" if "liveActivity" in action.settings else "alert"
    return str(action.settings.get("pushType", default))


def _priority(action: ActionSpec) -> int:
    return int(action.settings.get("priority", PUSH_TYPES[_push_type(action)].priorities[0]))


def _host(action: ActionSpec) -> str:
    environment = action.settings.get("environment", _ENVIRONMENTS.get(action.platform or "apns"))
    host = HOSTS.get(str(environment), HOSTS["production"])
    return str(action.settings.get("endpoint", host)).rstrip("/")


def _topic(action: ActionSpec, context: MessageContext) -> str:
    bundle_id = action.settings.get("topic") or action.app_id or context.token_app
    if not bundle_id or not _TOPIC.fullmatch(bundle_id):
        raise TemplateError(
            "The token's app is no bundle id: set the action's topic.", setting="topic"
        )
    return f"{bundle_id}{PUSH_TYPES[_push_type(action)].suffix}"


def _expiration(settings: Mapping[str, Any], expires_at: datetime, now: datetime) -> int:
    """Return until when APNs may hold the message, in seconds since 1970; 0 for one try."""
    ttl_s = settings.get("ttlS")
    if ttl_s == 0:
        return 0
    longest = _LONGEST_TTL if ttl_s is None else timedelta(seconds=ttl_s)
    return int(min(expires_at, now + longest).timestamp())


def _collapse_id(template: str, values: JsonObject) -> str:
    collapse_id = render_text(template, values).strip()
    if not collapse_id.isprintable():
        raise TemplateError("The collapse id holds control characters.", setting="collapseId")
    size = len(collapse_id.encode())
    if size > _LONGEST_COLLAPSE_ID:
        raise TemplateError(
            f"The collapse id is {size} bytes; APNs takes {_LONGEST_COLLAPSE_ID}.", size=size
        )
    return collapse_id
