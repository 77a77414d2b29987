import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from mobile_stub.browser import Browser
from mobile_stub.edge_client import Edge
from mobile_stub.fetch import PageError
from mobile_stub.gateway_http import Reply, answer
from mobile_stub.page import Page, log_in, log_out, page_event, read_answer
from tests.mobile_stub.scripted_edge import ScriptedEdge, for_pages

NOW = datetime(2026, 7, 1, 10, 15, 30, 123000, tzinfo=UTC)
COOKIE = {"key": "kndctr_EDGEPOST_AdobeOrg_identity", "value": "CiY0", "maxAge": 34128000}
STORE = {"type": "state:store", "payload": [COOKIE]}
ECID = {
    "type": "identity:result",
    "payload": [{"id": "4186", "namespace": {"code": "ECID"}}],
}


def body_of(page: Page, **more: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(page_event(page, NOW, **more))
    return document


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def browser(edge: ScriptedEdge, waits: list[float]) -> Iterator[Browser]:
    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return True

    with closing(Browser(Page(), Edge(edge.url, "web-1"), 1, wait=wait, clock=lambda: NOW)) as one:
        yield one


def test_an_anonymous_event_has_no_id_no_streaming_and_asks_for_the_ecid() -> None:
    document = body_of(Page(), path="/shoes")

    (event,) = document["events"]
    assert document["meta"] == {"state": {"domain": "example.com", "cookiesEnabled": True}}
    assert document["query"] == {"identity": {"fetch": ["ECID"]}}
    assert "xdm" not in document
    assert not {"_id", "identityMap"} & set(event["xdm"])
    assert event["xdm"]["eventType"] == "web.webpagedetails.pageViews"
    assert event["xdm"]["timestamp"] == "2026-07-01T10:15:30.123Z"
    assert event["xdm"]["web"]["webPageDetails"] == {"URL": "https://www.example.com/shoes"}
    assert event["xdm"]["implementationDetails"]["name"].endswith("/alloy")


def test_a_person_stands_on_the_event_and_only_while_logged_in() -> None:
    known = log_in(Page(), "C-1")

    (event,) = body_of(known, data={"cart": 1})["events"]
    (later,) = body_of(log_out(known))["events"]

    item = {"id": "C-1", "authenticatedState": "authenticated", "primary": True}
    assert event["xdm"]["identityMap"] == {"CRMID": [item]}
    assert event["data"] == {"cart": 1}
    assert "identityMap" not in later["xdm"]


def test_cookies_travel_as_entries_without_max_age_and_end_the_migration() -> None:
    migrated = Page(migrated_ecid="4711")

    page = read_answer(migrated, {"handle": [STORE, ECID]})
    cleared = read_answer(
        page, {"handle": [{"type": "state:store", "payload": [COOKIE | {"maxAge": 0}]}]}
    )

    document = body_of(page)
    assert body_of(migrated)["xdm"] == {"identityMap": {"ECID": [{"id": "4711"}]}}
    assert document["meta"]["state"]["entries"] == [{"key": COOKIE["key"], "value": "CiY0"}]
    assert "xdm" not in document
    assert page.ecid == "4186"
    assert cleared.cookies == ()


def test_a_browser_posts_plain_text_and_keeps_what_comes_back(
    edge: ScriptedEdge, browser: Browser
) -> None:
    edge.replies = [for_pages(200, STORE, ECID), for_pages(204)]

    sent = [browser.send(), browser.send()]

    first, second = edge.requests
    assert first.headers[b"content-type"] == b"text/plain; charset=UTF-8"
    assert first.headers[b"origin"] == b"https://www.example.com"
    assert first.query == f"configId=web-1&requestId={sent[0]}"
    assert json.loads(second.body)["meta"]["state"]["entries"][0]["value"] == "CiY0"
    assert browser.acknowledged == sent
    assert sent[0] != sent[1]


def test_a_browser_retries_three_times_with_the_same_request(
    edge: ScriptedEdge, browser: Browser, waits: list[float]
) -> None:
    edge.replies = [
        for_pages(503, headers=("Retry-After: 7",)),
        for_pages(429),
        for_pages(502),
        for_pages(504),
    ]

    with pytest.raises(PageError, match="504"):
        browser.send()

    assert waits[0] == 7
    assert 1.4 <= waits[1] <= 2.6
    assert 2.1 <= waits[2] <= 3.9
    assert len({(request.query, request.body) for request in edge.requests}) == 1
    assert browser.acknowledged == []


@pytest.mark.parametrize(
    "reply",
    [
        for_pages(200, body=b""),
        for_pages(200, body=b"{}"),
        for_pages(200, body=b'{"handle": [{"type": "x"}]}'),
        for_pages(200, body=b"\0{}"),
        for_pages(202, body=b'{"requestId": "r"}'),
        for_pages(400, body=b"no"),
        for_pages(500),
        for_pages(200, origin="*"),
        answer(200, b'{"handle": []}'),
    ],
    ids=[
        "empty",
        "no handle array",
        "no payload",
        "framed",
        "accepted",
        "bad request",
        "broken",
        "any origin",
        "no CORS",
    ],
)
def test_what_rejects_the_pages_call(edge: ScriptedEdge, browser: Browser, reply: Reply) -> None:
    edge.replies = [reply]

    with pytest.raises(PageError):
        browser.send()

    assert len(edge.requests) == 1
