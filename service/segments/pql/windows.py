"""When a window of a rule opens and closes, for a given now.

All of it is UTC: PQL has no zone of its own, a day is 24 hours, a week starts on Monday.
Calendar units clamp: one month before 31 March is the last day of February.

Source: Experience Platform, Segmentation Service, PQL date and time functions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import reduce
from typing import TypeAlias

from service.segments.pql.calendar_units import Unit, floor, shift


class TimeWord(StrEnum):
    """A point of time named by a word: ``NOW`` is an instant, the others are whole days."""

    NOW = "now"
    TODAY = "today"
    YESTERDAY = "yesterday"
    TOMORROW = "tomorrow"


class Which(StrEnum):
    """Which complete calendar unit a period means, seen from now."""

    THIS = "this"
    LAST = "last"
    NEXT = "next"


class Direction(StrEnum):
    """Which side of an anchor; PQL's ``from`` reads as ``after``."""

    BEFORE = "before"
    AFTER = "after"


class Comparison(StrEnum):
    """How a distance in time is compared; ``!=`` would be two windows and is not among them."""

    LESS = "<"
    AT_MOST = "<="
    EXACTLY = "="
    AT_LEAST = ">="
    MORE = ">"


@dataclass(frozen=True, slots=True)
class Period:
    """A complete calendar unit, such as ``last week``."""

    which: Which
    unit: Unit


@dataclass(frozen=True, slots=True)
class Day:
    """One fixed day in UTC, such as ``date(2026, 3, 14)``; always a day that exists."""

    year: int
    month: int
    day: int


Anchor: TypeAlias = TimeWord | Period | Day


@dataclass(frozen=True, slots=True)
class Within:
    """``on T``: inside the anchor, or exactly at it when it is an instant."""

    anchor: Anchor


@dataclass(frozen=True, slots=True)
class Beyond:
    """``before T`` or ``after T``: outside the anchor, without a limit on that side."""

    direction: Direction
    anchor: Anchor


@dataclass(frozen=True, slots=True)
class Between:
    """``between A and B``: from the start of A to the end of B, both included."""

    first: Anchor
    last: Anchor


@dataclass(frozen=True, slots=True)
class Distance:
    """``<= N units before T``; ``amount`` is never negative."""

    comparison: Comparison
    amount: int
    unit: Unit
    direction: Direction
    anchor: Anchor


Window: TypeAlias = Within | Beyond | Between | Distance


@dataclass(frozen=True, slots=True)
class Bounds:
    """A stretch of time; an absent bound does not limit, an exclusive one is not part of it."""

    lower: datetime | None
    upper: datetime | None
    lower_inclusive: bool = True
    upper_inclusive: bool = False

    def contains(self, moment: datetime) -> bool:
        """Tell whether ``moment`` (aware) lies inside."""
        if self.lower is not None and (
            moment < self.lower or (moment == self.lower and not self.lower_inclusive)
        ):
            return False
        return self.upper is None or (
            moment < self.upper or (moment == self.upper and self.upper_inclusive)
        )

    def is_empty(self) -> bool:
        """Tell whether no moment can lie inside."""
        if self.lower is None or self.upper is None or self.lower < self.upper:
            return False
        return self.lower > self.upper or not (self.lower_inclusive and self.upper_inclusive)

    def intersect(self, other: "Bounds") -> "Bounds":
        """Return what lies inside both."""
        lower, lower_inclusive = self.lower, self.lower_inclusive
        if other.lower is not None and (lower is None or other.lower >= lower):
            also = lower_inclusive or lower is None or other.lower > lower
            lower, lower_inclusive = other.lower, other.lower_inclusive and also
        upper, upper_inclusive = self.upper, self.upper_inclusive
        if other.upper is not None and (upper is None or other.upper <= upper):
            also = upper_inclusive or upper is None or other.upper < upper
            upper, upper_inclusive = other.upper, other.upper_inclusive and also
        return Bounds(lower, upper, lower_inclusive, upper_inclusive)


