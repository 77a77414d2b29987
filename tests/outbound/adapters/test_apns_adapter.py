from datetime import timedelta
from typing import Any

import pytest

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.core.secret import Secret
from service.outbound import action_target
from service.outbound.adapters.apns import ApnsAdapter
from service.outbound.egress import AddressGuard
from service.outbound.templating import TemplateError
from service.outbound.transport import CallParts, HttpVersion
from service.outbound.transport_options import connections_for, idle_s, lane_options
from tests.support.messages import NOW, action_for, message

ADAPTER = ApnsAdapter()
DEVICE = "80F3C1"
TOPIC = {"topic": "com.example.shop"}
ALERT: JsonObject = {"aps": {"alert": {"title": "Shipped", "body": "Tap"}}}
SILENT: JsonObject = {"aps": {"content-available": 1}}
STATE = {"content-state": {"driver": "{{ profile.name }}"}}


def rendered(settings: JsonObject | None = None, **changed: Any) -> CallParts:
    context = {name: changed.pop(name) for name in ("token_app", "created_at") if name in changed}
    action = action_for("apns", settings={**TOPIC, **(settings or {})}, **changed)
    return ADAPTER.render(action, message(token=Secret(DEVICE), **context), now=NOW)


def headers(settings: JsonObject | None = None, **changed: Any) -> dict[str, str]:
    return dict(rendered(settings, **changed).headers)


def body(settings: JsonObject | None = None, **changed: Any) -> Any:
    return json.decode(rendered(settings, **changed).body)


def check(settings: JsonObject, payload: Any = ALERT) -> None:
    action = action_for("apns", settings={**TOPIC, **settings}, payload=payload)
    ADAPTER.check(action, AddressGuard())


def test_a_message_is_what_the_messaging_sdk_shows_and_tracks() -> None:
    payload = {**ALERT, "adb_uri": "shop://orders/{{ profile.orders }}"}

    sent = body(payload=payload)

    assert sent["aps"] == ALERT["aps"]
    assert sent["adb_uri"] == "shop://orders/3"
    execution = sent["_xdm"]["cjm"]["_experience"]["customerJourneyManagement"]["messageExecution"]
    assert execution["messageID"] == "00000000-0000-0000-0000-000000000001"


def test_the_headers_say_which_message_and_how_long_it_lives() -> None:
    assert headers() == {
        "Content-Type": "application/json",
        "apns-topic": "com.example.shop",
        "apns-push-type": "alert",
        "apns-id": "00000000-0000-0000-0000-000000000001",
        "apns-expiration": str(int((NOW + timedelta(hours=1)).timestamp())),
        "apns-priority": "10",
    }


@pytest.mark.parametrize(
    ("platform", "settings", "host"),
    [
        (None, {}, "api.push.apple.com"),
        ("apns", {}, "api.push.apple.com"),
        ("apnsSandbox", {}, "api.sandbox.push.apple.com"),
        ("apnsSandbox", {"environment": "production"}, "api.push.apple.com"),
        ("apns", {"environment": "sandbox"}, "api.sandbox.push.apple.com"),
        ("apns", {"endpoint": "https://gateway.example/"}, "gateway.example"),
    ],
)
def test_an_action_is_for_one_environment(
    platform: str | None, settings: JsonObject, host: str
) -> None:
    parts = rendered(settings, platform=platform)
    target = action_target.of(action_for("apns", settings=settings, platform=platform))

    assert parts.url == f"https://{host}/3/device/{DEVICE}"
    assert (target.method, target.url) == ("POST", f"https://{host}/3/device/*")


@pytest.mark.parametrize(
    ("settings", "app_id", "token_app", "topic"),
    [
        ({"topic": "com.example.own"}, "com.example.app", "com.example.token", "com.example.own"),
        ({}, "com.example.app", "com.example.token", "com.example.app"),
        ({}, None, "com.example.token", "com.example.token"),
    ],
)
def test_the_topic_is_the_app_that_the_token_is_of(
    settings: JsonObject, app_id: str | None, token_app: str, topic: str
) -> None:
    action = action_for("apns", settings=settings, app_id=app_id)
    context = message(token=Secret(DEVICE), token_app=token_app)

    assert dict(ADAPTER.render(action, context, now=NOW).headers)["apns-topic"] == topic


def test_a_token_whose_app_is_unknown_is_not_sent_to() -> None:
    with pytest.raises(TemplateError, match="topic"):
        ADAPTER.render(action_for("apns", settings={}), message(token=Secret(DEVICE)), now=NOW)


@pytest.mark.parametrize("token", ["", "..", "a/b", "a?b", "a\nb"])
def test_a_token_that_would_change_the_path_is_not_sent_to(token: str) -> None:
    with pytest.raises(TemplateError, match="device token"):
        ADAPTER.render(action_for("apns"), message(token=Secret(token)), now=NOW)


