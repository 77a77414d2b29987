"""When windows open and close."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.segments.pql.calendar_units import Unit, floor, shift
from service.segments.pql.parser import parse
from service.segments.pql.reach import lookback
from service.segments.pql.syntax import Exists
from service.segments.pql.windows import (
    Bounds,
    Comparison,
    Direction,
    Distance,
    TimeWord,
    Window,
    bounds,
    clause_bounds,
)
from tests.segments.pql.strategies import windows
from tests.support.pql_oracle import occurs

NOW = datetime(2026, 8, 28, 15, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 8, 28, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2023, 1, 1), datetime(2028, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone


def window(tail: str) -> Window:
    rule = parse(f"CHAIN(xEvent, timestamp, [C0: WHAT(true) WHEN({tail})])")
    assert isinstance(rule, Exists)
    return rule.windows[0]


def day(month: int, number: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, month, number, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tail", "expected"),
    [
        ("today", Bounds(MIDNIGHT, day(8, 29))),
        ("on yesterday", Bounds(day(8, 27), MIDNIGHT)),
        ("now", Bounds(NOW, NOW, upper_inclusive=True)),
        ("last month", Bounds(day(7, 1), day(8, 1))),
        ("this week", Bounds(day(8, 24), day(8, 31))),
        ("on date(2026, 3, 14)", Bounds(day(3, 14), day(3, 15))),
        ("before today", Bounds(None, MIDNIGHT)),
        ("after yesterday", Bounds(MIDNIGHT, None)),
        ("between last month and today", Bounds(day(7, 1), day(8, 29))),
        ("between yesterday and now", Bounds(day(8, 27), NOW, upper_inclusive=True)),
        ("<= 1 month before today", Bounds(day(7, 28), MIDNIGHT)),
        ("<= 24 hours before now", Bounds(day(8, 27, 15, 30), NOW)),
        ("< 24 hours before now", Bounds(day(8, 27, 15, 30), NOW, lower_inclusive=False)),
        ("> 2 days before now", Bounds(None, day(8, 26, 15, 30))),
        (">= 2 days before now", Bounds(None, day(8, 26, 15, 30), upper_inclusive=True)),
        ("= 3 hours before now", Bounds(day(8, 28, 12), day(8, 28, 13))),
        ("= 3 days before today", Bounds(day(8, 25), day(8, 26))),
        ("<= 1 day after yesterday", Bounds(day(8, 27), MIDNIGHT, upper_inclusive=True)),
        ("< 2 days from yesterday", Bounds(day(8, 27), day(8, 29))),
        ("<= 6 months before date(2026, 8, 31)", Bounds(day(2, 28), day(8, 31))),
    ],
)
def test_a_window_is_a_stretch_of_utc(tail: str, expected: Bounds) -> None:
    assert bounds(window(tail), NOW) == expected


def test_an_instant_is_not_its_own_future() -> None:
    later = Distance(Comparison.AT_MOST, 2, Unit.DAY, Direction.AFTER, TimeWord.NOW)

    found = bounds(later, NOW)

    assert not found.contains(NOW)
    assert found.contains(NOW + timedelta(microseconds=1))


@pytest.mark.parametrize(
    ("moment", "amount", "unit", "expected"),
    [
        (day(1, 31), 1, Unit.MONTH, day(2, 28)),
        (day(3, 31), -1, Unit.MONTH, day(2, 28)),
        (datetime(2024, 2, 29, tzinfo=UTC), 1, Unit.YEAR, datetime(2025, 2, 28, tzinfo=UTC)),
        (day(1, 1), 1, Unit.CENTURY, datetime(2126, 1, 1, tzinfo=UTC)),
        (day(1, 1), -5_000, Unit.YEAR, datetime(1, 1, 1, tzinfo=UTC)),
        (day(1, 1), -(2**62), Unit.SECOND, datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_calendar_units_clamp(
    moment: datetime, amount: int, unit: Unit, expected: datetime
) -> None:
    assert shift(moment, amount, unit) == expected


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (Unit.WEEK, day(8, 24)),
        (Unit.DECADE, datetime(2020, 1, 1, tzinfo=UTC)),
        (Unit.CENTURY, datetime(2001, 1, 1, tzinfo=UTC)),
        (Unit.MILLENNIUM, datetime(2001, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_unit_starts_where_the_calendar_says(unit: Unit, expected: datetime) -> None:
    assert floor(NOW, unit) == expected


@settings(max_examples=300, deadline=None)
@given(kept=windows(), now=MOMENTS, data=st.data())
def test_bounds_hold_exactly_the_moments_of_a_plain_reading(
    kept: Window, now: datetime, data: st.DataObject
) -> None:
    found = bounds(kept, now)
    tick = timedelta(microseconds=1)
    ends = [end for end in (found.lower, found.upper) if end is not None]
    near = [
        end + step for end in ends for step in (-tick, timedelta(0), tick) if 2 < end.year < 9998
    ]

    moment = data.draw(st.one_of(MOMENTS, st.sampled_from([now, *near])))

    assert found.contains(moment) == occurs(moment, kept, now)


@settings(max_examples=200, deadline=None)
@given(kept=st.lists(windows(), max_size=3), now=MOMENTS, moment=MOMENTS)
def test_windows_together_hold_what_each_of_them_holds(
    kept: list[Window], now: datetime, moment: datetime
) -> None:
    together = clause_bounds(kept, now)

    assert together.contains(moment) == all(bounds(one, now).contains(moment) for one in kept)
    assert not (together.is_empty() and together.contains(moment))


@settings(max_examples=300, deadline=None)
@given(kept=windows(), now=MOMENTS)
def test_no_window_opens_earlier_than_it_looks_back(kept: Window, now: datetime) -> None:
    back = lookback(kept)
    opens = bounds(kept, now).lower

    assert back is None or (opens is not None and now - opens <= back)
