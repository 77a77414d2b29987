"""Web push: messages for browsers, encrypted for one subscription, shown by the Web SDK.

The action's payload is what the SDK's service worker shows: ``title``, ``body``, ``media``,
``interaction``, ``actions``, ``identity``; or a document that has it under ``web`` and whatever
else the site's own worker wants. What a click is told with is added in ``_xdm``.

Settings, all optional: ``ttlS``, ``urgency``, ``topic`` (a template), ``pushHosts``.

Source: RFC 8030, 8188, 8291; Web SDK (alloy), ``alloyServiceWorker``.
"""

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import http_ece  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric import ec

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.adapters import web_push_hosts
from service.outbound.adapters.contract import (
    ActionSpec,
    MessageContext,
    refuse_unknown_setting,
    tracking,
    variable_names,
    variables,
)
from service.outbound.auth_vapid import VapidAuth
from service.outbound.egress import AddressGuard, Resolver
from service.outbound.outcomes import Outcome, classify
from service.outbound.templating import TemplateError, check_tree, render_json, render_text
from service.outbound.transport import CallParts, HttpVersion, Reply
from service.profiles.web_push import PLATFORM, Subscription, read_subscription

MOST_BYTES: Final = 3800
_LONGEST_TTL_S: Final = 2_592_000
_URGENCIES: Final = ("very-low", "low", "normal", "high")
_OPENS: Final = ("DEEPLINK", "WEBURL", "OPENAPP")
_TOPIC: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_DESCRIPTIONS: Mapping[str, JsonObject] = {
    "ttlS": {
        "type": "integer",
        "minimum": 0,
        "maximum": _LONGEST_TTL_S,
        "description": "How long a push service may hold a message, in seconds; 0 for one try.",
    },
    "urgency": {"enum": [*_URGENCIES], "description": "Left out, `normal`."},
    "topic": {
        "type": "string",
        "description": "A template; a later message replaces a waiting one of the same topic. 32 "
        "letters, digits, `-` and `_`.",
    },
    "pushHosts": {
        "type": "array",
        "items": {"type": "string"},
        "description": "The push services that may be called, such as `push.example.com:8443` or "
        f"`*.push.example.com`. Left out, {', '.join(web_push_hosts.PUSH_HOSTS)}.",
    },
}
_SETTINGS = frozenset(_DESCRIPTIONS)


class WebPushAdapter:
    """The push services of browsers."""

    name = "webPush"
    needs_token = True
    http_version = HttpVersion.HTTP_1_1
    platforms = frozenset({PLATFORM})
    setting_descriptions = _DESCRIPTIONS

    def check(
        self, action: ActionSpec, guard: AddressGuard, resolve: Resolver | None = None
    ) -> None:
        """Refuse an action that no browser could show; ``url`` and ``method`` are not used.

        Raises:
            InvalidInputError: Settings, payload or authentication are wrong.
        """
        refuse_unknown_setting(self, action.settings, _SETTINGS)
        if not isinstance(action.auth, VapidAuth):
            raise InvalidInputError("The adapter webPush authenticates with a VAPID key only.")
        _check_settings(action.settings)
        web_push_hosts.check(action.settings, guard, resolve)
        names = variable_names(self)
        check_tree(action.settings.get("topic", ""), names, at="settings.topic")
        _check_payload(action.payload)
        check_tree(action.payload, names)

    def target(self, action: ActionSpec) -> CallParts:
        """Return where an action calls: each subscription names its own host and path."""
        hosts = web_push_hosts.hosts_of(action.settings)
        return CallParts("POST", web_push_hosts.target_of(hosts), (), b"")

    def render(self, action: ActionSpec, context: MessageContext, *, now: datetime) -> CallParts:
        """Return the request for one browser; only what is encrypted is new each time.

        Raises:
            TemplateError: There is no usable subscription, its host may not be called, a variable
                is missing, or the message is too large.
        """
        token = context.token.reveal() if context.token is not None else ""
        subscription = read_subscription(token)
        if subscription is None:
            raise TemplateError("A web push needs a subscription as token.", variable="token")
        endpoint = subscription.endpoint
        if not web_push_hosts.is_allowed(endpoint, web_push_hosts.hosts_of(action.settings)):
            raise TemplateError(
                "The subscription is of a host that the action may not call: name it in pushHosts "
                "if it is a push service.",
                setting="pushHosts",
            )
        values = variables(context)
        life_s = _life_s(action.settings, context.expires_at, now)
        headers = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Encoding", "aes128gcm"),
            ("TTL", str(life_s)),
        ]
        if "urgency" in action.settings:
            headers.append(("Urgency", str(action.settings["urgency"])))
        topic = _topic(str(action.settings.get("topic", "")), values)
        if topic:
            headers.append(("Topic", topic))
        if web_push_hosts.is_windows(endpoint):
            headers.append(("X-WNS-Cache-Policy", "cache" if life_s else "no-cache"))
        body = seal(plaintext(action.payload, context), subscription)
        return CallParts("POST", endpoint, tuple(headers), body)

    def read(self, reply: Reply, *, now: datetime) -> Outcome:
        """Return what a push service's reply means."""
        return classify(self.name, reply, now=now)


