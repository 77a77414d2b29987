"""Leased connections never exceed their limit, and come back when their holder is killed."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from uuid import UUID

import pytest
from sqlalchemy import func, select

from service.core.clock import Clock, SystemClock
from service.db.session import SessionFactory, unit_of_work
from service.outbound import connections
from service.outbound.connections import ConnectionLimit, Lease
from service.outbound.models import ConnectionLease
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock

LIMIT = ConnectionLimit(UUID("0197c000-0000-7000-8000-000000000010"), 10)
_HOLD_AND_HANG = """
import sys
from uuid import UUID
from tests.outbound.test_connections import lease
from service.core.clock import SystemClock
from service.db.engine import open_engine
from service.db.session import SessionFactory
from service.sandboxes.scope import Scope
store = SessionFactory(open_engine(sys.argv[1]))
held = lease(store, Scope(1, "prod"), "killed", 10, SystemClock(), ttl_s=1.0)
print(held.slots, flush=True)
sys.stdin.read()
"""


def lease(
    store: SessionFactory,
    scope: Scope,
    worker: str,
    wanted: int,
    clock: Clock,
    *,
    ttl_s: float = 30.0,
) -> Lease:
    with unit_of_work(store) as session:
        return connections.lease(
            session, scope, LIMIT, worker, wanted=wanted, ttl_s=ttl_s, clock=clock
        )


def renew(
    store: SessionFactory, scope: Scope, worker: str, wanted: int, clock: Clock
) -> Lease | None:
    with unit_of_work(store) as session:
        return connections.renew(
            session, scope, LIMIT, worker, wanted=wanted, ttl_s=30.0, clock=clock
        )


def leased(store: SessionFactory, scope: Scope) -> int:
    with unit_of_work(store) as session:
        total = select(func.sum(ConnectionLease.slots)).where(
            ConnectionLease.sandbox_id == scope.sandbox_id
        )
        return session.scalar(total) or 0


def test_the_only_holder_gets_what_it_wants_up_to_the_limit(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    modest = lease(store, scope, "a", 4, clock)
    greedy = renew(store, scope, "a", 40, clock)

    assert modest.slots == 4
    assert greedy is not None
    assert greedy.slots == 10


def test_a_lease_ends_by_the_monotonic_time_from_before_the_asking(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    assert lease(store, scope, "a", 4, clock).usable_until == clock.monotonic() + 30.0


def test_a_second_holder_gets_what_is_left_and_lowers_the_fair_share(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    lease(store, scope, "a", 10, clock)

    second = lease(store, scope, "b", 10, clock)
    first = renew(store, scope, "a", 10, clock)

    assert (second.slots, second.fair_share) == (0, 5)
    assert first is not None
    assert (first.slots, first.fair_share) == (10, 5)


def test_who_shrinks_to_its_share_makes_room_for_the_other(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    lease(store, scope, "a", 10, clock)
    lease(store, scope, "b", 10, clock)

    renew(store, scope, "a", 5, clock)
    second = renew(store, scope, "b", 10, clock)

    assert second is not None
    assert second.slots == 5


def test_a_new_holder_takes_no_more_than_its_share_of_what_is_free(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    lease(store, scope, "a", 1, clock)

    assert lease(store, scope, "b", 9, clock).slots == 5


def test_released_slots_are_free_at_once(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    lease(store, scope, "a", 10, clock)

    with unit_of_work(store) as session:
        connections.release(session, scope, LIMIT.cap_id, "a")

    assert lease(store, scope, "b", 10, clock).slots == 10


def test_a_lease_that_has_ended_cannot_be_renewed(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    lease(store, scope, "a", 10, clock, ttl_s=0.0)
    Event().wait(0.005)

    other = lease(store, scope, "b", 10, clock)

    assert renew(store, scope, "a", 10, clock) is None
    assert other.slots == 10


def test_limits_of_different_configs_and_sandboxes_are_apart(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    lease(store, scope, "a", 10, clock)

    assert lease(store, Scope(2, "dev"), "a", 10, clock).slots == 10


def test_holders_that_race_never_hold_more_than_the_limit(
    postgres_store: SessionFactory, scope: Scope
) -> None:
    clock = SystemClock()

    def grab(number: int) -> int:
        lease(postgres_store, scope, f"w{number}", 3, clock)
        held = renew(postgres_store, scope, f"w{number}", 3, clock)
        return held.slots if held else 0

    with ThreadPoolExecutor(8) as threads:
        slots = list(threads.map(grab, range(8)))

    assert sum(slots) == leased(postgres_store, scope) == 10


@pytest.mark.e2e
def test_the_slots_of_a_killed_process_are_free_when_its_lease_ends(
    postgres_store: SessionFactory, scope: Scope
) -> None:
    url = postgres_store.engine.url.render_as_string(hide_password=False)
    clock = SystemClock()
    with subprocess.Popen(  # noqa: S603 - this interpreter, our own script
        [sys.executable, "-c", _HOLD_AND_HANG, url],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        held = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)

    right_after = lease(postgres_store, scope, "other", 10, clock)
    Event().wait(1.1)
    later = renew(postgres_store, scope, "other", 10, clock)

    assert (held, right_after.slots) == (10, 0)
    assert later is not None
    assert later.slots == 10
