from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from mobile_stub import answers, page
from mobile_stub.device import Kind
from service.flows.sources import Disabled
from tests.support.clocks import START
from tests.support.edge_world import DOCUMENTED, PAGE, World, phone_body, plain_body
from tests.support.wire import (
    MOBILE_ID,
    ORG,
    WEB_ID,
    Reply,
    call,
    datastream,
    edge_query,
)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_phones_event_is_kept_and_its_answer_can_be_read(kind: Kind) -> None:
    world = World()

    reply = world.post(phone_body(kind), query=edge_query(MOBILE_ID, "r-1"))

    (envelope,) = answers.fragments_of(kind, reply.body)
    assert reply.status == 200
    assert envelope == {"requestId": "r-1", "handle": []}
    (request,) = world.committer.requests
    assert (request.source.id, request.request_id, request.received_at) == (MOBILE_ID, "r-1", START)
    assert request.events[0].event_type == "commerce.purchases"


@pytest.mark.parametrize("kind", list(Kind))
def test_a_push_token_arrives_as_it_was_announced(kind: Kind) -> None:
    world = World()

    reply = world.post(phone_body(kind, "TOKEN:1"))

    assert reply.status == 200
    ((event,),) = (request.events for request in world.committer.requests)
    assert event.event_type is None
    assert event.tokens[0].token == "TOKEN:1"
    assert event.tokens[0].device == event.identities[0]


def test_a_mobile_success_is_framed_and_no_other_is() -> None:
    world = World()

    framed = world.post(phone_body())
    plain = world.post(plain_body())
    off = world.post(plain_body(meta={"konductorConfig": {"streaming": {"enabled": False}}}))

    assert framed.body.startswith(b"\x00{")
    assert framed.body.endswith(b"}\n")
    assert framed.body.count(b"\n") == 1
    assert plain.json()["handle"] == []
    assert off.json()["handle"] == []


def test_a_client_that_names_its_own_separators_gets_them() -> None:
    streaming = {"enabled": True, "recordSeparator": "<", "lineFeed": ">"}

    reply = World().post(plain_body(meta={"konductorConfig": {"streaming": streaming}}))

    assert reply.body.startswith(b"<{")
    assert reply.body.endswith(b"}>")


@pytest.mark.parametrize("body", [phone_body(), b"", b"{", b"[]", b"x" * 65_537])
@pytest.mark.parametrize("action", ["interact", "collect"])
def test_no_answer_has_a_status_that_a_phone_takes_for_unknown(body: bytes, action: str) -> None:
    reply = World().post(body, path=f"/ee/v1/{action}")

    assert reply.status in DOCUMENTED


def test_an_error_to_a_phone_is_never_framed() -> None:
    body = phone_body().replace(b"events", b"eventz")

    reply = World().post(body)

    assert reply.status == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["type"].endswith("EXEG-0103-400")


def test_collect_is_answered_204_without_a_body() -> None:
    world = World()

    reply = world.post(plain_body(), path="/ee/v1/collect")

    assert (reply.status, reply.body) == (204, b"")
    assert "content-type" not in reply.headers
    assert len(world.committer.requests) == 1


@pytest.mark.parametrize(
    ("query", "code", "status"),
    [
        ("requestId=r-1", "0002-400", 400),
        ("requestId=r-1&configId=", "0002-400", 400),
        ("requestId=r-1&configId=BOGUS", "0003-400", 400),
        (f"requestId=r-1&configId={WEB_ID}", "0004-422", 422),
    ],
)
def test_a_datastream_that_cannot_be_used_has_its_code(query: str, code: str, status: int) -> None:
    world = World(datastream(), Disabled(WEB_ID))

    reply = world.post(phone_body(), query=query)

    assert reply.status == status
    assert reply.json()["type"] == f"https://ns.adobe.com/aep/errors/EXEG-{code}"
    assert reply.json()["status"] == status
    assert reply.json()["report"]["requestId"] == "r-1"
    assert world.committer.requests == []


@pytest.mark.parametrize("suffix", [":stage", ":dev", "%3Astage"])
def test_the_stage_of_a_datastream_id_is_not_part_of_it(suffix: str) -> None:
    assert World().post(phone_body(), query=f"configId={MOBILE_ID}{suffix}").status == 200


