"""The live gauge: permits that count and connections that are leased."""

from datetime import timedelta
from uuid import UUID

from service.db.session import SessionFactory, unit_of_work
from service.outbound import capping, connections, endpoint_usage
from service.outbound.capping import Cap
from service.outbound.connections import ConnectionLimit
from service.outbound.endpoint_usage import Usage
from service.outbound.models import PermitCap
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock

CAP = Cap(UUID(int=1), 10, 60_000)
OTHER = Cap(UUID(int=2), 10, 60_000)
LIMIT = ConnectionLimit(CAP.id, 5)


def read(store: SessionFactory, scope: Scope) -> dict[UUID, Usage]:
    with unit_of_work(store) as session:
        return endpoint_usage.read(session, scope, [CAP.id, OTHER.id])


def take(store: SessionFactory, scope: Scope, cap: Cap, count: int, clock: FixedClock) -> None:
    with unit_of_work(store) as session:
        capping.take_permits(session, scope, cap, wanted=count, clock=clock)


def lease(
    store: SessionFactory, scope: Scope, worker: str, clock: FixedClock, ttl_s: float = 60
) -> None:
    with unit_of_work(store) as session:
        connections.lease(session, scope, LIMIT, worker, wanted=2, ttl_s=ttl_s, clock=clock)


def test_a_cap_that_was_never_used_has_everything_left(store: SessionFactory, scope: Scope) -> None:
    unused = read(store, scope)[CAP.id]

    assert (unused.permits, unused.first_end_at, unused.paused_until) == (0, None, None)
    assert (unused.connections, unused.leases) == (0, ())


def test_permits_count_until_their_window_is_over(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    take(store, scope, CAP, 3, clock)
    take(store, scope, CAP, 4, clock)
    take(store, scope, Cap(OTHER.id, 10, 1), 10, clock)
    take(store, Scope(2, "dev"), CAP, 1, clock)

    used = read(store, scope)

    assert used[CAP.id].permits == 7
    ends = used[CAP.id].first_end_at
    assert ends is not None
    assert 60 < (ends - used[CAP.id].read_at).total_seconds() < 63


def test_leases_are_shown_by_worker_until_they_end(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    lease(store, scope, "one", clock)
    lease(store, scope, "two", clock)
    lease(store, scope, "gone", clock, ttl_s=-1)
    lease(store, Scope(2, "dev"), "three", clock)

    used = read(store, scope)

    assert [(each.worker, each.slots) for each in used[CAP.id].leases] == [("one", 2), ("two", 2)]
    assert (used[CAP.id].connections, used[OTHER.id].connections) == (4, 0)


def test_a_pause_is_shown_until_it_is_over(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    for cap in (CAP, OTHER):
        take(store, scope, cap, 3, clock)
    now = read(store, scope)[CAP.id].read_at
    until = now + timedelta(minutes=1)
    with unit_of_work(store) as session:
        for cap, end in ((CAP, until), (OTHER, now)):
            row = session.get(PermitCap, (scope.sandbox_id, cap.id))
            assert row is not None
            row.paused_until = end

    used = read(store, scope)

    assert (used[CAP.id].paused_until, used[OTHER.id].paused_until) == (until, None)
