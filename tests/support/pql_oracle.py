"""A naive reading of a rule over one profile in memory: the oracle for the compiler.

Written from Adobe's description of PQL: null travels up to the nearest condition and is false
there; types are looked at before values are compared; all time is UTC. It shares the tree with the
product and nothing else, least of all the calculation of windows.

An event is ``{"event_type": str | None, "timestamp": aware datetime, "xdm": dict}``.
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from service.segments.pql.calendar_units import Unit
from service.segments.pql.syntax import (
    And,
    Cmp,
    CompareOp,
    Exists,
    Expression,
    In,
    IsNull,
    Lit,
    Not,
    Occurs,
    Or,
    Path,
    Truthy,
)
from service.segments.pql.windows import (
    Anchor,
    Between,
    Beyond,
    Comparison,
    Day,
    Direction,
    Distance,
    Period,
    TimeWord,
    Which,
    Window,
    Within,
)

Event = Mapping[str, Any]
FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)

_SECONDS = {
    Unit.MILLISECOND: 0.001,
    Unit.SECOND: 1,
    Unit.MINUTE: 60,
    Unit.HOUR: 3_600,
    Unit.DAY: 86_400,
    Unit.WEEK: 604_800,
}
_YEARS = {Unit.YEAR: 1, Unit.DECADE: 10, Unit.CENTURY: 100, Unit.MILLENNIUM: 1000}


def matches(
    expression: Expression,
    profile_attributes: Mapping[str, Any],
    events: Sequence[Event],
    now: datetime,
) -> bool:
    """Tell whether the profile is in the segment at ``now``."""
    return _holds(expression, profile_attributes, None, events, now)


def _holds(  # noqa: C901 - one case per node
    node: Expression,
    document: Mapping[str, Any],
    happened: datetime | None,
    events: Sequence[Event],
    now: datetime,
) -> bool:
    """Read ``node`` over one document: the profile, or (with ``happened``) one event."""
    match node:
        case And(items):
            return all(_holds(item, document, happened, events, now) for item in items)
        case Or(items):
            return any(_holds(item, document, happened, events, now) for item in items)
        case Not(item):
            return not _holds(item, document, happened, events, now)
        case Exists():
            return sum(_fits(node, event, now) for event in events) >= node.at_least
        case Occurs(_, window):
            return happened is not None and occurs(happened, window, now)
        case Lit():
            return node.value is True
        case Truthy(path):
            return _truth(_value(path, document))
        case IsNull(path, negated):
            return (_value(path, document) is None) != negated
        case In(path, values, negated):
            value = _value(path, document)
            rivals = [v.value for v in values if _kind(v.value) == _kind(value) is not None]
            return bool(rivals) and (value in rivals) != negated
        case Cmp():
            return _compare(node, document)


def _fits(clause: Exists, event: Event, now: datetime) -> bool:
    document = {**event["xdm"], "eventType": event["event_type"]}
    return all(occurs(event["timestamp"], window, now) for window in clause.windows) and _holds(
        clause.condition, document, event["timestamp"], (), now
    )


def _value(path: Path, document: Any) -> Any:
    for name in path.names:
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    return document


def _truth(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) > 0
    return value is not None and value is not False


def _kind(value: Any) -> str | None:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else None


def _compare(node: Cmp, document: Mapping[str, Any]) -> bool:
    left = _value(node.left, document)
    right = node.right.value if isinstance(node.right, Lit) else _value(node.right, document)
    if _kind(left) is None or _kind(left) != _kind(right):
        return False
    if not node.case_sensitive:
        if not isinstance(left, str) or not isinstance(right, str):
            return False
        left, right = left.lower(), right.lower()
    if node.op in {CompareOp.EQ, CompareOp.NE}:
        return bool(left == right) == (node.op is CompareOp.EQ)
    if _kind(left) != "number":
        return False
    return bool(
        {
            CompareOp.LT: left < right,
            CompareOp.LE: left <= right,
            CompareOp.GT: left > right,
            CompareOp.GE: left >= right,
        }[node.op]
    )


def occurs(x: datetime, window: Window, now: datetime) -> bool:
    """Tell whether ``x`` lies in ``window``, row by row of the table of time forms."""
    match window:
        case Within(anchor):
            start, end = _times(anchor, now)
            return x == start if start == end else start <= x < end
        case Beyond(Direction.BEFORE, anchor):
            return x < _times(anchor, now)[0]
        case Beyond(_, anchor):
            start, end = _times(anchor, now)
            return x > end if start == end else x >= end
        case Between(first, last):
            start, end = _times(last, now)
            return _times(first, now)[0] <= x and (x <= end if start == end else x < end)
        case Distance():
            return _at_distance(x, window, now)


def _at_distance(x: datetime, window: Distance, now: datetime) -> bool:
    start, end = _times(window.anchor, now)
    instant = start == end
    sign = -1 if window.direction is Direction.BEFORE else 1
    far = _moved(start, sign * window.amount, window.unit)
    if window.comparison is Comparison.EXACTLY:
        if instant:
            return _cut(x, window.unit) == _cut(far, window.unit)
        return far <= x < _moved(end, sign * window.amount, window.unit)
    if window.direction is Direction.BEFORE:
        return {
            Comparison.AT_MOST: far <= x < start,
            Comparison.LESS: far < x < start,
            Comparison.MORE: x < far,
            Comparison.AT_LEAST: x <= far,
        }[window.comparison]
    begun = x > start if instant else x >= start
    return {
        Comparison.AT_MOST: begun and x <= far,
        Comparison.LESS: begun and x < far,
        Comparison.MORE: x > far,
        Comparison.AT_LEAST: x >= far,
    }[window.comparison]


def _times(anchor: Anchor, now: datetime) -> tuple[datetime, datetime]:
    if anchor is TimeWord.NOW:
        return now, now
    if isinstance(anchor, Day):
        start = datetime(anchor.year, anchor.month, anchor.day, tzinfo=UTC)
        return start, start + timedelta(days=1)
    if isinstance(anchor, Period):
        offset = {Which.LAST: -1, Which.THIS: 0, Which.NEXT: 1}[anchor.which]
        this = _cut(now, anchor.unit)
        return _moved(this, offset, anchor.unit), _moved(this, offset + 1, anchor.unit)
    offset = {TimeWord.YESTERDAY: -1, TimeWord.TODAY: 0, TimeWord.TOMORROW: 1}[anchor]
    start = _cut(now, Unit.DAY) + timedelta(days=offset)
    return start, start + timedelta(days=1)


def _moved(moment: datetime, amount: int, unit: Unit) -> datetime:
    try:
        if unit in _SECONDS:
            return moment + timedelta(seconds=_SECONDS[unit]) * amount
        months = amount if unit is Unit.MONTH else 12 * amount * _YEARS[unit]
        index = moment.year * 12 + (moment.month - 1) + months
        year, month = index // 12, index % 12 + 1
        return moment.replace(
            year=year, month=month, day=min(moment.day, monthrange(year, month)[1])
        )
    except (OverflowError, ValueError):
        return FIRST_MOMENT if amount < 0 else LAST_MOMENT


def _cut(moment: datetime, unit: Unit) -> datetime:
    if unit is Unit.WEEK:
        return _cut(moment, Unit.DAY) - timedelta(days=moment.weekday())
    if unit in _SECONDS:
        since = moment - FIRST_MOMENT
        return moment - since % timedelta(seconds=_SECONDS[unit])
    if unit is Unit.MONTH:
        return datetime(moment.year, moment.month, 1, tzinfo=UTC)
    years = _YEARS[unit]
    if unit in {Unit.YEAR, Unit.DECADE}:
        return datetime(max(moment.year - moment.year % years, 1), 1, 1, tzinfo=UTC)
    return datetime(moment.year - (moment.year - 1) % years, 1, 1, tzinfo=UTC)
