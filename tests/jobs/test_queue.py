"""Work is enqueued once, held by one worker, and outlives it."""

from datetime import timedelta
from threading import Barrier, Thread

from service.db.session import SessionFactory, unit_of_work
from service.flows.open_sandbox import open_sandbox
from service.jobs import queue
from service.jobs.models import Job
from service.jobs.queue import ClaimedJob, JobKind, NewJob
from service.sandboxes.scope import Scope
from tests.support.clocks import START

KINDS = (JobKind.EVALUATE_SEGMENTS,)
AFTER_LEASE = START + queue.LEASE + timedelta(seconds=1)


def work(key: str, due_s: float = 0, kind: str = JobKind.EVALUATE_SEGMENTS) -> NewJob:
    return NewJob(kind, key, {"key": key}, START + timedelta(seconds=due_s))


def claim(store: SessionFactory, owner: str, at_s: float = 0) -> ClaimedJob | None:
    with unit_of_work(store) as session:
        return queue.claim(session, owner, KINDS, now=START + timedelta(seconds=at_s))


def test_the_same_work_is_enqueued_once(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session:
        first = queue.enqueue(session, scope, work("slot"), now=START)
        second = queue.enqueue(session, scope, work("slot"), now=START)
        other_kind = queue.enqueue(session, scope, work("slot", kind="other"), now=START)

    assert first is not None
    assert second is None
    assert other_kind is not None


def test_the_oldest_due_job_is_claimed_with_its_scope(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=START)
        queue.enqueue(session, scope, work("later", due_s=60), now=START)
        queue.enqueue(session, scope, work("second", due_s=-1), now=START)
        queue.enqueue(session, other, work("first", due_s=-2), now=START)
        queue.enqueue(session, scope, work("foreign", due_s=-3, kind="other"), now=START)

    claimed = [claim(store, "one") for _ in range(3)]

    assert [each and (each.scope.sandbox, each.payload) for each in claimed] == [
        ("dev", {"key": "first"}),
        ("prod", {"key": "second"}),
        None,
    ]


def test_two_workers_on_two_connections_never_hold_one_job(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        for number in range(6):
            queue.enqueue(session, scope, work(str(number)), now=START)
    start = Barrier(2)
    held: dict[str, list[str]] = {"one": [], "two": []}

    def take(owner: str) -> None:
        start.wait()
        for _ in range(6):
            job = claim(store, owner)
            if job is not None:
                held[owner].append(job.payload["key"])

    threads = [Thread(target=take, args=(owner,)) for owner in held]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(held["one"] + held["two"]) == [str(number) for number in range(6)]


def test_a_dead_workers_job_goes_to_the_next_and_cannot_be_closed_by_the_first(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with unit_of_work(store) as session:
        queue.enqueue(session, scope, work("slot"), now=START)
    first = claim(store, "one")
    assert first is not None
    assert claim(store, "two") is None
    second = claim(store, "one", at_s=61)
    assert second is not None

    with unit_of_work(store) as session:
        late = (
            queue.hold(session, first, now=AFTER_LEASE),
            queue.finish(session, first, {}, now=AFTER_LEASE),
            queue.fail(session, first, "late", now=AFTER_LEASE),
        )
        held = queue.hold(session, second, now=AFTER_LEASE)
        closed = queue.finish(session, second, {"n": 1}, now=AFTER_LEASE)

    assert late == (False, False, False)
    assert (held, closed) == (True, True)
    assert second.attempts == 2
    with store.opened() as session:
        row = session.get(Job, (scope.sandbox_id, second.id))
        assert row is not None
        assert (row.state, row.result, row.ended_at) == ("finished", {"n": 1}, AFTER_LEASE)
        assert (row.lease_owner, row.leased_until) == (None, None)


def test_a_held_job_is_not_taken_after_its_first_lease(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session:
        queue.enqueue(session, scope, work("slot"), now=START)
    job = claim(store, "one")
    assert job is not None
    with unit_of_work(store) as session:
        assert queue.hold(session, job, now=START + timedelta(seconds=50))

    assert claim(store, "two", at_s=100) is None
    assert claim(store, "two", at_s=111) is not None


def test_a_failed_job_waits_for_its_retry_or_ends(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session:
        key = queue.enqueue(session, scope, work("slot"), now=START)
    job = claim(store, "one")
    assert job is not None
    retry_at = START + timedelta(seconds=30)
    with unit_of_work(store) as session:
        assert queue.fail(session, job, "away", now=START, retry_at=retry_at)

    assert claim(store, "one", at_s=29) is None
    again = claim(store, "one", at_s=30)
    assert again is not None
    with unit_of_work(store) as session:
        assert queue.fail(session, again, "broken", now=AFTER_LEASE)
        row = session.get(Job, (scope.sandbox_id, key))
        assert row is not None
        assert (row.state, row.error, row.attempts) == ("failed", "broken", 2)
    assert claim(store, "one", at_s=9999) is None
