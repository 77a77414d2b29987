"""Text to tree: what is read, what it means, and that printing it changes nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from service.segments.pql.parser import parse
from service.segments.pql.printer import render
from service.segments.pql.syntax import And, Expression, Span
from tests.segments.pql.strategies import rules
from tests.support.pql_oracle import Event, matches

NOW = datetime(2026, 3, 14, 15, 30, tzinfo=UTC)


ANYTHING: tuple[Any, ...] = (True, "", 0, "no", {}, [0])
NOTHING: tuple[Any, ...] = (False, None, [])


def event(event_type: str | None, *, ago: timedelta = timedelta(hours=1), **xdm: Any) -> Event:
    return {"event_type": event_type, "timestamp": NOW - ago, "xdm": xdm}


@pytest.mark.parametrize(
    ("text", "members", "others"),
    [
        (
            'homeAddress.country = "DE"',
            [{"homeAddress": {"country": "DE"}}],
            [{"homeAddress": {"country": "de"}}, {"homeAddress": "DE"}, {}],
        ),
        (
            "person.birthYear >= 1990",
            [{"person": {"birthYear": 1990}}, {"person": {"birthYear": 1990.5}}],
            [{"person": {"birthYear": 1989}}, {"person": {"birthYear": "1995"}}, {}],
        ),
        (
            "loyalty.points != 0",
            [{"loyalty": {"points": 3}}],
            [{"loyalty": {"points": 0}}, {"loyalty": {"points": None}}, {}],
        ),
        (
            "loyaltyMember",
            [{"loyaltyMember": value} for value in ANYTHING],
            [*({"loyaltyMember": value} for value in NOTHING), {}],
        ),
        (
            "not loyalty.tier",
            [{}, {"loyalty": {"tier": None}}],
            [{"loyalty": {"tier": "gold"}}],
        ),
        (
            "homeAddress.city != workAddress.city",
            [{"homeAddress": {"city": "Bonn"}, "workAddress": {"city": "Köln"}}],
            [{"homeAddress": {"city": "Bonn"}}, {}],
        ),
        (
            "personalEmail.address.isNotNull() and mobilePhone.number.isNull()",
            [{"personalEmail": {"address": "a@b.c"}, "mobilePhone": {"number": None}}],
            [{"personalEmail": {"address": "a@b.c"}, "mobilePhone": {"number": "1"}}, {}],
        ),
        (
            'person.gender in ["female", "non_specific"]',
            [{"person": {"gender": "female"}}],
            [{"person": {"gender": "Female"}}, {"person": {"gender": ["female"]}}, {}],
        ),
        (
            'homeAddress.countryCode notIn ["FR", "BE", "LU"]',
            [{"homeAddress": {"countryCode": "DE"}}],
            [{"homeAddress": {"countryCode": "FR"}}, {"homeAddress": {"countryCode": 5}}, {}],
        ),
        (
            'person.name.lastName.equals("o\'neil", false)',
            [{"person": {"name": {"lastName": "O'Neil"}}}],
            [{"person": {"name": {"lastName": "Neil"}}}, {"person": {"name": {"lastName": 1}}}, {}],
        ),
        (
            'person.name.lastName.notEqualTo("Doe")',
            [{"person": {"name": {"lastName": "doe"}}}],
            [{"person": {"name": {"lastName": "Doe"}}}, {}],
        ),
        (
            'loyalty.tier = "gold" or loyalty.tier = "silver" and loyalty.points > 500',
            [{"loyalty": {"tier": "gold", "points": 100}}],
            [{"loyalty": {"tier": "silver", "points": 100}}],
        ),
        (
            '(loyalty.tier = "gold" or loyalty.tier = "silver") and loyalty.points > 500',
            [{"loyalty": {"tier": "silver", "points": 501}}],
            [{"loyalty": {"tier": "gold", "points": 100}}],
        ),
        (
            'not (homeAddress.country = "US") and homeAddress.country.isNotNull()',
            [{"homeAddress": {"country": "DE"}}],
            [{"homeAddress": {"country": "US"}}, {}],
        ),
        ("$1._acme.vip = true", [{"_acme": {"vip": True}}], [{"_acme": {"vip": "true"}}, {}]),
        ("5 < `my.key`", [{"my.key": 6}], [{"my.key": 5}, {"my": {"key": 6}}]),
        ('NOT a = "x" AND b', [{"b": 1}, {"a": "y", "b": 1}], [{"a": "x", "b": 1}, {}]),
        ("a in []", [], [{"a": 1}, {}]),
        ("a notIn []", [{"a": 1}], [{}, {"a": None}]),
    ],
)
def test_a_profile_rule_means_what_adobe_says(
    text: str, members: list[dict[str, Any]], others: list[dict[str, Any]]
) -> None:
    rule = parse(text)

    assert [matches(rule, profile, [], NOW) for profile in members] == [True] * len(members)
    assert [matches(rule, profile, [], NOW) for profile in others] == [False] * len(others)


PURCHASE, LOGIN = "commerce.purchases", "login"
THREE = [event(PURCHASE, ago=timedelta(days=days)) for days in (1, 2, 29)]


@pytest.mark.parametrize(
    ("text", "members", "others"),
    [
        (
            (
                'xEvent[eventType = "commerce.purchases"'
                " and timestamp occurs <= 30 days before now].count() >= 3"
            ),
            [THREE],
            [THREE[:2], [*THREE[:2], event(PURCHASE, ago=timedelta(days=31))], []],
        ),
        (
            (
                'not (exists E from xEvent where E.eventType = "commerce.purchases"'
                " and E.timestamp occurs <= 90 days before now)"
            ),
            [[], [event(LOGIN)], [event(PURCHASE, ago=timedelta(days=91))]],
            [THREE],
        ),
        (
            (
                "CHAIN(xEvent, timestamp, [C0: WHAT(eventType.equals("
                '"web.webpagedetails.pageViews", false)) WHEN(today)])'
            ),
            [[event("web.webPageDetails.pageViews")]],
            [[event("web.webPageDetails.pageViews", ago=timedelta(hours=16))], [event(None)]],
        ),
        (
            (
                'chain(xEvent, timestamp, [A: WHAT(eventType = "login")'
                " WHEN(< 24 hours before now) COUNT(5)])"
            ),
            [[event(LOGIN)] * 5],
            [[event(LOGIN)] * 4, [event(LOGIN, ago=timedelta(days=1))] * 5],
        ),
        (
            "xEvent.exists(commerce.order.priceTotal > 50)",
            [[event(PURCHASE, commerce={"order": {"priceTotal": 51}})]],
            [[event(PURCHASE, commerce={"order": {"priceTotal": 50}})]],
        ),
        ("xEvent", [[event(None)]], [[]]),
        ("xEvent.count() = 0", [[]], [[event(None)]]),
        ('2 > xEvent[eventType = "login"].count()', [[event(LOGIN)]], [[event(LOGIN)] * 2]),
        (
            (
                "exists E from xEvent where (E.timestamp occurs >= 1 days before now)"
                " and E.timestamp occurs <= 2 days before now"
            ),
            [[event(None, ago=timedelta(hours=hours))] for hours in (24, 48)],
            [[event(None, ago=timedelta(hours=hours))] for hours in (23, 49)],
        ),
        (
            'xEvent[timestamp occurs today or eventType = "login"]',
            [[event(None)], [event(LOGIN, ago=timedelta(days=9))]],
            [[event(None, ago=timedelta(days=9))]],
        ),
    ],
)
def test_an_event_clause_means_what_adobe_says(
    text: str, members: list[list[Event]], others: list[list[Event]]
) -> None:
    rule = parse(text)

    assert [matches(rule, {}, events, NOW) for events in members] == [True] * len(members)
    assert [matches(rule, {}, events, NOW) for events in others] == [False] * len(others)


@pytest.mark.parametrize(
    "texts",
    [
        (
            'exists E from xEvent where E.eventType = "login" and E.timestamp occurs today',
            'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "login") WHEN(today)])',
            'xEvent[eventType = "login" and timestamp occurs today].count() > 0',
            'xEvent.filter(timestamp occurs on today and eventType = "login").count() != 0',
            '$1.xEvent.exists(eventType in ["login"] and timestamp occurs today)',
        ),
        (
            'a.equals("x")',
            'a.equals("x", true)',
            'a = "x"',
            '"x" = a',
            'a in ["x", "x"]',
            '($1.a) = "x"',
        ),
        ("a and b and c", "a and (b and c)", "(a and b) and c", "a\n AND\tb and c"),
        ("not a", "!a", "NOT (a)"),
        ("-5 < a", "a > -5", "a > - 5"),
    ],
)
def test_ways_of_writing_the_same_come_to_one_tree(texts: tuple[str, ...]) -> None:
    trees = {parse(text) for text in texts}

    assert len(trees) == 1


@settings(max_examples=300, deadline=None)
@given(rule=rules())
def test_printing_and_parsing_a_rule_changes_nothing(rule: Expression) -> None:
    text = render(rule)

    assert parse(text) == rule


def test_every_node_knows_its_place_in_the_text() -> None:
    text = 'a = "x" and (b or c.isNull())'

    rule = parse(text)

    assert isinstance(rule, And)
    assert rule.span == Span(0, len(text))
    assert [text[i.span.start : i.span.end] for i in rule.items] == ['a = "x"', "b or c.isNull()"]


def test_strings_keep_what_was_escaped() -> None:
    rule = parse(r'a = "q\" b\\ n\n t\t u\u00e9 \ud83d\ude00"')

    assert rule == parse(render(rule))
    assert matches(rule, {"a": 'q" b\\ n\n t\t ué 😀'}, [], NOW)
