import json
from typing import Any

import pytest

from mobile_stub.notifications import (
    Button,
    Notification,
    NotificationError,
    shown_by_android,
    shown_by_ios,
)

XDM: dict[str, Any] = {"mixins": {"_experience": {}}}
BUTTONS = [
    {"label": "Track", "uri": "shop://track", "type": "DEEPLINK"},
    {"label": "Later", "type": "OPENAPP"},
]
FCM = {
    "adb_title": "Your order shipped",
    "adb_body": "Tap to follow",
    "adb_n_count": "1",
    "adb_n_visibility": "PUBLIC",
    "adb_n_priority": "PRIORITY_HIGH",
    "adb_image": "https://img.example.com/p.png",
    "adb_a_type": "DEEPLINK",
    "adb_uri": "shop://orders/4711",
    "adb_act": json.dumps(BUTTONS),
    "_xdm": json.dumps(XDM),
}
APNS = {
    "aps": {
        "alert": {"title": "Your order shipped", "body": "Tap to follow"},
        "mutable-content": 1,
    },
    "adb_uri": "shop://orders/4711",
    "adb_media": "https://img.example.com/p.png",
    "_xdm": XDM,
}
SHOWN = Notification(
    "Your order shipped", "Tap to follow", "shop://orders/4711", "https://img.example.com/p.png"
)


def test_a_documented_message_is_shown_with_its_buttons_on_android() -> None:
    shown = shown_by_android({"data": FCM})

    assert shown is not None
    assert shown.buttons == (
        Button("Track", "DEEPLINK", "shop://track"),
        Button("Later", "OPENAPP"),
    )
    assert shown == Notification(SHOWN.title, SHOWN.body, SHOWN.uri, SHOWN.media, shown.buttons)


def test_a_documented_message_is_shown_on_ios() -> None:
    assert shown_by_ios(APNS) == SHOWN


@pytest.mark.parametrize("message", [{}, {"data": {"own": "1"}}, {"notification": {"title": "x"}}])
def test_a_message_of_another_kind_is_not_the_sdks(message: dict[str, Any]) -> None:
    assert shown_by_android(message) is None
    assert shown_by_ios(message) is None


@pytest.mark.parametrize(
    "change",
    [
        {"adb_n_count": 1},
        {"_xdm": XDM},
        {"adb_act": BUTTONS},
        {"adb_act": "{}"},
        {"adb_act": "["},
        {"adb_act": '[{"label": "x"}]'},
        {"adb_n_priority": "HIGH"},
        {"adb_n_visibility": "public"},
        {"adb_a_type": "LINK"},
        {"adb_n_count": "one"},
    ],
)
def test_what_android_would_show_wrongly_fails(change: dict[str, Any]) -> None:
    with pytest.raises(NotificationError):
        shown_by_android({"data": FCM | change})


@pytest.mark.parametrize("change", [{"_xdm": json.dumps(XDM)}, {"aps": {"alert": {"title": "x"}}}])
def test_what_ios_would_show_wrongly_fails(change: dict[str, Any]) -> None:
    with pytest.raises(NotificationError):
        shown_by_ios(APNS | change)
