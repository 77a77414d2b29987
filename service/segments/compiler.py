"""From a rule to one SQL expression, the same for batch, streaming, preview and explain.

A condition on the profile becomes an expression over ``profile.attributes``. An event clause
becomes a number that the one scan of each profile's events has counted, so a hundred rules read
the events once. Every leaf is wrapped two-valued: absent, null and a value of another type make it
false, and ``not`` makes that true.

Source: Experience Platform, Segmentation Service, Profile Query Language; service/decisions/0011.
"""

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import Boolean, and_, bindparam, false, func, not_, or_, true

from service.db.folding import fold
from service.db.types import Moment
from service.segments.fields import Engine, Field, Sql, Truth, type_field
from service.segments.pql.calendar_units import EARLIEST, LATEST
from service.segments.pql.syntax import (
    EVENT_TYPE,
    And,
    Cmp,
    CompareOp,
    Exists,
    Expression,
    In,
    IsNull,
    Lit,
    LiteralKind,
    Not,
    Occurs,
    Or,
    Path,
    Scope,
    Truthy,
)
from service.segments.pql.windows import Bounds, Window, clause_bounds

Windows: TypeAlias = tuple[Window, ...]

_TICK = timedelta(microseconds=1)
_OPERATORS: Mapping[CompareOp, Callable[[Any, Any], Any]] = {
    CompareOp.EQ: operator.eq,
    CompareOp.NE: operator.ne,
    CompareOp.LT: operator.lt,
    CompareOp.LE: operator.le,
    CompareOp.GT: operator.gt,
    CompareOp.GE: operator.ge,
}
_EQUALITY = (CompareOp.EQ, CompareOp.NE)


@dataclass(frozen=True, slots=True)
class EventColumns:
    """The columns of an event that rules and evaluation read."""

    at: Sql
    received_at: Sql
    event_type: Sql
    xdm: Sql


