"""A media session as the Web SDK plays it."""

from typing import Any

from tests.browser.conftest import Shop
from tests.browser.stored import key_of

PLAYER: dict[str, Any] = {
    "streamingMedia": {"channel": "shop tv", "playerName": "player of the shop"}
}
_START = """() => alloy("createMediaSession", {
  playerId: "trailer",
  getPlayerDetails: () => ({playhead: 7}),
  xdm: {mediaCollection: {sessionDetails: {
    length: 60, contentType: "VOD", name: "trailer", streamType: "video"}}},
})"""


def playing(event_type: str) -> dict[str, Any]:
    return {"playerId": "trailer", "xdm": {"eventType": event_type}}


def test_case_62_a_session_starts_with_an_id_that_its_later_events_carry(shop: Shop) -> None:
    tab = shop.visitor(**PLAYER).visit()

    session = tab.run(_START)["sessionId"]
    for name in ("media.play", "media.ping", "media.sessionComplete"):
        tab.alloy("sendMediaEvent", playing(name))

    start, *later = shop.events()
    assert [each.action for each in tab.exchanges()] == [
        "v1/interact",
        "va/v1/play",
        "va/v1/ping",
        "va/v1/sessionComplete",
    ]
    assert start.event_type == "media.sessionStart"
    assert start.xdm["mediaCollection"]["sessionDetails"]["channel"] == "shop tv"
    assert [each.event_type for each in later] == [
        "media.play",
        "media.ping",
        "media.sessionComplete",
    ]
    assert {each.xdm["mediaCollection"]["sessionID"] for each in later} == {session}
    assert {each.identity_id for each in [start, *later]} == {key_of("ECID", tab.ecid())}


def test_two_sessions_have_two_ids(shop: Shop) -> None:
    tab = shop.visitor(**PLAYER).visit()

    sessions = [tab.run(_START)["sessionId"] for _ in range(2)]

    assert sessions[0] != sessions[1]
