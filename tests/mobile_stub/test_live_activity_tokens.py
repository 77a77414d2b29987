from dataclasses import replace
from datetime import UTC, datetime

from mobile_stub import live_activities
from mobile_stub.device import Hit, Kind, Platform, new_device

NOW = datetime(2026, 7, 1, tzinfo=UTC)
IOS = new_device(Kind.IOS, "com.example.shop", Platform.APNS_SANDBOX, 2)


def details_of(hit: Hit | None) -> list[tuple[str, str, str]]:
    assert hit is not None
    return [
        (each["attributeType"], each["token"], each["identity"]["id"])
        for each in hit.event["data"]["liveActivityPushNotificationDetails"]
    ]


def test_a_push_to_start_token_has_the_documented_shape() -> None:
    _, hit = live_activities.push_to_start(IOS, {"Ride": "80d1"}, NOW)

    assert hit is not None
    assert hit.event == {
        "xdm": {
            "_id": hit.id,
            "timestamp": "2026-07-01T00:00:00.000Z",
            "eventType": "liveActivity.pushToStart",
        },
        "data": {
            "liveActivityPushNotificationDetails": [
                {
                    "appID": "com.example.shop",
                    "denylisted": False,
                    "platform": "apnsSandbox",
                    "token": "80d1",
                    "attributeType": "Ride",
                    "identity": {"namespace": {"code": "ECID"}, "id": IOS.ecid},
                }
            ]
        },
    }


def test_every_known_type_is_announced_with_a_new_one_and_nothing_with_an_old_one() -> None:
    device, _ = live_activities.push_to_start(IOS, {"Ride": "80d1"}, NOW)

    both, second = live_activities.push_to_start(device, {"Food": "80f3"}, NOW)
    same, repeated = live_activities.push_to_start(both, {"Ride": "80d1"}, NOW)

    assert details_of(second) == [("Food", "80f3", IOS.ecid), ("Ride", "80d1", IOS.ecid)]
    assert (same, repeated) == (both, None)


def test_after_a_reset_the_tokens_are_announced_for_the_new_device_id() -> None:
    device, _ = live_activities.push_to_start(IOS, {"Ride": "80d1"}, NOW)

    fresh, hit = live_activities.reset_identities(device, NOW)

    assert fresh.ecid != IOS.ecid
    assert details_of(hit) == [("Ride", "80d1", fresh.ecid)]


def test_an_update_token_says_neither_app_nor_platform_nor_identity() -> None:
    _, hit = live_activities.update_token(IOS, "order-4711", "80d1a4", NOW)

    assert hit is not None
    assert hit.event["xdm"]["eventType"] == "liveActivity.updateToken"
    assert hit.event["data"] == {"liveActivityID": "order-4711", "token": "80d1a4"}


def test_a_started_activity_is_tracked_only_with_a_dataset() -> None:
    bare = replace(IOS, event_dataset="")

    _, hit = live_activities.started(IOS, "order-4711", NOW)

    assert live_activities.started(bare, "order-4711", NOW) == (bare, None)
    assert hit is not None
    journey = hit.event["xdm"]["_experience"]["customerJourneyManagement"]
    assert journey["pushChannelContext"]["liveActivity"] == {
        "event": "localstart",
        "liveActivityID": "order-4711",
    }
    assert hit.event["meta"] == {"collect": {"datasetId": "push-tracking"}}


def test_android_has_no_live_activities() -> None:
    device = new_device(Kind.ANDROID, "app", Platform.FCM, 1)

    assert live_activities.push_to_start(device, {"Ride": "80d1"}, NOW) == (device, None)