@pytest.mark.parametrize(("size", "status"), [(65_536, 200), (65_537, 413)])
def test_a_body_may_have_64_kib(size: int, status: int) -> None:
    head, tail = b'{"events": [{"data": {"a": "', b'"}}]}'
    body = head + b"x" * (size - len(head) - len(tail)) + tail

    assert World().post(body).status == status


def test_a_body_without_a_length_is_read_to_its_bound() -> None:
    options = {"query": edge_query(MOBILE_ID)}

    small = call_chunked(World(), plain_body(), **options)
    large = call_chunked(World(), b"x" * 70_000, **options)

    assert (small.status, large.status) == (200, 413)


def call_chunked(world: World, body: bytes, *, query: str) -> Reply:
    def without_length(environ: Any, start_response: Any) -> Any:
        del environ["CONTENT_LENGTH"]
        return world.application(environ, start_response)

    return call(without_length, "/ee/v1/interact", body, query=query)


@pytest.mark.parametrize("content_type", ["text/plain; charset=UTF-8", "application/json", "", "x"])
def test_the_content_type_does_not_matter(content_type: str) -> None:
    assert World().post(phone_body(), headers={"Content-Type": content_type}).status == 200


@pytest.mark.parametrize("path", ["/ee/my/own/path", "/ee-pre-prd/or2/x", "/ee/v1/interactx"])
def test_an_apps_own_path_is_refused_on_purpose_and_logged(path: str) -> None:
    with capture_logs() as logs:
        reply = World().browse(phone_body(), path=path)

    assert (reply.status, reply.json()["status"]) == (404, 404)
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert ("edge_path_not_served", path) in [(each["event"], each.get("path")) for each in logs]


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_other_methods_are_405_and_say_what_is_allowed(method: str) -> None:
    reply = World().post(b"", method=method)

    assert reply.status == 405
    assert reply.headers["allow"] == "POST, OPTIONS"


def test_a_request_without_identities_is_kept() -> None:
    world = World()

    reply = world.post(plain_body())

    assert reply.status == 200
    assert world.committer.requests[0].events[0].identities == ()


def test_a_new_browser_is_told_its_ecid_and_given_the_cookie() -> None:
    world = World()

    reply = world.browse(page.page_event(page.Page(), START))

    result, store = reply.json()["handle"]
    (identity,) = world.committer.requests[0].events[0].identities
    assert result["type"] == "identity:result"
    assert result["payload"] == [{"id": identity.value, "namespace": {"code": "ECID"}}]
    assert store["type"] == "state:store"
    (entry,) = store["payload"]
    assert entry["key"] == f"kndctr_{ORG.replace('@', '_')}_identity"
    assert entry["maxAge"] == 34_128_000
    assert entry["attrs"] == {"SameSite": "None"}


def test_a_browser_that_returns_with_its_cookie_stays_who_it_is() -> None:
    world = World()
    first = world.browse(page.page_event(page.Page(), START)).json()["handle"]
    cookie = first[1]["payload"][0]
    known = page.Page(cookies=((cookie["key"], cookie["value"]),))

    second = world.browse(page.page_event(known, START + timedelta(minutes=1))).json()["handle"]

    assert [handle["type"] for handle in second] == ["identity:result"]
    assert second[0] == first[0]


def test_a_roku_is_told_its_ecid_and_given_no_cookie() -> None:
    query = {"identity": {"fetch": ["ECID"]}}
    details = {"name": "https://ns.adobe.com/experience/mobilesdk/roku"}
    world = World()

    reply = world.post({"query": query, "xdm": {"implementationDetails": details}, "events": [{}]})

    (handle,) = reply.json()["handle"]
    assert handle["type"] == "identity:result"
    assert world.committer.requests == []


def test_the_request_id_comes_back_in_header_and_body() -> None:
    reply = World().post(plain_body(), query=edge_query(MOBILE_ID, "ABC-1"))

    assert reply.headers["x-request-id"] == "ABC-1"
    assert reply.json()["requestId"] == "ABC-1"


def test_the_header_names_the_request_when_the_url_does_not() -> None:
    reply = World().post(
        plain_body(), query=f"configId={MOBILE_ID}", headers={"x-request-id": "from-header"}
    )

    assert reply.json()["requestId"] == "from-header"


@pytest.mark.parametrize("body", [b"[]", b'{"events": [{"xdm": {}}, {"xdm": []}]}', b"{", b"{}"])
def test_a_4xx_is_atomic(body: bytes) -> None:
    world = World()

    reply = world.post(body)

    assert 400 <= reply.status < 500
    assert world.committer.requests == []
