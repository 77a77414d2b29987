"""No window holds more starts than the cap, whatever the workers, the store and its clock do."""

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Event
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, event, func, insert, select
from sqlalchemy.orm import Session

from service.core.clock import SystemClock
from service.core.ids import new_key
from service.db.base import Base
from service.db.session import SessionFactory, unit_of_work
from service.outbound import capping, period_changes, store_clock
from service.outbound.capping import Cap, Grant, Tally, decide, take_permits
from service.outbound.models import PermitCap, PermitGrant
from service.outbound.store_clock import StoreWatch
from service.sandboxes.scope import Scope
from tests.support.clocks import START, FixedClock

SCOPE = Scope(1, "prod")
CAP_ID = UUID("0197c000-0000-7000-8000-000000000001")
OTHER_ID = UUID("0197c000-0000-7000-8000-000000000002")
EPOCH_JULIAN = 2440587.5


class SimulatedStore:
    """A SQLite store in memory whose ``julianday('now')`` is told, in whole milliseconds."""

    def __init__(self) -> None:
        self.true_s = 0.0
        self.offset_s = 0.0
        self.engine = create_engine("sqlite://")
        event.listen(self.engine, "connect", self._connected)
        Base.metadata.create_all(
            self.engine,
            tables=[Base.metadata.tables["permit_cap"], Base.metadata.tables["permit_grant"]],
        )

    def _connected(self, connection: sqlite3.Connection, _entry: object) -> None:
        connection.create_function("julianday", 1, self._julianday)

    def _julianday(self, _now: str) -> float:
        seconds = START.timestamp() + self.true_s + self.offset_s
        return int(seconds * 1000) / 86_400_000 + EPOCH_JULIAN


@dataclass
class TrueClock:
    """A worker's clock that runs as true time does."""

    store: SimulatedStore

    def now(self) -> datetime:
        return START + timedelta(seconds=self.store.true_s)

    def monotonic(self) -> float:
        return self.store.true_s

    def wait(self, seconds: float) -> None:
        self.store.true_s += seconds


@dataclass(frozen=True)
class Ask:
    """One request for permits ``after_ms`` the last; starts happen up to ``delay`` of the life."""

    after_ms: int
    wanted: int
    delay: float
    jump_ms: int = 0


ASKS = st.lists(
    st.builds(Ask, st.integers(0, 400), st.integers(1, 60), st.floats(0, 1)),
    min_size=1,
    max_size=40,
)
CAPS = st.builds(Cap, st.just(CAP_ID), st.integers(1, 50), st.integers(1, 1500))


def most_in_a_window(starts: list[float], period_s: float) -> int:
    """Return the greatest number of starts in any half-open window of one period."""
    ordered = sorted(starts)
    return max(
        (
            bisect_left(ordered, start + period_s - 1e-9) - index
            for index, start in enumerate(ordered)
        ),
        default=0,
    )


def starts_of(grant: Grant, now_s: float, delay: float) -> list[float]:
    """Return the starts of a worker that uses its permits evenly up to a share of their life."""
    latest = now_s + (grant.usable_until - now_s) * delay
    step = (latest - now_s) / max(1, grant.count - 1)
    return [now_s + index * step for index in range(grant.count)]


def play(cap: Cap, asks: list[Ask], *, watched: bool = False) -> list[float]:
    """Return every start, in true seconds."""
    store = SimulatedStore()
    clock = TrueClock(store)
    watch = StoreWatch(clock) if watched else None
    starts: list[float] = []
    for ask in asks:
        store.true_s += ask.after_ms / 1000
        store.offset_s += ask.jump_ms / 1000
        with Session(store.engine) as session:
            grant = take_permits(session, SCOPE, cap, wanted=ask.wanted, clock=clock, watch=watch)
            session.commit()
        starts += starts_of(grant, store.true_s, ask.delay)
    return starts


@given(asks=ASKS, cap=CAPS)
@example(asks=[Ask(0, 5, 1.0), Ask(100, 5, 0.0)], cap=Cap(CAP_ID, 5, 100))
def test_no_window_holds_more_starts_than_the_cap(asks: list[Ask], cap: Cap) -> None:
    starts = play(cap, asks)

    assert most_in_a_window(starts, cap.period_in_ms / 1000) <= cap.max_calls_count