class Compiler:
    """Compiles the rules of one statement; equal parts of several rules share their parameters.

    ``attributes`` is the profile's document, ``events`` the columns of the event at hand.
    """

    def __init__(self, engine: Engine, attributes: Sql, events: EventColumns) -> None:
        self.engine = engine
        self._attributes = attributes
        self._events = events
        self._stretches: dict[tuple[Windows, bool], tuple[Sql, Sql]] = {}

    def condition(self, expression: Expression, counts: Mapping[Exists, Sql]) -> Truth:
        """Return the expression that is true where ``expression`` is; it is never NULL.

        ``counts`` gives, for each event clause, how many of the profile's events fit it; NULL means
        none.
        """
        match expression:
            case And(items):
                return and_(*(self.condition(item, counts) for item in items))
            case Or(items):
                return or_(*(self.condition(item, counts) for item in items))
            case Not(item):
                return not_(self.condition(item, counts))
            case Exists():
                least = self.engine.count(expression.at_least)
                return _sure(counts[expression] >= least)
        return self._leaf(expression)

    def fits(self, clause: Exists) -> Truth:
        """Return whether the event at hand is one that ``clause`` counts; it is never NULL.

        An event later than now has not happened yet, whatever a device's clock says.
        """
        within = self._within(clause.windows, until_now=True)
        return and_(within, self.condition(clause.condition, {}))

    def _leaf(self, leaf: Expression) -> Truth:
        match leaf:
            case Lit(value=value):
                return true() if value else false()
            case Cmp(right=Lit() as right):
                return _sure(self._against_constant(leaf, right))
            case Cmp(right=Path() as right):
                return self._against_field(leaf, right)
            case In():
                return self._among(leaf)
            case Truthy(path):
                return self.field(path).is_true
            case IsNull(path, negated):
                is_present = self.field(path).is_present
                return is_present if negated else not_(is_present)
            case Occurs(_, window):
                return self._within((window,), until_now=False)
        raise TypeError(f"{type(leaf).__name__} is not a condition on one field")

    def field(self, path: Path) -> Field:
        """Return the field that ``path`` names."""
        if path == EVENT_TYPE:
            return type_field(self._events.event_type)
        if path.scope is Scope.EVENT:
            return self.engine.field(self._events.xdm, path.names)
        return self.engine.field(self._attributes, path.names)

    def _against_constant(self, leaf: Cmp, constant: Lit) -> Truth:
        field, compare = self.field(leaf.left), _OPERATORS[leaf.op]
        if constant.kind is LiteralKind.STRING:
            if leaf.case_sensitive:
                return _truth(compare(field.text, self.engine.text(str(constant.value))))
            is_same = self.engine.is_folded(field.text, fold(str(constant.value)))
            return is_same if leaf.op is CompareOp.EQ else not_(is_same)
        if constant.kind is LiteralKind.BOOLEAN:
            if field.boolean is None or leaf.op not in _EQUALITY:
                return false()
            given = self.engine.boolean(value=bool(constant.value))
            return _truth(compare(field.boolean, given))
        if field.number is None:
            return false()
        return _truth(compare(field.number, self.engine.number(_number(constant))))

    def _against_field(self, leaf: Cmp, other: Path) -> Truth:
        left, right, compare = self.field(leaf.left), self.field(other), _OPERATORS[leaf.op]
        parts: list[Sql] = []
        if not leaf.case_sensitive:
            parts.append(compare(self.engine.folded(left.text), self.engine.folded(right.text)))
        else:
            if leaf.op in _EQUALITY:
                parts.append(compare(left.text, right.text))
                if left.boolean is not None and right.boolean is not None:
                    parts.append(compare(left.boolean, right.boolean))
            if left.number is not None and right.number is not None:
                parts.append(compare(left.number, right.number))
        return _sure(*parts)

    def _among(self, leaf: In) -> Truth:
        field, negated = self.field(leaf.path), leaf.negated
        texts = [each.value for each in leaf.values if each.kind is LiteralKind.STRING]
        flags = [bool(each.value) for each in leaf.values if each.kind is LiteralKind.BOOLEAN]
        numbers = [
            _number(each)
            for each in leaf.values
            if each.kind in {LiteralKind.INTEGER, LiteralKind.DOUBLE}
        ]
        parts: list[Sql] = []
        if texts:
            parts.append(self.engine.among(field.text, texts, negated=negated))
        if numbers and field.number is not None:
            parts.append(self.engine.among(field.number, numbers, negated=negated))
        if flags and field.boolean is not None:
            is_one = or_(*(field.boolean == self.engine.boolean(value=flag) for flag in flags))
            parts.append(not_(is_one) if negated else is_one)
        return _sure(*parts)

    def _within(self, windows: Windows, *, until_now: bool) -> Truth:
        key = (windows, until_now)
        if key not in self._stretches:
            name = f"w{len(self._stretches)}"
            self._stretches[key] = (
                bindparam(f"{name}_from", type_=Moment()),
                bindparam(f"{name}_to", type_=Moment()),
            )
        start, end = self._stretches[key]
        at = self._events.at
        return and_(at >= start, at < end)

    def moments(self, now: datetime) -> dict[str, datetime]:
        """Return the parameters that depend on now, for all that was compiled so far."""
        values: dict[str, datetime] = {}
        for index, (windows, until_now) in enumerate(self._stretches):
            start, end = half_open(clause_bounds(windows, now))
            values[f"w{index}_from"] = start
            values[f"w{index}_to"] = min(end, later(now)) if until_now else end
        return values


def clauses(expression: Expression) -> Iterator[Exists]:
    """Yield the event clauses of a rule, in the order of its text."""
    match expression:
        case Exists():
            yield expression
        case Not(item):
            yield from clauses(item)
        case And(items) | Or(items):
            for item in items:
                yield from clauses(item)


def leaves(expression: Expression) -> Iterator[Expression]:
    """Yield the conditions that are not made of others, in the order of the text."""
    match expression:
        case Exists(condition) | Not(condition):
            yield from leaves(condition)
        case And(items) | Or(items):
            for item in items:
                yield from leaves(item)
        case _:
            yield expression


def half_open(bounds: Bounds) -> tuple[datetime, datetime]:
    """Return first moment and first moment after, which is exact: no store keeps less than 1 µs."""
    start, end = bounds.lower or EARLIEST, bounds.upper or LATEST
    return (
        start if bounds.lower_inclusive else later(start),
        later(end) if bounds.upper_inclusive else end,
    )


def later(moment: datetime) -> datetime:
    """Return the next moment that a store can tell from ``moment``."""
    return moment if moment == LATEST else moment + _TICK


def _number(constant: Lit) -> int | float:
    value = constant.value
    return value if isinstance(value, int | float) else float(value)


def _sure(*parts: Sql) -> Truth:
    """Return the one of ``parts`` that is not NULL, or false."""
    return func.coalesce(*parts, false(), type_=Boolean()) if parts else false()


def _truth(value: Any) -> Truth:
    found: Truth = value
    return found
