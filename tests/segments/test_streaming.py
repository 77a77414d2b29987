"""Streaming evaluation: who enters and leaves while events come in."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from service.db.session import SessionFactory, unit_of_work
from service.flows.open_sandbox import open_sandbox
from service.sandboxes.scope import Scope
from service.segments import evaluation, memberships
from service.segments.evaluation import Cause, MembershipChange, Status, TouchedBy
from tests.segments import worlds
from tests.segments.worlds import NOW, Person, happened
from tests.support.clocks import START

LOGIN = 'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "login") WHEN(<= 24 hours before now)])'
RESHAPED = TouchedBy(frozenset(), reshaped=True, event_id=None)


def by_event(event_type: str, event_id: UUID | None = None) -> TouchedBy:
    return TouchedBy(frozenset({event_type}), reshaped=False, event_id=event_id or uuid4())


def stream(
    session: Session,
    scope: Scope,
    touched: dict[UUID, TouchedBy],
    now: datetime = NOW,
) -> list[tuple[UUID, str]]:
    changes = evaluation.evaluate_streaming(session, scope, touched, now=now)
    return [(each.profile_id, each.status.value) for each in changes]


@contextmanager
def statements() -> Iterator[list[str]]:
    texts: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        texts.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield texts
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_an_event_brings_its_person_in_and_is_named_as_the_cause(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        segment = worlds.add_segment(session, scope, LOGIN)
        ada = worlds.add_person(session, scope, "ada", Person())
        bob = worlds.add_person(session, scope, "bob", Person())
        login = worlds.add_event(session, scope, ada, happened("login"))

        changes = evaluation.evaluate_streaming(
            session,
            scope,
            {ada: by_event("login", login), bob: by_event("view")},
            now=NOW,
        )
        again = stream(session, scope, {ada: by_event("login"), bob: by_event("login")})
        (stay,) = memberships.history(session, scope, segment, ada)

    assert changes == (MembershipChange(segment, ada, Status.REALIZED, login, Cause.EVENT),)
    assert again == []
    assert (stay.entered_at, stay.cause, stay.event_id, stay.left_at) == (NOW, "event", login, None)


def test_attributes_move_people_in_and_out_and_each_stay_is_kept(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        segment = worlds.add_segment(session, scope, 'city = "DE"')
        ada = worlds.add_person(session, scope, "ada", Person())
        moves = []
        for city in ("DE", "FR", "DE"):
            worlds.say(session, scope, ada, {"city": city})
            moves += stream(session, scope, {ada: RESHAPED})
        first, second = memberships.history(session, scope, segment, ada)

    assert moves == [(ada, "realized"), (ada, "exited"), (ada, "realized")]
    assert (first.cause, first.left_cause, second.left_at) == ("profile", "profile", None)
    assert first.left_at is not None
    assert first.entered_at < first.left_at < second.entered_at


def test_under_its_lock_an_evaluation_counts_although_another_clock_was_ahead(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        worlds.add_segment(session, scope, 'city = "DE"')
        ada = worlds.add_person(session, scope, "ada", Person({"city": "DE"}))
        stream(session, scope, {ada: RESHAPED}, NOW + timedelta(seconds=2))
        worlds.say(session, scope, ada, {"city": "FR"})

        left = stream(session, scope, {ada: RESHAPED}, NOW)

        (row,) = memberships.of_profile(session, scope, ada)
        assert left == [(ada, "exited")]
        assert row.evaluated_at == NOW + timedelta(seconds=2, microseconds=1)


def test_without_a_streaming_segment_one_statement_runs(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        worlds.add_segment(session, scope, LOGIN, "batch")
        ada = worlds.add_person(session, scope, "ada", Person(events=(happened("login"),)))
        with statements() as texts:
            changes = stream(session, scope, {ada: by_event("login")})

    assert changes == []
    assert len(texts) == 1


def test_nobody_touched_needs_no_statement(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session, statements() as texts:
        assert stream(session, scope, {}) == []
        assert evaluation.close_absorbed(session, scope, frozenset(), now=NOW) == ()

    assert texts == []


@pytest.mark.parametrize(
    ("touched", "count"),
    [
        (by_event("view"), 1),
        (by_event("LOGIN"), 2),
        (TouchedBy(frozenset(), reshaped=True, event_id=None), 2),
    ],
)
def test_only_what_could_have_changed_is_evaluated(
    store: SessionFactory,
    scope: Scope,
    touched: TouchedBy,
    count: int,
) -> None:
    with unit_of_work(store) as session:
        worlds.add_segment(session, scope, LOGIN)
        worlds.add_segment(session, scope, 'city = "DE"')
        ada = worlds.add_person(session, scope, "ada", Person())
        with statements() as texts:
            stream(session, scope, {ada: touched})

    assert len(texts) == count


def test_the_statements_are_the_same_for_one_person_and_for_many(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        for each in range(5):
            worlds.add_segment(session, scope, LOGIN.replace("login", f"e{each}"))
        keys = [
            worlds.add_person(session, scope, str(each), Person(events=(happened("e1"),)))
            for each in range(12)
        ]
        with statements() as one:
            stream(session, scope, {keys[0]: by_event("e1")})
        with statements() as many:
            found = stream(session, scope, dict.fromkeys(keys[1:], by_event("e1")))

    assert len(found) == 11
    assert one == many


def test_memberships_of_absorbed_profiles_close_as_merged(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        segment = worlds.add_segment(session, scope, 'city = "DE"')
        ada = worlds.add_person(session, scope, "ada", Person({"city": "DE"}))
        bob = worlds.add_person(session, scope, "bob", Person({"city": "DE"}))
        stream(session, scope, {ada: RESHAPED, bob: RESHAPED})

        closed = evaluation.close_absorbed(session, scope, {ada}, now=NOW)

        (stay,) = memberships.history(session, scope, segment, ada)
        (other,) = memberships.history(session, scope, segment, bob)
    assert closed == (MembershipChange(segment, ada, Status.EXITED, None, Cause.MERGED),)
    assert (stay.left_cause, other.left_cause) == ("merged", None)


def test_segments_and_people_of_another_sandbox_stay_as_they_are(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=START)
        worlds.add_segment(session, other, 'city = "DE"')
        mine = worlds.add_segment(session, scope, "city.isNotNull()")
        there = worlds.add_person(session, other, "ada", Person({"city": "DE"}))
        here = worlds.add_person(session, scope, "ada", Person({"city": "FR"}))
        assert there == here

        changes = evaluation.evaluate_streaming(session, scope, {here: RESHAPED}, now=NOW)

        assert [each.segment_id for each in changes] == [mine]
        assert memberships.of_profile(session, other, there) == ()
