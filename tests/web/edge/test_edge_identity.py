"""Who a browser or a Roku is told to be, over the whole protocol."""

import json
from datetime import timedelta
from typing import Any

import pytest

from service.catalog.datastream_settings import DatastreamSettings
from service.flows.sources import DatastreamSource
from service.identity.identity_map import ClaimedIdentity
from service.web.edge.identity_cookie import cookie_name, decode_cookie, encode_cookie
from tests.support.clocks import START
from tests.support.edge_documents import ECID, MOBILE_SDK, OTHER_ECID, parsed, web
from tests.support.edge_world import PAGE, World, plain_body
from tests.support.wire import ORG, WEB_ID, Reply, datastream, edge_query

ACQUIRE = "/ee/v1/identity/acquire"
FETCH_ECID = {"identity": {"fetch": ["ECID"]}}
FETCH_BOTH = {"identity": {"fetch": ["ECID", "CORE"]}}
WITH_CORE = DatastreamSettings(third_party_ids=True)


def payloads(reply: Reply, kind: str) -> list[dict[str, Any]]:
    found = [each["payload"] for each in reply.json()["handle"] if each["type"] == kind]
    return [item for payload in found for item in payload]


def told_ecid(reply: Reply) -> str:
    return str(payloads(reply, "identity:result")[0]["id"])


def web_source(**settings: Any) -> DatastreamSource:
    return datastream("web", settings=DatastreamSettings(**settings))


@pytest.mark.parametrize("body", [{"query": FETCH_ECID}, {"query": {}}, {}, {"unknown": 1}])
def test_an_identity_is_acquired_without_any_event(body: dict[str, Any]) -> None:
    world = World()

    reply = world.browse(json.dumps(body).encode(), path=ACQUIRE)

    (entry,) = payloads(reply, "state:store")
    cookie = decode_cookie(entry["value"])
    assert reply.status == 200
    assert cookie is not None
    assert cookie.ecid == told_ecid(reply)
    assert world.committer.requests == []


def test_case_63_the_identity_cookie_alone_says_who_the_browser_is() -> None:
    reply = World().browse(json.dumps(web()).encode())

    (entry,) = payloads(reply, "state:store")
    cookie = decode_cookie(entry["value"])
    assert cookie is not None
    assert (cookie.ecid, cookie.written_at) == (told_ecid(reply), START)
    assert entry["key"] == cookie_name(ORG)


def test_case_48_the_first_answer_lets_the_page_send_the_rest_with_one_identity() -> None:
    world = World()
    first = world.browse(json.dumps(web()).encode())
    (cookie,) = payloads(first, "state:store")

    rest = [
        world.browse(json.dumps(web(cookie=cookie["value"])).encode(), query=edge_query(WEB_ID))
        for _ in range(3)
    ]

    assert {told_ecid(each) for each in (first, *rest)} == {told_ecid(first)}
    assert [payloads(each, "state:store") for each in rest] == [[], [], []]
    devices = {each.events[0].identities for each in world.committer.requests}
    assert devices == {(ClaimedIdentity("ECID", told_ecid(first)),)}


def test_case_49_a_refused_first_event_leaves_the_second_its_identity() -> None:
    world = World()
    bad = json.dumps(web(events=[{"xdm": {"_id": 5}}])).encode()

    first, second = world.browse(bad), world.browse(json.dumps(web()).encode())

    assert (first.status, second.status) == (400, 200)
    assert len(payloads(second, "state:store")) == 1


def test_case_51_the_cookie_is_meant_for_third_party_pages_too() -> None:
    (entry,) = payloads(World().browse(json.dumps(web()).encode()), "state:store")

    assert entry["attrs"] == {"SameSite": "None"}


@pytest.mark.parametrize("path", ["/ee/v1/interact", ACQUIRE])
def test_case_52_a_link_from_the_app_brings_its_ecid_to_the_browser(path: str) -> None:
    world = World()
    document = web(xdm={"identityMap": {"ECID": [{"id": OTHER_ECID}]}})

    reply = world.browse(json.dumps(document).encode(), path=path)

    (entry,) = payloads(reply, "state:store")
    cookie = decode_cookie(entry["value"])
    assert told_ecid(reply) == OTHER_ECID
    assert cookie is not None
    assert cookie.ecid == OTHER_ECID


@pytest.mark.parametrize("place", ["request", "event", "cookie", "own cookie"])
def test_case_53_a_first_party_id_keeps_the_ecid_wherever_it_stands(place: str) -> None:
    def told(request_id: str) -> str:
        world = World(web_source(fpid_cookie="shop_id"))
        fpid = {"identityMap": {"FPID": [{"id": "f-1"}]}}
        document = web()
        headers = {"Origin": PAGE}
        if place == "request":
            document["xdm"] = fpid
        elif place == "event":
            document["events"][0]["xdm"] |= fpid
        else:
            headers["Cookie"] = f"{'FPID' if place == 'cookie' else 'shop_id'}=f-1"
        body = json.dumps(document).encode()
        return told_ecid(world.browse(body, query=edge_query(WEB_ID, request_id), headers=headers))

    same = {told("r-1"), told("r-2"), told("r-3")}

    assert len(same) == 1
    assert same == {parsed(web(), platform="web", cookie_header="FPID=f-1").device.ecid}


