"""Adding units of time to a moment, and cutting a moment down to one.

Moments are aware UTC. Results stay within the years 1 to 9999: what lies beyond is the edge.
"""

from calendar import monthrange
from datetime import UTC, datetime, timedelta
from enum import StrEnum

EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


class Unit(StrEnum):
    """A unit of time, in PQL's singular spelling."""

    MILLISECOND = "millisecond"
    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    DECADE = "decade"
    CENTURY = "century"
    MILLENNIUM = "millennium"


_FIXED = {
    Unit.MILLISECOND: timedelta(milliseconds=1),
    Unit.SECOND: timedelta(seconds=1),
    Unit.MINUTE: timedelta(minutes=1),
    Unit.HOUR: timedelta(hours=1),
    Unit.DAY: timedelta(days=1),
    Unit.WEEK: timedelta(weeks=1),
}
_MONTHS = {
    Unit.MONTH: 1,
    Unit.YEAR: 12,
    Unit.DECADE: 120,
    Unit.CENTURY: 1_200,
    Unit.MILLENNIUM: 12_000,
}
_LONGEST_MONTH = timedelta(days=31)
_LONGEST_YEAR = timedelta(days=366)


def shift(moment: datetime, amount: int, unit: Unit) -> datetime:
    """Return ``moment`` moved by ``amount`` units, backwards when it is negative."""
    edge = EARLIEST if amount < 0 else LATEST
    if unit in _FIXED:
        try:
            return moment + amount * _FIXED[unit]
        except OverflowError:
            return edge
    months = moment.year * 12 + moment.month - 1 + amount * _MONTHS[unit]
    year, month = divmod(months, 12)
    if not EARLIEST.year <= year <= LATEST.year:
        return edge
    day = min(moment.day, monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def floor(moment: datetime, unit: Unit) -> datetime:
    """Return the start of the complete unit that holds ``moment``.

    Decades begin with a 0, centuries and millennia with a 1 (2001), as PostgreSQL counts them.
    """
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case Unit.MILLISECOND:
            return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        case Unit.SECOND:
            return moment.replace(microsecond=0)
        case Unit.MINUTE:
            return moment.replace(second=0, microsecond=0)
        case Unit.HOUR:
            return moment.replace(minute=0, second=0, microsecond=0)
        case Unit.DAY:
            return midnight
        case Unit.WEEK:
            return shift(midnight, -midnight.weekday(), Unit.DAY)
        case Unit.MONTH:
            return midnight.replace(day=1)
        case Unit.YEAR:
            return midnight.replace(month=1, day=1)
    return midnight.replace(year=_first_year(moment.year, unit), month=1, day=1)


def _first_year(year: int, unit: Unit) -> int:
    if unit is Unit.DECADE:
        return max(year // 10 * 10, EARLIEST.year)
    years = _MONTHS[unit] // 12
    return (year - 1) // years * years + 1


def longest(amount: int, unit: Unit) -> timedelta | None:
    """Return the longest time that ``amount`` units can take; None when too long to express."""
    try:
        if unit in _FIXED:
            return amount * _FIXED[unit]
        if unit is Unit.MONTH:
            return amount * _LONGEST_MONTH
        return amount * (_MONTHS[unit] // 12) * _LONGEST_YEAR
    except OverflowError:
        return None
