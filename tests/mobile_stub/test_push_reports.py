import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from mobile_stub import tracking
from mobile_stub.device import Device, Hit, Kind, Platform, new_device
from mobile_stub.tracking import Push

NOW = datetime(2026, 7, 1, 11, 2, 10, 412000, tzinfo=UTC)
ANDROID = new_device(Kind.ANDROID, "com.example.shop", Platform.FCM, 1)
IOS = new_device(Kind.IOS, "com.example.shop", Platform.APNS_SANDBOX, 2)
EXECUTION = {"messageExecutionID": "camp-12", "messageID": "m-998"}
JOURNEY = {"customerJourneyManagement": {"messageExecution": EXECUTION}}
PUSH = Push("0:16%ab", {"mixins": {"_experience": JOURNEY}})


def xdm_of(step: tuple[Device, Hit | None]) -> dict[str, Any]:
    _, hit = step
    assert hit is not None
    xdm: dict[str, Any] = hit.event["xdm"]
    return xdm


def test_case_43_an_open_has_the_documented_shape() -> None:
    _, hit = tracking.opened(ANDROID, PUSH, NOW)

    assert hit is not None
    assert hit.event == {
        "xdm": {
            "_id": hit.id,
            "timestamp": "2026-07-01T11:02:10.412Z",
            "eventType": "pushTracking.applicationOpened",
            "pushNotificationTracking": {"pushProvider": "fcm", "pushProviderMessageID": "0:16%ab"},
            "application": {"launches": {"value": 1}},
            "_experience": {
                "customerJourneyManagement": {
                    "messageExecution": EXECUTION,
                    "messageProfile": {
                        "channel": {"_id": "https://ns.adobe.com/xdm/channels/push"}
                    },
                    "pushChannelContext": {"platform": "fcm"},
                }
            },
        },
        "meta": {"collect": {"datasetId": "push-tracking"}},
    }


def test_case_44_a_dismissal_launches_nothing_and_a_button_does() -> None:
    dismissed = xdm_of(tracking.dismissed(ANDROID, PUSH, NOW))
    pressed = xdm_of(tracking.acted(ANDROID, PUSH, "Buy now", NOW))

    assert dismissed["eventType"] == pressed["eventType"] == "pushTracking.customAction"
    assert dismissed["pushNotificationTracking"]["customAction"] == {"actionID": "Dismiss"}
    assert dismissed["application"]["launches"]["value"] == 0
    assert pressed["pushNotificationTracking"]["customAction"] == {"actionID": "Buy now"}
    assert pressed["application"]["launches"]["value"] == 1


def test_ios_names_its_provider_exactly_the_platform_roughly_and_its_own_message_id() -> None:
    xdm = xdm_of(tracking.opened(IOS, PUSH, NOW))

    journey = xdm["_experience"]["customerJourneyManagement"]
    assert xdm["pushNotificationTracking"]["pushProvider"] == "apnsSandbox"
    assert xdm["pushNotificationTracking"]["pushProviderMessageID"] != PUSH.message_id
    assert journey["pushChannelContext"] == {"platform": "apns"}


@pytest.mark.parametrize(
    ("device", "push"),
    [
        (replace(ANDROID, event_dataset=""), PUSH),
        (ANDROID, Push("0:1", None)),
        (ANDROID, Push("", PUSH.xdm)),
    ],
    ids=["no dataset", "no tracking data", "no message id"],
)
def test_case_45_a_push_that_cannot_be_tracked_sends_nothing(device: Device, push: Push) -> None:
    assert tracking.opened(device, push, NOW) == (device, None)


def test_mixins_win_over_cjm_and_unknown_keys_survive() -> None:
    blob = {"cjm": {"from": "cjm"}, "mixins": {"from": "mixins", "own": {"key": 1}}}

    xdm = xdm_of(tracking.opened(ANDROID, Push("m", blob), NOW))

    assert (xdm["from"], xdm["own"]) == ("mixins", {"key": 1})
    assert "_experience" not in xdm


@pytest.mark.parametrize(
    ("device", "action", "expected"),
    [
        (ANDROID, "Later", {"dismiss": 1}),
        (IOS, "Later", {"interact": 1}),
        (IOS, "Dismiss", {"dismiss": 1}),
    ],
)
def test_case_46_a_decision_is_interacted_with_or_dismissed_as_each_platform_sees_it(
    device: Device, action: str, expected: dict[str, int]
) -> None:
    push = Push("m", {"cjm": {"_experience": {"decisioning": {"exdRequestID": "e"}}}})

    xdm = xdm_of(tracking.acted(device, push, action, NOW, opens_app=False))

    assert xdm["_experience"]["decisioning"]["propositionEventType"] == expected


def test_ios_loses_the_channel_when_a_decision_has_no_request_id() -> None:
    push = Push("m", {"cjm": {"_experience": {"decisioning": {}} | JOURNEY}})

    on_ios = xdm_of(tracking.opened(IOS, push, NOW))
    on_android = xdm_of(tracking.opened(ANDROID, push, NOW))

    assert "messageProfile" not in on_ios["_experience"]["customerJourneyManagement"]
    assert "messageProfile" in on_android["_experience"]["customerJourneyManagement"]


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"data": {"_xdm": json.dumps({"cjm": {}})}}, {"cjm": {}}),
        ({"_xdm": {"mixins": {"a": 1}}}, {"mixins": {"a": 1}}),
        ({"data": {"_xdm": {"mixins": {}}}}, {"mixins": {}}),
        ({"data": {"_xdm": "{not json"}}, None),
        ({"_xdm": {}}, None),
        ({"_xdm": ["a"]}, None),
        ({"data": {}}, None),
    ],
)
def test_the_blob_is_read_as_text_or_object_and_otherwise_not(
    message: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    push = tracking.read_push({"id": "projects/p/messages/0:9", "message": message})

    assert push == Push("0:9", expected)


def test_android_reports_what_it_received_and_ios_does_not() -> None:
    xdm = xdm_of(tracking.received(ANDROID, PUSH, NOW))

    assert xdm["eventType"] == "pushTracking.receive"
    assert "customAction" not in xdm["pushNotificationTracking"]
    assert xdm["application"]["launches"]["value"] == 0
    assert tracking.received(IOS, PUSH, NOW) == (IOS, None)
