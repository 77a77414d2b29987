"""Consent on the phone: what it does to the queue, and what leaves for the service."""

from datetime import timedelta
from pathlib import Path

import pytest

from mobile_stub import consents, live_activities, sdk
from mobile_stub import device as devices
from mobile_stub.consents import Preferences
from mobile_stub.device import Device, Hit, Kind, Platform, collect_of, new_device
from mobile_stub.edge_client import Action, Phone
from tests.mobile_stub.phones import START, Open, event, handle, refusal
from tests.mobile_stub.scripted_edge import ScriptedEdge

CONSENT = "/ee/v1/privacy/set-consent"
INTERACT = "/ee/v1/interact"
ANDROID = consents.with_default(new_device(Kind.ANDROID, "app", Platform.FCM, 1), "y")
IOS = consents.with_default(new_device(Kind.IOS, "app", Platform.APNS, 2), "y")


def says(collect: str, **more: object) -> Action:
    def act(device: Device, now: object) -> tuple[Device, Hit | None]:
        preferences: Preferences = {"collect": {"val": collect}} | more
        return consents.update(device, preferences, START)

    return act


def with_consent(phone: Phone, default: str | None = "y") -> Phone:
    phone.change(lambda device: consents.with_default(device, default))
    return phone


def sent(edge: ScriptedEdge) -> list[str]:
    """Return what each request was about."""
    return [
        body["consent"][0]["value"]["collect"]["val"]
        if "consent" in body
        else body["events"][0]["xdm"]["eventType"]
        for body in edge.bodies
    ]


def test_a_consent_request_has_the_documented_shape(edge: ScriptedEdge, open_phone: Open) -> None:
    phone = with_consent(open_phone())

    phone.act(says("n"))
    phone.drain()

    (request,) = edge.requests
    assert request.path == CONSENT
    assert edge.bodies == [
        {
            "meta": {
                "konductorConfig": {
                    "streaming": {"enabled": True, "recordSeparator": "\0", "lineFeed": "\n"}
                }
            },
            "query": {"consent": {"operation": "update"}},
            "identityMap": {
                "ECID": [
                    {
                        "id": phone.device.ecid,
                        "authenticatedState": "ambiguous",
                        "primary": False,
                    }
                ]
            },
            "consent": [
                {
                    "standard": "Adobe",
                    "version": "2.0",
                    "value": {
                        "collect": {"val": "n"},
                        "metadata": {"time": "2026-07-01T00:00:00.000Z"},
                    },
                }
            ],
        }
    ]