ALWAYS = Bounds(None, None)


def bounds(window: Window, now: datetime) -> Bounds:
    """Return the stretch of time that ``window`` means at ``now`` (aware UTC)."""
    match window:
        case Within(anchor):
            start, end = _stretch(anchor, now)
            return Bounds(start, end, upper_inclusive=start == end)
        case Beyond(Direction.BEFORE, anchor):
            return Bounds(None, _stretch(anchor, now)[0])
        case Beyond(_, anchor):
            start, end = _stretch(anchor, now)
            return Bounds(end, None, lower_inclusive=start != end)
        case Between(first, last):
            start, end = _stretch(last, now)
            return Bounds(_stretch(first, now)[0], end, upper_inclusive=start == end)
        case Distance(Comparison.EXACTLY):
            return _bucket(window, now)
        case Distance(direction=Direction.BEFORE):
            return _at_a_distance_before(window, now)
        case Distance():
            return _at_a_distance_after(window, now)


def clause_bounds(windows: Iterable[Window], now: datetime) -> Bounds:
    """Return the stretch of time in which all of ``windows`` hold; ``ALWAYS`` without any."""
    return reduce(Bounds.intersect, (bounds(window, now) for window in windows), ALWAYS)


def anchors(window: Window) -> tuple[Anchor, ...]:
    """Return the points of time that a window refers to, in the order of its text."""
    if isinstance(window, Between):
        return (window.first, window.last)
    return (window.anchor,)


def _stretch(anchor: Anchor, now: datetime) -> tuple[datetime, datetime]:
    """Return start and end (exclusive) of an anchor; both the same for an instant."""
    match anchor:
        case TimeWord.NOW:
            return now, now
        case Period(which, unit):
            start = floor(now, unit)
            if which is Which.LAST:
                return floor(shift(start, -1, unit), unit), start
            if which is Which.NEXT:
                return shift(start, 1, unit), shift(start, 2, unit)
            return start, shift(start, 1, unit)
        case Day(year, month, day):
            start = datetime(year, month, day, tzinfo=UTC)
            return start, shift(start, 1, Unit.DAY)
    days = {TimeWord.YESTERDAY: -1, TimeWord.TODAY: 0, TimeWord.TOMORROW: 1}[anchor]
    start = shift(floor(now, Unit.DAY), days, Unit.DAY)
    return start, shift(start, 1, Unit.DAY)


def _bucket(window: Distance, now: datetime) -> Bounds:
    start, end = _stretch(window.anchor, now)
    amount = -window.amount if window.direction is Direction.BEFORE else window.amount
    if start == end:
        first = floor(shift(start, amount, window.unit), window.unit)
        return Bounds(first, shift(first, 1, window.unit))
    return Bounds(shift(start, amount, window.unit), shift(end, amount, window.unit))


def _at_a_distance_before(window: Distance, now: datetime) -> Bounds:
    start, _ = _stretch(window.anchor, now)
    far = shift(start, -window.amount, window.unit)
    match window.comparison:
        case Comparison.LESS:
            return Bounds(far, start, lower_inclusive=False)
        case Comparison.AT_MOST:
            return Bounds(far, start)
        case Comparison.AT_LEAST:
            return Bounds(None, far, upper_inclusive=True)
    return Bounds(None, far)


def _at_a_distance_after(window: Distance, now: datetime) -> Bounds:
    start, end = _stretch(window.anchor, now)
    far = shift(start, window.amount, window.unit)
    # An instant is not its own future, or an event would pair with itself.
    opens = start != end
    match window.comparison:
        case Comparison.LESS:
            return Bounds(start, far, lower_inclusive=opens)
        case Comparison.AT_MOST:
            return Bounds(start, far, lower_inclusive=opens, upper_inclusive=True)
        case Comparison.AT_LEAST:
            return Bounds(far, None)
    return Bounds(far, None, lower_inclusive=False)
