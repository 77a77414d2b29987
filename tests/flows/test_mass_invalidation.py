"""Too many tokens called dead at once: the verdicts are held until somebody has decided."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from service.audit import entries
from service.audit.entries import AuditFilter
from service.core.errors import ConflictError
from service.core.ids import derived_key
from service.db.session import SessionFactory, unit_of_work
from service.flows import dead_verdicts
from service.outbound import incidents
from service.outbound.incidents import Verdict
from service.outbound.models import Incident
from service.outbound.transport import Call, Reply
from service.profiles.models import PushToken
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import DeliveryWorld
from tests.support.fake_transport import FakeTransport, answered

BELIEVED = 19


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    made = DeliveryWorld(store, scope, clock, FakeTransport(gone))
    made.add_action()
    return made


def gone(call: Call) -> Reply:
    return answered(call, 410)


def send_to(world: DeliveryWorld, *names: str) -> None:
    for name in names:
        world.add_person(name)
    world.enter(*names)
    world.deliver()
    world.end_instances()


def many(count: int, prefix: str = "p") -> list[str]:
    return [f"{prefix}{number:03d}" for number in range(count)]


def denylisted(world: DeliveryWorld) -> set[str]:
    query = select(PushToken.token).where(
        PushToken.sandbox_id == world.scope.sandbox_id, PushToken.denylisted_at.is_not(None)
    )
    with unit_of_work(world.store) as session:
        return set(session.scalars(query))


def open_incidents(world: DeliveryWorld) -> list[tuple[Incident, int]]:
    with unit_of_work(world.store) as session:
        rows = incidents.list_page(session, world.scope, is_open=True, action_id=None, limit=10)
        held = incidents.count_held(session, world.scope, [each.id for each in rows])
        return [(each, held.get(each.id, 0)) for each in rows]


def decide(world: DeliveryWorld, verdict: Verdict) -> Incident:
    [(row, _)] = open_incidents(world)
    return dead_verdicts.decide(world.store, world.clock, world.scope, row.id, verdict)


def test_the_verdicts_of_a_jump_are_held_and_an_incident_says_so(world: DeliveryWorld) -> None:
    runner = world.runner()
    for names in (many(BELIEVED), many(30, "q")):
        for name in names:
            world.add_person(name)
        world.enter(*names)
        world.clock.wait(1)
        runner.step()
        runner.drain()

    [(incident, held)] = open_incidents(world)
    runner.close()
    with unit_of_work(world.store) as session:
        wanted = AuditFilter(action=dead_verdicts.OPENED)
        [entry] = entries.list_page(session, world.scope, wanted, limit=5)
    assert len(denylisted(world)) == BELIEVED
    assert held == 30
    assert incident.facts["deadOfLast"] == incident.facts["last"] == BELIEVED + 30
    assert (entry.subject, entry.reason) == (str(incident.id), "massInvalidation")


def test_what_follows_is_held_too_also_by_another_process(world: DeliveryWorld) -> None:
    send_to(world, *many(40))
    before = denylisted(world)
    elsewhere = world.runner(tools=world.tools_of("worker-2"))
    world.add_person("late")
    world.enter("late")

    elsewhere.step()
    elsewhere.close()

    [(_, held)] = open_incidents(world)
    assert held == 41
    assert denylisted(world) == before == set()


def test_two_processes_that_alarm_at_once_open_one_incident(
    postgres_store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    world = DeliveryWorld(postgres_store, scope, clock, FakeTransport(gone))
    world.add_action()
    for name in many(100):
        world.add_person(name)
    world.enter(*many(100))
    runners = [world.runner(25, world.tools_of(f"worker-{n}", FakeTransport(gone))) for n in "abcd"]
    for runner in runners:
        runner.step()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda runner: runner.close(), runners))

    [(_, held)] = open_incidents(world)
    assert held == 100
    assert denylisted(world) == set()


def test_believing_denylists_what_was_not_registered_again(world: DeliveryWorld) -> None:
    send_to(world, *many(40))
    again = derived_key("com.example.shop", "fcm", "p007-token-0")
    with unit_of_work(world.store) as session:
        session.execute(
            update(PushToken)
            .where(PushToken.sandbox_id == world.scope.sandbox_id, PushToken.id == again)
            .values(registered_at=world.clock.now() + timedelta(seconds=1))
        )

    decided = decide(world, Verdict.BELIEVE)

    said = decided.facts
    assert (said["settled"], said["denylisted"], said["registeredAgain"]) == (40, 39, 1)
    assert denylisted(world) == {f"{name}-token-0" for name in many(40)} - {"p007-token-0"}
    assert open_incidents(world) == []


def test_what_was_believed_is_believed_for_a_while(world: DeliveryWorld) -> None:
    send_to(world, *many(40))
    decide(world, Verdict.BELIEVE)

    send_to(world, *many(25, "q"))

    assert len(denylisted(world)) == 65
    assert open_incidents(world) == []


def test_dismissing_forgets_the_verdicts_and_the_next_jump_is_a_new_incident(
    world: DeliveryWorld,
) -> None:
    send_to(world, *many(40))
    first = decide(world, Verdict.DISMISS)

    world.clock.wait(60)
    send_to(world, *many(40, "q"))

    [(second, held)] = open_incidents(world)
    assert denylisted(world) == set()
    assert (first.facts["settled"], first.facts["denylisted"]) == (40, 0)
    assert (held, second.id == first.id) == (40, False)


def test_an_incident_is_decided_once(world: DeliveryWorld) -> None:
    send_to(world, *many(40))
    decided = decide(world, Verdict.DISMISS)

    with pytest.raises(ConflictError):
        dead_verdicts.decide(world.store, world.clock, world.scope, decided.id, Verdict.BELIEVE)

    assert denylisted(world) == set()


def test_a_decision_that_stopped_midway_is_finished_and_not_turned_round(
    world: DeliveryWorld,
) -> None:
    send_to(world, *many(40))
    [(row, _)] = open_incidents(world)
    with unit_of_work(world.store) as session:
        incidents.begin_decision(session, world.scope, row.id, Verdict.BELIEVE)

    with pytest.raises(ConflictError):
        decide(world, Verdict.DISMISS)
    done = decide(world, Verdict.BELIEVE)

    assert done.facts["denylisted"] == len(denylisted(world)) == 40


def test_the_same_decision_twice_at_once_counts_every_token_once(
    postgres_store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    world = DeliveryWorld(postgres_store, scope, clock, FakeTransport(gone))
    world.add_action()
    send_to(world, *many(40))
    [(row, _)] = open_incidents(world)

    def believe(_: int) -> str | None:
        try:
            dead_verdicts.decide(world.store, clock, scope, row.id, Verdict.BELIEVE)
        except ConflictError:
            return "conflict"
        return None

    with ThreadPoolExecutor(2) as threads:
        outcomes = list(threads.map(believe, range(2)))

    with unit_of_work(world.store) as session:
        facts = incidents.get(session, scope, row.id).facts
    assert outcomes.count(None) >= 1
    assert (facts["settled"], facts["denylisted"]) == (40, 40)
