"""What a queueing rate holds back waits in its line, until it fits or its time is over."""

from uuid import UUID

import pytest
from sqlalchemy import update

from service.audit import gate_traces
from service.db.session import SessionFactory, unit_of_work
from service.outbound.models import PermitGrant
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import JOURNEY_ID, DeliveryWorld, total
from tests.support.fake_transport import FakeTransport

OTHER_JOURNEY = UUID(int=9)


@pytest.fixture
def wire() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def world(
    store: SessionFactory, scope: Scope, clock: FixedClock, wire: FakeTransport
) -> DeliveryWorld:
    made = DeliveryWorld(store, scope, clock, wire)
    made.add_action()
    return made


def enter(world: DeliveryWorld, count: int, journey_id: UUID = JOURNEY_ID) -> list[UUID]:
    already = len(world.people)
    names = [f"p{already + number:02d}" for number in range(count)]
    for name in names:
        world.add_person(name)
    return world.enter(*names, journey_id=journey_id)


def end_period(world: DeliveryWorld) -> None:
    """Let every grant be over by the store's clock."""
    mine = PermitGrant.sandbox_id == world.scope.sandbox_id
    with unit_of_work(world.store) as session:
        session.execute(
            update(PermitGrant).where(mine).values(counted_until=PermitGrant.granted_at)
        )


def test_what_is_over_a_queueing_rate_waits_and_is_sent_in_its_order(
    world: DeliveryWorld, wire: FakeTransport, clock: FixedClock
) -> None:
    world.cap(2, onExceed="queue")
    intended: list[UUID] = []
    for _ in range(3):
        intended += sorted(enter(world, 2))
        clock.advance(1)

    counts = []
    for _ in range(3):
        counts.append(world.deliver())
        end_period(world)
        clock.advance(1)

    keys = [dict(call.headers)["Idempotency-Key"] for call in wire.started]
    assert counts == [{"sent": 2}] * 3
    assert [sorted(keys[at : at + 2]) for at in (0, 2, 4)] == [
        sorted(map(str, intended[at : at + 2])) for at in (0, 2, 4)
    ]
    assert world.balance().differences == ()


def test_what_waits_too_long_expires_before_a_permit_is_asked_for(
    world: DeliveryWorld, wire: FakeTransport, clock: FixedClock
) -> None:
    world.cap(1, onExceed="queue", expireAfterMs=5000)
    enter(world, 3)
    world.deliver()

    clock.advance(5)
    counts = world.deliver()

    assert counts == {"expired": 2}
    assert len(wire.started) == 1
    assert sorted(told["outcome"] for told in world.told()) == ["expired", "expired", "sent"]
    assert {told["code"] for told in world.told() if told["outcome"] == "expired"} == {
        "queueExpired"
    }
    assert total(world.balance()) == {"intended": 3, "sent": 1, "expired": 2}
    with unit_of_work(world.store) as session:
        traces = gate_traces.list_traces(
            session, world.scope, list(world.people.values()), JOURNEY_ID
        )
        assert {(row.gate, row.reason) for row in traces} == {("expiry", "queueExpired")}


def test_a_queue_is_no_backlog(world: DeliveryWorld, clock: FixedClock) -> None:
    world.cap(1, onExceed="queue")
    enter(world, 3)
    world.deliver()

    clock.advance(1800)
    end_period(world)

    assert world.deliver() == {"sent": 1}
    assert world.states() == {"sent": 2, "waiting": 1}


def test_what_waits_keeps_its_place_and_is_looked_at_again_in_a_second(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    world.cap(2, onExceed="queue")
    enter(world, 6)
    due_at = {row.delivery_id: row.due_at for row in world.due()}
    runner = world.runner()
    runner.step()
    end_period(world)

    early, late = [], []
    for _ in range(2):
        runner.step()
    early.append(world.states())
    clock.advance(1.1)
    for _ in range(2):
        runner.step()
    late.append(world.states())
    runner.close()

    assert early == [{"sent": 2, "waiting": 4}]
    assert late == [{"sent": 4, "waiting": 2}]
    assert all(row.due_at == due_at[row.delivery_id] for row in world.due())


def test_a_long_line_leaves_room_for_a_short_one(world: DeliveryWorld, clock: FixedClock) -> None:
    world.cap(6, onExceed="queue")
    long = enter(world, 9)
    clock.advance(1)
    short = enter(world, 2, OTHER_JOURNEY)

    counts = world.deliver()

    waiting = {row.delivery_id for row in world.due()}
    assert counts == {"sent": 6}
    assert waiting.isdisjoint(short)
    assert len(waiting.intersection(long)) == 5
