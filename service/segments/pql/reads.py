"""What a rule reads, and whether it can be evaluated while an event comes in."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from service.segments.pql.reach import lookback
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
    Not,
    Occurs,
    Or,
    Path,
    Scope,
    Truthy,
)

STREAMING_WINDOW = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Reads:
    """What the truth of a rule depends on besides now.

    Attributes:
        profile_paths: Fields of the profile, each as its names.
        event_paths: Fields of events, the timestamp left out.
        event_types: Lower-cased types an event must be of to matter; None when any type may.
        has_event_clause: Whether events matter at all.
        lookback: How long before now an event can matter at most; None means without limit, and
            zero that no event matters.
    """

    profile_paths: frozenset[tuple[str, ...]]
    event_paths: frozenset[tuple[str, ...]]
    event_types: frozenset[str] | None
    has_event_clause: bool
    lookback: timedelta | None


@dataclass(frozen=True, slots=True)
class Eligible:
    """The rule can be evaluated by streaming."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotEligible:
    """The rule is evaluated in batch only; ``reason`` says what in it stands in the way."""

    reason: str


Eligibility: TypeAlias = Eligible | NotEligible


def reads(expression: Expression) -> Reads:
    """Return what ``expression`` reads; an event or field that is not covered cannot change it."""
    paths = frozenset(_paths(expression))
    clause = _clause(expression)
    return Reads(
        profile_paths=frozenset(path.names for path in paths if path.scope is Scope.PROFILE),
        event_paths=frozenset(path.names for path in paths if path.scope is Scope.EVENT),
        event_types=frozenset() if clause is None else _types(clause[0].condition),
        has_event_clause=clause is not None,
        lookback=timedelta(0) if clause is None else _clause_lookback(clause[0]),
    )


def streaming_eligibility(expression: Expression) -> Eligibility:
    """Tell whether Adobe would evaluate this rule by streaming, and why (not).

    Source: Experience Platform, streaming segmentation, eligible query types (since May 2025).
    """
    clause = _clause(expression)
    if clause is None:
        return Eligible("it reads profile attributes only")
    exists, negated = clause
    if negated:
        return NotEligible("its only event clause is negated")
    back = _clause_lookback(exists)
    if back is None:
        return NotEligible("its event clause has no window that ends its look back")
    if back > STREAMING_WINDOW:
        return NotEligible("its event clause looks back more than 24 hours")
    return Eligible("its event clause looks back 24 hours at most")


def _clause(expression: Expression, *, negated: bool = False) -> tuple[Exists, bool] | None:
    """Return the event clause and whether an odd number of ``not`` stands before it."""
    match expression:
        case Exists():
            return expression, negated
        case Not(item):
            return _clause(item, negated=not negated)
        case And(items) | Or(items):
            found = (_clause(item, negated=negated) for item in items)
            return next((clause for clause in found if clause is not None), None)
    return None


def _paths(expression: Expression) -> Iterator[Path]:
    match expression:
        case And(items) | Or(items):
            for item in items:
                yield from _paths(item)
        case Not(item):
            yield from _paths(item)
        case Exists(condition):
            yield from _paths(condition)
        case Cmp(_, left, right):
            yield left
            if isinstance(right, Path):
                yield right
        case In(path) | Truthy(path) | IsNull(path):
            yield path


def _types(condition: Expression) -> frozenset[str] | None:
    """Return the lower-cased event types that can fit ``condition``, at least; None for any."""
    match condition:
        case Cmp(CompareOp.EQ, left, Lit(value=value)) if left == EVENT_TYPE:
            return frozenset({str(value).lower()}) if str(value).isascii() else None
        case In(path, values, False) if path == EVENT_TYPE:
            return frozenset(str(value.value).lower() for value in values)
        case Lit(value=False):
            return frozenset()
        case And(items):
            known = [types for item in items if (types := _types(item)) is not None]
            return frozenset.intersection(*known) if known else None
        case Or(items):
            each = [_types(item) for item in items]
            if all(types is not None for types in each):
                return frozenset().union(*(types for types in each if types is not None))
    return None


def _clause_lookback(clause: Exists) -> timedelta | None:
    backs = [lookback(window) for window in clause.windows]
    return _least([*backs, _lookback(clause.condition)])


def _lookback(condition: Expression) -> timedelta | None:
    match condition:
        case Occurs(_, window):
            return lookback(window)
        case And(items):
            return _least([_lookback(item) for item in items])
        case Or(items):
            backs = [back for item in items if (back := _lookback(item)) is not None]
            return max(backs) if len(backs) == len(items) else None
        case Lit(value=False):
            return timedelta(0)
    return None


def _least(backs: list[timedelta | None]) -> timedelta | None:
    return min((back for back in backs if back is not None), default=None)
