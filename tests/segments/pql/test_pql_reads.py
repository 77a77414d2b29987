"""What a rule reads, and which rules are evaluated by streaming."""

from datetime import timedelta

import pytest

from service.segments.pql.parser import parse
from service.segments.pql.reads import Eligible, NotEligible, reads, streaming_eligibility


def test_a_rule_names_the_fields_and_event_types_it_depends_on() -> None:
    found = reads(
        parse(
            'homeAddress.country = "DE" and (not `a.b` or x = y) and CHAIN(xEvent, timestamp,'
            ' [C0: WHAT(eventType.equals("Login", false) and device.model in ["a", "b"])'
            " WHEN(<= 7 days before now)])"
        )
    )

    assert found.profile_paths == {("homeAddress", "country"), ("a.b",), ("x",), ("y",)}
    assert found.event_paths == {("eventType",), ("device", "model")}
    assert found.event_types == frozenset({"login"})
    assert found.has_event_clause
    assert found.lookback == timedelta(days=7)


def test_a_profile_rule_depends_on_no_event() -> None:
    found = reads(parse("a = 1"))

    assert not found.has_event_clause
    assert (found.event_types, found.lookback) == (frozenset(), timedelta(0))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('eventType in ["a", "B"]', {"a", "b"}),
        ('eventType = "a" or eventType = "b" and x = 1', {"a", "b"}),
        ('eventType = "a" and (eventType = "b" or x = 1)', {"a"}),
        ('eventType = "a" or x = 1', None),
        ('not eventType = "a"', None),
        ('eventType != "a"', None),
        ('eventType notIn ["a", "b"]', None),
        ("x = 1", None),
    ],
)
def test_event_types_are_known_only_where_no_other_type_can_fit(
    condition: str, expected: set[str] | None
) -> None:
    assert reads(parse(f"xEvent[{condition}]")).event_types == expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("timestamp occurs today", timedelta(days=1)),
        ("timestamp occurs yesterday", timedelta(days=2)),
        ("timestamp occurs this hour", timedelta(hours=1)),
        ("timestamp occurs <= 30 days before now", timedelta(days=30)),
        ("timestamp occurs <= 1 days before today", timedelta(days=2)),
        (
            "timestamp occurs >= 1 hours before now and timestamp occurs <= 2 hours before now",
            timedelta(hours=2),
        ),
        ("timestamp occurs today or timestamp occurs yesterday", timedelta(days=2)),
        ("timestamp occurs today or a = 1", None),
        ("not timestamp occurs today", None),
        ("timestamp occurs before now", None),
        ("timestamp occurs after date(2024, 1, 1)", None),
        ("a = 1", None),
    ],
)
def test_a_clause_looks_back_as_far_as_its_widest_reading(
    condition: str, expected: timedelta | None
) -> None:
    assert reads(parse(f"xEvent[{condition}]")).lookback == expected


@pytest.mark.parametrize(
    ("text", "eligible"),
    [
        ('homeAddress.country.equals("Canada", false)', True),
        ("CHAIN(xEvent, timestamp, [C0: WHAT(a = 1) WHEN(today)])", True),
        ("CHAIN(xEvent, timestamp, [C0: WHAT(a = 1) WHEN(<= 24 hours before now)])", True),
        ("CHAIN(xEvent, timestamp, [C0: WHAT(a = 1) WHEN(<= 1 days before now) COUNT(3)])", True),
        ("b = 2 and CHAIN(xEvent, timestamp, [C0: WHAT(a = 1) WHEN(this hour)])", True),
        ("not (b and not xEvent[timestamp occurs today])", True),
        ("CHAIN(xEvent, timestamp, [C0: WHAT(a = 1) WHEN(<= 25 hours before now)])", False),
        ("CHAIN(xEvent, timestamp, [C0: WHAT(a = 1) WHEN(yesterday)])", False),
        ("CHAIN(xEvent, timestamp, [C0: WHAT(a = 1) WHEN(this week)])", False),
        ("CHAIN(xEvent, timestamp, [C0: WHAT(a = 1)])", False),
        ("xEvent[timestamp occurs between date(2024, 1, 1) and now]", False),
        ("not xEvent[timestamp occurs today]", False),
        ("xEvent[timestamp occurs today].count() < 3", False),
    ],
)
def test_streaming_takes_profile_rules_and_one_event_within_a_day(
    text: str, *, eligible: bool
) -> None:
    verdict = streaming_eligibility(parse(text))

    assert isinstance(verdict, Eligible if eligible else NotEligible)
    assert verdict.reason
