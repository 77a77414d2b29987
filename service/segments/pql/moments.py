"""Windows of time, from the tail of ``occurs`` or the inside of ``WHEN``."""

from calendar import monthrange

from lark import Token

from service.segments.pql.calendar_units import Unit
from service.segments.pql.errors import PqlErrorCode
from service.segments.pql.literals import whole
from service.segments.pql.reach import never_opens
from service.segments.pql.refusals import refusal
from service.segments.pql.source import Branch, Source, arguments, branches, tokens, ungrouped
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

_IRREGULAR = {
    "centuries": Unit.CENTURY,
    "millennia": Unit.MILLENNIUM,
    "millenium": Unit.MILLENNIUM,
}
_LAST_YEAR = 9999
_MONTHS = 12


def window(source: Source, tail: Branch) -> Window:
    """Return the window that the tail of an ``occurs`` means.

    Raises:
        PqlError: ``DATE`` for a day that does not exist, ``WINDOW`` for a stretch that is always
            empty, ``UNSUPPORTED`` for a point of time that is not a word, a period or a date.
    """
    found = _window(source, tail)
    if never_opens((found,)):
        raise source.error(PqlErrorCode.WINDOW, "the window is empty: its end lies before it", tail)
    return found


def _window(source: Source, tail: Branch) -> Window:
    times = [_anchor(source, child) for child in branches(tail)]
    match tail.data:
        case "within":
            return Within(times[0])
        case "between":
            return Between(times[0], times[1])
        case "beyond":
            return Beyond(_direction(tail), times[0])
    comparison = tokens(tail, "COMPARE")[0]
    if comparison == "!=":
        raise source.unsupported("`occurs !=`", comparison)
    unit = _unit(tokens(tail, "UNIT")[0])
    amount = whole(source, tail)
    return Distance(Comparison(str(comparison)), amount, unit, _direction(tail), times[0])


def _anchor(source: Source, tree: Branch) -> Anchor:
    if tree.data == "period":
        which = Which(tokens(tree, "WHICH")[0].lower())
        return Period(which, _unit(tokens(tree, "UNIT")[0]))
    point = ungrouped(branches(tree)[0])
    match point.data:
        case "time_word":
            return TimeWord(tokens(point)[0].lower())
        case "call" if str(tokens(point, "NAME")[0]) == "date":
            return _day(source, point)
        case "name" | "field" | "up" | "parameter":
            raise source.unsupported("a field or a step as a point of time", point)
    raise refusal(source, point)


def _day(source: Source, call: Branch) -> Day:
    parts = arguments(call)
    if len(parts) != len(("year", "month", "day")):
        message = "date takes a year, a month and a day"
        raise source.error(PqlErrorCode.ARITY, message, call)
    for part in parts:
        if part.data in {"string", "double", "true", "false"}:
            raise source.error(PqlErrorCode.TYPE, "date takes whole numbers", part)
        if part.data != "integer":
            raise source.unsupported("an expression in `date()`", part)
    year, month, day = (whole(source, part) for part in parts)
    if not (
        1 <= year <= _LAST_YEAR and 1 <= month <= _MONTHS and 1 <= day <= monthrange(year, month)[1]
    ):
        raise source.error(PqlErrorCode.DATE, "there is no such day in the calendar", call)
    return Day(year, month, day)


def _direction(tail: Branch) -> Direction:
    word = tokens(tail, "DIRECTION")[0].lower()
    return Direction.BEFORE if word == "before" else Direction.AFTER


def _unit(token: Token) -> Unit:
    word = token.lower()
    return _IRREGULAR[word] if word in _IRREGULAR else Unit(word.removesuffix("s"))
