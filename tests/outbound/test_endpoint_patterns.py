"""URL patterns: what they cover, what they share, and in which form they are compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.outbound.endpoint_patterns import Pattern, parse_pattern, parse_target
from tests.support.globs import is_named, words

HOST = "https://a.example"
WORDS = words(8)
GLOBS = st.text("ab*", max_size=4)


def pattern(path: str) -> Pattern:
    return Pattern(HOST, f"/{path}")


@pytest.mark.parametrize(
    ("url", "target", "covered"),
    [
        ("https://a.example", "https://a.example/", True),
        ("https://A.example:443/x", "https://a.example/x", True),
        ("https://a.example./x", "https://a.example/x", True),
        ("https://a.example/x", "http://a.example/x", False),
        ("https://a.example:8443/x", "https://a.example/x", False),
        ("https://a.example/x", "https://a.example/x?q=1", True),
        ("https://a.example/x", "https://a.example/x?q=https://b.example/*", True),
        ("https://a.example/x", "https://a.example/X", False),
        ("https://a.example/x", "https://a.example/y/../x", True),
        ("https://a.example/x", "https://a.example/%78", True),
        ("https://a.example/x/", "https://a.example/y/%2e%2E/x/.", True),
        ("https://a.example/x%2Fy", "https://a.example/x%2fy", True),
        ("https://a.example/x%2Fy", "https://a.example/x/y", False),
        ("https://a.example/x*y", "https://a.example/x/1/y", True),
        ("https://a.example/./x/*", "https://a.example/x/1", True),
        ("https://a.example/x.y", "https://a.example/xzy", False),
        ("https://a.example/*", "https://a.example.evil/x", False),
        ("https://a.example/*", "https://a.example/x/*/y", True),
        ("https://a.example/x/1/y", "https://a.example/x/*/y", False),
        ("https://[2606:4700::1]/*", "https://[2606:4700::1]/x", True),
    ],
)
def test_a_pattern_covers_its_urls_only(url: str, target: str, covered: bool) -> None:  # noqa: FBT001 - a table's column
    assert parse_pattern(url).covers(parse_target(target)) is covered


def test_a_pattern_is_compared_in_one_form() -> None:
    assert parse_pattern("HTTPS://Push.Example:443") == Pattern("https://push.example", "/")


@pytest.mark.parametrize(
    "url",
    ["", "a.example/x", "ftp://a.example", "https://", "https://u:p@a.example/", "https://a b"],
)
def test_what_is_no_url_is_no_pattern(url: str) -> None:
    with pytest.raises(ValueError, match=r"URL|path"):
        parse_pattern(url)


@given(GLOBS, st.text("ab", max_size=6))
def test_covering_agrees_with_a_naive_reading(glob: str, word: str) -> None:
    assert pattern(glob).covers(pattern(word)) is is_named(glob, word)


@given(GLOBS, GLOBS)
def test_covering_a_pattern_means_covering_whatever_it_stands_for(glob: str, other: str) -> None:
    stands_for = [word for word in WORDS if is_named(other, word)]
    fresh = other.replace("*", "c")

    covers = pattern(glob).covers(pattern(other))

    assert covers is is_named(glob, fresh)
    if covers:
        assert all(is_named(glob, word) for word in stands_for)


@given(GLOBS, GLOBS)
def test_patterns_meet_where_a_url_falls_under_both(glob: str, other: str) -> None:
    shared = any(is_named(glob, word) and is_named(other, word) for word in WORDS)

    assert pattern(glob).meets(pattern(other)) is shared
    assert pattern(other).meets(pattern(glob)) is shared


def test_a_pattern_of_many_wildcards_is_read_in_no_time() -> None:
    hungry = pattern("a*" * 500 + "b")

    assert not hungry.covers(pattern("a" * 100_000))


@pytest.mark.parametrize(
    ("target", "url", "meets"),
    [
        ("https://*/x/1", "https://a.example/x/*", True),
        ("https://*/*", "https://a.example/x/*", True),
        ("https://*/*", "https://a.example:8443/x/*", True),
        ("https://*.example/*", "https://a.example/x/*", True),
        ("https://*.example/*", "https://a.example:8443/x/*", False),
        ("https://*.other/*", "https://a.example/x/*", False),
        ("https://*/y", "https://a.example/x/*", False),
        ("http://*/x/1", "https://a.example/x/*", False),
    ],
)
def test_a_host_that_varies_may_be_any(target: str, url: str, meets: bool) -> None:  # noqa: FBT001 - a table's column
    found = parse_pattern(url)

    assert found.meets(parse_target(target)) is meets
    assert not found.covers(parse_target(target))


def test_other_hosts_never_meet() -> None:
    assert not Pattern("https://a.example", "/*").meets(Pattern("https://b.example", "/*"))