def test_case_53_the_cookie_outranks_a_first_party_id() -> None:
    value = encode_cookie(ECID, START - timedelta(hours=30), is_new=False)
    document = web(cookie=value, xdm={"identityMap": {"FPID": [{"id": "f-1"}]}})

    reply = World().browse(json.dumps(document).encode())

    assert told_ecid(reply) == ECID
    assert len(payloads(reply, "state:store")) == 1


def test_an_ecid_of_one_event_among_several_is_not_taken_for_the_browsers() -> None:
    own = {"xdm": {"identityMap": {"ECID": [{"id": OTHER_ECID}]}}}

    request = parsed(web(events=[own, {"xdm": {}}]), platform="web")

    assert request.device.is_new
    assert request.incoming.events[1].identities[0].value != OTHER_ECID


def test_a_service_worker_needs_neither_cookie_nor_state() -> None:
    world = World()
    xdm = {"identityMap": {"ECID": [{"id": ECID}]}, "eventType": "pushTracking.customAction"}

    reply = world.browse(json.dumps({"events": [{"xdm": xdm}]}).encode())

    (event,) = world.committer.requests[0].events
    assert reply.json()["handle"] == []
    assert event.identities == (ClaimedIdentity("ECID", ECID),)


def test_a_third_party_id_is_given_where_the_datastream_allows_it() -> None:
    world = World(datastream("web", settings=WITH_CORE))

    first, again = (
        world.browse(json.dumps(web(query=FETCH_BOTH)).encode(), query=edge_query(WEB_ID, "r-1"))
        for _ in range(2)
    )

    ecid, core = payloads(first, "identity:result")
    assert [ecid["namespace"]["code"], core["namespace"]["code"]] == ["ECID", "CORE"]
    assert len(core["id"]) == 38
    assert core["id"] != ecid["id"]
    assert payloads(again, "identity:result") == [ecid, core]
    assert "warnings" not in first.json()


def test_an_identity_that_is_not_given_is_a_warning() -> None:
    reply = World().browse(json.dumps(web(query=FETCH_BOTH)).encode())

    (warning,) = reply.json()["warnings"]
    assert reply.status == 200
    assert len(payloads(reply, "identity:result")) == 1
    assert warning["type"].endswith("EXEG-0303-200")
    assert warning["report"]["cause"]["message"] == "CORE"


def test_case_34_a_phone_that_keeps_no_state_needs_none() -> None:
    xdm = {"identityMap": {"ECID": [{"id": ECID}]}, "implementationDetails": {"name": MOBILE_SDK}}

    reply = World().post(plain_body(xdm=xdm))

    assert reply.json()["handle"] == []


def test_case_64_a_roku_is_given_its_ecid_in_the_first_handle() -> None:
    asks_alone = {"events": [{"query": FETCH_ECID}]}
    asks_at_the_top = {"query": FETCH_ECID, "events": [{"query": FETCH_ECID}]}
    world = World()

    replies = [world.post(json.dumps(each).encode()) for each in (asks_alone, asks_at_the_top)]

    for reply in replies:
        first = reply.json()["handle"][0]
        assert first["type"] == "identity:result"
        assert len(first["payload"][0]["id"]) == 38
    assert world.committer.requests == []


def test_case_64_a_rokus_ecid_comes_back_in_its_lower_case_identity_map() -> None:
    world = World()
    item = {"id": ECID, "authenticatedstate": "ambiguous", "primary": False}
    xdm = {
        "identitymap": {"ecid": [item]},
        "implementationdetails": {"name": f"{MOBILE_SDK}roku", "version": "1.1.0"},
    }

    reply = world.post(plain_body(xdm=xdm, query=FETCH_ECID))

    (event,) = world.committer.requests[0].events
    assert told_ecid(reply) == ECID
    assert event.identities == (ClaimedIdentity("ECID", ECID),)
    assert event.xdm["implementationDetails"]["name"] == f"{MOBILE_SDK}roku"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (b'{"identity": {"fetch": "ECID"}}', "$.events[0].query.identity.fetch"),
        (b"5", "$.events[0].query"),
        (b'"\xff"', "not"),
        (b'{"identity": {"fetch": ["\\ud800"]}}', "not"),
    ],
)
def test_a_question_of_an_odd_shape_is_refused(query: bytes, words: str) -> None:
    reply = World().post(b'{"events": [{"query": %s}]}' % query)

    assert reply.status == 400
    assert words in reply.json()["detail"]