@pytest.mark.parametrize(
    ("push_type", "suffix"),
    [
        ("alert", ""),
        ("background", ""),
        ("voip", ".voip"),
        ("complication", ".complication"),
        ("fileprovider", ".pushkit.fileprovider"),
        ("mdm", ""),
        ("location", ".location-query"),
        ("liveactivity", ".push-type.liveactivity"),
        ("pushtotalk", ".voip-ptt"),
        ("widgets", ".push-type.widgets"),
        ("controls", ".push-type.controls"),
    ],
)
def test_each_push_type_has_its_topic(push_type: str, suffix: str) -> None:
    settings: JsonObject = {"pushType": push_type}
    payload: JsonObject = {**SILENT}
    if push_type == "liveactivity":
        settings["liveActivity"] = {"event": "update", "activityId": "order-1"}
        payload = {"aps": STATE}
    check(settings, payload)

    sent = headers(settings, payload=payload)

    assert sent["apns-topic"] == f"com.example.shop{suffix}"
    assert sent["apns-push-type"] == push_type


@pytest.mark.parametrize(
    ("settings", "priority"),
    [
        ({}, "10"),
        ({"priority": 5}, "5"),
        ({"priority": 1}, "1"),
        ({"pushType": "background"}, "5"),
    ],
)
def test_the_priority_is_the_one_that_its_push_type_takes(
    settings: JsonObject, priority: str
) -> None:
    assert headers(settings, payload=SILENT)["apns-priority"] == priority


@pytest.mark.parametrize(
    ("ttl_s", "expires_in", "expected"),
    [
        (None, timedelta(hours=1), timedelta(hours=1)),
        (60, timedelta(hours=1), timedelta(minutes=1)),
        (7200, timedelta(hours=1), timedelta(hours=1)),
        (None, timedelta(days=90), timedelta(days=30)),
    ],
)
def test_apns_holds_a_message_until_it_expires_and_thirty_days_at_most(
    ttl_s: int | None, expires_in: timedelta, expected: timedelta
) -> None:
    action = action_for("apns", settings=TOPIC if ttl_s is None else {**TOPIC, "ttlS": ttl_s})
    context = message(token=Secret(DEVICE), expires_at=NOW + expires_in)

    sent = dict(ADAPTER.render(action, context, now=NOW).headers)

    assert sent["apns-expiration"] == str(int((NOW + expected).timestamp()))


def test_a_message_of_no_life_is_tried_once() -> None:
    assert headers({"ttlS": 0})["apns-expiration"] == "0"


def test_a_collapse_id_is_a_template_of_64_bytes_at_most() -> None:
    fits = headers({"collapseId": "order-{{ profile.orders }}" + "é" * 28})

    assert fits["apns-collapse-id"] == "order-3" + "é" * 28
    assert "apns-collapse-id" not in headers({"collapseId": "{{ profile.none | default: '' }}"})
    with pytest.raises(TemplateError, match="65 bytes"):
        headers({"collapseId": "x" * 65})
    with pytest.raises(TemplateError, match="control characters"):
        headers({"collapseId": "a{{ '\n' }}b"})


@pytest.mark.parametrize(
    ("push_type", "limit"), [("alert", 4096), ("voip", 5120), ("complication", 4096)]
)
def test_a_message_over_the_limit_of_its_push_type_is_not_sent(push_type: str, limit: int) -> None:
    def padded(text: str) -> JsonObject:
        return {"aps": {}, "x": text}

    settings = {"pushType": push_type}
    spare = limit - len(rendered(settings, payload=padded("")).body)

    assert len(rendered(settings, payload=padded("y" * spare)).body) == limit
    with pytest.raises(TemplateError, match=f"{limit + 1} bytes; APNs takes {limit}"):
        rendered(settings, payload=padded("y" * (spare + 1)))


def test_media_asks_for_the_apps_service_extension() -> None:
    payload = {**ALERT, "adb_media": "https://img.example/{{ profile.orders }}.png"}

    assert body(payload=payload)["aps"]["mutable-content"] == 1
    assert "mutable-content" not in body(payload=ALERT)["aps"]


def test_what_is_null_for_a_person_is_left_out() -> None:
    payload = {"aps": {"badge": "{{ profile.nothing }}", "sound": "default"}, "adb_media": None}

    sent = body(payload=payload)

    assert sent["aps"] == {"sound": "default"}
    assert "adb_media" not in sent


