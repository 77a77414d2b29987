"""Explain shows every condition with what it saw, as evaluation judges it."""

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.core.errors import NotFoundError
from service.db.session import SessionFactory
from service.sandboxes.scope import Scope
from service.segments import evaluation
from service.segments.evaluation import TouchedBy
from service.segments.explain import Basis, explain
from service.segments.pql.syntax import Expression
from tests.segments import generated, worlds
from tests.segments.worlds import NOW, Person, happened

RULE = (
    'city in ["DE", "FR"] and not (a.b > 2 or visits = a.b) and '
    'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "buy" and total > 5) '
    "WHEN(<= 24 hours before now) COUNT(2)])"
)


def test_every_condition_is_shown_with_the_values_it_saw(
    store: SessionFactory,
    scope: Scope,
) -> None:
    ada = Person(
        {"city": "DE", "a": {"b": 1.5}},
        (
            happened("buy", -1, total=9),
            happened("buy", -2, total=1),
            happened("view", -3, total=7),
            happened("buy", -90, total=9),
        ),
    )
    with store.opened() as session:
        segment = worlds.add_segment(session, scope, RULE)
        key = worlds.add_person(session, scope, "ada", ada)

        found = explain(session, scope, segment, key, now=NOW)

    assert not found.is_true
    assert found.recorded is None
    assert [
        (line.text, line.is_true, line.seen) for line in found.lines if "CHAIN" not in line.text
    ] == [
        ('city in ["DE", "FR"]', True, {"city": "DE"}),
        ("a.b > 2", False, {"a.b": 1.5}),
        ("visits = a.b", False, {"a.b": 1.5}),
        ('eventType = "buy"', True, {"fitting": 2, "of": 3}),
        ("total > 5", True, {"fitting": 2, "of": 3}),
    ]
    (clause,) = [line for line in found.lines if "CHAIN" in line.text]
    assert (clause.is_true, clause.seen) == (False, {"fitting": 1, "of": 3, "needed": 2})
    assert {line.basis for line in found.lines} == {Basis.EVALUATED_NOW}
    assert RULE[found.lines[0].span.start : found.lines[0].span.end] == 'city in ["DE", "FR"]'


def test_the_record_stands_beside_the_truth_of_now(store: SessionFactory, scope: Scope) -> None:
    with store.opened() as session:
        segment = worlds.add_segment(session, scope, 'city = "DE"')
        key = worlds.add_person(session, scope, "ada", Person({"city": "DE"}))
        touched = {key: TouchedBy(frozenset(), reshaped=True, event_id=None)}
        evaluation.evaluate_streaming(session, scope, touched, now=NOW)
        worlds.say(session, scope, key, {"city": None})

        found = explain(session, scope, segment, key, now=NOW)

        assert found.recorded is not None
        assert (found.recorded.status, found.is_true) == ("realized", False)
        assert found.lines[0].seen == {"city": None}


@settings(max_examples=20)
@given(rules=st.lists(generated.rules(), min_size=1, max_size=3), person=generated.people())
def test_explain_and_evaluation_never_disagree(
    store: SessionFactory,
    scope: Scope,
    rules: list[Expression],
    person: Person,
) -> None:
    with store.opened() as session:
        texts = list(generated.readable(rules))
        key = worlds.add_person(session, scope, "ada", person)
        judged = evaluation.truths(session, scope, texts, [key], now=NOW)[key] if texts else ()
        segments = [worlds.add_segment(session, scope, text) for text in texts]

        explained = [explain(session, scope, each, key, now=NOW).is_true for each in segments]
        session.rollback()

    assert tuple(explained) == judged


def test_who_or_what_is_unknown_is_said(store: SessionFactory, scope: Scope) -> None:
    with store.opened() as session:
        segment = worlds.add_segment(session, scope, "a = 1")
        key = worlds.add_person(session, scope, "ada", Person())

        with pytest.raises(NotFoundError, match="profile"):
            explain(session, scope, segment, UUID(int=1), now=NOW)
        with pytest.raises(NotFoundError, match="segment"):
            explain(session, scope, UUID(int=1), key, now=NOW)
