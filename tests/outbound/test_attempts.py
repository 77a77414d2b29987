"""Attempts: opened with their permits, ended once, by their worker or by the reaper."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from service.db.session import SessionFactory, unit_of_work
from service.outbound import attempts, fair_claims
from service.outbound.attempts import AttemptOutcome, EndedAttempt
from service.outbound.deliveries import Lane
from service.sandboxes.scope import Scope
from tests.support.clocks import START, FixedClock
from tests.support.delivery_world import DeliveryWorld
from tests.support.fake_transport import FakeTransport

LANE = Lane(Scope(1, "prod"), UUID(int=7))
LEASED_UNTIL = START + timedelta(seconds=60)


def start(store: SessionFactory, count: int, worker: str = "w1") -> list[UUID]:
    with unit_of_work(store) as session:
        return attempts.start(
            session,
            LANE,
            [(uuid4(), 1) for _ in range(count)],
            worker=worker,
            cap_id=uuid4(),
            permitted_at=START,
            leased_until=LEASED_UNTIL,
        )


def finish(
    store: SessionFactory, ids: Sequence[UUID], worker: str = "w1", scope: Scope = LANE.scope
) -> frozenset[UUID]:
    ended = [EndedAttempt(key, AttemptOutcome.SENT, 200, None, 5) for key in ids]
    with unit_of_work(store) as session:
        return attempts.finish(session, scope, ended, worker=worker, now=START)


def reap(store: SessionFactory, after_s: float, limit: int = 100) -> int:
    with unit_of_work(store) as session:
        moment = START + timedelta(seconds=after_s)
        return len(attempts.reap(session, now=moment, limit=limit))


def test_a_worker_ends_its_own_open_attempts_once(store: SessionFactory) -> None:
    ids = start(store, 3)

    first = finish(store, ids[:2])
    second = finish(store, ids)

    assert (first, second) == (frozenset(ids[:2]), frozenset(ids[2:]))


def test_another_worker_or_sandbox_cannot_end_them(store: SessionFactory) -> None:
    ids = start(store, 2)

    assert finish(store, ids, worker="w2") == frozenset()
    assert finish(store, ids, scope=Scope(2, "dev")) == frozenset()


@pytest.mark.parametrize(("after_s", "reaped"), [(60, 0), (60.001, 2)])
def test_an_attempt_is_doubtful_only_after_its_lease(
    store: SessionFactory, after_s: float, reaped: int
) -> None:
    start(store, 2)

    assert reap(store, after_s) == reaped


def test_what_the_reaper_ended_stays_ended(store: SessionFactory) -> None:
    ids = start(store, 2)
    reap(store, 61)

    assert finish(store, ids) == frozenset()
    assert reap(store, 61) == 0


def test_what_its_worker_ended_is_never_doubtful(store: SessionFactory) -> None:
    finish(store, start(store, 2))

    assert reap(store, 61) == 0


def test_the_reaper_takes_bounded_batches(store: SessionFactory) -> None:
    start(store, 5)

    assert [reap(store, 61, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_two_reapers_share_the_doubtful_calls(postgres_store: SessionFactory) -> None:
    start(postgres_store, 40)

    with ThreadPoolExecutor(2) as threads:
        reaped = list(threads.map(lambda _: reap(postgres_store, 61), range(2)))

    assert sum(reaped) == 40


def test_two_workers_that_claim_at_once_share_what_is_due(
    postgres_store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    world = DeliveryWorld(postgres_store, scope, clock, FakeTransport())
    world.add_action()
    names = [f"p{number}" for number in range(40)]
    for name in names:
        world.add_person(name, tokens=0)
    intended = world.enter(*names)

    def claim(_: int) -> list[UUID]:
        taken: list[UUID] = []
        for _round in range(10):
            with unit_of_work(postgres_store) as session:
                now = clock.now()
                claimed = fair_claims.claim(session, world.lane, now=now, limit=5)
                taken += [each.id for each in claimed]
        return taken

    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(claim, range(2))

    assert sorted([*one, *other]) == sorted(intended)


def test_a_claim_that_is_rolled_back_is_due_again(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    world = DeliveryWorld(store, scope, clock, FakeTransport())
    world.add_action()
    world.add_person("ann")
    world.enter("ann")

    with store.opened() as session:
        taken = fair_claims.claim(session, world.lane, now=clock.now(), limit=5)

    assert len(taken) == len(world.due()) == 1
