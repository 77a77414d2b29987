"""Bots' events are kept and marked; nobody else's are."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.permissions import ALL_SANDBOXES, Permission
from service.access.tokens import AccessToken
from tests.support.clocks import START
from tests.support.edge_documents import mobile, web
from tests.support.edge_world import PAGE, World, plain_body
from tests.support.wire import WEB_ID, edge_query

GOOGLE = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/128.0.0.0 Safari/537.36"
)
ANDROID = "Mozilla/5.0 (Linux; U; Android 14; en-US; Pixel 8 Build/UP1A.231005.007)"
IOS = "Mozilla/5.0 (iPhone; CPU OS 17_4 like Mac OS X; en-US)"
MARK = {"score": 1}


def stored(body: Any, agent: str, **options: Any) -> dict[str, Any]:
    """Return the XDM of the first event that is kept."""
    world = World(read_token=lambda _: TOKEN)
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"User-Agent": agent, **options.pop("headers", {})}
    reply = world.post(content, headers=headers, **{"query": edge_query(WEB_ID), **options})
    assert reply.status in {200, 202, 204}
    return world.committer.requests[0].events[0].xdm


TOKEN = AccessToken(
    "client", "org", frozenset({Permission.COLLECT}), frozenset({ALL_SANDBOXES}), START
)


@pytest.mark.parametrize(
    "agent",
    [
        GOOGLE,
        "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2)",
        CHROME.replace("Chrome/", "HeadlessChrome/"),
        "curl/8.10.1",
    ],
)
@pytest.mark.parametrize("path", ["/ee/v1/interact", "/ee/v1/collect", "/ee/va/v1/ping"])
def test_a_bots_event_is_kept_with_adobes_mark(agent: str, path: str) -> None:
    assert stored(web(), agent, path=path, headers={"Origin": PAGE})["botDetection"] == MARK


@pytest.mark.parametrize("agent", [CHROME, ANDROID, IOS, "", "x" * 5000])
def test_everyone_elses_event_is_not_marked(agent: str) -> None:
    assert "botDetection" not in stored(web(), agent, headers={"Origin": PAGE})


def test_a_script_that_is_no_page_is_marked_too() -> None:
    assert stored(plain_body(), "python-requests/2.34")["botDetection"] == MARK


def test_a_phone_is_known_by_its_sdk_and_never_looked_up() -> None:
    assert "botDetection" not in stored(mobile(), GOOGLE)


def test_a_server_that_proves_who_it_is_speaks_for_people() -> None:
    headers = {"Authorization": "Bearer t", "x-api-key": "client", "x-gw-ims-org-id": "org"}

    xdm = stored(plain_body(), "python-requests/2.34", path="/ee/v2/collect", headers=headers)

    assert "botDetection" not in xdm


def test_every_event_of_the_request_is_marked() -> None:
    world = World()
    events = [{"xdm": {"eventType": f"e{number}"}} for number in range(3)]

    world.browse(json.dumps({"events": events}).encode(), headers={"User-Agent": GOOGLE})

    (request,) = world.committer.requests
    assert [event.xdm["botDetection"] for event in request.events] == [MARK] * 3


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ({"score": 0}, MARK),
        ({"score": 0, "mine": "x"}, {"score": 1, "mine": "x"}),
        (None, MARK),
        ([], MARK),
    ],
)
def test_a_bot_has_no_say_in_it(said: Any, kept: Any) -> None:
    body = plain_body(events=[{"xdm": {"botDetection": said}}])

    assert stored(body, GOOGLE)["botDetection"] == kept


def test_what_a_person_says_of_bots_stays() -> None:
    body = plain_body(events=[{"xdm": {"botDetection": {"score": 0}}}])

    assert stored(body, CHROME)["botDetection"] == {"score": 0}


@given(st.text(max_size=600))
def test_no_agent_can_spoil_a_request(agent: str) -> None:
    usable = agent.encode("latin-1", "ignore").decode("latin-1")

    assert stored(plain_body(), usable)["eventType"] == "a"
