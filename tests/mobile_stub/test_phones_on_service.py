"""Phones, channels and loads against the real service: each answer is read, and all is kept."""

from contextlib import ExitStack, closing
from datetime import timedelta
from uuid import uuid4

import pytest

from mobile_stub import (
    consents,
    live_activities,
    sdk,
    tracking,
)
from mobile_stub.__main__ import main
from mobile_stub.device import Kind
from mobile_stub.edge_client import Phone
from mobile_stub.load_clients import ClientName
from mobile_stub.sdk import Route
from mobile_stub.tracking import Push
from tests.mobile_stub.running_service import (
    KINDS,
    RisingClock,
    Running,
    roku_of,
    send,
)

JOURNEY = {"customerJourneyManagement": {"messageExecution": {"messageID": "m-998"}}}
BLOB = {"mixins": {"_experience": JOURNEY}}


@pytest.mark.parametrize("phone", KINDS, indirect=True)
def test_a_phone_installs_logs_in_and_is_one_person(service: Running, phone: Phone) -> None:
    person = f"C-{uuid4().hex}"
    token = f"80F3{uuid4().hex.upper()}"

    phone.act(lambda device, now: sdk.install(device, token, now))
    phone.change(lambda device: sdk.login(device, person))
    send(phone, "commerce.productViews")

    found = service.person("CRMID", person)
    held = [(each["token"], each["owned"]) for each in found["pushTokens"]]
    assert {each["id"] for each in found["identities"]} == {person, phone.device.ecid}
    assert held == [(f"…{token[-6:]}", True)]
    assert len(phone.acknowledged) == 2


@pytest.mark.parametrize("phone", KINDS, indirect=True)
def test_case_25_a_phone_says_no_and_then_yes(service: Running, mobile: str, phone: Phone) -> None:
    kept = f"after.{uuid4().hex}"

    phone.act(lambda device, now: consents.collect(device, "n", now))
    phone.act(lambda device, now: sdk.event(device, "dropped", now))
    phone.drain()
    phone.act(lambda device, now: consents.collect(device, "y", now + timedelta(seconds=2)))
    send(phone, kept)

    assert [attempt.status for attempt in phone.attempts] == [200, 200, 200]
    assert kept in service.event_types(mobile)
    assert "dropped" not in service.event_types(mobile)


@pytest.mark.parametrize("phone", KINDS, indirect=True)
@pytest.mark.parametrize("hint", ["or2", "a b", '{"x": "y/z"}', "über"])
def test_case_09_any_hint_is_served(phone: Phone, hint: str) -> None:
    phone.change(lambda device: sdk.set_location_hint(device, hint, RisingClock()()))

    send(phone)


@pytest.mark.parametrize("phone", KINDS, indirect=True)
def test_case_32_an_unknown_datastream_is_told_to_the_app(phone: Phone) -> None:
    route = Route(datastream=str(uuid4()))

    phone.act(lambda device, now: sdk.event(device, "a.b", now, route=route))
    phone.drain()

    (heard,) = phone.responses
    assert heard.payload["type"].endswith("EXEG-0003-400")
    assert heard.payload["report"]["requestId"]
    assert phone.acknowledged == []


@pytest.mark.parametrize("phone", KINDS, indirect=True)
def test_case_31_a_bad_override_is_told_to_the_app(phone: Phone) -> None:
    dataset = {"datasets": {"event": {"datasetId": str(uuid4())}}}
    route = Route(overrides={"com_adobe_experience_platform": dataset})

    phone.act(lambda device, now: sdk.event(device, "a.b", now, route=route))
    phone.drain()

    (heard,) = phone.responses
    assert heard.payload["type"].endswith("EXEG-0113-400")
    assert phone.acknowledged == []


