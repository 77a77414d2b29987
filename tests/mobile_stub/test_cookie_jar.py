from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_stub import identity_cookie
from mobile_stub.cookie_jar import Cookie, CookieJar, site_of
from tests.mobile_stub.pages import ECID, identity_value

NOW = datetime(2026, 7, 1, tzinfo=UTC)
DOCUMENTED = (
    "CiY0MTg2MTY2NjE5MzE0MDE2MTkzNDI3Njg0NTY1MTE0ODg3Njk4OFIQCM68vcXoMhgBKgNPUjIwAaAB0ry9xegysAHC"
    "qAHwAc68vcXoMg=="
)
EDGE, PAGE = "edge.example.com", "www.example.com"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def taken(*headers: str, host: str = EDGE, page: str = PAGE) -> CookieJar:
    jar = CookieJar(lambda: NOW)
    jar.take(headers, host, page)
    return jar


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("www.example.com", "example.com"),
        ("a.b.example.com:8443", "example.com"),
        ("localhost", ""),
        ("127.0.0.1:80", ""),
    ],
)
def test_a_site_is_its_last_two_labels(host: str, site: str) -> None:
    assert site_of(host) == site


def test_a_cookie_of_the_apex_domain_is_read_by_the_page_and_travels_to_the_edge() -> None:
    jar = taken("a=1; Domain=example.com; Path=/; Max-Age=60; Secure; SameSite=None")

    assert jar.readable(PAGE) == {"a": "1"}
    assert jar.travelling(EDGE, PAGE) == "a=1"
    assert jar.travelling("edge.other.test", PAGE) == ""


def test_a_cookie_of_one_host_is_not_its_neighbours() -> None:
    jar = taken("a=1")

    assert jar.readable(PAGE) == {}
    assert jar.travelling(EDGE, PAGE) == "a=1"


def test_an_http_only_cookie_travels_unread() -> None:
    jar = taken("a=1; Domain=example.com; HttpOnly")

    assert jar.readable(PAGE) == {}
    assert jar.travelling(EDGE, PAGE) == "a=1"


@pytest.mark.parametrize(
    "header",
    [
        "a=1; Domain=other.test",
        "a=1; Domain=com",
        "a=1; Domain=example.com; SameSite=None",
        "a=1; Domain=example.com; Max-Age=0",
    ],
    ids=["foreign", "top level", "not secure", "over"],
)
def test_a_cookie_that_no_browser_takes(header: str) -> None:
    assert taken(header).travelling(EDGE, PAGE) == ""


def test_case_51_a_foreign_cookie_must_be_secure_and_for_every_site() -> None:
    marked = taken("a=1; Secure; SameSite=None", host="edge.other.test")
    unmarked = taken("a=1; Secure", host="edge.other.test")
    blocked = CookieJar(lambda: NOW, takes_third_party=False)
    blocked.take(["a=1; Secure; SameSite=None"], "edge.other.test", PAGE)

    assert marked.travelling("edge.other.test", PAGE) == "a=1"
    assert unmarked.travelling("edge.other.test", PAGE) == ""
    assert blocked.travelling("edge.other.test", PAGE) == ""


def test_a_cookie_ends_when_it_is_over() -> None:
    clock = Clock()
    jar = CookieJar(clock)
    jar.put(Cookie("a", "1", "example.com", expires_at=NOW + timedelta(seconds=1)))
    jar.put(Cookie("b", "2", "example.com"))

    clock.now += timedelta(seconds=1)

    assert jar.readable(PAGE) == {"b": "2"}


def test_a_removed_cookie_is_gone_from_the_hosts_that_had_it() -> None:
    jar = CookieJar(lambda: NOW)
    jar.put(Cookie("a", "1", "example.com"))
    jar.put(Cookie("a", "2", "other.test"))

    jar.remove("a", PAGE)

    assert (jar.readable(PAGE), jar.readable("www.other.test")) == ({}, {"a": "2"})


def test_case_63_the_ecid_is_read_out_of_the_documented_cookie() -> None:
    assert identity_cookie.ecid_of(DOCUMENTED) == ECID
    assert identity_cookie.ecid_of(DOCUMENTED.rstrip("=")) == ECID
    assert identity_cookie.ecid_of(DOCUMENTED.replace("=", "%3D")) == ECID
    assert identity_cookie.ecid_of(DOCUMENTED.replace("+", "-").replace("/", "_")) == ECID
    assert identity_cookie.ecid_of(identity_value()) == ECID


@pytest.mark.parametrize("value", ["", "===", "ñ", "AAAA", "CiY0", "////", "UhAI"])
def test_a_cookie_without_an_ecid_gives_none(value: str) -> None:
    found = identity_cookie.ecid_of(value)

    assert found is None or len(found) < len(ECID)


@given(value=st.text() | st.binary(max_size=40).map(lambda data: data.hex()))
def test_no_value_breaks_the_page(value: str) -> None:
    found = identity_cookie.ecid_of(value)

    assert found is None or isinstance(found, str)