@pytest.mark.parametrize(
    ("settings", "payload", "why"),
    [
        ({"pushType": "background", "priority": 10}, SILENT, "priority must be 5"),
        ({"pushType": "background"}, ALERT, "content-available"),
        ({"priority": 7}, ALERT, "priority must be 10 or 5 or 1"),
        ({"priority": True}, ALERT, "priority"),
        ({"pushType": "shout"}, ALERT, "pushType is one of"),
        ({"topic": "com example"}, ALERT, "topic"),
        ({"topic": 7}, ALERT, "topic must be a text"),
        ({"environment": "test"}, ALERT, "environment is one of production, sandbox"),
        ({"ttlS": -1}, ALERT, "ttlS"),
        ({"ttlS": 2_592_001}, ALERT, "ttlS"),
        ({"ttlS": "60"}, ALERT, "ttlS"),
        ({"collapseId": "{{ profil.x }}"}, ALERT, "settings.collapseId"),
        ({}, {}, "payload must be an object"),
        ({}, "hello", "payload must be an object"),
        ({}, {"adb_uri": "x"}, "payload.aps is missing"),
        ({}, {"aps": "x"}, "payload.aps must be an object"),
        ({}, {**ALERT, "_xdm": {}}, "payload._xdm is set by the service"),
        ({"pushType": "liveactivity"}, {"aps": STATE}, "liveActivity must say"),
        (
            {"pushType": "alert", "liveActivity": {"event": "end", "activityId": "a"}},
            ALERT,
            "must be liveactivity",
        ),
        ({"liveActivity": {"event": "pause"}}, {"aps": STATE}, "start, update, end"),
        ({"liveActivity": {"event": "update"}}, {"aps": STATE}, "activityId must be a text"),
        ({"liveActivity": {"event": "start"}}, {"aps": STATE}, "attributeType must be a text"),
        ({"liveActivity": "start"}, {"aps": STATE}, "liveActivity must be an object"),
        ({"liveActivity": {"event": "end", "activityId": "a", "x": 1}}, ALERT, "x is not known"),
        (
            {"liveActivity": {"event": "update", "activityId": "{{ profil.x }}"}},
            {"aps": STATE},
            "activityId",
        ),
        ({"liveActivity": {"event": "update", "activityId": "a"}}, ALERT, "content-state"),
        (
            {"liveActivity": {"event": "update", "activityId": "a"}},
            {"aps": {**STATE, "timestamp": 1}},
            "timestamp is set by the service",
        ),
        (
            {"liveActivity": {"event": "start", "attributeType": "A"}},
            {"aps": STATE},
            "attributes must be an object",
        ),
        (
            {"liveActivity": {"event": "end", "activityId": "a"}, "priority": 1},
            {"aps": {}},
            "priority must be 10 or 5",
        ),
    ],
)
def test_what_apns_would_not_take_for_anyone_is_refused_at_save(
    settings: JsonObject, payload: Any, why: str
) -> None:
    with pytest.raises(InvalidInputError, match=why):
        check(settings, payload)


def test_an_mdm_message_needs_a_topic_of_its_own() -> None:
    action = action_for("apns", settings={"pushType": "mdm"}, payload={"mdm": "x"})

    with pytest.raises(InvalidInputError, match="UID"):
        ADAPTER.check(action, AddressGuard())


def test_a_live_activity_is_updated_with_the_moment_the_update_was_decided_on() -> None:
    settings = {"liveActivity": {"event": "update", "activityId": "order-1"}}
    decided = NOW - timedelta(minutes=20)

    late = body(settings, payload={"aps": STATE}, created_at=decided)
    newer = body(settings, payload={"aps": STATE}, created_at=NOW)

    assert late == {
        "aps": {
            "timestamp": int(decided.timestamp()),
            "event": "update",
            "content-state": {"driver": "Ann"},
        }
    }
    assert newer["aps"]["timestamp"] > late["aps"]["timestamp"]


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ({}, "00000000-0000-0000-0000-000000000001"),
        ({"activityId": "order-{{ profile.orders }}"}, "order-3"),
    ],
)
def test_a_live_activity_is_started_so_that_the_sdk_tracks_it(
    written: JsonObject, named: str
) -> None:
    settings = {"liveActivity": {"event": "start", "attributeType": "Delivery", **written}}
    aps = {**STATE, "attributes": {"restaurant": "Uno"}, "alert": {"title": "On its way"}}
    check(settings, {"aps": aps})

    sent = body(settings, payload={"aps": aps})["aps"]

    assert (sent["event"], sent["attributes-type"]) == ("start", "Delivery")
    assert sent["timestamp"] == int(NOW.timestamp())
    assert sent["attributes"] == {
        "restaurant": "Uno",
        "liveActivityData": {"liveActivityID": named, "origin": "remote"},
    }


def test_a_lane_speaks_http_2_over_few_lasting_connections() -> None:
    apns, webhook = action_for("apns"), action_for("webhook")

    options = lane_options(apns, 3)

    assert (options.slots, options.http_version, options.streams) == (3, HttpVersion.HTTP_2, 64)
    assert (lane_options(webhook, 3).http_version, lane_options(webhook, 3).streams) == (
        HttpVersion.HTTP_1_1,
        1,
    )
    assert (connections_for(apns, 256), connections_for(webhook, 256)) == (4, 256)
    assert idle_s(apns) > idle_s(webhook)