@pytest.mark.parametrize("phone", KINDS, indirect=True)
def test_case_29_and_62_a_media_session_starts_and_plays(phone: Phone) -> None:
    started = send(
        phone,
        "media.sessionStart",
        xdm={"mediaCollection": {"playhead": 0, "sessionDetails": {"name": "m"}}},
        route=Route(path="/va/v1/sessionStart"),
    )
    (handle,) = phone.completed[started]
    session_id = handle["payload"][0]["sessionId"]
    send(
        phone,
        "media.play",
        xdm={"mediaCollection": {"playhead": 1, "sessionID": session_id}},
        route=Route(path="/va/v1/play"),
    )

    assert handle["type"] == "media-analytics:new-session"


@pytest.mark.parametrize("phone", KINDS, indirect=True)
def test_case_43_and_44_a_push_is_tracked(service: Running, mobile: str, phone: Phone) -> None:
    push = Push("0:1", BLOB)

    hits = [
        phone.act(lambda device, now: tracking.received(device, push, now)),
        phone.act(lambda device, now: tracking.opened(device, push, now)),
        phone.act(lambda device, now: tracking.acted(device, push, "Later", now)),
        phone.act(lambda device, now: tracking.dismissed(device, push, now)),
    ]
    phone.drain()

    sent = [hit.id for hit in hits if hit]
    assert phone.acknowledged == sent
    assert len(sent) == (4 if phone.device.kind is Kind.ANDROID else 3)
    assert tracking.OPENED in service.event_types(mobile)


@pytest.mark.parametrize("phone", [Kind.IOS], indirect=True)
def test_an_iphone_announces_live_activities_and_takes_them_along(
    service: Running, phone: Phone
) -> None:
    token = uuid4().hex
    person = f"C-{uuid4().hex}"
    phone.change(lambda device: sdk.login(device, person))

    phone.act(lambda device, now: live_activities.push_to_start(device, {"Ride": token}, now))
    phone.act(lambda device, now: live_activities.update_token(device, "o-1", token[::-1], now))
    phone.drain()
    before = service.person("CRMID", person)["liveActivityTokens"]
    old = phone.device.ecid
    phone.act(live_activities.reset_identities)
    phone.drain()
    after = service.person("ECID", phone.device.ecid)["liveActivityTokens"]

    assert {(each["kind"], each["name"]) for each in before} == {
        ("start", "Ride"),
        ("update", "o-1"),
    }
    assert [(each["name"], each["token"]) for each in after] == [("Ride", f"…{token[-6:]}")]
    assert [each["name"] for each in service.person("ECID", old)["liveActivityTokens"]] == ["o-1"]


@pytest.mark.parametrize("lower_case", [False, True], ids=["quoted", "unquoted"])
def test_case_64_a_roku_channel_is_named_by_the_server_and_kept(
    service: Running,
    mobile: str,
    opened: ExitStack,
    lower_case: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    roku = opened.enter_context(closing(roku_of(service, mobile, lower_case=lower_case)))
    person = f"C-{uuid4().hex}"

    asked = roku.ask_ecid()
    roku.send("media.play")
    roku.send_as("media.pause", "CRMID", person)
    roku.drain()

    ids = {each["id"] for each in service.person("CRMID", person)["identities"]}
    assert asked is not None
    assert ids == {person, asked}
    assert roku.dropped == []


def test_a_roku_channel_tells_its_consent(service: Running, mobile: str, opened: ExitStack) -> None:
    roku = opened.enter_context(closing(roku_of(service, mobile)))
    roku.ask_ecid()

    roku.set_consent("n")
    roku.drain()

    assert roku.dropped == []
    assert len(roku.acknowledged) == 2


@pytest.mark.parametrize("client", list(ClientName))
def test_a_load_of_every_client_gets_nothing_but_successes(
    service: Running, mobile: str, web: str, capsys: pytest.CaptureFixture[str], client: ClientName
) -> None:
    datastream = web if client is ClientName.WEB else mobile
    where = ["--url", service.url, "--datastream", datastream]

    ended = main(
        ["load", *where, "--client", client, "--devices", "5", "--rate", "60", "--duration", "0.5"]
    )

    printed = capsys.readouterr().out
    assert ended == 0, printed
    assert "30 of 30 requests ended" in printed
