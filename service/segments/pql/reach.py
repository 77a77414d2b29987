"""How far back a window can look, and whether it can hold any event at all."""

from datetime import UTC, datetime, timedelta

from service.segments.pql.calendar_units import longest
from service.segments.pql.windows import (
    Anchor,
    Between,
    Beyond,
    Bounds,
    Comparison,
    Day,
    Direction,
    Distance,
    Period,
    TimeWord,
    Which,
    Window,
    Within,
    anchors,
    clause_bounds,
)

# Moments in different places of day, week, month and leap year: what is empty at all of them
# is empty always, since only the place in the calendar moves a relative window's bounds.
_SAMPLES = (
    datetime(2024, 2, 29, 23, 59, 59, 999_000, tzinfo=UTC),
    datetime(2025, 1, 1, tzinfo=UTC),
    datetime(2025, 7, 16, 13, 45, 30, 123_000, tzinfo=UTC),
    datetime(2026, 3, 1, 0, 0, 0, 1_000, tzinfo=UTC),
    datetime(2026, 8, 31, 12, tzinfo=UTC),
    datetime(2027, 12, 31, 22, 30, tzinfo=UTC),
)
_WORD_REACH = {
    TimeWord.NOW: timedelta(0),
    TimeWord.TODAY: timedelta(days=1),
    TimeWord.YESTERDAY: timedelta(days=2),
    TimeWord.TOMORROW: timedelta(0),
}
_UNITS_BACK = {Which.THIS: 1, Which.LAST: 2, Which.NEXT: 0}


def lookback(window: Window) -> timedelta | None:
    """Return the longest time before now at which ``window`` can be open, over every now.

    None means without limit: no lower bound, or one at a fixed date, which recedes.
    """
    match window:
        case Within(anchor) | Between(anchor, _):
            return _start_reach(anchor)
        case Beyond(Direction.AFTER, anchor):
            return _end_reach(anchor)
        case Distance(direction=Direction.AFTER, anchor=anchor, unit=unit, comparison=comparison):
            return _sum(
                _start_reach(anchor),
                # The bucket of an instant starts before it.
                longest(1, unit) if comparison is Comparison.EXACTLY else timedelta(0),
            )
        case Distance(Comparison.EXACTLY, amount, unit, _, anchor):
            return _sum(_start_reach(anchor), longest(amount + 1, unit))
        case Distance(Comparison.LESS | Comparison.AT_MOST, amount, unit, _, anchor):
            return _sum(_start_reach(anchor), longest(amount, unit))
    return None


def never_opens(windows: tuple[Window, ...]) -> bool:
    """Tell whether no moment fits all of ``windows``, whatever now is.

    Fixed dates beside relative ones are not judged: they may meet some day.
    """
    return _judged(windows) and all(clause_bounds(windows, now).is_empty() for now in _SAMPLES)


def opens_in_the_future(windows: tuple[Window, ...]) -> bool:
    """Tell whether all of ``windows`` hold only later than now, where no event has happened."""
    if any(isinstance(anchor, Day) for window in windows for anchor in anchors(window)):
        return False
    return all(_opens_after(clause_bounds(windows, now), now) for now in _SAMPLES)


def _opens_after(bounds: Bounds, now: datetime) -> bool:
    if bounds.lower is None:
        return False
    return bounds.lower > now or (bounds.lower == now and not bounds.lower_inclusive)


def _judged(windows: tuple[Window, ...]) -> bool:
    fixed = {isinstance(anchor, Day) for window in windows for anchor in anchors(window)}
    return len(fixed) == 1


def _start_reach(anchor: Anchor) -> timedelta | None:
    match anchor:
        case Day():
            return None
        case Period(which, unit):
            return longest(_UNITS_BACK[which], unit)
    return _WORD_REACH[anchor]


def _end_reach(anchor: Anchor) -> timedelta | None:
    match anchor:
        case Day():
            return None
        case Period(which, unit):
            return longest(1 if which is Which.LAST else 0, unit)
    return timedelta(days=1) if anchor is TimeWord.YESTERDAY else timedelta(0)


def _sum(first: timedelta | None, second: timedelta | None) -> timedelta | None:
    if first is None or second is None:
        return None
    try:
        return first + second
    except OverflowError:
        return None
