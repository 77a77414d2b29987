"""Firebase Cloud Messaging, HTTP v1: data messages that the Adobe Messaging SDK shows and tracks.

The action's payload is the message's ``data``: ``adb_title``, ``adb_body``, ``adb_uri`` and the
other keys of the SDK, and whatever the app itself wants. Settings: ``projectId`` (default: the
service account's), ``ttlS``, ``priority`` (``HIGH`` or ``NORMAL``), ``collapseKey``, ``endpoint``.

Source: FCM HTTP v1, projects.messages.send; AEP Messaging SDK for Android, MessagingPushPayload.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.adapters.contract import (
    ActionSpec,
    MessageContext,
    refuse_unknown_setting,
    variable_names,
    variables,
)
from service.outbound.auth_account import ServiceAccountAuth
from service.outbound.egress import AddressGuard, Resolver
from service.outbound.outcomes import Outcome, classify
from service.outbound.templating import TemplateError, check_tree, render_json
from service.outbound.transport import CallParts, HttpVersion, Reply

ENDPOINT = "https://fcm.googleapis.com"
_HEADERS = (("Content-Type", "application/json; charset=UTF-8"),)
_LONGEST_TTL_S = 2_419_200
_MAX_DATA_BYTES = 4096
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
_RESERVED = re.compile(r"(from|message_type|_xdm|(google|gcm).*)", re.IGNORECASE)
_PRIORITIES = ("HIGH", "NORMAL")
_OPENS = ("DEEPLINK", "WEBURL", "OPENAPP")
_VISIBILITIES = ("PUBLIC", "PRIVATE", "SECRET")
_NOTICES = tuple(f"PRIORITY_{level}" for level in ("MIN", "LOW", "DEFAULT", "HIGH", "MAX"))
_DESCRIPTIONS: Mapping[str, JsonObject] = {
    "projectId": {"type": "string", "description": "Left out, the service account's."},
    "ttlS": {"type": "integer", "description": "How long FCM may hold a message, in seconds."},
    "priority": {"enum": list(_PRIORITIES)},
    "collapseKey": {"type": "string"},
    "endpoint": {"type": "string", "description": "Where FCM is, when it is not at Google's."},
}
_SETTINGS = frozenset(_DESCRIPTIONS)


class FcmAdapter:
    """FCM HTTP v1."""

    name = "fcm"
    needs_token = True
    http_version = HttpVersion.HTTP_1_1
    platforms = frozenset({"fcm"})
    setting_descriptions = _DESCRIPTIONS

    def check(
        self, action: ActionSpec, guard: AddressGuard, resolve: Resolver | None = None
    ) -> None:
        """Refuse an action that FCM could not take; ``url`` and ``method`` of it are not used.

        Raises:
            InvalidInputError: Settings, payload or authentication are wrong.
        """
        refuse_unknown_setting(self, action.settings, _SETTINGS)
        _check_settings(action.settings)
        if not isinstance(action.auth, ServiceAccountAuth):
            raise InvalidInputError("The adapter fcm authenticates with a service account only.")
        guard.check_url(action.auth.account.token_uri, resolve)
        if not _PROJECT.fullmatch(_project(action)):
            raise InvalidInputError("projectId is not the id of a Firebase project.")
        guard.check_url(_url(action), resolve)
        if not isinstance(action.payload, Mapping) or not action.payload:
            raise InvalidInputError("The payload must be an object: the message's data.")
        for key in action.payload:
            if _RESERVED.fullmatch(key):
                raise InvalidInputError(f"The data key {key} is reserved.", key=key)
        _check_shown(action.payload)
        check_tree(action.payload, variable_names(self))

    def render(self, action: ActionSpec, context: MessageContext, *, now: datetime) -> CallParts:
        """Return the send request: data only, every value a string, ids for tracking in ``_xdm``.

        FCM may hold the message until it expires, or for ``ttlS`` if that is shorter.

        Raises:
            TemplateError: There is no token, a variable is missing, or the data is over 4096 bytes.
        """
        if context.token is None:
            raise TemplateError("A message to FCM needs a push token.", variable="token")
        message = {
            "token": context.token.reveal(),
            "android": _android(action.settings, (context.expires_at - now).total_seconds()),
            "data": _data(action.payload, context),
        }
        return CallParts("POST", _url(action), _HEADERS, json.encode({"message": message}))

    def read(self, reply: Reply, *, now: datetime) -> Outcome:
        """Return what FCM's reply means."""
        return classify(self.name, reply, now=now)