@given(
    asks=st.lists(
        st.builds(
            Ask,
            st.integers(0, 300),
            st.integers(1, 60),
            st.floats(0, 1),
            st.sampled_from([0, 0, 0, 0, 200, 5_000, 3_600_000, -200, -5_000, -3_600_000]),
        ),
        min_size=1,
        max_size=40,
    ),
    cap=st.builds(Cap, st.just(CAP_ID), st.integers(1, 20), st.integers(100, 1500)),
)
def test_a_clock_that_is_set_never_lets_more_through(asks: list[Ask], cap: Cap) -> None:
    starts = play(cap, asks, watched=True)

    assert most_in_a_window(starts, cap.period_in_ms / 1000) <= cap.max_calls_count


def test_a_clock_set_back_by_an_hour_blocks_a_cap_for_one_period_only() -> None:
    cap = Cap(CAP_ID, 10, 1000)
    asks = [Ask(0, 10, 0), Ask(10, 10, 0, jump_ms=-3_600_000), Ask(3010, 10, 0)]

    starts = play(cap, asks, watched=True)

    assert [start for start in starts if start > 0.5] == [pytest.approx(3.02)] * 10


def test_the_whole_cap_is_given_again_after_period_and_life() -> None:
    cap = Cap(CAP_ID, 100, 200)

    starts = play(cap, [Ask(0, 100, 0), Ask(212, 100, 0), Ask(212, 100, 0)])

    assert len(starts) == 300


def test_a_refusal_says_when_the_first_grant_stops_counting() -> None:
    first_end_at = START + timedelta(milliseconds=70)
    tally = Tally(START, 10, first_end_at, START, None)

    decision = decide(Cap(CAP_ID, 10, 1000), tally, wanted=3, life_ms=50)

    assert (decision.count, decision.retry_after_ms) == (0, 70)


def test_what_is_left_is_given_when_more_is_wanted() -> None:
    tally = Tally(START, 8, START + timedelta(seconds=1), START, None)

    decision = decide(Cap(CAP_ID, 10, 1000), tally, wanted=3, life_ms=50)

    assert (decision.count, decision.retry_after_ms) == (2, 1000)


def test_a_lowered_cap_gives_nothing_until_earlier_grants_end() -> None:
    tally = Tally(START, 80, START + timedelta(seconds=1), START, None)

    decision = decide(Cap(CAP_ID, 10, 1000), tally, wanted=3, life_ms=50)

    assert decision.count == 0


@pytest.mark.parametrize(("percent", "allowed"), [(0, 100), (10, 90), (33, 67), (99.9, 1)])
def test_headroom_leaves_a_share_unused_but_never_everything(percent: float, allowed: int) -> None:
    assert Cap(CAP_ID, 100, 1000).with_headroom(percent).max_calls_count == allowed


@pytest.fixture
def cap() -> Cap:
    return Cap(CAP_ID, 10, 60_000)


def take(
    store: SessionFactory, scope: Scope, cap: Cap, wanted: int, clock: FixedClock | SystemClock
) -> Grant:
    with unit_of_work(store) as session:
        return take_permits(session, scope, cap, wanted=wanted, clock=clock)


def test_twelve_asks_of_one_get_ten_permits(
    store: SessionFactory, scope: Scope, cap: Cap, clock: FixedClock
) -> None:
    grants = [take(store, scope, cap, 1, clock) for _ in range(12)]

    assert [grant.count for grant in grants] == [1] * 10 + [0, 0]


def test_permits_can_be_used_for_their_life_from_before_the_asking(
    store: SessionFactory, scope: Scope, cap: Cap, clock: FixedClock
) -> None:
    grant = take(store, scope, cap, 1, clock)

    assert grant.usable_until == clock.monotonic() + 1.2


def test_a_grant_counts_for_the_period_and_its_life(
    store: SessionFactory, scope: Scope, cap: Cap, clock: FixedClock
) -> None:
    grant = take(store, scope, cap, 4, clock)

    with unit_of_work(store) as session:
        row = session.scalars(select(PermitGrant).where(PermitGrant.sandbox_id == 1)).one()
    assert row.id == grant.grant_id
    assert row.counted_until - row.granted_at == timedelta(milliseconds=61_201)


def test_caps_and_sandboxes_do_not_share_permits(
    store: SessionFactory, scope: Scope, cap: Cap, clock: FixedClock
) -> None:
    take(store, scope, cap, 10, clock)

    other_cap = take(store, scope, replace(cap, id=OTHER_ID), 10, clock)
    other_sandbox = take(store, Scope(2, "dev"), cap, 10, clock)

    assert (other_cap.count, other_sandbox.count) == (10, 10)


