"""Rules in normal form, and profiles and events that make them true and false."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from service.segments.pql.calendar_units import Unit
from service.segments.pql.reach import never_opens, opens_in_the_future
from service.segments.pql.syntax import (
    EVENT_TYPE,
    TIMESTAMP,
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
    literal,
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

NAMES = ("a", "b", "city", "_acme", "count", "today", "Upper", "my-key", "x.y", "@id", "order")
VALUES: tuple[Any, ...] = ("DE", "de", "", "it's", "Ünï", 0, 1, -5, 2.5, 10**12, True, False)
EVENT_TYPES = ("login", "Login", "commerce.purchases")
EARLIEST_NOW = datetime(2024, 1, 1, tzinfo=UTC)


def literals() -> st.SearchStrategy[Lit]:
    """Constants of every kind."""
    values = st.one_of(
        st.sampled_from(VALUES),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8),
        st.integers(-(2**63) + 1, 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0),
    )
    return values.map(literal)


def paths(scope: Scope) -> st.SearchStrategy[Path]:
    """Fields, with names that need quoting among them."""
    names = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple)
    found = names.map(lambda names: Path(scope, names))
    return st.one_of(found, st.just(EVENT_TYPE)) if scope is Scope.EVENT else found


def anchors() -> st.SearchStrategy[Anchor]:
    """Points of time."""
    day = st.dates(EARLIEST_NOW.date(), EARLIEST_NOW.date() + timedelta(days=900))
    return st.one_of(
        st.sampled_from(TimeWord),
        st.builds(Period, st.sampled_from(Which), st.sampled_from(Unit)),
        day.map(lambda day: Day(day.year, day.month, day.day)),
    )


def windows() -> st.SearchStrategy[Window]:
    """Windows that are not always empty."""
    amounts = st.one_of(st.integers(0, 40), st.integers(0, 2**63 - 1))
    distance = st.builds(
        Distance,
        st.sampled_from(Comparison),
        amounts,
        st.sampled_from(Unit),
        st.sampled_from(Direction),
        anchors(),
    )
    return st.one_of(
        st.builds(Within, anchors()),
        st.builds(Beyond, st.sampled_from(Direction), anchors()),
        st.builds(Between, anchors(), anchors()),
        distance,
    ).filter(lambda window: not never_opens((window,)))


def leaves(scope: Scope) -> st.SearchStrategy[Expression]:
    """Conditions on one field."""
    field, value = paths(scope), literals()
    equality = st.sampled_from([CompareOp.EQ, CompareOp.NE])
    numbers = value.filter(lambda lit: isinstance(lit.value, int | float) and lit.kind != "boolean")
    texts = value.filter(lambda lit: isinstance(lit.value, str))
    values = st.lists(value, min_size=2, max_size=4, unique=True).map(tuple)
    found: list[st.SearchStrategy[Expression]] = [
        st.builds(Cmp, equality, field, st.one_of(value, field)),
        st.builds(Cmp, st.sampled_from(CompareOp), field, st.one_of(numbers, field)),
        st.builds(Cmp, equality, field, st.one_of(texts, field), st.just(value=False)),
        st.builds(In, field, values, st.booleans()),
        st.builds(Truthy, field),
        st.builds(IsNull, field, st.booleans()),
        st.booleans().map(literal),
    ]
    return st.one_of(found)


def _flat(joined: type[And] | type[Or], items: list[Expression]) -> Expression:
    flat = [i for item in items for i in (item.items if isinstance(item, joined) else (item,))]
    return joined(tuple(flat))


def _trees(base: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        several = st.lists(inner, min_size=2, max_size=3)
        return st.one_of(
            inner.map(Not),
            several.map(lambda items: _flat(And, items)),
            several.map(lambda items: _flat(Or, items)),
        )

    return st.recursive(base, grow, max_leaves=5)


def event_conditions() -> st.SearchStrategy[Expression]:
    """Conditions on one event, windows pulled out of their conjunctions."""
    times = st.builds(Occurs, st.just(TIMESTAMP), windows())
    trees = _trees(st.one_of(leaves(Scope.EVENT), times))
    return trees.filter(
        lambda tree: (
            not any(
                isinstance(item, Occurs)
                for item in (tree.items if isinstance(tree, And) else (tree,))
            )
        )
    )


def clauses() -> st.SearchStrategy[Expression]:
    """Event clauses that an event can fit."""
    pulled = st.lists(windows(), max_size=2).map(tuple)
    return st.builds(Exists, event_conditions(), pulled, st.integers(1, 4)).filter(
        lambda clause: not never_opens(clause.windows) and not opens_in_the_future(clause.windows)
    )


def rules() -> st.SearchStrategy[Expression]:
    """Whole rules: profile conditions with at most one event clause somewhere."""
    profile = _trees(leaves(Scope.PROFILE))
    clause = st.one_of(clauses(), clauses().map(Not))
    joiners: list[type[And | Or]] = [And, Or]
    joined = st.tuples(st.sampled_from(joiners), st.lists(profile, min_size=1, max_size=2), clause)
    return st.one_of(profile, clause, joined.map(lambda t: _flat(t[0], [*t[1], t[2]])))
