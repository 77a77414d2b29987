"""A lane takes from each journey its share, first in first out."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import event, update

from service.db.session import SessionFactory, unit_of_work
from service.outbound import delivery_views, fair_claims
from service.outbound.deliveries import Claimed
from service.outbound.fair_claims import DueLines
from service.outbound.models import DeliveryDue
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import PUSH, DeliveryWorld
from tests.support.fake_transport import FakeTransport

JOURNEYS = [UUID(int=number) for number in range(1, 5)]


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    made = DeliveryWorld(store, scope, clock, FakeTransport())
    made.add_action()
    return made


def enter(world: DeliveryWorld, journey_id: UUID, count: int) -> None:
    already = len(world.people)
    names = [f"p{already + number}" for number in range(count)]
    for name in names:
        world.add_person(name, tokens=0)
    world.enter(*names, journey_id=journey_id)


def claim(
    world: DeliveryWorld,
    limit: int,
    lines: DueLines | None = None,
    weights: dict[UUID, int] | None = None,
) -> list[Claimed]:
    with unit_of_work(world.store) as session:
        now = world.clock.now()
        return fair_claims.claim(
            session, world.lane, now=now, limit=limit, lines=lines, weights=weights
        )


def by_journey(claimed: list[Claimed]) -> dict[UUID, int]:
    return dict(Counter(each.journey_id for each in claimed))


@contextmanager
def counting(store: SessionFactory) -> Iterator[Counter[str]]:
    counted: Counter[str] = Counter()

    def seen(*executed: object) -> None:
        counted[str(executed[2]).split(maxsplit=1)[0]] += 1

    event.listen(store.engine, "before_cursor_execute", seen)
    yield counted
    event.remove(store.engine, "before_cursor_execute", seen)


def test_a_hungry_journey_leaves_the_others_their_share(world: DeliveryWorld) -> None:
    enter(world, JOURNEYS[0], 40)
    enter(world, JOURNEYS[1], 6)
    enter(world, JOURNEYS[2], 3)

    claimed = by_journey(claim(world, 20))

    assert claimed == {JOURNEYS[0]: 11, JOURNEYS[1]: 6, JOURNEYS[2]: 3}


def test_weights_divide_a_claim(world: DeliveryWorld) -> None:
    enter(world, JOURNEYS[0], 30)
    enter(world, JOURNEYS[1], 30)

    claimed = by_journey(claim(world, 20, weights={JOURNEYS[0]: 3}))

    assert claimed == {JOURNEYS[0]: 15, JOURNEYS[1]: 5}


def test_the_longest_due_of_a_journey_comes_first(world: DeliveryWorld, clock: FixedClock) -> None:
    for _ in range(3):
        enter(world, JOURNEYS[0], 2)
        clock.advance(1)

    claimed = claim(world, 4)

    ages = [(clock.now() - each.due_at).total_seconds() for each in claimed]
    assert ages == [3.0, 3.0, 2.0, 2.0]


def test_with_fewer_places_than_journeys_each_has_its_turn(world: DeliveryWorld) -> None:
    for journey_id in JOURNEYS:
        enter(world, journey_id, 5)
    lines = DueLines()

    claimed = [by_journey(claim(world, 1, lines)) for _ in JOURNEYS]

    assert sum((Counter(each) for each in claimed), Counter()) == Counter(JOURNEYS)


def test_what_an_older_release_wrote_is_claimed(world: DeliveryWorld) -> None:
    enter(world, JOURNEYS[0], 4)
    older = update(DeliveryDue).where(DeliveryDue.sandbox_id == 1).values(lane=world.lane.key)
    with unit_of_work(world.store) as session:
        session.execute(older)
        due = delivery_views.due_lanes(session, now=world.clock.now())
    enter(world, JOURNEYS[1], 1)

    assert due == (world.lane,)
    assert by_journey(claim(world, 10)) == {JOURNEYS[0]: 4, JOURNEYS[1]: 1}


def test_nothing_of_another_lane_or_of_later_is_claimed(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    enter(world, JOURNEYS[0], 2)
    world.add_action(replace(PUSH, name="other"))
    enter(world, JOURNEYS[0], 1)
    later = (
        update(DeliveryDue)
        .where(DeliveryDue.sandbox_id == 1, DeliveryDue.lane.startswith(world.lane.key))
        .values(due_at=clock.now() + timedelta(seconds=1))
    )
    with unit_of_work(world.store) as session:
        session.execute(later)

    assert claim(world, 10) == []


def test_one_journey_alone_costs_one_statement_more_only_now_and_then(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    enter(world, JOURNEYS[0], 12)
    lines = DueLines()
    claim(world, 2, lines)

    with counting(world.store) as counted:
        for _ in range(4):
            clock.advance(0.05)
            claim(world, 2, lines)
    with counting(world.store) as looking:
        clock.advance(0.1)
        claim(world, 2, lines)

    assert (counted["WITH"], counted["SELECT"]) == (4, 4)
    assert (looking["WITH"], looking["SELECT"]) == (2, 1)


def test_a_journey_that_comes_later_is_seen_within_a_quarter_of_a_second(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    enter(world, JOURNEYS[0], 40)
    lines = DueLines()
    claim(world, 4, lines)
    enter(world, JOURNEYS[1], 40)

    clock.advance(0.25)

    assert by_journey(claim(world, 4, lines)) == {JOURNEYS[0]: 2, JOURNEYS[1]: 2}
