"""A ledger that disagrees with the rows it is about is found out, entry by entry."""

import pytest
from sqlalchemy import delete, update

from service.db.session import SessionFactory, unit_of_work
from service.journeys.models import JourneyInstance, StepEvent
from service.ledger import entries
from service.ledger.balance import BalanceSheet
from service.outbound.models import Delivery
from service.sandboxes.scope import Scope
from tests.support.clocks import START, FixedClock
from tests.support.delivery_world import NODE_ID, VERSION_ID, DeliveryWorld
from tests.support.fake_transport import FakeTransport


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    made = DeliveryWorld(store, scope, clock, FakeTransport())
    made.add_action()
    for name in ("ann", "bea"):
        made.add_person(name)
    made.enter("ann", "bea")
    return made


def found(sheet: BalanceSheet) -> set[tuple[str, str, str, str]]:
    return {(each.book, each.entry, each.one, each.other) for each in sheet.differences}


def test_a_sound_ledger_has_no_differences(world: DeliveryWorld) -> None:
    world.deliver()

    assert world.balance().is_balanced


def test_a_delivery_that_vanished_is_missed(world: DeliveryWorld) -> None:
    with unit_of_work(world.store) as session:
        session.execute(delete(Delivery).where(Delivery.sandbox_id == 1))

    assert found(world.balance()) == {
        ("deliveries", "intended", "steps", "rows"),
        ("deliveries", "waiting", "ledger", "rows"),
    }


def test_a_state_without_its_delta_is_found(world: DeliveryWorld) -> None:
    with unit_of_work(world.store) as session:
        session.execute(update(Delivery).where(Delivery.sandbox_id == 1).values(state="sent"))

    assert found(world.balance()) == {
        ("deliveries", "waiting", "ledger", "rows"),
        ("deliveries", "sent", "ledger", "rows"),
    }


def test_a_dispatch_without_a_delivery_is_found(world: DeliveryWorld) -> None:
    with unit_of_work(world.store) as session:
        session.execute(
            update(StepEvent)
            .where(StepEvent.sandbox_id == 1, StepEvent.kind == "entrance")
            .values(kind="dispatch")
        )

    assert found(world.balance()) == {
        ("people", "entered", "ledger", "steps"),
        ("people", "entered", "steps", "rows"),
        ("deliveries", "intended", "ledger", "steps"),
        ("deliveries", "intended", "steps", "rows"),
    }


def test_a_person_who_ended_without_step_and_delta_is_found(world: DeliveryWorld) -> None:
    with unit_of_work(world.store) as session:
        session.execute(
            update(JourneyInstance).where(JourneyInstance.sandbox_id == 1).values(status="finished")
        )

    assert found(world.balance()) == {
        ("people", "inside", "ledger", "rows"),
        ("people", "finished", "ledger", "rows"),
        ("people", "finished", "steps", "rows"),
    }


def test_a_difference_names_place_and_numbers(world: DeliveryWorld) -> None:
    with unit_of_work(world.store) as session:
        deltas = entries.deliveries_ended(VERSION_ID, NODE_ID, "sent")
        entries.append(session, world.scope, deltas, now=START)

    sheet = world.balance()

    sent = next(each for each in sheet.differences if each.entry == "sent")
    assert (sent.journey_version_id, sent.node_id) == (VERSION_ID, NODE_ID)
    assert (sent.one_amount, sent.other_amount) == (1, 0)
