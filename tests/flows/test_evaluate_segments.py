"""A batch job runs to its end, and again without harm."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.db.session import SessionFactory, unit_of_work
from service.flows.evaluate_segments import run_due
from service.jobs import queue
from service.jobs.models import Job
from service.jobs.queue import JobKind, NewJob
from service.sandboxes.scope import Scope
from service.segments import definitions
from service.segments.models import SegmentMembership, SegmentMembershipInterval
from tests.segments import worlds
from tests.segments.worlds import Person
from tests.support.clocks import START, FixedClock


def only_job(session: Session, scope: Scope, key: UUID | None) -> Job:
    assert key is not None
    row = session.get(Job, (scope.sandbox_id, key))
    assert row is not None
    return row


def test_a_run_over_all_segments_tells_what_it_changed(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        worlds.add_segment(session, scope, "a = 1", "batch")
        worlds.add_segment(session, scope, "not (a = 1)")
        for number in range(5):
            worlds.add_person(session, scope, str(number), Person({"a": number % 2}))
        first = definitions.request_evaluation(session, scope, now=clock.now())

    done = [run_due(store, "one", clock), run_due(store, "one", clock)]

    clock.advance(60)
    with unit_of_work(store) as session:
        second = definitions.request_evaluation(session, scope, now=clock.now())
    run_due(store, "one", clock)
    with store.opened() as session:
        results = [only_job(session, scope, key).result for key in (first, second)]
    assert done == [1, 0]
    assert results[0] == {
        "evaluatedAt": "2026-07-01T10:00:00Z",
        "segments": 2,
        "realized": 5,
        "exited": 0,
        "entered": 0,
    }
    assert results[1] == {
        "evaluatedAt": "2026-07-01T10:01:00Z",
        "segments": 2,
        "realized": 0,
        "exited": 0,
        "entered": 0,
    }


def test_a_run_over_one_segment_leaves_the_others(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        chosen = worlds.add_segment(session, scope, "a = 1", "batch")
        worlds.add_segment(session, scope, "a = 1", "batch")
        worlds.add_person(session, scope, "ada", Person({"a": 1}))
        definitions.request_evaluation(session, scope, [chosen], now=clock.now())

    run_due(store, "one", clock)

    with store.opened() as session:
        rows = session.scalars(
            select(SegmentMembership).where(SegmentMembership.sandbox_id == scope.sandbox_id),
        ).all()
    assert [row.segment_id for row in rows] == [chosen]


def test_a_deleted_segment_leaves_no_membership(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        gone = worlds.add_segment(session, scope, "a = 1", "batch")
        kept = worlds.add_segment(session, scope, "a = 1", "batch")
        for number in range(3):
            worlds.add_person(session, scope, str(number), Person({"a": 1}))
        definitions.request_evaluation(session, scope, now=clock.now())
    run_due(store, "one", clock)
    with unit_of_work(store) as session:
        definitions.delete(session, scope, gone, now=clock.now())

    run_due(store, "one", clock)

    with store.opened() as session:
        for table in (SegmentMembership, SegmentMembershipInterval):
            counts = session.execute(
                select(table.segment_id, func.count())
                .where(table.sandbox_id == scope.sandbox_id)
                .group_by(table.segment_id),
            ).all()
            assert [tuple(row) for row in counts] == [(kept, 3)]


def test_a_job_that_kills_its_workers_is_given_up(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    job = NewJob(JobKind.EVALUATE_SEGMENTS, "slot", {}, START)
    with unit_of_work(store) as session:
        key = queue.enqueue(session, scope, job, now=START)
    for _ in range(3):
        with unit_of_work(store) as session:
            assert queue.claim(session, "one", [job.kind], now=clock.now()) is not None
        clock.wait(timedelta(minutes=2).total_seconds())

    run_due(store, "two", clock)

    with store.opened() as session:
        row = only_job(session, scope, key)
        assert (row.state, row.error) == ("failed", "given up after 3 attempts")