def plaintext(payload: Any, context: MessageContext) -> bytes:
    """Return what the service worker gets.

    Raises:
        TemplateError: A variable is missing, there is no title, or it is over 3,800 bytes.
    """
    whole = render_json(payload, variables(context))
    message = whole if _is_whole(payload) else {"web": whole}
    web = {name: value for name, value in message["web"].items() if value is not None}
    if not isinstance(web.get("title"), str) or not web["title"]:
        raise TemplateError("A web push needs a title.", variable="title")
    web["_xdm"] = {"mixins": tracking(context)["cjm"]}
    data = json.encode({**message, "web": web})
    if len(data) > MOST_BYTES:
        raise TemplateError(
            f"The message is {len(data)} bytes; a web push takes {MOST_BYTES}.", size=len(data)
        )
    return data


def seal(data: bytes, subscription: Subscription) -> bytes:
    """Return a message encrypted for one browser, with a key and a salt of its own.

    Raises:
        TemplateError: The subscription's key is none.
    """
    keys = subscription.keys
    try:
        sealed: bytes = http_ece.encrypt(
            data,
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=_bytes(keys.p256dh),
            auth_secret=_bytes(keys.auth),
            version="aes128gcm",
        )
    except ValueError as error:
        raise TemplateError(
            "The subscription's key is not a point of P-256.", variable="token"
        ) from error
    return sealed


def _check_settings(settings: Mapping[str, Any]) -> None:
    ttl_s = settings.get("ttlS", 0)
    if not isinstance(ttl_s, int) or isinstance(ttl_s, bool) or not 0 <= ttl_s <= _LONGEST_TTL_S:
        raise _wrong("ttlS", f"must be a whole number from 0 to {_LONGEST_TTL_S}")
    if settings.get("urgency", "normal") not in _URGENCIES:
        raise _wrong("urgency", f"is one of {', '.join(_URGENCIES)}")
    if not isinstance(settings.get("topic", ""), str):
        raise _wrong("topic", "must be a text")


def _wrong(name: str, what: str) -> InvalidInputError:
    return InvalidInputError(f"settings.{name} {what}.", at=f"settings.{name}", setting=name)


def _is_whole(payload: Any) -> bool:
    return isinstance(payload, Mapping) and isinstance(payload.get("web"), Mapping)


def _check_payload(payload: Any) -> None:
    at = "payload.web" if _is_whole(payload) else "payload"
    web = payload["web"] if _is_whole(payload) else payload
    if not isinstance(web, Mapping) or not isinstance(web.get("title"), str) or not web["title"]:
        raise InvalidInputError(f"{at}.title is missing: nothing is shown without.", at=at)
    if "_xdm" in web:
        raise InvalidInputError(f"{at}._xdm is added by itself.", at=f"{at}._xdm")
    _check_opening(web.get("interaction", {}), f"{at}.interaction")
    actions = web.get("actions", {})
    buttons = actions.get("buttons", []) if isinstance(actions, Mapping) else None
    if not isinstance(buttons, list):
        raise InvalidInputError(f"{at}.actions holds a list named buttons.", at=f"{at}.actions")
    for index, button in enumerate(buttons):
        where = f"{at}.actions.buttons[{index}]"
        _check_opening(button, where)
        if not isinstance(button.get("label"), str) or not button["label"]:
            raise InvalidInputError(f"{where}.label is missing.", at=where)


def _check_opening(opening: Any, at: str) -> None:
    """Refuse what the service worker would pass over without a word."""
    if not isinstance(opening, Mapping):
        raise InvalidInputError(f"{at} must be an object.", at=at)
    kind = opening.get("type", "OPENAPP")
    if not isinstance(kind, str) or (kind not in _OPENS and "{" not in kind):
        raise InvalidInputError(f"{at}.type is one of {', '.join(_OPENS)}.", at=f"{at}.type")
    if kind in {"DEEPLINK", "WEBURL"} and not opening.get("uri"):
        raise InvalidInputError(f"{at}.uri is missing: {kind} opens nothing.", at=f"{at}.uri")


def _life_s(settings: Mapping[str, Any], expires_at: datetime, now: datetime) -> int:
    left_s = int((expires_at - now).total_seconds())
    return max(0, min(left_s, int(settings.get("ttlS", _LONGEST_TTL_S)), _LONGEST_TTL_S))


def _topic(template: str, values: JsonObject) -> str:
    topic = render_text(template, values).strip()
    if topic and not _TOPIC.fullmatch(topic):
        raise TemplateError(
            "The topic is not 1 to 32 letters, digits, - and _.", setting="topic", size=len(topic)
        )
    return topic


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
