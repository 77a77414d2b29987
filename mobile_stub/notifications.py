"""What a phone shows of a push, read as strictly as the Messaging extensions read it.

Source: Messaging ``MessagingPushPayload.java`` (Android 3.10: data messages, each value a string)
and ``MessagingNotificationService.swift`` (iOS 5.14)
(https://developer.adobe.com/client-sdks/edge/adobe-journey-optimizer/push-notification/).
"""

import json
from dataclasses import dataclass
from typing import Any

_ACTIONS = frozenset({"DEEPLINK", "WEBURL", "OPENAPP"})
_VISIBILITIES = frozenset({"PUBLIC", "PRIVATE", "SECRET"})
_PRIORITIES = frozenset(f"PRIORITY_{each}" for each in ("MIN", "LOW", "DEFAULT", "HIGH", "MAX"))


class NotificationError(Exception):
    """A push that the SDK would show wrongly or not at all, without a word."""


@dataclass(frozen=True, slots=True)
class Button:
    """One button of a notification."""

    label: str
    action: str
    uri: str = ""


@dataclass(frozen=True, slots=True)
class Notification:
    """What lies in the notification drawer. ``uri`` is what a tap on the body leads to."""

    title: str
    body: str
    uri: str = ""
    media: str = ""
    buttons: tuple[Button, ...] = ()


def shown_by_android(message: dict[str, Any]) -> Notification | None:
    """Read an FCM message; ``None`` for one that is not Journey Optimizer's kind.

    Raises:
        NotificationError: A value is no string, or one that the SDK does not know.
    """
    data = message.get("data") or {}
    wrong = sorted(key for key, value in data.items() if not isinstance(value, str))
    if wrong:
        raise NotificationError(f"not a string: {', '.join(wrong)}")
    if not ("adb_title" in data or "_xdm" in data):
        return None
    _check(data, "adb_n_visibility", _VISIBILITIES)
    _check(data, "adb_n_priority", _PRIORITIES)
    _check(data, "adb_a_type", _ACTIONS)
    if not data.get("adb_n_count", "0").isdecimal():
        raise NotificationError("adb_n_count is no number")
    return Notification(
        title=data.get("adb_title", ""),
        body=data.get("adb_body", ""),
        uri=data.get("adb_uri", ""),
        media=data.get("adb_image", ""),
        buttons=_buttons(data.get("adb_act")),
    )


def shown_by_ios(payload: dict[str, Any]) -> Notification | None:
    """Read an APNs payload; ``None`` for a silent one. The buttons are the app's own.

    Raises:
        NotificationError: Media that no extension may fetch, or ``_xdm`` that is no object.
    """
    aps = payload.get("aps")
    alert = aps.get("alert") if isinstance(aps, dict) else None
    if not isinstance(aps, dict) or not isinstance(alert, dict):
        return None
    if "adb_media" in payload and aps.get("mutable-content") != 1:
        raise NotificationError("adb_media without mutable-content")
    if not isinstance(payload.get("_xdm", {}), dict):
        raise NotificationError("_xdm is not an object")
    return Notification(
        title=alert.get("title", ""),
        body=alert.get("body", ""),
        uri=payload.get("adb_uri", ""),
        media=payload.get("adb_media", ""),
    )


def _check(data: dict[str, str], key: str, known: frozenset[str]) -> None:
    if key in data and data[key] not in known:
        raise NotificationError(f"{key} is not one of {', '.join(sorted(known))}")


def _buttons(text: str | None) -> tuple[Button, ...]:
    if text is None:
        return ()
    try:
        items = json.loads(text)
    except ValueError as error:
        raise NotificationError("adb_act is not JSON") from error
    if not isinstance(items, list):
        raise NotificationError("adb_act is not an array")
    for item in items:
        if not isinstance(item, dict) or not item.get("label") or item.get("type") not in _ACTIONS:
            raise NotificationError("adb_act has a button without a label or a known type")
    return tuple(Button(item["label"], item["type"], item.get("uri", "")) for item in items)
