"""A lane's leased connections: shared fairly, kept alive, let go before they end."""

from dataclasses import replace
from uuid import UUID

import pytest

from service.db.session import SessionFactory
from service.flows.lane_connections import TTL_S, LaneConnections
from service.outbound.connections import ConnectionLimit
from service.sandboxes.scope import Scope
from tests.support.away_store import AwayStore
from tests.support.clocks import FixedClock
from tests.support.delivery_world import DeliveryWorld
from tests.support.fake_transport import FakeTransport

TEN = ConnectionLimit(UUID(int=10), 10)
FOUR = ConnectionLimit(UUID(int=4), 4)


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    return DeliveryWorld(store, scope, clock, FakeTransport())


def lane_of(world: DeliveryWorld, worker: str = "worker-1") -> LaneConnections:
    return LaneConnections(world.tools_of(worker), world.lane)


def test_without_a_limit_a_lane_has_what_it_wants(world: DeliveryWorld) -> None:
    assert lane_of(world).allowed((), wanted=50) == 50


def test_the_smallest_of_all_limits_holds(world: DeliveryWorld) -> None:
    assert lane_of(world).allowed((FOUR, TEN), wanted=50) == 4


def test_a_lane_lets_go_of_half_when_another_shows_up(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    one, other = lane_of(world), lane_of(world, "worker-2")
    at_first = one.allowed((TEN,), wanted=50)
    none_yet = other.allowed((TEN,), wanted=50)

    clock.advance(TTL_S / 3)
    told_to_close = one.allowed((TEN,), wanted=50)
    clock.advance(1)
    one.allowed((TEN,), wanted=50)
    theirs = other.allowed((TEN,), wanted=50)

    assert (at_first, none_yet, told_to_close, theirs) == (10, 0, 5, 5)


def test_a_lane_takes_back_what_another_released(world: DeliveryWorld, clock: FixedClock) -> None:
    one, other = lane_of(world), lane_of(world, "worker-2")
    other.allowed((TEN,), wanted=2)
    half = one.allowed((TEN,), wanted=50)

    other.release()
    for _ in range(2):
        clock.advance(TTL_S / 3)
        one.allowed((TEN,), wanted=50)

    assert (half, one.allowed((TEN,), wanted=50)) == (5, 10)


def test_a_lane_that_cannot_renew_closes_before_its_lease_ends(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    store = AwayStore(world.store)
    connections = LaneConnections(replace(world.tools, sessions=store), world.lane)
    connections.allowed((TEN,), wanted=50)
    store.is_away = True

    clock.advance(TTL_S - 3)
    just_before = connections.allowed((TEN,), wanted=50)
    clock.advance(1.5)

    assert (just_before, connections.allowed((TEN,), wanted=50)) == (10, 0)
