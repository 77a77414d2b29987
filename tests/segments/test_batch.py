"""Batch evaluation: steps over everybody, beside streaming."""

from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from service.db.session import SessionFactory, unit_of_work
from service.flows.open_sandbox import open_sandbox
from service.sandboxes.scope import Scope
from service.segments import evaluation, memberships
from service.segments.evaluation import Cause, MembershipChange, Status, TouchedBy
from service.segments.pql.reads import Eligible, streaming_eligibility
from service.segments.pql.syntax import Expression
from tests.segments import generated, worlds
from tests.segments.worlds import NOW, Happened, Person, happened
from tests.support.clocks import START
from tests.support.pql_oracle import matches

LOGIN = 'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "login") WHEN(<= 24 hours before now)])'
# Time goes on by a microsecond between streaming and batch; no window opens or closes in it.
ASIDE = timedelta(seconds=7)
RESHAPED = TouchedBy(frozenset(), reshaped=True, event_id=None)


def batch(
    session: Session,
    scope: Scope,
    segments: list[UUID],
    now: datetime = NOW,
) -> tuple[MembershipChange, ...]:
    step = evaluation.evaluate_batch(session, scope, segments, now=now)
    assert step.next_key is None
    return step.changes


def members(session: Session, scope: Scope, segment: UUID, keys: list[UUID]) -> list[bool]:
    return [
        any(
            row.segment_id == segment and row.status == Status.REALIZED
            for row in memberships.of_profile(session, scope, key)
        )
        for key in keys
    ]