def test_case_25_a_no_clears_the_queue_and_alone_is_sent(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    phone = with_consent(open_phone())

    phone.act(event("one"))
    phone.act(says("n"))
    later = phone.act(event("two"))
    phone.drain()

    assert later is None
    assert sent(edge) == ["n"]


def test_case_26_a_yes_after_pending_sends_what_waited_in_order(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    phone = with_consent(open_phone(), "p")

    phone.act(event("one"))
    phone.act(event("two"))
    held = phone.drain()
    phone.act(says("y"))
    phone.act(event("three"))
    drained = phone.drain()

    assert (held, drained) == (False, True)
    assert sent(edge) == ["one", "two", "y", "three"]


@pytest.mark.parametrize("value", ["p", "u", "some value"])
def test_case_27_any_other_value_holds_everything_also_its_own_request(
    edge: ScriptedEdge, open_phone: Open, value: str
) -> None:
    phone = with_consent(open_phone())

    phone.act(says(value))
    phone.act(event())
    drained = phone.drain()

    assert not drained
    assert phone.is_held
    assert edge.requests == []
    assert len(phone.device.queue) == 2


def test_a_held_request_follows_in_its_place_once_the_answer_is_yes(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    phone = with_consent(open_phone())

    phone.act(says("p"))
    phone.act(event("one"))
    phone.act(says("y"))
    phone.drain()

    assert sent(edge) == ["p", "one", "y"]


def test_a_held_request_is_forgotten_once_the_answer_is_no(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    phone = with_consent(open_phone())

    phone.act(says("p"))
    phone.act(event("one"))
    phone.act(says("n"))
    phone.drain()

    assert sent(edge) == ["n"]


def test_without_the_extension_everything_is_sent_and_no_consent_is() -> None:
    device = new_device(Kind.ANDROID, "app", Platform.FCM, 1)

    same, hit = consents.collect(device, "n", START)
    _, queued = sdk.event(device, "a.b", START)

    assert (same, hit) == (device, None)
    assert queued is not None


def test_an_extension_without_a_default_holds_the_queue(open_phone: Open) -> None:
    phone = with_consent(open_phone(), None)

    phone.act(event())

    assert not phone.drain()
    assert phone.device.queue


def test_other_preferences_are_kept_and_only_the_new_ones_are_sent(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    phone = with_consent(open_phone())
    marketing = {"marketing": {"push": {"val": "y"}}}

    phone.act(lambda device, now: consents.update(device, marketing, now))
    phone.drain()

    value = edge.bodies[0]["consent"][0]["value"]
    assert set(value) == {"marketing", "metadata"}
    assert phone.device.consents is not None
    assert phone.device.consents["collect"] == {"val": "y"}
    assert phone.device.consents["marketing"] == marketing["marketing"]


@pytest.mark.parametrize(("device", "count"), [(ANDROID, 1), (IOS, 2)])
def test_android_does_not_say_the_same_twice_within_a_second(device: Device, count: int) -> None:
    device, _ = consents.collect(device, "y", START)
    device, _ = consents.collect(device, "y", START + timedelta(milliseconds=999))

    assert len(device.queue) == count


def test_android_says_the_same_again_after_a_second() -> None:
    device, _ = consents.collect(ANDROID, "y", START)
    device, _ = consents.collect(device, "y", START + timedelta(seconds=1))

    assert len(device.queue) == 2


@pytest.mark.parametrize("kind", list(Kind))
def test_the_servers_word_is_taken_over_and_clears_the_queue_if_it_is_no(
    edge: ScriptedEdge, open_phone: Open, kind: Kind
) -> None:
    edge.replies = [handle("consent:preferences", {"collect": {"val": "n"}})]
    phone = with_consent(open_phone(kind))

    first = phone.act(event("one"))
    phone.act(event("two"))
    phone.drain()

    assert first is not None
    assert phone.acknowledged == [first.id]
    assert collect_of(phone.device) == "n"
    assert len(edge.requests) == 1


@pytest.mark.parametrize(
    "payload", [[], [{}], {}, None], ids=["none", "empty", "no array", "missing"]
)
def test_a_word_of_another_shape_says_nothing(payload: object) -> None:
    assert consents.told(ANDROID, {"payload": payload}, START) == ANDROID


def test_ios_announces_its_tokens_again_after_a_yes_and_android_does_not() -> None:
    for device, expected in ((IOS, 3), (ANDROID, 1)):
        held, _ = consents.collect(device, "n", START)
        held, _ = sdk.install(held, "80F3", START)
        held, _ = live_activities.push_to_start(held, {"Ride": "80d1"}, START)

        asked, _ = consents.collect(held, "y", START)

        assert held.token == "80F3"
        assert len(asked.queue) - len(held.queue) == expected


def test_a_phone_with_consents_and_start_tokens_is_read_back_as_it_was(tmp_path: Path) -> None:
    phone, _ = live_activities.push_to_start(IOS, {"Ride": "80d1"}, START)
    phone, _ = consents.collect(phone, "p", START)
    file = tmp_path / "phone.json"

    devices.save(phone, file)

    assert devices.load(file) == phone


def test_a_consent_that_the_service_refuses_is_dropped_and_counts_on_the_phone(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    edge.replies = [refusal(422)]
    phone = with_consent(open_phone(), "p")

    phone.act(says("y"))
    drained = phone.drain()

    assert drained
    assert phone.acknowledged == []
    assert collect_of(phone.device) == "y"
