"""Rules, people and events drawn at random, so that rules are true of some and false of others."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from service.segments.pql.calendar_units import Unit
from service.segments.pql.errors import PqlError
from service.segments.pql.parser import parse
from service.segments.pql.printer import render
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
    Not,
    Occurs,
    Or,
    Path,
    Truthy,
    literal,
)
from service.segments.pql.syntax import Scope as Start
from service.segments.pql.windows import (
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
from tests.segments.worlds import NOW, Happened, Person

NAMES = (("city",), ("a", "b"), ("tags",), ("my key", "x.y"), ("0",), ("tags", "0"), ('o"d\\d',))
TYPES = ("login", "Login", "commerce.purchases")
VALUES: tuple[Any, ...] = ("DE", "de", "ÜNÏ", "ünï", "", 0, 1, -5, 2.5, 10**12, True, False)
OTHERS: tuple[Any, ...] = (None, [], [1], ["DE"], {}, {"b": "DE"})
OFFSETS_H = (-800, -60, -47, -24, -23.5, -9, -1, -0.01, 0, 0.02, 30)
_MOST_EVENTS = 4


def documents() -> st.SearchStrategy[dict[str, Any]]:
    """Attributes of a profile or fields of an event."""
    values = st.sampled_from([*VALUES, *VALUES, *OTHERS])
    chosen = st.dictionaries(st.sampled_from(NAMES), values, min_size=1, max_size=6)
    return chosen.map(_nested)


def _nested(values: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for names, value in sorted(values.items(), key=lambda item: len(item[0])):
        inner = document
        for name in names[:-1]:
            following = inner.setdefault(name, {})
            if not isinstance(following, dict):
                break
            inner = following
        else:
            inner[names[-1]] = deepcopy(value)
    return document


def people(aside: timedelta = timedelta(0)) -> st.SearchStrategy[Person]:
    """People with up to four events around now, ``aside`` of the edges of windows."""
    offsets = st.sampled_from(OFFSETS_H).map(lambda hours: NOW + timedelta(hours=hours) - aside)
    types = st.sampled_from([*TYPES, None])
    events = st.builds(Happened, types, offsets, documents(), st.booleans())
    return st.builds(Person, documents(), st.lists(events, max_size=_MOST_EVENTS).map(tuple))


def windows() -> st.SearchStrategy[Window]:
    """Windows that events of these worlds fall into or miss."""
    anchors = st.one_of(
        st.sampled_from([TimeWord.NOW, TimeWord.NOW, TimeWord.TODAY, TimeWord.YESTERDAY]),
        st.builds(Period, st.sampled_from([Which.THIS, Which.LAST]), st.sampled_from(Unit)),
        st.sampled_from([Day(2026, 7, 1), Day(2026, 6, 30), Day(2026, 5, 30)]),
    )
    units = st.sampled_from([Unit.HOUR, Unit.DAY, Unit.WEEK, Unit.MONTH])
    return st.one_of(
        st.builds(Within, anchors),
        st.builds(Beyond, st.sampled_from(Direction), anchors),
        st.builds(Between, anchors, anchors),
        st.builds(
            Distance,
            st.sampled_from(Comparison),
            st.integers(0, 30),
            units,
            st.sampled_from(Direction),
            anchors,
        ),
    )


def streaming_windows() -> st.SearchStrategy[Window]:
    """Windows that look back 24 hours at most."""
    comparisons = st.sampled_from([Comparison.LESS, Comparison.AT_MOST])
    return st.one_of(
        st.just(Within(TimeWord.TODAY)),
        st.builds(
            Distance,
            comparisons,
            st.integers(1, 24),
            st.just(Unit.HOUR),
            st.just(Direction.BEFORE),
            st.just(TimeWord.NOW),
        ),
    )


def leaves(start: Start) -> st.SearchStrategy[Expression]:
    """Conditions on one field."""
    fields = st.sampled_from([Path(start, names) for names in NAMES])
    if start is Start.EVENT:
        fields = st.one_of(fields, st.just(EVENT_TYPE))
    values = st.sampled_from(VALUES).map(literal)
    texts = st.sampled_from([*TYPES, "de", "ünï"]).map(literal)
    numbers = st.sampled_from([0, 1, 2.5]).map(literal)
    equality = st.sampled_from([CompareOp.EQ, CompareOp.NE])
    several = st.lists(st.one_of(values, texts), min_size=2, max_size=5, unique=True).map(tuple)
    no_case = st.just(value=False)
    found: list[st.SearchStrategy[Expression]] = [
        st.builds(Cmp, equality, fields, st.one_of(values, texts, fields)),
        st.builds(Cmp, st.sampled_from(CompareOp), fields, st.one_of(numbers, fields)),
        st.builds(Cmp, equality, fields, st.one_of(texts, fields), no_case),
        st.builds(In, fields, several, st.booleans()),
        st.builds(Truthy, fields),
        st.builds(IsNull, fields, st.booleans()),
        st.booleans().map(literal),
    ]
    return st.one_of(found)


def _joined(joined: type[And | Or], items: Sequence[Expression]) -> Expression:
    flat = [
        each for item in items for each in (item.items if isinstance(item, joined) else (item,))
    ]
    return joined(tuple(flat))


def _trees(base: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    def grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        several = st.lists(inner, min_size=2, max_size=3)
        return st.one_of(
            inner.map(Not),
            several.map(lambda items: _joined(And, items)),
            several.map(lambda items: _joined(Or, items)),
        )

    return st.recursive(base, grow, max_leaves=4)


def clauses(within: st.SearchStrategy[Window], least: int) -> st.SearchStrategy[Expression]:
    """Event clauses, among them some with windows inside their conditions."""
    times = st.builds(Occurs, st.just(TIMESTAMP), windows())
    conditions = _trees(st.one_of(leaves(Start.EVENT), leaves(Start.EVENT), times))
    pulled = st.lists(within, min_size=least, max_size=2).map(tuple)
    return st.builds(Exists, conditions, pulled, st.sampled_from([1, 1, 1, 2]))


def rules(*, streaming: bool = False) -> st.SearchStrategy[Expression]:
    """Rules with an event clause or without one."""
    profile = _trees(leaves(Start.PROFILE))
    clause = clauses(streaming_windows(), 1) if streaming else clauses(windows(), 0)
    joiners: list[type[And | Or]] = [And, Or]
    both = st.tuples(st.sampled_from(joiners), profile, st.one_of(clause, clause.map(Not)))
    return st.one_of(
        profile,
        clause,
        clause,
        both.map(lambda each: _joined(each[0], [each[1], each[2]])),
    )


def readable(rules_: Sequence[Expression]) -> dict[str, Expression]:
    """Return those of the rules that the language admits, by their text."""
    found: dict[str, Expression] = {}
    for rule in rules_:
        try:
            found[render(rule)] = parse(render(rule))
        except PqlError:
            continue
    return found
