from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import InvalidInputError
from service.outbound import url_template
from service.outbound.templating import TemplateError

URL = "https://api.example.com:8443/users/{{ profile.id }}/orders"
NAMES = {"profile": None}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def filled(value: Any, url: str = URL, **query: str) -> str:
    return url_template.render(url, tuple(query.items()), {"profile": {"id": value}})


@pytest.mark.parametrize(
    ("value", "segment"),
    [
        ("42", "42"),
        (42, "42"),
        ("a b", "a%20b"),
        ("a/b", "a%2Fb"),
        ("a?b#c", "a%3Fb%23c"),
        ("a\\b", "a%5Cb"),
        ("//evil.example", "%2F%2Fevil.example"),
        ("@evil.example", "%40evil.example"),
        ("ä", "%C3%A4"),
        ("...", "..."),
        ("*", "%2A"),
    ],
)
def test_a_value_is_encoded_as_one_segment(value: Any, segment: str) -> None:
    assert filled(value) == f"https://api.example.com:8443/users/{segment}/orders"


@pytest.mark.parametrize(
    "value", [".", "..", "../admin", "a/../b", "..\\admin", "a/.", "%2E", "%2e%2e"]
)
def test_a_value_cannot_lead_elsewhere_in_the_path(value: str) -> None:
    with pytest.raises(TemplateError, match="lead elsewhere"):
        filled(value)


@pytest.mark.parametrize("literal", ["%2e", "."])
def test_a_dot_of_the_author_and_one_of_the_value_do_not_add_up(literal: str) -> None:
    url = f"https://api.example.com/{literal}{{{{ profile.id }}}}/x"

    with pytest.raises(TemplateError, match="lead elsewhere"):
        filled(".", url)


@pytest.mark.parametrize(("value", "says"), [("", "empty"), (None, "empty"), ("a\nb", "control")])
def test_a_value_that_is_no_segment_stops_the_message(value: Any, says: str) -> None:
    with pytest.raises(TemplateError, match=says):
        filled(value)


def test_a_missing_variable_stops_the_message() -> None:
    with pytest.raises(TemplateError, match=r"profile\.id is not there"):
        url_template.render(URL, (), {"profile": {}})


def test_a_url_that_grows_too_long_stops_the_message() -> None:
    with pytest.raises(TemplateError, match="more than 8000"):
        filled("ä" * 3000)


@given(TEXT)
def test_no_value_changes_scheme_host_or_the_number_of_segments(value: str) -> None:
    try:
        url = filled(value, q="{{ profile.id }}")
    except TemplateError:
        return

    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "api.example.com:8443", "")
    _, users, own, orders = parts.path.split("/")
    assert (users, unquote(own), orders) == ("users", value, "orders")
    assert parse_qsl(parts.query, keep_blank_values=True) == [("q", value)]


def test_the_query_is_added_to_the_one_that_is_written() -> None:
    url = filled("1", "https://a.example/x?v=2", **{"to": "{{ profile.id }}&v=3", "a b": "c"})

    assert url == "https://a.example/x?v=2&to=1%26v%3D3&a%20b=c"


def test_stars_stand_where_templates_do() -> None:
    assert url_template.starred(URL) == "https://api.example.com:8443/users/*/orders"
    assert url_template.starred("https://a.example/x") == "https://a.example/x"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://{{ profile.id }}/x", "static"),
        ("https://a{{ profile.id }}.example/x", "static"),
        ("https://a.example{{ profile.id }}/x", "static"),
        ("https://a.example:{{ profile.id }}/x", "static"),
        ("{{ profile.id }}://a.example/x", "static"),
        ("https://u:{{ profile.id }}@a.example/x", "static"),
        ("https://a.example?x={{ profile.id }}", "static"),
        ("https://a.example/x?y={{ profile.id }}", "write it in query"),
        ("https://a.example/x#{{ profile.id }}", "write it in query"),
        ("https://a.example/{{ profile.id }}?y={{ profile.id }}", "write it in query"),
        ("https://a.example/{% if true %}a{% endif %}", "no tags"),
        ("https://a.example/{{ profile.id", "not closed"),
        ("https://a.example/{{ profile. }}", "not a valid template"),
        ("https://a.example/{{ token }}", "variable token"),
        ("https://a.example/{{ profile.id | shout }}", "no filter"),
    ],
)
def test_a_template_in_the_wrong_place_is_refused_when_it_is_saved(url: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        url_template.check(url, (), NAMES)


@pytest.mark.parametrize(
    ("name", "template", "says"),
    [
        (".x", "a", "begins with"),
        ("$x", "a", "begins with"),
        ("", "a", "not a query"),
        ("a\nb", "a", "not a query"),
        ("x", "{{ profile.id", "not a valid template"),
    ],
)
def test_a_query_that_could_not_be_sent_is_refused(name: str, template: str, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        url_template.check("https://a.example/", ((name, template),), NAMES)


def test_a_sound_url_is_taken() -> None:
    url_template.check(URL + "?v=1", (("q", "{{ profile.q }}"),), NAMES)
