"""Cookies that the answer sets itself, and for whom it must not."""

import json
from typing import Any

import pytest

from service.web.edge.identity_cookie import cookie_name, decode_cookie
from tests.support.edge_documents import web
from tests.support.edge_world import World, consent_body
from tests.support.wire import ORG, Reply

SET_CONSENT = "/ee/v1/privacy/set-consent"
FIRST_PARTY = {"Origin": "https://www.example.com", "Host": "edge.example.com"}


def browse(body: bytes, headers: dict[str, str], **options: Any) -> Reply:
    return World().browse(body, headers=headers, **options)


def attributes(cookie: str) -> tuple[str, str, set[str]]:
    pair, *rest = cookie.split("; ")
    name, _, value = pair.partition("=")
    return name, value, set(rest)


def test_a_first_party_browser_is_given_the_cookie_and_the_handle() -> None:
    reply = browse(json.dumps(web()).encode(), FIRST_PARTY)

    (name, value, rest) = attributes(*reply.cookies)
    (entry,) = reply.json()["handle"][1]["payload"]
    decoded = decode_cookie(value)
    assert (name, value) == (cookie_name(ORG), entry["value"])
    assert decoded is not None
    assert rest == {
        "Domain=example.com",
        "Path=/",
        "Max-Age=34128000",
        "Secure",
        "SameSite=None",
    }


def test_a_consent_sets_both_cookies() -> None:
    reply = browse(consent_body(), FIRST_PARTY, path=SET_CONSENT)

    found = {name: (value, rest) for name, value, rest in map(attributes, reply.cookies)}
    value, rest = found[cookie_name(ORG, "consent")]
    assert set(found) == {cookie_name(ORG), cookie_name(ORG, "consent")}
    assert value == "general=in"
    assert "Max-Age=15552000" in rest


@pytest.mark.parametrize(
    ("host", "origin", "is_first_party"),
    [
        ("edge.example.com", "https://www.example.com", True),
        ("edge.example.com:8443", "https://www.example.com:8443", True),
        ("EDGE.Example.com", "https://example.com", True),
        ("example.com", "https://example.com", True),
        ("edge.other.com", "https://www.example.com", False),
        ("edge.notexample.com", "https://www.example.com", False),
        ("edge.example.com", "https://evil.com", False),
        ("edge.example.com", "https://evilexample.com", False),
        ("edge.example.com", "https://example.com.evil.com", False),
        ("edge.example.com", "null", False),
        ("edge.example.com", None, False),
        ("", "https://www.example.com", False),
    ],
)
def test_cookies_are_set_only_where_host_and_page_share_the_domain(
    host: str, origin: str | None, *, is_first_party: bool
) -> None:
    headers = {"Host": host} | ({"Origin": origin} if origin else {})

    reply = browse(json.dumps(web()).encode(), headers)

    assert bool(reply.cookies) is is_first_party
    assert [each["type"] for each in reply.json()["handle"]] == ["identity:result", "state:store"]


@pytest.mark.parametrize(
    "domain", ["com", "", "localhost", ".com", "10.0.0.1", "a b.com", "x;y.com", "a.com\r\nX: 1"]
)
def test_no_cookie_is_set_for_what_is_no_domain_of_a_site(domain: str) -> None:
    state = {"domain": domain, "cookiesEnabled": True}
    headers = {"Origin": f"https://{domain}", "Host": domain.partition("\r")[0] or "x"}

    reply = browse(json.dumps(web(meta={"state": state})).encode(), headers)

    assert reply.cookies == ()


@pytest.mark.parametrize(
    "state",
    [
        {"domain": "example.com", "cookiesEnabled": False},
        {"domain": "example.com", "entries": [{"key": "kndctr_x", "value": "y"}]},
        {"cookiesEnabled": True},
    ],
)
def test_no_cookie_is_set_where_cookies_do_not_travel(state: dict[str, Any]) -> None:
    reply = browse(json.dumps(web(meta={"state": state})).encode(), FIRST_PARTY)

    assert reply.cookies == ()


def test_case_50_a_page_of_another_site_keeps_its_values_itself() -> None:
    headers = {"Origin": "https://www.example.com", "Host": "edge.other.example"}
    first = browse(json.dumps(web()).encode(), headers)
    (entry,) = first.json()["handle"][1]["payload"]

    again = browse(json.dumps(web(cookie=entry["value"])).encode(), headers)

    assert first.cookies == again.cookies == ()
    assert again.json()["handle"] == first.json()["handle"][:1]


def test_a_browser_with_its_cookie_is_given_none() -> None:
    first = browse(json.dumps(web()).encode(), FIRST_PARTY)
    name, value, _ = attributes(*first.cookies)

    again = browse(json.dumps(web()).encode(), FIRST_PARTY | {"Cookie": f"{name}={value}"})

    assert again.cookies == ()
    assert again.json()["handle"] == first.json()["handle"][:1]
