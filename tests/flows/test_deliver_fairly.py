"""Journeys that share a cap get their shares of it, over all processes, whoever comes first."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from service.core.clock import SystemClock
from service.db.session import SessionFactory
from service.sandboxes.scope import Scope
from tests.support.clocks import START
from tests.support.delivery_world import DeliveryWorld
from tests.support.fair_world import PROCESSES, FairWorld, rates_since, started_between
from tests.support.fake_transport import FakeTransport

HUNGRY = UUID(int=1)
OTHERS = [UUID(int=number) for number in range(2, 11)]
CAP, PERIOD_MS = 60, 1000
TURN_S, TURNS_OF_WINDOW = 0.205, 5  # period and permit life, up to the next turn
WARM_UP, WINDOWS = 3, 10


class StoreTime:
    """A moment that the store's clock and the workers' share."""

    def __init__(self, store: SessionFactory) -> None:
        self.seconds = 1000.0
        store.engine.dispose()
        event.listen(store.engine, "connect", self._connected)

    def _connected(self, connection: sqlite3.Connection, _entry: object) -> None:
        connection.create_function("julianday", 1, self._julianday)

    def _julianday(self, _now: str) -> float:
        return int((START.timestamp() + self.seconds) * 1000) / 86_400_000 + 2440587.5

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds


def play(
    store: SessionFactory, scope: Scope, arrivals: Callable[[int], dict[UUID, int]], **own: Any
) -> dict[UUID, float]:
    """Return what each journey gets in a window, on the average of ten after the first ones.

    Four processes claim in turns, each in every lane in an order of its own.
    """
    time = StoreTime(store)
    world = DeliveryWorld(store, scope, time, FakeTransport())
    fair = FairWorld(world, [HUNGRY, *OTHERS])
    world.cap(CAP, PERIOD_MS, **own)
    claimers = [fair.claimer(number, limit=30) for number in range(PROCESSES)]
    began = time.monotonic()
    for turn in range((WARM_UP + WINDOWS) * TURNS_OF_WINDOW):
        fair.intend(arrivals(turn))
        claimers[turn % PROCESSES].round()
        time.wait(TURN_S)
    counted_from = began + (WARM_UP * TURNS_OF_WINDOW - 0.5) * TURN_S
    got = started_between(claimers, counted_from, time.monotonic())
    return {key: count / WINDOWS for key, count in got.items()}


def is_fair(got: dict[UUID, float], share: float, within: float = 0.05) -> bool:
    """Tell whether all the others got their share, but for a twentieth."""
    return all(abs(got[key] - share) <= within * share for key in OTHERS)


def test_dropping_gives_nine_modest_journeys_their_equal_shares(
    sqlite_store: SessionFactory, scope: Scope
) -> None:
    got = play(sqlite_store, scope, lambda _: {HUNGRY: 20, **dict.fromkeys(OTHERS, 2)})

    assert is_fair(got, CAP / 10)


def test_dropping_leaves_to_the_hungry_what_the_others_do_not_ask_for(
    sqlite_store: SessionFactory, scope: Scope
) -> None:
    got = play(sqlite_store, scope, lambda turn: {HUNGRY: 20, **dict.fromkeys(OTHERS, turn % 2)})

    assert is_fair(got, 2.5)
    assert got[HUNGRY] >= 0.95 * (CAP - 9 * 3.5)


def test_queueing_gives_nine_modest_journeys_their_equal_shares(
    sqlite_store: SessionFactory, scope: Scope
) -> None:
    waiting = {HUNGRY: 1000, **dict.fromkeys(OTHERS, 100)}

    got = play(sqlite_store, scope, lambda turn: {} if turn else waiting, onExceed="queue")

    assert is_fair(got, CAP / 10)


@pytest.mark.parametrize("on_exceed", ["drop", "queue"])
def test_one_journey_alone_uses_the_whole_cap(
    sqlite_store: SessionFactory, scope: Scope, on_exceed: str
) -> None:
    got = play(
        sqlite_store,
        scope,
        lambda turn: {HUNGRY: 15, **dict.fromkeys(OTHERS, 0 if turn else 5)},
        onExceed=on_exceed,
    )

    assert got[HUNGRY] >= 0.95 * CAP


@pytest.mark.parametrize("on_exceed", ["drop", "queue"])
def test_four_processes_that_race_share_fairly(
    postgres_store: SessionFactory, scope: Scope, on_exceed: str
) -> None:
    clock = SystemClock()
    world = DeliveryWorld(postgres_store, scope, clock, FakeTransport())
    fair = FairWorld(world, [HUNGRY, *OTHERS])
    world.cap(40, 500, onExceed=on_exceed)
    if on_exceed == "queue":
        fair.intend({HUNGRY: 700, **dict.fromkeys(OTHERS, 70)})
    else:
        for turn in range(62):
            fair.intend({HUNGRY: 20, **dict.fromkeys(OTHERS, 2)}, after_s=turn * 0.1)
    claimers = [fair.claimer(number, limit=8) for number in range(PROCESSES)]
    began = clock.monotonic()

    def work(number: int) -> None:
        while clock.monotonic() < began + 6:
            claimers[number].round()
            clock.wait(0.01)

    with ThreadPoolExecutor(PROCESSES) as threads:
        list(threads.map(work, range(PROCESSES)))
    got = rates_since(claimers, began + 1.2)

    assert is_fair(
        got, sum(got.values()) / 10, within=0.35
    )  # real time; first come, first served is off by 0.47
