"""The kill switch: nothing new starts, and the numbers say what that stopped."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest

from service.core.errors import ConflictError, NotFoundError
from service.core.json import JsonObject
from service.db.session import SessionFactory, unit_of_work
from service.flows import deliver, delivery_calls, halt_sending
from service.flows.test_action import Trial
from service.flows.test_action import send as send_test
from service.outbound import halts
from service.outbound.deliveries import DeliveryState
from service.outbound.halts import HaltKind, NewHalt, WaitingMode
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import JOURNEY_ID, DeliveryWorld
from tests.support.fake_transport import FakeTransport, silent

HOST = "push.example"
OTHER_JOURNEY = UUID("0197c000-0000-7000-8000-0000000000b1")
Subject = Callable[[DeliveryWorld], tuple[HaltKind, str]]
SUBJECTS: list[Subject] = [
    lambda world: (HaltKind.ACTION, str(world.action_id)),
    lambda _: (HaltKind.DESTINATION, HOST),
    lambda _: (HaltKind.JOURNEY, str(JOURNEY_ID)),
]
HOLD, DROP = WaitingMode.HOLD, WaitingMode.DROP


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    made = DeliveryWorld(store, scope, clock, FakeTransport())
    made.add_action()
    return made


def wire(world: DeliveryWorld) -> FakeTransport:
    assert isinstance(world.transport, FakeTransport)
    return world.transport


def people(world: DeliveryWorld, count: int, prefix: str = "p") -> list[str]:
    names = [f"{prefix}{number:02d}" for number in range(count)]
    for name in names:
        world.add_person(name)
    return names


def halt(world: DeliveryWorld, subject: Subject, mode: WaitingMode) -> tuple[UUID, JsonObject]:
    """Switch a halt on as another process does."""
    row = halt_sending.switch_on(
        world.tools_of("admin"), world.scope, NewHalt(*subject(world), mode)
    )
    return row.id, halts.numbers_of(row)


def lift(world: DeliveryWorld, halt_id: UUID) -> None:
    with unit_of_work(world.store) as session:
        halts.lift(session, world.scope, halt_id, now=world.clock.now())


@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_waits_is_held_and_goes_on_after_the_halt(
    world: DeliveryWorld, subject: Subject
) -> None:
    world.enter(*people(world, 3))
    halt_id, numbers = halt(world, subject, HOLD)

    during = world.deliver()
    attempts = world.attempts()
    lift(world, halt_id)
    world.clock.wait(1)
    after = world.deliver()

    assert numbers == {"waiting": 3, "held": 3, "inFlight": 0, "sentLastHour": 0}
    assert (during, attempts, after) == ({}, [], {"sent": 3})
    assert world.balance().is_balanced


@pytest.mark.parametrize("subject", SUBJECTS)
def test_what_waits_is_dropped_and_so_is_what_comes(world: DeliveryWorld, subject: Subject) -> None:
    world.enter(*people(world, 3))
    _, numbers = halt(world, subject, DROP)

    world.enter(*people(world, 2, "q"))
    during = world.deliver()

    assert numbers == {"waiting": 3, "dropped": 3, "inFlight": 0, "sentLastHour": 0}
    assert (during, world.states()) == ({"suppressed": 2}, {"suppressed": 5})
    assert [each["code"] for each in world.told()] == ["halted"] * 5
    assert wire(world).started == []
    assert world.balance().is_balanced


def test_a_held_journey_does_not_hold_up_another(world: DeliveryWorld) -> None:
    world.enter(*people(world, 60))
    world.enter(*people(world, 2, "q"), journey_id=OTHER_JOURNEY)
    halt(world, SUBJECTS[2], HOLD)

    assert world.deliver(slots=4) == {"sent": 2}
    assert world.states() == {"sent": 2, "waiting": 60}


def test_the_numbers_count_what_is_in_the_air_and_what_was_sent(world: DeliveryWorld) -> None:
    world.enter(*people(world, 2))
    world.deliver()
    world.clock.wait(1)
    wire(world).script = silent
    world.enter(*people(world, 4, "q"))
    runner = world.runner(slots=3)
    runner.step()

    _, numbers = halt(world, SUBJECTS[0], DROP)

    assert numbers == {"waiting": 1, "dropped": 1, "inFlight": 3, "sentLastHour": 2}


def test_what_is_older_than_an_hour_is_not_counted(world: DeliveryWorld) -> None:
    world.enter(*people(world, 1))
    world.deliver()
    world.clock.wait(3601)

    _, numbers = halt(world, SUBJECTS[0], HOLD)

    assert numbers["sentLastHour"] == 0


@pytest.mark.parametrize(
    ("mode", "state"), [(HOLD, DeliveryState.WAITING), (DROP, DeliveryState.SUPPRESSED)]
)
def test_a_halt_between_permit_and_call_is_seen(
    world: DeliveryWorld, mode: WaitingMode, state: DeliveryState
) -> None:
    world.enter(*people(world, 1))
    batch = deliver.claim_batch(world.tools, world.lane, limit=5)
    _, numbers = halt(world, SUBJECTS[0], mode)
    world.clock.wait(0.6)

    ready, settled = delivery_calls.prepare(world.tools, world.lane, batch)
    deliver.record(world.tools, world.lane, settled)

    assert (ready, numbers["inFlight"]) == ([], 1)
    assert world.states() == {str(state): 1}
    assert world.balance().is_balanced


def test_a_halt_is_asked_once_more_when_the_call_would_start(world: DeliveryWorld) -> None:
    world.enter(*people(world, 1))

    def halted_meanwhile() -> None:
        wire(world).before_start = lambda: None
        halt(world, SUBJECTS[0], HOLD)
        with unit_of_work(world.store) as session:
            world.tools.halts.find(session, world.scope, at=world.clock.monotonic() + 0.6)

    wire(world).before_start = halted_meanwhile

    assert world.deliver() == {}
    assert wire(world).started == []
    assert world.states() == {"waiting": 1}


def test_dropping_wins_over_holding(world: DeliveryWorld) -> None:
    world.enter(*people(world, 1))
    halt(world, SUBJECTS[0], HOLD)
    halt(world, SUBJECTS[1], DROP)

    assert world.states() == {"suppressed": 1}


def test_what_is_halted_is_not_halted_twice(world: DeliveryWorld) -> None:
    first, _ = halt(world, SUBJECTS[0], HOLD)
    with pytest.raises(ConflictError):
        halt(world, SUBJECTS[0], DROP)
    lift(world, first)

    halt(world, SUBJECTS[0], HOLD)


def test_another_sandbox_is_not_halted(world: DeliveryWorld) -> None:
    elsewhere = Scope(2, "dev")
    with unit_of_work(world.store) as session:
        new = NewHalt(HaltKind.DESTINATION, HOST, DROP)
        halts.switch_on(session, elsewhere, new, now=world.clock.now())
    world.enter(*people(world, 1))

    assert world.deliver() == {"sent": 1}


def test_a_running_lane_in_another_process_stops_within_a_second(world: DeliveryWorld) -> None:
    runner = world.runner()
    world.enter(*people(world, 1))
    runner.step()
    halt(world, SUBJECTS[0], HOLD)
    world.enter(*people(world, 1, "q"))

    world.clock.wait(1)
    runner.step()
    runner.close()

    assert len(wire(world).started) == 1
    assert world.states() == {"sent": 1, "waiting": 1}


def test_a_halt_nobody_knows_cannot_be_lifted(world: DeliveryWorld) -> None:
    with pytest.raises(NotFoundError):
        lift(world, uuid4())


def test_a_test_request_is_halted_with_the_rest(world: DeliveryWorld) -> None:
    halt(world, SUBJECTS[1], HOLD)

    result = send_test(world.tools, world.scope, world.action_id, Trial())

    assert (result.outcome, result.reason) == ("suppressed", "halted")
    assert wire(world).started == []
