"""A delivery's way: permits, gates, calls, outcomes, and what survives when something stops."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from service.audit import gate_traces
from service.core.json import JsonObject
from service.db.session import SessionFactory, unit_of_work
from service.flows import deliver
from service.flows.delivery_lane import LaneRunner
from service.outbound import delivery_views
from service.outbound.follow_up import OnBacklog, OnUnknown
from service.outbound.transport import Call, Reply, Trouble
from service.sandboxes.scope import Scope
from tests.support.away_store import AwayStore
from tests.support.clocks import FixedClock
from tests.support.delivery_world import JOURNEY_ID, PUSH, DeliveryWorld, total
from tests.support.fake_transport import (
    FakeTransport,
    Script,
    answered,
    not_sent,
    silent,
    unanswered,
)


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    return DeliveryWorld(store, scope, clock, FakeTransport())


def wire(world: DeliveryWorld) -> FakeTransport:
    assert isinstance(world.transport, FakeTransport)
    return world.transport


def people(world: DeliveryWorld, count: int) -> list[str]:
    names = [f"p{number:02d}" for number in range(count)]
    for name in names:
        world.add_person(name)
    return names


def one_after_the_other(*scripts: Script) -> Script:
    left = list(scripts)

    def script(call: Call) -> Reply | None:
        return left.pop(0)(call)

    return script


def test_what_is_sent_is_recorded_told_and_balanced(world: DeliveryWorld) -> None:
    world.add_action()
    world.enter(*people(world, 3))

    sent = world.deliver()

    assert sent == {"sent": 3} == world.states()
    assert {told["outcome"] for told in world.told()} == {"sent"}
    assert world.told()[0]["response"] == {"id": "m-1"}
    assert total(world.balance()) == {"intended": 3, "sent": 3}
    assert world.balance().differences == ()


def test_a_call_carries_the_owners_token_and_the_deliverys_key(world: DeliveryWorld) -> None:
    world.add_action()
    world.add_person("ann")
    (delivery_id,) = world.enter("ann")

    world.deliver()

    (call,) = wire(world).started
    assert call.body == b'{"to":"ann-token-0","text":"Hi ann"}'
    assert ("Idempotency-Key", str(delivery_id)) in call.headers
    assert world.delivery(delivery_id).vendor_message_id == "m-1"


def test_a_delivery_is_written_once_for_an_instance_and_node(world: DeliveryWorld) -> None:
    world.add_action()
    world.enter(*people(world, 1))

    world.deliver()
    again = world.deliver()

    assert again == {}
    assert len(wire(world).started) == 1


def test_twelve_of_twenty_are_sent_under_a_cap_of_twelve(world: DeliveryWorld) -> None:
    world.add_action()
    config_id = world.cap(12)
    world.enter(*people(world, 20))

    counts = world.deliver()

    assert counts == {"capped": 8, "sent": 12}
    assert len(wire(world).started) == 12
    assert Counter(told["outcome"] for told in world.told()) == {"sent": 12, "capped": 8}
    assert total(world.balance()) == {"intended": 20, "sent": 12, "capped": 8}
    capped = [name for name in world.people if traces_of(world, name)]
    assert len(capped) == 8
    (trace,) = traces_of(world, capped[0])
    assert (trace["gate"], trace["reason"]) == ("cap", "capped")
    assert trace["facts"]["configId"] == str(config_id)


def traces_of(world: DeliveryWorld, name: str) -> list[JsonObject]:
    with unit_of_work(world.store) as session:
        found = gate_traces.list_traces(session, world.scope, [world.people[name]], JOURNEY_ID)
        return [{"gate": row.gate, "reason": row.reason, "facts": row.facts} for row in found]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"consents": {"marketing": {"push": {"val": "n"}}}}, "consent"),
        ({"consents": {"marketing": {"push": {"val": "p"}}}}, "consent"),
        ({"consents": {"marketing": {"any": {"val": "n"}}}}, "consent"),
    ],
)
def test_a_person_who_refuses_is_suppressed_and_nothing_is_called(
    world: DeliveryWorld, attributes: JsonObject, reason: str
) -> None:
    world.add_action()
    world.add_person("ann", attributes)
    world.enter("ann")

    counts = world.deliver()

    assert counts == {"suppressed": 1}
    assert wire(world).started == []
    assert [trace["reason"] for trace in traces_of(world, "ann")] == [reason]
    assert [told["outcome"] for told in world.told()] == ["suppressed"]
    assert world.balance().differences == ()


def test_a_token_that_went_to_another_person_after_the_claim_is_not_called(
    world: DeliveryWorld,
) -> None:
    world.add_action()
    world.add_person("ann")
    bea = world.add_person("bea", tokens=0)
    world.enter("ann")
    world.change_owner("ann-token-0", bea)

    counts = world.deliver()

    assert counts == {"suppressed": 1}
    assert wire(world).started == []


def test_a_token_without_an_owner_is_not_called(world: DeliveryWorld) -> None:
    world.add_action()
    world.add_person("ann")
    world.enter("ann")
    world.change_owner("ann-token-0", None)

    assert world.deliver() == {"suppressed": 1}
    assert traces_of(world, "ann")[0]["reason"] == "noToken"


def test_a_message_that_lost_its_meaning_takes_no_permit(world: DeliveryWorld) -> None:
    world.add_action()
    world.enter(*people(world, 1), expires_in_s=10)
    tick(world, 10)

    assert world.deliver() == {"expired": 1}
    assert world.attempts() == []


def tick(world: DeliveryWorld, seconds: float) -> None:
    world.clock.wait(seconds)


def test_a_dead_token_is_denylisted_and_the_next_message_is_suppressed(
    world: DeliveryWorld,
) -> None:
    wire(world).script = lambda call: answered(call, 410)
    world.add_action()
    world.add_person("ann")
    world.enter("ann")

    first = world.deliver()
    world.add_person("other", tokens=0)
    world.people["ann-again"] = world.people["ann"]
    world.end_instances()
    world.enter("ann-again")
    second = world.deliver()

    assert (first, second) == ({"failed": 1}, {"suppressed": 1})
    assert traces_of(world, "ann")[0]["reason"] == "tokenDenylisted"


def test_a_fault_is_tried_again_inside_the_budget_with_a_permit_of_its_own(
    world: DeliveryWorld,
) -> None:
    wire(world).script = one_after_the_other(lambda call: answered(call, 500), answered)
    world.add_action()
    config_id = world.cap(10)
    world.enter(*people(world, 1))

    first = world.deliver()
    tick(world, 2)
    second = world.deliver()

    assert (first, second) == ({}, {"sent": 1})
    assert [row.outcome for row in world.attempts()] == ["retry", "sent"]
    assert [row.number for row in world.attempts()] == [1, 2]
    assert {row.cap_id for row in world.attempts()} == {config_id}
    assert world.balance().differences == ()


def test_after_three_retries_the_fault_is_final(world: DeliveryWorld) -> None:
    wire(world).script = lambda call: answered(call, 500)
    world.add_action()
    (delivery_id,) = world.enter(*people(world, 1))

    for _ in range(6):
        world.deliver()
        tick(world, 5)

    delivery = world.delivery(delivery_id)
    assert (delivery.state, delivery.reason, delivery.attempts) == ("failed", "webhook.5xx", 4)
    assert len(wire(world).started) == 4
    assert [told["code"] for told in world.told()] == ["500"]


def test_a_retry_without_a_permit_waits_and_ends_with_the_origin_error(
    world: DeliveryWorld,
) -> None:
    wire(world).script = lambda call: answered(call, 503)
    world.add_action(replace(PUSH, timeout_ms=5000))
    world.cap(1, period_ms=600_000)
    world.enter(*people(world, 1))

    first = world.deliver()
    tick(world, 2)
    second = world.deliver()

    assert (first, second) == ({}, {"failed": 1})
    (told,) = world.told()
    assert (told["outcome"], told["origin_error"], told["origin_code"]) == (
        "timedout",
        "http",
        "503",
    )


def test_a_wait_longer_than_the_budget_ends_at_once(world: DeliveryWorld) -> None:
    header = b"Retry-After: 120"
    wire(world).script = lambda call: replace(answered(call, 429), headers=(header,))
    world.add_action()
    world.enter(*people(world, 1))

    assert world.deliver() == {"failed": 1}
    assert world.told()[0]["outcome"] == "timedout"
    assert world.due() == []


def test_each_attempt_gets_what_is_left_of_the_budget(world: DeliveryWorld) -> None:
    wire(world).script = one_after_the_other(lambda call: answered(call, 500), answered)
    world.add_action(replace(PUSH, timeout_ms=10_000))
    world.enter(*people(world, 1), timeout_ms=8000)

    world.deliver()
    tick(world, 3)
    world.deliver()

    assert [call.timeout_ms for call in wire(world).started] == [8000, 5000]


def test_an_answer_never_seen_is_unknown_and_not_repeated(world: DeliveryWorld) -> None:
    wire(world).script = unanswered
    world.add_action()
    world.enter(*people(world, 1))

    counts = world.deliver()
    tick(world, 60)
    world.deliver()

    assert counts == {"unknown": 1}
    assert len(wire(world).started) == 1
    assert world.balance().differences == ()


def test_a_timeout_is_unknown_to_the_ledger_and_timedout_to_the_journey(
    world: DeliveryWorld,
) -> None:
    wire(world).script = lambda call: unanswered(call, Trouble.TIMEOUT)
    world.add_action()
    world.enter(*people(world, 1))

    assert world.deliver() == {"unknown": 1}
    assert world.told()[0]["outcome"] == "timedout"


def test_an_unknown_call_is_repeated_only_if_the_action_says_so(world: DeliveryWorld) -> None:
    wire(world).script = one_after_the_other(unanswered, answered)
    world.add_action(replace(PUSH, on_unknown=OnUnknown.RETRY))
    world.enter(*people(world, 1))

    world.deliver()
    tick(world, 10)
    counts = world.deliver()

    assert counts == {"sent": 1}
    assert [row.outcome for row in world.attempts()] == ["unknown", "sent"]
    keys = {value for call in wire(world).started for name, value in call.headers if "Idem" in name}
    assert len(keys) == 1


def test_a_call_that_never_left_is_tried_again(world: DeliveryWorld) -> None:
    wire(world).script = one_after_the_other(not_sent, answered)
    world.add_action()
    world.enter(*people(world, 1))

    world.deliver()
    tick(world, 1)

    assert world.deliver() == {"sent": 1}
    assert [row.outcome for row in world.attempts()] == ["notSent", "sent"]


def test_a_permit_that_ran_out_before_the_start_is_not_used(world: DeliveryWorld) -> None:
    world.add_action()
    world.cap(5, period_ms=60_000)
    world.enter(*people(world, 1))
    wire(world).before_start = lambda: tick(world, 1.3)

    first = world.deliver()
    wire(world).before_start = lambda: None
    tick(world, 1)
    second = world.deliver()

    assert (first, second) == ({}, {"sent": 1})
    assert len(wire(world).started) == 1
    assert [row.outcome for row in world.attempts()] == ["notSent", "sent"]
    assert world.attempts()[1].number == 1


def test_permits_of_a_short_period_live_as_long_as_calls_need(world: DeliveryWorld) -> None:
    world.add_action()
    world.cap(50, period_ms=50)
    world.enter(*people(world, 3))
    wire(world).before_start = lambda: tick(world, 0.4)
    runner = world.runner()

    for _ in range(6):
        runner.step()
        tick(world, 0.1)
    runner.close()

    assert world.states() == {"sent": 3}


def test_gates_hold_for_two_seconds_only(world: DeliveryWorld) -> None:
    world.add_action()
    world.cap(500, period_ms=600_000)
    world.enter(*people(world, 1))
    wire(world).before_start = lambda: tick(world, 2.5)

    assert world.deliver() == {}
    assert wire(world).started == []


def test_a_killed_workers_open_attempts_become_unknown(world: DeliveryWorld) -> None:
    world.add_action()
    world.cap(3)
    world.enter(*people(world, 5))
    wire(world).script = silent
    world.runner().step()

    early = deliver.reap_doubtful(world.tools_of("worker-2"))
    tick(world, 61)
    late = deliver.reap_doubtful(world.tools_of("worker-2"))

    assert (early, late) == (0, 3)
    assert world.states() == {"capped": 2, "unknown": 3}
    assert total(world.balance()) == {"intended": 5, "capped": 2, "unknown": 3}
    assert world.balance().differences == ()


def test_a_doubtful_call_is_repeated_if_the_action_says_so(world: DeliveryWorld) -> None:
    world.add_action(replace(PUSH, on_unknown=OnUnknown.RETRY))
    world.enter(*people(world, 1))
    wire(world).script = silent
    world.runner().step()
    tick(world, 61)

    deliver.reap_doubtful(world.tools)
    wire(world).script = answered

    assert world.deliver() == {"sent": 1}
    assert [row.number for row in world.attempts()] == [1, 2]


def test_an_outcome_that_comes_after_the_reaper_changes_nothing(world: DeliveryWorld) -> None:
    world.add_action()
    world.enter(*people(world, 1))
    wire(world).script = silent
    runner = world.runner()
    runner.step()
    tick(world, 61)
    deliver.reap_doubtful(world.tools_of("worker-2"))

    wire(world).script = answered
    runner.close()

    assert world.states() == {"unknown": 1}
    assert len(world.told()) == 1
    assert world.balance().differences == ()


def test_outcomes_wait_while_the_store_is_away_and_nothing_new_starts(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    away = AwayStore(world.store)
    tools = replace(world.tools, sessions=away)
    world.add_action()
    world.enter(*people(world, 4))
    wire(world).script = silent
    runner = world.runner(slots=2, tools=tools)
    runner.step()

    away.is_away = True
    wire(world).script = answered
    for _ in range(5):
        runner.step()
        clock.advance(2)
    started_while_away = len(wire(world).started)
    away.is_away = False
    clock.advance(2)
    runner.drain()

    assert started_while_away == 2
    assert world.states() == {"sent": 2, "waiting": 2}
    assert world.balance().differences == ()


def test_recording_in_another_thread_keeps_everything(world: DeliveryWorld) -> None:
    world.add_action()
    world.cap(25)
    world.enter(*people(world, 30))
    with ThreadPoolExecutor(1) as recorder:
        runner = LaneRunner(world.tools, world.lane, slots=10, recorder=recorder)
        for _ in range(20):
            runner.step()
            tick(world, 0.1)
        runner.close()

    assert world.states() == {"sent": 25, "capped": 5}
    assert dict(runner.recorded) == {"sent": 25, "capped": 5}
    assert world.balance().is_balanced


def test_a_backlog_is_paced_to_the_cap(world: DeliveryWorld) -> None:
    world.add_action()
    world.cap(2)
    world.enter(*people(world, 3))
    tick(world, 120)

    counts = world.deliver()

    assert counts == {"sent": 2}
    assert len(world.due()) == 1
    assert world.due()[0].due_at > world.clock.now()


def test_a_backlog_is_dropped_if_the_action_says_so(world: DeliveryWorld) -> None:
    world.add_action(replace(PUSH, on_backlog=OnBacklog.DROP))
    world.enter(*people(world, 2))
    tick(world, 120)

    assert world.deliver() == {"expired": 2}
    assert traces_of(world, "p00")[0]["gate"] == "backlog"


def test_a_lane_holds_no_more_connections_than_are_leased(world: DeliveryWorld) -> None:
    world.add_action()
    world.cap(100, connections=3)
    world.enter(*people(world, 10))
    runner = world.runner(slots=50)

    for _ in range(10):
        runner.step()
        tick(world, 0.1)
    runner.close()

    assert wire(world).most_slots == 3
    assert world.states() == {"sent": 10}


def test_without_a_free_connection_a_delivery_waits_and_is_never_dropped(
    world: DeliveryWorld,
) -> None:
    world.add_action()
    world.cap(100, connections=1)
    world.enter(*people(world, 2))
    wire(world).script = silent
    first = world.runner()
    first.step()
    other = FakeTransport()
    second = world.runner(tools=world.tools_of("worker-2", other))

    second.step()

    assert (len(wire(world).started), other.started) == (1, [])
    assert world.states() == {"waiting": 2}


def test_a_person_without_a_template_variable_fails_alone(world: DeliveryWorld) -> None:
    world.add_action(replace(PUSH, payload={"to": "{{ token }}", "t": "{{ profile.title }}"}))
    world.add_person("ann", {"title": "Dr"})
    world.add_person("bea")
    world.enter("ann", "bea")

    assert world.deliver() == {"failed": 1, "sent": 1}
    assert [told["code"] for told in world.told() if told["outcome"] == "failed"] == ["template"]


def test_the_event_of_the_instance_can_be_named(world: DeliveryWorld) -> None:
    world.add_action(replace(PUSH, payload={"to": "{{ token }}", "why": "{{ event.eventType }}"}))
    world.enter(*people(world, 1))

    world.deliver()

    assert b"cart.abandoned" in wire(world).started[0].body


def test_an_action_that_is_gone_fails_its_deliveries(world: DeliveryWorld) -> None:
    world.action_id = JOURNEY_ID
    world.enter(*people(world, 1))

    assert world.deliver() == {"failed": 1}
    assert world.balance().differences == ()


def test_an_answer_that_the_store_refuses_does_not_stop_its_neighbours(
    world: DeliveryWorld,
) -> None:
    bad = b'{"id":"x\\u0000y","n":"\\u0000"}'
    wire(world).script = one_after_the_other(lambda call: answered(call, 200, bad), answered)
    world.add_action()
    world.enter(*people(world, 2))

    assert world.deliver() == {"sent": 2}


def test_lanes_with_due_work_are_found_oldest_first(world: DeliveryWorld) -> None:
    world.add_action(replace(PUSH, name="other"))
    other = world.lane
    world.enter(*people(world, 2))
    tick(world, 5)
    world.add_action()
    world.add_person("late")
    world.enter("late")

    with unit_of_work(world.store) as session:
        now = delivery_views.due_lanes(session, now=world.clock.now())
        before = delivery_views.due_lanes(session, now=world.clock.now() - timedelta(seconds=1))

    assert now == (other, world.lane)
    assert before == (other,)


def test_lanes_do_not_take_each_others_deliveries(world: DeliveryWorld) -> None:
    world.add_action(replace(PUSH, name="other"))
    world.enter(*people(world, 1))
    world.add_action()

    assert world.deliver() == {}
    assert len(world.due()) == 1
