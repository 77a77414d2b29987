import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mobile_stub import sdk
from mobile_stub.device import Device, Hit, Kind, Platform, StateEntry, new_device

NOW = datetime(2026, 7, 1, 10, 15, 30, 123456, tzinfo=UTC)
LOWER_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
ANDROID = new_device(Kind.ANDROID, "com.example.shop", Platform.FCM, 1)
IOS = new_device(Kind.IOS, "com.example.shop", Platform.APNS_SANDBOX, 2)


def sent(step: tuple[Device, Hit | None], now: datetime = NOW) -> dict[str, Any]:
    device, hit = step
    assert hit is not None
    document: dict[str, Any] = json.loads(sdk.render(hit, device, now))
    return document


def ids_of(document: dict[str, Any], namespace: str) -> list[tuple[str, str]]:
    items = document["xdm"]["identityMap"].get(namespace, [])
    return [(item["id"], item["authenticatedState"]) for item in items]


def test_case_42_a_push_token_sync_has_the_documented_shape_and_no_event_type() -> None:
    document = sent(sdk.install(ANDROID, "dL3f:APA91b", NOW))

    (event,) = document.pop("events")
    event_id = event["xdm"].pop("_id")
    assert re.fullmatch(LOWER_UUID, event_id)
    assert event == {
        "xdm": {"timestamp": "2026-07-01T10:15:30.123Z"},
        "data": {
            "pushNotificationDetails": [
                {
                    "appID": "com.example.shop",
                    "token": "dL3f:APA91b",
                    "platform": "fcm",
                    "denylisted": False,
                    "identity": {"namespace": {"code": "ECID"}, "id": ANDROID.ecid},
                }
            ]
        },
    }
    assert document == {
        "meta": {
            "konductorConfig": {
                "streaming": {"enabled": True, "recordSeparator": "\u0000", "lineFeed": "\n"}
            }
        },
        "xdm": {
            "identityMap": {
                "ECID": [{"id": ANDROID.ecid, "authenticatedState": "ambiguous", "primary": False}]
            },
            "implementationDetails": {
                "environment": "app",
                "name": "https://ns.adobe.com/experience/mobilesdk/android",
                "version": "3.8.0+3.0.2",
            },
        },
    }


@pytest.mark.parametrize("token", [None, ""])
def test_case_42_an_empty_token_sends_nothing(token: str | None) -> None:
    assert sdk.install(ANDROID, token, NOW) == (ANDROID, None)


def test_case_42_a_token_already_synced_sends_nothing_and_a_new_one_does() -> None:
    device, _ = sdk.install(ANDROID, "one", NOW)

    same, repeated = sdk.install(device, "one", NOW)
    _, rotated = sdk.rotate_token(device, "two", NOW)

    assert (same, repeated) == (device, None)
    assert rotated is not None
    assert rotated.event["data"]["pushNotificationDetails"][0]["token"] == "two"


def test_ios_writes_upper_case_ids_pretty_printed_and_android_neither() -> None:
    ios_device, ios_hit = sdk.event(IOS, "a.b", NOW)
    android_device, android_hit = sdk.event(ANDROID, "a.b", NOW)
    assert ios_hit is not None
    assert android_hit is not None

    ios, android = (
        sdk.render(ios_hit, ios_device, NOW),
        sdk.render(android_hit, android_device, NOW),
    )

    assert ios_hit.id == ios_hit.id.upper() != ios_hit.id.lower()
    assert b'\n  "meta" : {\n' in ios
    assert re.fullmatch(LOWER_UUID, android_hit.id)
    assert b"\n" not in android
    assert b": " not in android


def test_the_keys_of_android_have_no_fixed_order_but_replay_the_same() -> None:
    device = ANDROID
    orders = set()
    for _ in range(12):
        device, hit = sdk.event(device, "a.b", NOW)
        assert hit is not None
        body = sdk.render(hit, device, NOW)
        assert sdk.render(hit, device, NOW) == body
        orders.add(tuple(json.loads(body)))

    assert len(orders) > 1


