"""What is kept of a sender beside what its events say themselves."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from service.catalog.datastream_settings import DatastreamSettings, IpObfuscation
from service.web.edge.enrichment import Additions, Sender, additions, enrich, kept_address
from tests.support.edge_documents import MOBILE_SDK, mobile, web
from tests.support.edge_world import PAGE, World, plain_body
from tests.support.wire import JSON_VALUES, MOBILE_ID, WEB_ID, call, datastream, edge_query

AGENT = "Mozilla/5.0 (Linux; U; Android 14; en-US; Pixel 8 Build/UP1A.231005.007)"
SEEN = {"User-Agent": AGENT, "Accept-Language": "en-US", "X-Forwarded-For": "203.0.113.77"}
NONE, PARTIAL, FULL = IpObfuscation.NONE, IpObfuscation.PARTIAL, IpObfuscation.FULL


def stored(
    body: bytes, obfuscation: IpObfuscation = FULL, headers: dict[str, str] = SEEN
) -> dict[str, Any]:
    settings = DatastreamSettings(ip_obfuscation=obfuscation)
    world = World(datastream(settings=settings), datastream("web", settings=settings))
    world.post(body, headers=headers, query=edge_query(WEB_ID))
    ((event,),) = (request.events for request in world.committer.requests)
    return event.xdm


def test_a_phones_event_is_kept_with_its_library_agent_and_language() -> None:
    xdm = stored(json.dumps(mobile()).encode())

    assert xdm["implementationDetails"] == {"name": f"{MOBILE_SDK}ios"}
    assert xdm["environment"] == {
        "browserDetails": {"userAgent": AGENT, "acceptLanguage": "en-US"},
    }


def test_a_library_is_named_briefly() -> None:
    document = mobile()
    name = document["xdm"]["implementationDetails"]["name"]
    document["xdm"]["implementationDetails"] |= {"version": "x" * 129, "environment": 5, "y": "z"}

    xdm = stored(json.dumps(document).encode())

    assert xdm["implementationDetails"] == {"name": name}


def test_what_an_event_says_itself_stays() -> None:
    own = {
        "implementationDetails": {"name": "mine"},
        "environment": {"type": "browser", "ipV4": "x", "browserDetails": {"userAgent": "mine"}},
    }
    document = mobile(xdm=own)

    xdm = stored(json.dumps(document).encode(), NONE)

    assert xdm["implementationDetails"] == {"name": "mine"}
    assert xdm["environment"] == {
        "type": "browser",
        "ipV4": "x",
        "browserDetails": {"userAgent": "mine", "acceptLanguage": "en-US"},
    }


@pytest.mark.parametrize("odd", [5, "x", [], None])
def test_an_odd_environment_is_kept_as_it_came(odd: Any) -> None:
    xdm = stored(plain_body(events=[{"xdm": {"environment": odd}}]))

    assert xdm["environment"] == odd


@pytest.mark.parametrize(
    ("queue_ms", "kept"),
    [(0, None), (12, 12), (300_000, 300_000), (300_001, None), (-1, None), (12.4, 12)],
)
def test_case_60_how_long_a_page_held_back_is_kept(queue_ms: float, kept: int | None) -> None:
    meta = {"state": {"domain": "example.com"}, "queueTimeMillis": queue_ms}

    xdm = stored(json.dumps(web(meta=meta)).encode())

    assert xdm.get("_edgepost", {}).get("queueTimeMillis") == kept


@pytest.mark.parametrize(
    ("obfuscation", "kept"), [(FULL, None), (PARTIAL, "203.0.113.0"), (NONE, "203.0.113.77")]
)
def test_the_address_is_kept_as_far_as_the_datastream_lets_it(
    obfuscation: IpObfuscation, kept: str | None
) -> None:
    settings = DatastreamSettings(ip_obfuscation=obfuscation)
    world = World(datastream(settings=settings))

    def behind_a_proxy(environ: Any, start_response: Any) -> Any:
        return world.application(environ | {"REMOTE_ADDR": "10.1.2.3"}, start_response)

    call(behind_a_proxy, "/ee/v1/interact", plain_body(), query=edge_query(MOBILE_ID), headers=SEEN)

    (event,) = world.committer.requests[0].events
    assert event.xdm["environment"].get("ipV4") == kept


@pytest.mark.parametrize(
    ("peer", "forwarded", "kept"),
    [
        ("8.8.8.8", "9.9.9.9", "8.8.8.8"),
        ("10.0.0.1", "9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "1.1.1.1, 9.9.9.9", "9.9.9.9"),
        ("10.0.0.1", "junk", "10.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("::ffff:8.8.8.8", "", "8.8.8.8"),
        ("2606:4700::1111", "", "2606:4700::1111"),
        ("fe80::1%eth0", " 2606:4700::1111 ", "2606:4700::1111"),
        ("", "9.9.9.9", None),
        ("unix:", "9.9.9.9", None),
    ],
)
def test_only_a_proxy_is_believed_about_who_stands_behind_it(
    peer: str, forwarded: str, kept: str | None
) -> None:
    address = kept_address(Sender(peer=peer, forwarded=forwarded), NONE)

    assert (str(address) if address else None) == kept


@pytest.mark.parametrize(
    ("address", "kept"),
    [("8.8.4.4", "8.8.4.0"), ("2606:4700:1:2:3:4:5:6", "2606:4700:1::")],
)
def test_a_part_of_the_address_tells_no_one_apart(address: str, kept: str) -> None:
    assert str(kept_address(Sender(peer=address), PARTIAL)) == kept


@pytest.mark.parametrize("agent", ["", "x" * 513, "a\x01b"])
def test_an_odd_header_is_not_kept(agent: str) -> None:
    assert additions(Sender(agent, agent), FULL, None, None) == Additions()


@given(JSON_VALUES, JSON_VALUES, st.text(max_size=8))
def test_an_event_loses_nothing(environment: Any, browser: Any, agent: str) -> None:
    own = {"environment": {"browserDetails": browser, "x": environment}, "_edgepost": browser}
    xdm = json.loads(json.dumps(own))

    enrich(xdm, additions(Sender(agent, "de", "8.8.8.8"), NONE, {"name": "n"}, 5))

    assert xdm["environment"]["x"] == environment
    if isinstance(browser, dict):
        assert browser.items() <= xdm["environment"]["browserDetails"].items()
        assert browser.items() <= xdm["_edgepost"].items()
    else:
        assert xdm["environment"]["browserDetails"] == browser
        assert xdm["_edgepost"] == browser


def test_nothing_of_the_sender_is_logged() -> None:
    world = World()
    headers = SEEN | {"Origin": PAGE}

    with capture_logs() as logs:
        world.post(b"{", headers=headers)
        world.post(plain_body(), headers=headers, path="/ee/own/path")

    assert len(logs) == 3
    assert AGENT not in str(logs)
    assert "203.0.113" not in str(logs)