def test_a_batch_brings_everybody_in_and_out(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session:
        segment = worlds.add_segment(session, scope, "not (city = 'x')".replace("'", '"'), "batch")
        ada = worlds.add_person(session, scope, "ada", Person())
        bob = worlds.add_person(session, scope, "bob", Person({"city": "x"}))

        first = batch(session, scope, [segment])
        worlds.say(session, scope, ada, {"city": "x"})
        worlds.say(session, scope, bob, {})
        second = batch(session, scope, [segment], NOW + timedelta(hours=1))

    assert first == (MembershipChange(segment, ada, Status.REALIZED, None, Cause.BATCH),)
    assert {(each.profile_id, each.status) for each in second} == {
        (ada, Status.EXITED),
        (bob, Status.REALIZED),
    }


def test_a_run_goes_on_where_its_last_step_ended(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session:
        segments = [worlds.add_segment(session, scope, f"a = {n}", "batch") for n in (1, 1, 2)]
        keys = [
            worlds.add_person(session, scope, str(number), Person({"a": 1})) for number in range(5)
        ]
        steps = []
        after: UUID | None = None
        for _ in range(10):
            step = evaluation.evaluate_batch(
                session, scope, segments, now=NOW, after=after, limit=4
            )
            steps.append(len(step.changes))
            after = step.next_key
            if after is None:
                break

        assert steps == [4, 4, 2]
        assert all(members(session, scope, segments[0], keys))
        assert not any(members(session, scope, segments[2], keys))


def test_a_run_reaches_everybody_over_steps_that_change_nothing(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        segment = worlds.add_segment(session, scope, "a = 1", "batch")
        keys = [worlds.add_person(session, scope, str(number), Person()) for number in range(6)]
        last = max(keys)
        worlds.say(session, scope, last, {"a": 1})
        found: list[list[UUID]] = []
        after: UUID | None = None
        while not found or after is not None:
            step = evaluation.evaluate_batch(
                session, scope, [segment], now=NOW, after=after, most_profiles=2
            )
            found.append([each.profile_id for each in step.changes])
            after = step.next_key

    assert found == [[], [], [last], []]


def test_an_older_evaluation_does_not_overwrite_a_newer_one(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        segment = worlds.add_segment(session, scope, 'city = "DE"', "batch")
        ada = worlds.add_person(session, scope, "ada", Person({"city": "DE"}))
        batch(session, scope, [segment], NOW)
        worlds.say(session, scope, ada, {})

        older = batch(session, scope, [segment], NOW - timedelta(seconds=1))
        same = batch(session, scope, [segment], NOW)
        still = members(session, scope, segment, [ada])
        newer = batch(session, scope, [segment], NOW + timedelta(microseconds=1))

    assert (older, same, still) == ((), (), [True])
    assert [each.status for each in newer] == [Status.EXITED]


def test_who_acted_since_the_run_began_is_left_to_streaming(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        segment = worlds.add_segment(session, scope, LOGIN)
        ada, bob = (
            worlds.add_person(session, scope, name, Person(events=(happened("login", -1),)))
            for name in ("ada", "bob")
        )
        evaluation.evaluate_streaming(session, scope, {ada: RESHAPED, bob: RESHAPED}, now=NOW)
        run = NOW + timedelta(hours=24)
        at = run + timedelta(seconds=1)
        worlds.add_event(session, scope, ada, Happened("login", at, {}), received_at=at)
        touch = TouchedBy(frozenset({"login"}), reshaped=False, event_id=None)
        evaluation.evaluate_streaming(session, scope, {ada: touch}, now=at + timedelta(seconds=1))

        changes = batch(session, scope, [segment], run)

        assert [(each.profile_id, each.status) for each in changes] == [(bob, Status.EXITED)]
        assert members(session, scope, segment, [ada, bob]) == [True, False]


def test_a_batch_stays_in_its_sandbox(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=START)
        mine = worlds.add_segment(session, scope, "a = 1", "batch")
        theirs = worlds.add_segment(session, other, "a = 1", "batch")
        here = worlds.add_person(session, scope, "ada", Person({"a": 1}))
        worlds.add_person(session, other, "ada", Person({"a": 1}))
        worlds.add_person(session, other, "bob", Person({"a": 1}))

        changes = batch(session, scope, [mine, theirs])

        assert [(each.segment_id, each.profile_id) for each in changes] == [(mine, here)]
        assert memberships.of_profile(session, other, here) == ()


def test_an_absorbed_profile_is_in_no_batch(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session:
        segment = worlds.add_segment(session, scope, "not a", "batch")
        ada = worlds.add_person(session, scope, "ada", Person())
        worlds.absorb(session, scope, ada, worlds.add_person(session, scope, "bob", Person()))

        changes = batch(session, scope, [segment])

    assert ada not in {each.profile_id for each in changes}
    assert len(changes) == 1


@st.composite
def steps(draw: st.DrawFn) -> list[tuple[int, dict[str, object] | None, Happened | None]]:
    """What happens to whom: new attributes, a new event, or both."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        person = draw(generated.people(ASIDE))
        told = person.attributes if draw(st.booleans()) else None
        did = person.events[0] if person.events else None
        found.append((draw(st.integers(0, 2)), told, did))
    return found


@settings(max_examples=25)
@given(
    rules=st.lists(generated.rules(streaming=True), min_size=2, max_size=5),
    people=st.lists(generated.people(ASIDE), min_size=3, max_size=3),
    moves=steps(),
)
def test_after_any_streaming_a_batch_changes_nothing(
    store: SessionFactory,
    scope: Scope,
    rules: list[Expression],
    people: list[Person],
    moves: list[tuple[int, dict[str, object] | None, Happened | None]],
) -> None:
    trees = {
        text: tree
        for text, tree in generated.readable(rules).items()
        if isinstance(streaming_eligibility(tree), Eligible)
    }
    with store.opened() as session:
        segments = {worlds.add_segment(session, scope, text): text for text in trees}
        keys = [worlds.add_person(session, scope, str(n), each) for n, each in enumerate(people)]
        evaluation.evaluate_streaming(session, scope, dict.fromkeys(keys, RESHAPED), now=NOW)
        attributes = [each.attributes for each in people]
        events = [list(each.events) for each in people]
        for who, told, did in moves:
            if told is not None:
                attributes[who] = told
                worlds.say(session, scope, keys[who], told)
            if did is not None:
                events[who].append(did)
                worlds.add_event(session, scope, keys[who], did)
            types = frozenset({did.event_type or ""}) if did else frozenset()
            touched = {keys[who]: TouchedBy(types, reshaped=told is not None, event_id=None)}
            evaluation.evaluate_streaming(session, scope, touched, now=NOW)

        changes = batch(session, scope, list(segments), NOW + timedelta(microseconds=1))
        standing = {key: members(session, scope, key, keys) for key in segments}
        session.rollback()

    assert changes == ()
    for key, text in segments.items():
        assert standing[key] == [
            matches(trees[text], told, worlds.as_the_oracle_reads(did), NOW)
            for told, did in zip(attributes, events, strict=True)
        ], text
