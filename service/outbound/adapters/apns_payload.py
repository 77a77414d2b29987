"""What the body of a push to APNs holds, by push type.

Source: Apple, Generating a remote notification; Starting and updating Live Activities with
ActivityKit push notifications; AEP Messaging SDK for iOS, push payload.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.adapters.contract import MessageContext, tracking, variables
from service.outbound.live_activity import ActivityEvent, LiveActivity
from service.outbound.templating import TemplateError, render_json, render_text

_XDM: Final = "_xdm"
_MAX_BYTES: Final = 4096
_MAX_VOIP_BYTES: Final = 5120


@dataclass(frozen=True, slots=True)
class PushType:
    """What APNs asks of a push type; the first priority is the default."""

    suffix: str = ""
    priorities: tuple[int, ...] = (10, 5, 1)
    max_bytes: int = _MAX_BYTES
    is_tracked: bool = False
    has_aps: bool = True


PUSH_TYPES: Final[Mapping[str, PushType]] = {
    "alert": PushType(is_tracked=True),
    "background": PushType(priorities=(5,), is_tracked=True),
    "voip": PushType(".voip", max_bytes=_MAX_VOIP_BYTES),
    "complication": PushType(".complication"),
    "fileprovider": PushType(".pushkit.fileprovider", has_aps=False),
    "mdm": PushType(has_aps=False),
    "location": PushType(".location-query"),
    "liveactivity": PushType(".push-type.liveactivity", priorities=(10, 5)),
    "pushtotalk": PushType(".voip-ptt"),
    "widgets": PushType(".push-type.widgets"),
    "controls": PushType(".push-type.controls"),
}


def check(push_type: str, activity: LiveActivity | None, payload: Any) -> None:
    """Refuse a payload that APNs would refuse or hold back for everyone.

    Raises:
        InvalidInputError: It is no object, or does not fit its push type.
    """
    if not isinstance(payload, Mapping) or not payload:
        raise _wrong("payload", "must be an object: aps and what the app wants")
    if _XDM in payload:
        raise _wrong(f"payload.{_XDM}", "is set by the service, for tracking")
    aps = payload.get("aps", {})
    if not isinstance(aps, Mapping):
        raise _wrong("payload.aps", "must be an object")
    if PUSH_TYPES[push_type].has_aps and "aps" not in payload:
        raise _wrong("payload.aps", f"is missing: a message of the type {push_type} has one")
    if push_type == "background" and aps.get("content-available") != 1:
        raise _wrong("payload.aps.content-available", "must be 1 in a background message")
    if activity is not None:
        _check_activity(activity, aps)


def render(
    push_type: str,
    activity: LiveActivity | None,
    payload: Any,
    context: MessageContext,
    *,
    now: datetime,
) -> JsonObject:
    """Return the body; what is null for this person is left out.

    Raises:
        TemplateError: A variable is missing, or the body is over the limit of its push type.
    """
    values = variables(context)
    body: JsonObject = _without_nulls(render_json(payload, values))
    kind = PUSH_TYPES[push_type]
    if activity is not None:
        body["aps"] = _activity(activity, body.get("aps", {}), values, context, now)
    if "adb_media" in body:
        # Without it the app's service extension, which loads the media, is not asked.
        body["aps"] = {"mutable-content": 1, **body.get("aps", {})}
    if kind.is_tracked:
        body[_XDM] = tracking(context)
    size = len(json.encode(body))
    if size > kind.max_bytes:
        raise TemplateError(f"The message is {size} bytes; APNs takes {kind.max_bytes}.", size=size)
    return body


def _check_activity(activity: LiveActivity, aps: Mapping[str, Any]) -> None:
    for name in ("timestamp", "event", "attributes-type"):
        if name in aps:
            raise _wrong(f"payload.aps.{name}", "is set by the service")
    wanted = {
        ActivityEvent.START: ("content-state", "attributes", "alert"),
        ActivityEvent.UPDATE: ("content-state",),
        ActivityEvent.END: (),
    }
    for name in wanted[activity.event]:
        if not isinstance(aps.get(name), Mapping):
            raise _wrong(f"payload.aps.{name}", f"must be an object in a live {activity.event}")


def _activity(
    activity: LiveActivity,
    aps: JsonObject,
    values: JsonObject,
    context: MessageContext,
    now: datetime,
) -> JsonObject:
    """Return ``aps`` with what ActivityKit and the SDK need.

    A device drops what is older than what it shows, so the moment is that of the message, not of
    the attempt: a late repetition does not bring an older state back.
    """
    made_at = context.created_at or now
    whole = {"timestamp": int(made_at.timestamp()), "event": str(activity.event), **aps}
    if activity.event is ActivityEvent.START:
        whole["attributes-type"] = activity.attribute_type
        named = render_text(activity.activity_id, values).strip() or str(context.delivery_id)
        known = {"liveActivityID": named, "origin": "remote"}
        whole["attributes"] = {"liveActivityData": known, **aps.get("attributes", {})}
    return whole


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return value


def _wrong(at: str, what: str) -> InvalidInputError:
    return InvalidInputError(f"{at} {what}.", at=at)
