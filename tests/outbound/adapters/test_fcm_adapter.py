from datetime import timedelta
from typing import Any

import pytest

from service.core import json
from service.core.errors import InvalidInputError
from service.outbound.adapters.contract import ActionSpec, MessageContext
from service.outbound.adapters.fcm import FcmAdapter
from service.outbound.egress import AddressGuard
from service.outbound.templating import TemplateError
from tests.support.messages import NOW, TOKEN, action_for, message

ADAPTER = FcmAdapter()


def rendered(action: ActionSpec, context: MessageContext | None = None) -> Any:
    return json.decode(ADAPTER.render(action, context or message(), now=NOW).body)["message"]


def test_the_message_is_what_the_messaging_sdk_shows_and_tracks() -> None:
    parts = ADAPTER.render(action_for("fcm"), message(), now=NOW)

    sent = json.decode(parts.body)
    xdm = json.decode(sent["message"]["data"].pop("_xdm"))
    assert parts.url == "https://fcm.googleapis.com/v1/projects/shop-1/messages:send"
    assert sent == {
        "message": {
            "token": TOKEN,
            "android": {"priority": "HIGH", "ttl": "3600s"},
            "data": {"adb_title": "Hi Ann", "adb_n_count": "3"},
        }
    }
    assert xdm["cjm"]["_experience"]["customerJourneyManagement"]["messageExecution"] == {
        "messageExecutionID": "00000000-0000-0000-0000-000000000002:node-1",
        "messageID": "00000000-0000-0000-0000-000000000001",
        "journeyVersionID": "00000000-0000-0000-0000-000000000002",
        "journeyVersionInstanceID": "00000000-0000-0000-0000-000000000003",
    }


def test_every_value_of_the_data_is_a_string_and_null_is_left_out() -> None:
    buttons = [{"label": "Open", "uri": "shop://{{ profile.orders }}", "type": "DEEPLINK"}]
    payload = {
        "adb_act": buttons,
        "vip": True,
        "count": 1.5,
        "gone": "{{ profile.nothing }}",
        "offer": "{{ parameters.offer }}",
    }

    data = rendered(action_for("fcm", payload=payload))["data"]

    assert json.decode(data["adb_act"]) == [{**buttons[0], "uri": "shop://3"}]
    assert (data["vip"], data["count"], data["offer"]) == ("true", "1.5", "-10%")
    assert "gone" not in data


@pytest.mark.parametrize(
    ("settings", "life", "ttl"),
    [
        ({}, timedelta(seconds=90.7), "90s"),
        ({}, timedelta(days=60), "2419200s"),
        ({"ttlS": 60}, timedelta(hours=1), "60s"),
        ({"ttlS": 7200}, timedelta(hours=1), "3600s"),
        ({}, timedelta(seconds=-5), "0s"),
    ],
)
def test_fcm_holds_a_message_no_longer_than_it_means_something(
    settings: dict[str, Any], life: timedelta, ttl: str
) -> None:
    sent = rendered(action_for("fcm", settings=settings), message(expires_at=NOW + life))

    assert sent["android"]["ttl"] == ttl


def test_settings_reach_the_message() -> None:
    settings = {
        "projectId": "other-2",
        "priority": "NORMAL",
        "collapseKey": "cart",
        "endpoint": "http://127.0.0.1:9000/",
    }
    parts = ADAPTER.render(action_for("fcm", settings=settings), message(), now=NOW)

    sent = json.decode(parts.body)["message"]
    assert parts.url == "http://127.0.0.1:9000/v1/projects/other-2/messages:send"
    assert (sent["android"]["priority"], sent["android"]["collapse_key"]) == ("NORMAL", "cart")


def test_data_of_exactly_4096_bytes_is_taken_and_one_more_is_not() -> None:
    fixed = len(rendered(action_for("fcm", payload={"k": ""}))["data"]["_xdm"]) + len("_xdm") + 1
    fits = "é" * ((4096 - fixed) // 2) + "x" * ((4096 - fixed) % 2)

    assert rendered(action_for("fcm", payload={"k": fits}))["data"]["k"] == fits
    with pytest.raises(TemplateError, match="4097 bytes"):
        rendered(action_for("fcm", payload={"k": fits + "x"}))


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"payload": None}, "must be an object"),
        ({"payload": {}}, "must be an object"),
        ({"payload": {"from": "x"}}, "from is reserved"),
        ({"payload": {"google.x": "x"}}, "reserved"),
        ({"payload": {"GCM": "x"}}, "reserved"),
        ({"payload": {"_xdm": "x"}}, "reserved"),
        ({"settings": {"projectId": "a/b"}}, "projectId"),
        ({"settings": {"projectId": 7}}, "projectId"),
        ({"settings": {"ttlS": -1}}, "ttlS"),
        ({"settings": {"ttlS": 2_419_201}}, "ttlS"),
        ({"settings": {"ttlS": "60"}}, "ttlS"),
        ({"settings": {"priority": "high"}}, "priority"),
        ({"settings": {"endpoint": "ftp://fcm.example"}}, "http:// or https://"),
    ],
)
def test_what_fcm_would_not_take_is_refused_when_it_is_saved(
    changed: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        ADAPTER.check(action_for("fcm", **changed), AddressGuard())


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"adb_uri": "shop://cart"}, "adb_a_type must say how"),
        ({"adb_a_type": "WEBURL"}, "adb_uri is missing"),
        ({"adb_a_type": "OPEN"}, "adb_a_type is one of"),
        ({"adb_n_visibility": "public"}, "adb_n_visibility is one of"),
        ({"adb_n_priority": "HIGH"}, "adb_n_priority is one of"),
    ],
)
def test_what_the_messaging_sdk_would_pass_over_is_refused(
    payload: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidInputError, match=why):
        ADAPTER.check(action_for("fcm", payload={"adb_title": "Hi", **payload}), AddressGuard())


def test_everything_the_messaging_sdk_shows_is_taken() -> None:
    payload = {
        "adb_title": "Hi",
        "adb_a_type": "{{ parameters.type }}",
        "adb_uri": "shop://cart",
        "adb_n_visibility": "PUBLIC",
        "adb_n_priority": "PRIORITY_HIGH",
        "adb_n_count": 1,
        "adb_act": [{"label": "Open", "uri": "shop://cart", "type": "DEEPLINK"}],
    }

    ADAPTER.check(action_for("fcm", payload=payload), AddressGuard())