def test_a_rolled_back_grant_is_not_counted(
    store: SessionFactory, scope: Scope, cap: Cap, clock: FixedClock
) -> None:
    with store.opened() as session:
        take_permits(session, scope, cap, wanted=10, clock=clock)

    assert take(store, scope, cap, 10, clock).count == 10


def test_grants_of_an_hour_ago_are_removed_in_bounded_batches(
    store: SessionFactory, scope: Scope
) -> None:
    with unit_of_work(store) as session:
        now = store_clock.read(session)
        session.execute(insert(PermitGrant), [grant_row(now, minutes) for minutes in range(55, 65)])

    with unit_of_work(store) as session:
        removed = [capping.forget_ended(session, scope, limit=3) for _ in range(3)]
        left = session.scalar(select(func.count()).where(PermitGrant.sandbox_id == 1))
    assert (removed, left) == ([3, 2, 0], 5)


def test_a_longer_period_stretches_what_was_granted(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    short, long = Cap(CAP_ID, 10, 1), Cap(CAP_ID, 10, 60_000)
    take(store, scope, short, 10, clock)

    with unit_of_work(store) as session:
        period_changes.stretch(session, scope, long)

    assert take(store, scope, long, 1, clock).count == 0


def test_a_grant_in_the_future_pauses_the_cap(
    store: SessionFactory, scope: Scope, cap: Cap, clock: FixedClock
) -> None:
    with unit_of_work(store) as session:
        now = store_clock.read(session)
        session.execute(insert(PermitGrant), [grant_row(now, -60)])

    refused = take(store, scope, cap, 1, clock)

    with unit_of_work(store) as session:
        paused_until = session.scalar(
            select(PermitCap.paused_until).where(PermitCap.sandbox_id == 1)
        )
    assert refused.count == 0
    assert paused_until is not None
    assert timedelta(seconds=62) < paused_until - now < timedelta(seconds=70)


def test_the_store_tells_the_time_of_the_statement_not_of_the_transaction(
    store: SessionFactory,
) -> None:
    with unit_of_work(store) as session:
        before = store_clock.read(session)
        Event().wait(0.02)
        after = store_clock.read(session)

    assert after > before
    assert abs(datetime.now(UTC) - after) < timedelta(seconds=5)  # noqa: TID251 - the real time


def test_two_connections_that_race_share_one_cap(
    postgres_store: SessionFactory, scope: Scope
) -> None:
    clock = SystemClock()
    cap = Cap(CAP_ID, 50, 60_000)

    def ask_often(_: int) -> int:
        return sum(take(postgres_store, scope, cap, 1, clock).count for _ in range(40))

    with ThreadPoolExecutor(4) as threads:
        counts = list(threads.map(ask_often, range(4)))

    assert sum(counts) == 50


def test_an_asker_waits_for_the_grant_before_it_and_then_sees_it(
    postgres_store: SessionFactory, scope: Scope, cap: Cap
) -> None:
    clock = SystemClock()
    take(postgres_store, scope, Cap(CAP_ID, 0, 60_000), 1, clock)

    with ThreadPoolExecutor(1) as threads:
        with holding(postgres_store) as session:
            first = take_permits(session, scope, cap, wanted=10, clock=clock)
            second = threads.submit(take, postgres_store, scope, cap, 10, clock)
            wait_until_blocked(postgres_store.engine)
            session.commit()
        counts = (first.count, second.result(timeout=10).count)

    assert counts == (10, 0)


@contextmanager
def holding(store: SessionFactory) -> Iterator[Session]:
    with store.opened() as session:
        yield session


def wait_until_blocked(engine: Engine) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    for _ in range(500):
        with engine.connect() as connection:
            if connection.exec_driver_sql(waiting).scalar():
                return
        Event().wait(0.01)
    raise AssertionError("nobody waits for the cap's lock")


def grant_row(now: datetime, minutes_since_end: int) -> dict[str, object]:
    end = now - timedelta(minutes=minutes_since_end)
    return {
        "sandbox_id": 1,
        "id": new_key(),
        "cap_id": CAP_ID,
        "granted_at": end,
        "counted_until": end,
        "count": 1,
    }
