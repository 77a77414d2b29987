"""SQLite, PostgreSQL and a naive reading of the language agree on every rule and person."""

from dataclasses import dataclass

from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from service.db.session import SessionFactory
from service.sandboxes.scope import Scope
from service.segments import evaluation
from service.segments.pql.syntax import Expression
from tests.segments import generated, worlds
from tests.segments.worlds import NOW, Person
from tests.support.pql_oracle import matches

LEAST_SHARE, MOST_SHARE = 0.10, 0.90


@dataclass
class Tally:
    judged: int = 0
    true: int = 0


def judged_in(
    session: Session,
    scope: Scope,
    rules: list[str],
    people: list[Person],
) -> list[tuple[bool, ...]]:
    keys = [
        worlds.add_person(session, scope, str(index), person) for index, person in enumerate(people)
    ]
    answers = evaluation.truths(session, scope, rules, keys, now=NOW)
    session.rollback()
    return [answers[key] for key in keys]


def test_both_engines_and_the_oracle_agree_on_every_rule(
    sqlite_store: SessionFactory,
    postgres_store: SessionFactory,
    scope: Scope,
) -> None:
    tally = Tally()

    @given(
        st.lists(generated.rules(), min_size=4, max_size=8),
        st.lists(generated.people(), min_size=3, max_size=6),
    )
    def agree(rules: list[Expression], people: list[Person]) -> None:
        trees = generated.readable(rules)
        texts = list(trees)
        assume(texts)
        expected = [
            tuple(
                matches(tree, person.attributes, worlds.as_the_oracle_reads(person.events), NOW)
                for tree in trees.values()
            )
            for person in people
        ]
        tally.judged += len(texts) * len(people)
        tally.true += sum(sum(row) for row in expected)
        for store in (sqlite_store, postgres_store):
            with store.opened() as session:
                found = judged_in(session, scope, texts, people)
            differing = [
                (text, person, wanted[at], got[at])
                for person, wanted, got in zip(people, expected, found, strict=True)
                for at, text in enumerate(texts)
                if wanted[at] != got[at]
            ]
            assert not differing, (store.engine.dialect.name, differing)

    agree()

    share = tally.true / tally.judged
    print(f"{tally.judged} judgements, {share:.0%} true")  # noqa: T201 - the share is part of the proof
    assert LEAST_SHARE <= share <= MOST_SHARE
