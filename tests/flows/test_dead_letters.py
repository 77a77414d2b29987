"""Deliveries that ended unsent are kept, shown and sent again, once and at a lower rate."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from service.core.errors import NotFoundError
from service.db.session import SessionFactory, unit_of_work
from service.flows import deliver, housekeeping, replay_dead_letters
from service.flows.replay_dead_letters import Replay
from service.journeys.models import JourneyInstance
from service.outbound import dead_letters
from service.outbound.dead_letters import LetterFilter, replay_key
from service.outbound.deliveries import DeliveryState
from service.outbound.follow_up import OnBacklog
from service.outbound.models import DeadLetter, Delivery
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import PUSH, DeliveryWorld
from tests.support.fake_transport import FakeTransport, answered, unanswered

SPEAKING = replace(PUSH, payload={"to": "{{ token }}", "of": "{{ event.eventType }}"})
ALL = LetterFilter()


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    made = DeliveryWorld(store, scope, clock, FakeTransport())
    made.add_action(SPEAKING)
    return made


def wire(world: DeliveryWorld) -> FakeTransport:
    assert isinstance(world.transport, FakeTransport)
    return world.transport


def fail(world: DeliveryWorld, count: int = 1, prefix: str = "p") -> list[UUID]:
    """Let deliveries fail, then heal the vendor; their journeys are over by then."""
    names = [f"{prefix}{number:02d}" for number in range(count)]
    for name in names:
        world.add_person(name)
    ids = world.enter(*names)
    wire(world).script = lambda call: answered(call, 403)
    world.deliver()
    wire(world).script = answered
    world.clock.wait(1)
    return ids


def letters(world: DeliveryWorld, chosen: LetterFilter = ALL) -> list[DeadLetter]:
    with unit_of_work(world.store) as session:
        return list(dead_letters.list_page(session, world.scope, chosen, limit=100))


def again(
    world: DeliveryWorld, chosen: LetterFilter = ALL, *, per_minute: int = 600, most: int = 1000
) -> replay_dead_letters.Replayed:
    asked = Replay(chosen, per_minute, most)
    return replay_dead_letters.replay(world.tools, world.scope, asked)


def forget_runs(world: DeliveryWorld) -> None:
    with unit_of_work(world.store) as session:
        of_sandbox = JourneyInstance.sandbox_id == world.scope.sandbox_id
        session.execute(update(JourneyInstance).where(of_sandbox).values(state={}))


def test_a_failure_leaves_a_letter_and_a_success_none(world: DeliveryWorld) -> None:
    [failed] = fail(world)
    world.add_person("fine")
    world.enter("fine")
    world.deliver()

    [letter] = letters(world)

    assert (letter.delivery_id, letter.state) == (failed, "failed")
    assert letter.expires_at - letter.created_at == timedelta(days=7)


@pytest.mark.parametrize("state", ["capped", "expired", "unknown"])
def test_the_other_ends_leave_one_too_and_a_suppression_does_not(
    world: DeliveryWorld, state: str
) -> None:
    world.add_person("ann")
    world.add_person("cat")
    world.add_person("bob", {"consents": {"marketing": {"push": {"val": "n"}}}})
    if state == "capped":
        world.cap(1)
    if state == "unknown":
        wire(world).script = unanswered
    world.enter("ann", "bob", "cat", expires_in_s=0 if state == "expired" else 3600)
    world.deliver()

    found = letters(world)

    assert {each.state for each in found} == {state}
    assert len(found) == world.states()[state]


def test_what_a_letter_holds_cannot_be_read_in_the_store(world: DeliveryWorld) -> None:
    fail(world)

    with unit_of_work(world.store) as session:
        kept = session.execute(
            text("SELECT context FROM dead_letter WHERE sandbox_id = 1")
        ).scalar_one()

    assert "cart.abandoned" not in kept
    assert world.tools.letters.open(letters(world)[0]) is not None


def test_a_letter_shows_what_would_go_now(world: DeliveryWorld) -> None:
    [failed] = fail(world)
    forget_runs(world)

    shown = replay_dead_letters.preview(world.tools, world.scope, failed)

    assert shown.outcome == "rendered"
    assert shown.request is not None
    assert '"of":"cart.abandoned"' in shown.request.body
    assert "p00-token-0" not in shown.request.body
    assert "stub-api-key" not in str(shown.request.headers)


def test_a_replay_sends_the_same_message_and_tells_no_journey(world: DeliveryWorld) -> None:
    [failed] = fail(world)
    told = len(world.told())
    before = [call.body for call in wire(world).started]
    forget_runs(world)

    done = again(world)
    sent = world.deliver()

    [letter] = letters(world)
    assert (done.count, done.left, sent) == (1, 0, {"sent": 1})
    assert [call.body for call in wire(world).started] == before * 2
    assert len(world.told()) == told == 1
    assert world.delivery(replay_key(failed)).replay_of == failed
    assert (letter.replay_id, letter.replayed_at) == (replay_key(failed), world.clock.now())
    assert world.balance().is_balanced


def test_replays_are_due_one_after_the_other(world: DeliveryWorld) -> None:
    fail(world, 4)

    done = again(world, per_minute=60)

    now = world.clock.now()
    assert sorted(row.due_at for row in world.due()) == [
        now + timedelta(seconds=second) for second in range(4)
    ]
    assert done.last_due_at == now + timedelta(seconds=3)
    assert world.deliver() == {"sent": 1}
    world.clock.wait(2)
    assert world.deliver() == {"sent": 2}


def test_a_replay_that_waits_for_its_turn_is_no_backlog(world: DeliveryWorld) -> None:
    world.add_action(replace(SPEAKING, name="strict", on_backlog=OnBacklog.DROP))
    fail(world, 2)

    again(world, per_minute=1)
    first = world.deliver()
    world.clock.wait(61)

    assert (first, world.deliver()) == ({"sent": 1}, {"sent": 1})


def test_a_replay_passes_gates_and_caps(world: DeliveryWorld) -> None:
    fail(world, 3)
    for number in range(3):
        world.change_owner(f"p{number:02d}-token-0", None)
    world.cap(1)

    again(world)
    world.clock.wait(10)

    assert world.deliver() == {"capped": 2, "suppressed": 1}
    assert world.balance().is_balanced


def test_a_replay_that_fails_leaves_a_letter_that_can_be_sent_again(world: DeliveryWorld) -> None:
    [failed] = fail(world)
    forget_runs(world)
    again(world)
    wire(world).script = lambda call: answered(call, 403)
    world.deliver()
    wire(world).script = answered
    world.clock.wait(1)

    done = again(world)

    assert (done.count, world.deliver()) == (1, {"sent": 1})
    assert {each.delivery_id for each in letters(world)} == {failed, replay_key(failed)}
    assert b"cart.abandoned" in wire(world).started[-1].body
    assert world.balance().is_balanced


def test_a_dry_run_counts_and_sends_nothing(world: DeliveryWorld) -> None:
    fail(world, 3)

    dry = Replay(ALL, 60, 2, is_dry_run=True)
    counted = replay_dead_letters.replay(world.tools, world.scope, dry)

    assert (counted.count, counted.left) == (2, 1)
    assert counted.last_due_at == world.clock.now() + timedelta(seconds=1)
    assert world.due() == []


def test_no_more_go_than_asked_for_and_the_oldest_first(world: DeliveryWorld) -> None:
    old = fail(world, 2)
    fail(world, 2, "q")

    done = again(world, most=2)

    assert (done.count, done.left) == (2, 2)
    assert {each.delivery_id for each in letters(world) if each.replay_id} == set(old)


def test_only_the_chosen_go(world: DeliveryWorld) -> None:
    fail(world, 1)
    since = world.clock.now()
    fail(world, 2, "q")

    assert again(world, LetterFilter(state=DeliveryState.CAPPED)).count == 0
    assert again(world, LetterFilter(reason="nothing")).count == 0
    assert again(world, LetterFilter(journey_id=UUID(int=1))).count == 0
    assert again(world, LetterFilter(action_id=world.action_id, since=since)).count == 2
    assert again(world, LetterFilter(until=since)).count == 1


def test_a_letter_is_sent_again_once(world: DeliveryWorld) -> None:
    fail(world, 2)
    again(world)

    assert again(world).count == 0
    assert world.deliver() == {"sent": 1}


def test_two_replays_at_once_send_each_letter_once(
    postgres_store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    world = DeliveryWorld(postgres_store, scope, clock, FakeTransport())
    world.add_action(SPEAKING)
    fail(world, 30)

    with ThreadPoolExecutor(2) as threads:
        counts = [each.count for each in threads.map(lambda _: again(world), range(2))]

    of_sandbox = (Delivery.sandbox_id == scope.sandbox_id, Delivery.replay_of.is_not(None))
    with unit_of_work(world.store) as session:
        made = session.scalar(select(func.count()).where(*of_sandbox))
    assert (sum(counts), made, len(world.due())) == (30, 30, 30)
    assert world.balance().is_balanced


def test_a_letter_whose_time_is_over_is_removed(world: DeliveryWorld) -> None:
    [failed] = fail(world)
    world.clock.wait(timedelta(days=7).total_seconds())

    assert again(world).count == 0
    housekeeping.run(world.store, world.clock)

    with pytest.raises(NotFoundError), unit_of_work(world.store) as session:
        dead_letters.get(session, world.scope, failed)


def test_a_delivery_that_a_worker_left_in_doubt_leaves_a_letter(world: DeliveryWorld) -> None:
    world.add_person("ann")
    [left] = world.enter("ann")
    deliver.claim_batch(world.tools, world.lane, limit=5)
    world.clock.wait(120)

    deliver.reap_doubtful(world.tools_of("worker-2"))

    [letter] = letters(world)
    assert (letter.delivery_id, letter.state, letter.reason) == (left, "unknown", "leaseEnded")
