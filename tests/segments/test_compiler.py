"""What a compiled rule does with the values, names and types it meets."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from service.db.session import SessionFactory
from service.flows.open_sandbox import open_sandbox
from service.sandboxes.scope import Scope
from service.segments import evaluation
from service.segments.programs import program_of
from tests.segments import worlds
from tests.segments.worlds import NOW, Person, happened
from tests.support.clocks import START

EVIL = "'; drop table profile; --"


CASES: tuple[tuple[str, dict[str, Any], bool], ...] = (
    ('`say "x"`.`back\\slash` = 1', {'say "x"': {"back\\slash": 1}}, True),
    ('a.`say "x"` = 1', {"a": {'say "y"': 1}}, False),
    ('`say "x"`.isNull()', {'say "x"': None}, True),
    ("tags.`0` = 1", {"tags": [1]}, False),
    ("tags.`0` = 1", {"tags": {"0": 1}}, True),
    ("tags.`-1`.isNotNull()", {"tags": [1]}, False),
    ("a = 500", {"a": "abc"}, False),
    ("a > 500", {"a": "abc"}, False),
    ("a != 500", {"a": "abc"}, False),
    ("a != 500", {}, False),
    ("not (a = 500)", {}, True),
    ("a = 1", {"a": True}, False),
    ("a = true", {"a": 1}, False),
    ("a = 1", {"a": 1.0}, True),
    ("a = 0.1", {"a": 0.1}, True),
    ("a = 9007199254740993", {"a": 9007199254740993}, True),
    ("a = 9007199254740992", {"a": 9007199254740993}, False),
    ("a > 1", {"a": 10**30}, True),
    ("a < 1", {"a": -1e300}, True),
    ("a = b", {"a": "x", "b": "x"}, True),
    ("a = b", {"a": 1, "b": "1"}, False),
    ("a = b", {"a": None, "b": None}, False),
    ("a", {"a": ""}, True),
    ("a", {"a": {}}, True),
    ("a", {"a": []}, False),
    ('a.equals("köln", false)', {"a": "KÖLN"}, True),
    ('a.equals("kelvin", false)', {"a": "\u212aelvin"}, True),
    ('a.notEqualTo("köln", false)', {"a": "KÖLN"}, False),
    ('a.notEqualTo("köln", false)', {}, False),
    ("a.equals(b, false)", {"a": "ÉCOLE", "b": "école"}, True),
    ("a.equals(b, false)", {"a": "ECOLE", "b": "école"}, False),
    ('a = "köln"', {"a": "KÖLN"}, False),
    ("a in [1, true]", {"a": True}, True),
    ("a notIn [1, true]", {"a": False}, True),
    ("a notIn [1, true]", {"a": "x"}, False),
)


def truth_of(
    session: Session,
    scope: Scope,
    rule: str,
    person: Person,
) -> bool:
    key = worlds.add_person(session, scope, "ada", person)
    return evaluation.truths(session, scope, [rule], [key], now=NOW)[key][0]


@pytest.mark.parametrize(
    "rule",
    [f'name = "{EVIL}"', f'name in ["{EVIL}", "b"]', f'name.equals("{EVIL}", false)'],
)
def test_a_value_of_a_rule_is_bound_and_never_part_of_the_statement(
    store: SessionFactory,
    scope: Scope,
    rule: str,
) -> None:
    program = program_of(store.engine.dialect.name, (rule,))
    text = str(program.truths.compile(dialect=store.engine.dialect))

    with store.opened() as session:
        holds = truth_of(session, scope, rule, Person({"name": EVIL}))

    assert holds
    assert "drop" not in text


def test_a_name_of_a_field_is_bound_too(store: SessionFactory, scope: Scope) -> None:
    rule = f"`a.b`.`{EVIL}` = 1"
    program = program_of(store.engine.dialect.name, (rule,))
    text = str(program.truths.compile(dialect=store.engine.dialect))

    with store.opened() as session:
        holds = truth_of(session, scope, rule, Person({"a.b": {EVIL: 1}, "a": {"b": {EVIL: 2}}}))

    assert holds
    assert "drop" not in text


def test_a_condition_looks_at_the_type_before_the_value(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with store.opened() as session:
        keys = [
            worlds.add_person(session, scope, str(number), Person(attributes))
            for number, (_, attributes, _) in enumerate(CASES)
        ]
        rules = [rule for rule, _, _ in CASES]
        answers = evaluation.truths(session, scope, rules, keys, now=NOW)

    found = [answers[key][number] for number, key in enumerate(keys)]
    wrong = [case for case, holds in zip(CASES, found, strict=True) if holds is not case[2]]
    assert not wrong


def test_an_event_counts_inside_its_window_and_never_before_it_has_happened(
    store: SessionFactory,
    scope: Scope,
) -> None:
    rule = 'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "a") WHEN(<= 24 hours before now)])'
    expected = {-24: True, -23: True, -24.01: False, 0: False, 0.01: False}

    with store.opened() as session:
        keys = [
            worlds.add_person(session, scope, str(hours), Person(events=(happened("a", hours),)))
            for hours in expected
        ]
        answers = evaluation.truths(session, scope, [rule], keys, now=NOW)

    found = {hours: answers[key][0] for hours, key in zip(expected, keys, strict=True)}
    assert found == expected


def test_an_event_after_now_does_not_count_without_a_window_either(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with store.opened() as session:
        holds = truth_of(
            session, scope, 'xEvent[eventType = "a"]', Person(events=(happened("a", 1),))
        )

    assert not holds


def test_the_events_of_all_identities_count_together(store: SessionFactory, scope: Scope) -> None:
    events = (
        happened("a", -1),
        worlds.Happened("a", NOW, {}, on_device=True),
    )

    with store.opened() as session:
        holds = truth_of(
            session, scope, "xEvent[a = 1 or not b].count() >= 2", Person(events=events)
        )

    assert holds


def test_the_same_person_of_another_sandbox_is_not_seen(
    store: SessionFactory,
    scope: Scope,
) -> None:
    rules = ['city = "DE"', "xEvent.count() >= 1"]
    with store.opened() as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=START)
        full = Person({"city": "DE"}, (happened("a"),))
        there = worlds.add_person(session, other, "ada", full)
        here = worlds.add_person(session, scope, "ada", Person())

        answers = evaluation.truths(session, scope, rules, [here], now=NOW)
        of_other = evaluation.truths(session, other, rules, [there], now=NOW)

    assert here == there
    assert answers[here] == (False, False)
    assert of_other[there] == (True, True)


def test_a_statement_does_not_grow_with_the_number_of_people(
    store: SessionFactory,
    scope: Scope,
) -> None:
    rules = ["xEvent[a = 1].count() >= 1", 'city = "DE"']
    texts: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        texts.append(statement)

    with store.opened() as session:
        keys = [worlds.add_person(session, scope, str(each), Person()) for each in range(9)]
        event.listen(Engine, "before_cursor_execute", note)
        try:
            for count in (1, 9):
                evaluation.truths(session, scope, rules, keys[:count], now=NOW)
        finally:
            event.remove(Engine, "before_cursor_execute", note)

    assert len(texts) == 2
    assert len(set(texts)) == 1


def test_two_hundred_rules_are_judged_in_their_order(store: SessionFactory, scope: Scope) -> None:
    rules = [f"a = {number}" for number in range(200)]
    with store.opened() as session:
        key = worlds.add_person(session, scope, "ada", Person({"a": 150}))

        (answers,) = evaluation.truths(session, scope, rules, [key], now=NOW).values()

    assert [number for number, holds in enumerate(answers) if holds] == [150]


def test_a_rule_as_large_as_the_language_admits_is_judged(
    store: SessionFactory,
    scope: Scope,
) -> None:
    wide = " or ".join(f'a.b{number} = "x"' for number in range(299))
    listed = f"n in [{', '.join(str(number) for number in range(1000))}]"

    with store.opened() as session:
        key = worlds.add_person(session, scope, "ada", Person({"a": {"b298": "x"}, "n": 999}))
        answers = evaluation.truths(session, scope, [wide, listed], [key], now=NOW)

    assert answers[key] == (True, True)


def test_an_absorbed_profile_has_no_answer(store: SessionFactory, scope: Scope) -> None:
    with store.opened() as session:
        ada = worlds.add_person(session, scope, "ada", Person())
        bob = worlds.add_person(session, scope, "bob", Person())
        worlds.absorb(session, scope, ada, bob)

        answers = evaluation.truths(session, scope, ["not a"], [ada, bob], now=NOW)

    assert answers == {bob: (True,)}


def test_nobody_is_asked_about_nobody(store: SessionFactory, scope: Scope) -> None:
    with store.opened() as session:
        assert evaluation.truths(session, scope, ["a = 1"], [], now=NOW) == {}
        assert evaluation.truths(session, scope, ["a = 1"], [UUID(int=7)], now=NOW) == {}
