"""Media sessions over every path that clients use for them."""

import json
from typing import Any

import pytest

from mobile_stub import answers
from mobile_stub.device import Kind
from service.profiles.incoming import Kept
from tests.support.edge_documents import ECID, MOBILE_SDK, mobile, web
from tests.support.edge_world import World
from tests.support.wire import MOBILE_ID, WEB_ID, Reply, edge_query

START_EVENT = {"xdm": {"_id": "S-1", "eventType": "media.sessionStart"}}


def sessions(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in envelope["handle"] if each["type"] == "media-analytics:new-session"]


def start(world: World, event: dict[str, Any], request_id: str = "r-1") -> Reply:
    query = edge_query(WEB_ID, request_id)
    return world.browse(json.dumps(web(events=[event])).encode(), query=query)


def test_case_62_a_page_starts_its_session_with_an_event_and_goes_on_by_its_id() -> None:
    world = World()

    (handle,) = sessions(start(world, START_EVENT).json())
    session_id = handle["payload"][0]["sessionId"]
    ping = {"xdm": {"eventType": "media.ping", "mediaCollection": {"sessionID": session_id}}}
    reply = world.browse(json.dumps(web(events=[ping])).encode(), path="/ee/or2/va/v1/ping")

    assert handle["eventIndex"] == 0
    assert reply.status == 200
    assert sessions(reply.json()) == []
    started, pinged = (each.events[0] for each in world.committer.requests)
    assert started.event_type == "media.sessionStart"
    assert pinged.xdm["mediaCollection"] == {"sessionID": session_id}


def test_a_retry_of_the_same_event_is_the_same_session() -> None:
    unnamed = {"xdm": {"eventType": "media.sessionStart"}}

    def session(event: dict[str, Any], request_id: str) -> Any:
        (handle,) = sessions(start(World(), event, request_id).json())
        return handle["payload"][0]["sessionId"]

    assert session(START_EVENT, "r-1") == session(START_EVENT, "r-2")
    assert session(unnamed, "r-1") == session(unnamed, "r-1")
    assert session(unnamed, "r-1") != session(unnamed, "r-2")


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("name", ["sessionStart", "sessionstart", "play"])
def test_case_29_a_phone_sends_media_to_a_path_of_its_own(kind: Kind, name: str) -> None:
    world = World()
    event_type = "media.play" if name == "play" else "media.sessionStart"
    document = mobile(xdm={"_id": "S-1", "eventType": event_type})

    reply = world.post(
        json.dumps(document).encode(),
        path=f"/ee/or2/va/v1/{name}",
        query=edge_query(MOBILE_ID, "R-1"),
    )

    (envelope,) = answers.fragments_of(kind, reply.body)
    assert reply.status == 200
    assert len(sessions(envelope)) == (0 if name == "play" else 1)
    assert world.committer.requests[0].events[0].event_type == event_type


def test_a_rokus_session_is_told_plainly() -> None:
    xdm = {
        "identityMap": {"ECID": [{"id": ECID}]},
        "implementationDetails": {"name": f"{MOBILE_SDK}roku"},
    }
    body = json.dumps({"xdm": xdm, "events": [START_EVENT]}).encode()

    reply = World().post(body, path="/ee/va/v1/sessionStart")

    assert len(sessions(reply.json())) == 1


def test_the_path_names_an_event_that_does_not_name_itself() -> None:
    world = World()

    world.post({"events": [{"xdm": {"playhead": 5}}]}, path="/ee/va/v1/pauseStart")

    (event,) = world.committer.requests[0].events
    assert event.event_type == "media.pauseStart"
    assert event.xdm["eventType"] == "media.pauseStart"


def test_a_media_request_without_an_event_is_refused() -> None:
    reply = World().post({"query": {}}, path="/ee/va/v1/ping")

    assert reply.json()["type"].endswith("EXEG-0103-400")


def test_a_session_that_was_not_kept_has_no_id() -> None:
    other = {"xdm": {"_id": "E-2", "eventType": "a"}}
    world = World(outcomes=[Kept(stored=1, without_consent=(1,))])

    reply = world.browse(json.dumps(web(events=[other, START_EVENT])).encode())

    assert sessions(reply.json()) == []
    assert reply.json()["warnings"][0]["report"] == {"eventIndex": 1}


def test_each_session_of_a_request_is_told_of_which_event_it_is() -> None:
    events = [
        {},
        {"xdm": {"eventType": "a"}},
        START_EVENT,
        {"xdm": {**START_EVENT["xdm"], "_id": "S-2"}},
    ]

    reply = World().browse(json.dumps(web(events=events)).encode())

    found = sessions(reply.json())
    assert [each["eventIndex"] for each in found] == [2, 3]
    assert found[0]["payload"] != found[1]["payload"]