def test_an_event_keeps_the_apps_timestamp_and_data_but_never_its_id() -> None:
    xdm = {"_id": "mine", "timestamp": "2020-01-01T00:00:00.000Z", "commerce": {"order": {}}}

    document = sent(sdk.event(ANDROID, "commerce.purchases", NOW, xdm=xdm, data={"tier": "gold"}))

    (event,) = document["events"]
    assert event["data"] == {"tier": "gold"}
    assert event["xdm"]["_id"] != "mine"
    assert event["xdm"] | {"_id": ""} == {
        "_id": "",
        "timestamp": "2020-01-01T00:00:00.000Z",
        "commerce": {"order": {}},
        "eventType": "commerce.purchases",
    }


def test_case_02_an_event_with_an_empty_xdm_is_not_sent() -> None:
    assert sdk.event(ANDROID, None, NOW, data={"a": 1}) == (ANDROID, None)


def test_a_login_sends_nothing_and_later_events_carry_it_beside_the_ecid() -> None:
    device = sdk.login(ANDROID, "C-10023")

    document = sent(sdk.event(device, "a.b", NOW))

    assert device.queue == ()
    assert ids_of(document, "ECID") == [(ANDROID.ecid, "ambiguous")]
    assert ids_of(document, "CRMID") == [("C-10023", "authenticated")]


def test_an_event_queued_before_the_login_keeps_the_identities_of_its_moment() -> None:
    device, hit = sdk.event(ANDROID, "a.b", NOW)
    device = sdk.login(device, "C-1")

    document = sent((device, hit))

    assert ids_of(document, "CRMID") == []


def test_a_second_login_adds_an_identity_unless_the_app_switches() -> None:
    both = sdk.login(sdk.login(ANDROID, "C-1"), "C-2")
    switched = sdk.switch_login(sdk.login(ANDROID, "C-1"), "C-2")

    assert [item.id for item in both.identities] == ["C-1", "C-2"]
    assert [item.id for item in switched.identities] == ["C-2"]


@pytest.mark.parametrize(("device", "count"), [(ANDROID, 1), (IOS, 2)])
def test_android_compares_ids_without_case_and_ios_with_it(device: Device, count: int) -> None:
    twice = sdk.login(sdk.login(device, "c-1"), "C-1")

    assert len(twice.identities) == count


@pytest.mark.parametrize("namespace", ["ECID", "GAID", "IDFA", "ecid"])
def test_reserved_namespaces_are_refused(namespace: str) -> None:
    assert sdk.login(ANDROID, "x", namespace) == ANDROID


def test_logged_out_says_so_in_the_same_item_and_logout_removes_it() -> None:
    device = sdk.login(ANDROID, "C-1")

    said = sent(sdk.event(sdk.logged_out(device, "C-1"), "a.b", NOW))
    gone = sent(sdk.event(sdk.logout(device), "a.b", NOW))

    assert ids_of(said, "CRMID") == [("C-1", "loggedOut")]
    assert "CRMID" not in gone["xdm"]["identityMap"]


def test_reset_identities_gives_a_new_ecid_and_the_token_can_be_announced_again() -> None:
    device, _ = sdk.install(sdk.login(ANDROID, "C-1"), "one", NOW)

    fresh = sdk.reset_identities(device)
    document = sent(sdk.install(fresh, "one", NOW))

    assert fresh.ecid != device.ecid
    assert fresh.queue == device.queue
    assert ids_of(document, "CRMID") == []
    (details,) = document["events"][0]["data"]["pushNotificationDetails"]
    assert details["identity"]["id"] == fresh.ecid


def test_stored_state_is_sent_until_it_expires_with_three_fields_each() -> None:
    entries = (
        StateEntry("long", "a", 3600, NOW + timedelta(hours=1)),
        StateEntry("short", "b", 1, NOW + timedelta(seconds=1)),
    )
    step = sdk.event(replace(ANDROID, state=entries), "a.b", NOW)

    early = sent(step)
    late = sent(step, NOW + timedelta(seconds=1))
    never = sent(step, NOW + timedelta(hours=1))

    long = {"key": "long", "value": "a", "maxAge": 3600}
    assert early["meta"]["state"]["entries"] == [long, {"key": "short", "value": "b", "maxAge": 1}]
    assert late["meta"]["state"]["entries"] == [long]
    assert "state" not in never["meta"]


def test_text_beyond_ascii_and_slashes_survive_the_platforms_spelling() -> None:
    document = sent(sdk.event(IOS, "a.b", NOW, xdm={"name": "Søren / 東京"}))

    assert document["events"][0]["xdm"]["name"] == "Søren / 東京"
