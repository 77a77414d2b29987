"""A destination that fails is left alone by every process, and the others do not notice."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from service.db.session import SessionFactory, unit_of_work
from service.flows.delivery_lane import LaneRunner
from service.outbound import destinations
from service.outbound.deliveries import Lane
from service.outbound.destination_standing import Breaker, Report, Standing
from service.outbound.transport import Call, Reply
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import PUSH, DeliveryWorld
from tests.support.fake_transport import FakeTransport, answered, silent, unanswered

HOST = "push.example"
OTHER_URL = "https://sms.example/send"


@pytest.fixture
def wire() -> FakeTransport:
    return FakeTransport()


@pytest.fixture
def world(
    store: SessionFactory, scope: Scope, clock: FixedClock, wire: FakeTransport
) -> DeliveryWorld:
    made = DeliveryWorld(store, scope, clock, wire)
    made.add_action(replace(PUSH, max_retries=0))
    return made


def enter(world: DeliveryWorld, count: int, **options: int) -> list[UUID]:
    already = len(world.people)
    names = [f"p{already + number:02d}" for number in range(count)]
    for name in names:
        world.add_person(name)
    return world.enter(*names, **options)  # type: ignore[arg-type]


def refused(call: Call) -> Reply:
    return answered(call, 403)


def standing(world: DeliveryWorld) -> Standing:
    with unit_of_work(world.store) as session:
        return destinations.read(session, world.scope, HOST)


def tell(world: DeliveryWorld, report: Report) -> None:
    with unit_of_work(world.store) as session:
        destinations.report(
            session,
            world.scope,
            HOST,
            report,
            now=world.clock.now(),
            raise_after=timedelta(seconds=1),
        )


def play(runner: LaneRunner, clock: FixedClock, seconds: float) -> None:
    for _ in range(round(seconds / 0.25)):
        runner.step()
        clock.advance(0.25)


def trip(world: DeliveryWorld, wire: FakeTransport) -> None:
    """Let five calls be refused in a row."""
    wire.script = refused
    enter(world, 5)
    world.deliver()
    wire.script = answered


def test_refusals_in_a_row_open_the_breaker_for_every_process(
    world: DeliveryWorld, wire: FakeTransport
) -> None:
    trip(world, wire)
    opened = standing(world)
    enter(world, 3)
    other = FakeTransport()
    elsewhere = world.runner(tools=world.tools_of("worker-2", other))

    elsewhere.step()

    assert (opened.breaker, opened.reason) == (Breaker.OPEN, "webhook.403")
    assert other.started == []
    assert world.states() == {"failed": 5, "waiting": 3}
    assert {row.attempt for row in world.due()} == {1}


def test_after_its_time_one_probe_goes_out_and_its_success_lets_all_through(
    world: DeliveryWorld, wire: FakeTransport, clock: FixedClock
) -> None:
    trip(world, wire)
    enter(world, 6)
    wire.script = silent
    runner = world.runner()
    other = FakeTransport()
    elsewhere = world.runner(tools=world.tools_of("worker-2", other))

    play(runner, clock, 9)
    while_open = len(wire.started)
    play(runner, clock, 3)
    probing = (len(wire.started), standing(world).breaker)
    play(elsewhere, clock, 2)
    wire.script = answered
    play(runner, clock, 2)
    runner.close()

    assert while_open == 5
    assert probing == (6, Breaker.HALF_OPEN)
    assert other.started == []
    assert standing(world).breaker is Breaker.CLOSED
    assert world.states() == {"failed": 5, "sent": 6}
    assert world.balance().differences == ()


def test_a_probe_that_fails_opens_it_again_for_longer(
    world: DeliveryWorld, wire: FakeTransport, clock: FixedClock
) -> None:
    trip(world, wire)
    enter(world, 4)
    wire.script = refused
    runner = world.runner()

    play(runner, clock, 30)
    runner.close()

    assert len(wire.started) == 6
    assert standing(world).breaker is Breaker.OPEN
    assert world.states() == {"failed": 6, "waiting": 3}


def test_a_probe_that_no_gate_lets_through_is_given_to_the_next(
    world: DeliveryWorld, wire: FakeTransport, clock: FixedClock
) -> None:
    trip(world, wire)
    world.add_person("no", {"consents": {"marketing": {"push": {"val": "n"}}}})
    world.enter("no")
    clock.advance(1)
    enter(world, 2)
    runner = world.runner()

    play(runner, clock, 14)
    runner.close()

    assert world.states() == {"failed": 5, "sent": 2, "suppressed": 1}


def test_what_waits_before_an_open_breaker_is_not_dropped_and_expires_in_time(
    world: DeliveryWorld, wire: FakeTransport, clock: FixedClock
) -> None:
    world.cap(5)
    trip(world, wire)
    enter(world, 2, expires_in_s=4)
    enter(world, 2)
    runner = world.runner()

    play(runner, clock, 6)
    runner.close()

    assert world.states() == {"failed": 5, "expired": 2, "waiting": 2}
    assert len(wire.started) == 5


def test_answers_that_never_come_open_the_breaker(
    world: DeliveryWorld, wire: FakeTransport
) -> None:
    wire.script = unanswered
    enter(world, 16)

    world.deliver()

    assert standing(world).breaker is Breaker.OPEN


def test_nothing_starts_before_the_moment_that_a_vendor_asked_for(
    world: DeliveryWorld, wire: FakeTransport, clock: FixedClock
) -> None:
    header = b"Retry-After: 8"
    wire.script = lambda call: replace(answered(call, 429), headers=(header,))
    enter(world, 1)
    runner = world.runner()
    runner.step()
    wire.script = answered
    enter(world, 3)

    play(runner, clock, 7.5)
    before = len(wire.started)
    play(runner, clock, 2)
    runner.close()

    assert (before, len(wire.started)) == (1, 4)


def test_a_lowered_pace_makes_deliveries_wait_that_the_cap_has_room_for(
    world: DeliveryWorld, wire: FakeTransport
) -> None:
    world.cap(10)
    tell(world, Report(is_overrun=True))
    enter(world, 12)

    counts = world.deliver()

    assert counts == {"sent": 7, "capped": 2}
    assert world.states() == {"sent": 7, "capped": 2, "waiting": 3}
    assert len(wire.started) == 7


def test_429_lowers_the_pace_and_success_raises_it(
    world: DeliveryWorld, wire: FakeTransport, clock: FixedClock
) -> None:
    world.cap(100, period_ms=1000)
    wire.script = lambda call: answered(call, 429)
    enter(world, 1)
    runner = world.runner()
    play(runner, clock, 1)
    lowered = standing(world).pace
    wire.script = answered

    for _ in range(4):
        enter(world, 1)
        play(runner, clock, 1.5)
    runner.close()

    assert lowered == pytest.approx(0.7)
    assert standing(world).pace > 0.8


def test_a_dead_vendor_does_not_slow_the_others(
    world: DeliveryWorld, wire: FakeTransport, clock: FixedClock
) -> None:
    def script(call: Call) -> Reply | None:
        return unanswered(call) if HOST in call.url else answered(call)

    wire.script = script
    enter(world, 40)
    dead = world.runner(slots=20)
    world.url, world.action_id = OTHER_URL, _other_action(world)
    enter(world, 40)
    alive = LaneRunner(world.tools, Lane(world.scope, world.action_id), slots=20)

    for _ in range(8):
        dead.step()
        alive.step()
        clock.advance(0.1)
    alive.close()
    dead.close()

    assert alive.recorded == {"sent": 40}
    assert standing(world).breaker is Breaker.OPEN
    assert sum(HOST in call.url for call in wire.started) == 20


def _other_action(world: DeliveryWorld) -> UUID:
    with unit_of_work(world.store) as session:
        placed = replace(PUSH, name="other", url=OTHER_URL)
        return world.book.create(session, world.scope, placed, now=world.clock.now()).id