def _check_settings(settings: Mapping[str, Any]) -> None:
    ttl_s = settings.get("ttlS", 0)
    if not isinstance(ttl_s, int) or isinstance(ttl_s, bool) or not 0 <= ttl_s <= _LONGEST_TTL_S:
        raise InvalidInputError(f"ttlS must be a whole number from 0 to {_LONGEST_TTL_S}.")
    if settings.get("priority", "HIGH") not in _PRIORITIES:
        raise InvalidInputError("priority must be HIGH or NORMAL.")
    for name in ("projectId", "collapseKey", "endpoint"):
        if not isinstance(settings.get(name, ""), str):
            raise InvalidInputError(f"{name} must be a string.")
        if "{{" in settings.get(name, "") or "{%" in settings.get(name, ""):
            raise InvalidInputError(f"{name} is static for now and cannot hold a template.")


def _check_shown(payload: Mapping[str, Any]) -> None:
    """Refuse what the Messaging SDK would pass over without a word; templates are let pass."""
    kind, visibility = payload.get("adb_a_type"), payload.get("adb_n_visibility")
    if payload.get("adb_uri") is not None and kind is None:
        raise _wrong("adb_a_type", f"must say how adb_uri is opened: {', '.join(_OPENS)}")
    if kind in {"DEEPLINK", "WEBURL"} and not payload.get("adb_uri"):
        raise _wrong("adb_uri", f"is missing: {kind} opens nothing without")
    for name, value, known in (
        ("adb_a_type", kind, _OPENS),
        ("adb_n_visibility", visibility, _VISIBILITIES),
        ("adb_n_priority", payload.get("adb_n_priority"), _NOTICES),
    ):
        is_template = isinstance(value, str) and ("{{" in value or "{%" in value)
        if value is not None and value not in known and not is_template:
            raise _wrong(name, f"is one of {', '.join(known)}")


def _wrong(name: str, what: str) -> InvalidInputError:
    return InvalidInputError(f"payload.{name} {what}.", at=f"payload.{name}", key=name)


def _android(settings: Mapping[str, Any], life_s: float) -> JsonObject:
    ttl_s = max(0, min(int(life_s), settings.get("ttlS", _LONGEST_TTL_S), _LONGEST_TTL_S))
    android: JsonObject = {"priority": settings.get("priority", "HIGH"), "ttl": f"{ttl_s}s"}
    if "collapseKey" in settings:
        android["collapse_key"] = settings["collapseKey"]
    return android


def _data(payload: Any, context: MessageContext) -> dict[str, str]:
    """Return the data map; what is null for this person is left out."""
    known = variables(context)
    rendered = render_json(payload, known)
    data = {key: _as_string(value) for key, value in rendered.items() if value is not None}
    data["_xdm"] = json.encode_text(known["tracking"])
    size = sum(len(key.encode()) + len(value.encode()) for key, value in data.items())
    if size > _MAX_DATA_BYTES:
        raise TemplateError(f"The data is {size} bytes; FCM takes {_MAX_DATA_BYTES}.", size=size)
    return data


def _as_string(value: Any) -> str:
    return value if isinstance(value, str) else json.encode_text(value)


def _project(action: ActionSpec) -> str:
    own = action.auth.account.project_id if isinstance(action.auth, ServiceAccountAuth) else ""
    return str(action.settings.get("projectId", own))


def _url(action: ActionSpec) -> str:
    endpoint = str(action.settings.get("endpoint", ENDPOINT)).rstrip("/")
    return f"{endpoint}/v1/projects/{_project(action)}/messages:send"
