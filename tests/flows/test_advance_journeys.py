"""People walk on: in batches, once, and whatever dies on the way."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, delete, select, update
from sqlalchemy import event as hooks
from sqlalchemy.orm import Session

from service.audit.models import GateTrace
from service.core.errors import ConflictError
from service.core.json import JsonObject
from service.db.engine import open_engine
from service.db.session import SessionFactory, unit_of_work
from service.flows.advance_journeys import advance, advance_once
from service.flows.ingest import ingest
from service.flows.open_sandbox import open_sandbox
from service.flows.tracking import keep_tracking
from service.identity.identity_map import ClaimedIdentity
from service.identity.models import Identity
from service.journeys import entry, inbox, lifecycle
from service.journeys.inbox import Told
from service.journeys.models import JourneyStimulus, StepEvent
from service.journeys.stimuli import DeliveryEnded, DeliveryOutcome, ProfileErased, TimerFired
from service.ledger import balance
from service.outbound import deliveries, fair_claims
from service.outbound.deliveries import DeliveryState, EndedDelivery, Lane
from service.outbound.interactions import EVENT_TYPES, InteractionKind
from service.outbound.models import Delivery
from service.profiles.events import EventToKeep
from tests.journeys.worlds import documents
from tests.support.builders import PROD, ecid, event, person, request, source
from tests.support.clocks import START, FixedClock
from tests.support.journeys import (
    ACTION,
    END,
    NOW,
    by_event,
    by_segment,
    call,
    condition,
    instances_of,
    known_people,
    published,
    qualified,
    wait,
)

ADA, BOB, EVE = person("ada"), person("bob"), person("eve")
Sent = DeliveryOutcome.SENT


def enter(store: SessionFactory, *people: ClaimedIdentity, now: datetime = NOW) -> None:
    with unit_of_work(store) as session:
        assert entry.enter_qualified(session, PROD, qualified(*people), now=now) == len(people)


def at(store: SessionFactory, seconds: float = 0, limit: int = 500) -> int:
    """Advance at a moment after the entrance."""
    with unit_of_work(store) as session:
        return advance_once(session, now=NOW + timedelta(seconds=seconds), limit=limit)


def tell(store: SessionFactory, *told: Told) -> None:
    with unit_of_work(store) as session:
        inbox.tell(session, PROD, told)


def end_delivery(
    store: SessionFactory,
    outcome: DeliveryOutcome,
    seconds: float = 1,
    code: str | None = None,
    mapped: JsonObject | None = None,
) -> None:
    """End every waiting delivery as the dispatcher does: its state and the stimulus together."""
    now = NOW + timedelta(seconds=seconds)
    state = {DeliveryOutcome.TIMED_OUT: DeliveryState.FAILED}.get(outcome)
    with unit_of_work(store) as session:
        waiting = [each for each in deliveries_of(session) if each.state == "waiting"]
        for each in waiting:
            final = state or DeliveryState(outcome.value)
            ended = EndedDelivery(each.id, final, code, {}, 1)
            deliveries.end(session, PROD, [ended], now=now)
            told = DeliveryEnded(each.node_id, outcome, code, mapped=mapped)
            inbox.tell(session, PROD, [Told(each.instance_id, told, now)])


def deliveries_of(session: Session) -> list[Delivery]:
    return list(session.scalars(select(Delivery).where(Delivery.sandbox_id == 1)))


def states_of(store: SessionFactory) -> list[tuple[str, str | None]]:
    """Return status and place of every instance."""
    with store.opened() as session:
        return [(each.status, each.state["node_id"]) for each in instances_of(session)]


def steps_of(store: SessionFactory) -> list[tuple[str, str]]:
    with store.opened() as session:
        chosen = select(StepEvent).where(StepEvent.sandbox_id == 1)
        rows = session.scalars(chosen.order_by(StepEvent.instance_id, StepEvent.sequence))
        return [(each.node_id, each.kind) for each in rows]


def reasons_of(store: SessionFactory) -> list[tuple[str, str]]:
    with store.opened() as session:
        rows = session.scalars(select(GateTrace).where(GateTrace.sandbox_id == 1))
        return [(each.gate, each.reason) for each in rows]


def is_balanced(store: SessionFactory) -> bool:
    with store.opened() as session:
        sheet = balance.check(session, PROD)
    assert not sheet.differences
    return sheet.is_balanced


def start(
    store: SessionFactory,
    document: dict[str, Any],
    *people: ClaimedIdentity,
    **attributes: Any,
) -> Any:
    """Publish a journey and let people in."""
    with unit_of_work(store) as session:
        version = published(session, document)
        known_people(session, *people, **attributes)
    enter(store, *people)
    return version


def test_a_person_rests_until_the_timer_and_then_finishes(store: SessionFactory) -> None:
    start(store, by_segment(wait(3600)), ADA)

    taken = [at(store), at(store, 3599), at(store, 3600), at(store, 9999)]

    assert taken == [1, 0, 1, 0]
    assert states_of(store) == [("finished", "done")]
    assert steps_of(store) == [
        ("start", "entrance"),
        ("rest", "step"),
        ("rest", "step"),
        ("done", "end:finished"),
    ]
    assert is_balanced(store)


def test_a_condition_is_decided_by_the_merged_profile(store: SessionFactory) -> None:
    document = by_segment(
        condition(('loyalty.tier = "gold"', "done"), otherwise="rest"), wait(), END
    )
    with unit_of_work(store) as session:
        published(session, document)
        known_people(session, ADA, loyalty={"tier": "gold"})
        known_people(session, BOB, loyalty={"tier": "red"})
    enter(store, ADA)
    enter(store, BOB, now=NOW + timedelta(seconds=1))

    at(store, 1)

    assert states_of(store) == [("finished", "done"), ("inside", "rest")]


def test_a_condition_may_ask_for_events_of_the_person(store: SessionFactory) -> None:
    bought = 'chain(xEvent, timestamp, [A: WHAT(eventType = "commerce.purchases")])'
    document = by_segment(condition((bought, "done"), otherwise="rest"), wait(), END)
    with unit_of_work(store) as session:
        published(session, document)
        known_people(session, ADA, BOB)
        purchase = event(ecid(1), ADA, event_type="commerce.purchases")
        ingest(session, [request(purchase)], now=NOW)
    enter(store, ADA)
    enter(store, BOB, now=NOW + timedelta(seconds=1))

    at(store, 1)

    assert states_of(store) == [("finished", "done"), ("inside", "rest")]


def order(total: float, who: ClaimedIdentity, name: str) -> EventToKeep:
    xdm = {
        "_experience": {"campaign": {"orchestration": {"eventID": "order"}}},
        "commerce": {"order": {"priceTotal": total}},
    }
    return EventToKeep(event(who, event_id=name, xdm=xdm), source(), NOW, who.key)


def test_a_condition_reads_what_the_run_carries_beside_the_profile(store: SessionFactory) -> None:
    bought = 'chain(xEvent, timestamp, [A: WHAT(eventType = "commerce.purchases")])'
    large = f'context.event.commerce.order.priceTotal > 100 and tier = "gold" and not ({bought})'
    document = by_event(condition((large, "done"), otherwise="rest"), wait(), END)
    with unit_of_work(store) as session:
        published(session, document)
        known_people(session, ADA, BOB, EVE, tier="gold")
        ingest(session, [request(event(ecid(1), EVE, event_type="commerce.purchases"))], now=NOW)
    with unit_of_work(store) as session:
        orders = [order(101, ADA, "1"), order(99, BOB, "2"), order(101, EVE, "3")]
        assert entry.enter_by_event(session, PROD, orders, now=NOW) == 3

    at(store)

    with store.opened() as session:
        places = {each.identity_id: each.state["node_id"] for each in instances_of(session)}
    assert places == {ADA.key: "done", BOB.key: "rest", EVE.key: "rest"}


def test_of_somebody_who_is_known_no_more_every_expression_is_false(
    store: SessionFactory,
) -> None:
    rule = condition(('not (tier = "gold")', "done"), otherwise="rest")
    start(store, by_segment(rule, wait(), END), ADA)
    with unit_of_work(store) as session:
        session.execute(delete(Identity).where(Identity.sandbox_id == 1))

    at(store)

    assert states_of(store) == [("inside", "rest")]
    assert is_balanced(store)


def test_a_condition_after_an_action_reads_how_it_ended(store: SessionFactory) -> None:
    capped = 'context.lastError.error = "capped"'
    document = by_segment(
        call("done", on_error="choose"),
        condition((capped, "rest"), otherwise="done"),
        wait(),
        END,
    )
    start(store, document, ADA)
    at(store)

    end_delivery(store, DeliveryOutcome.CAPPED, code="capped")
    at(store, 1)

    assert states_of(store) == [("inside", "rest")]
    assert is_balanced(store)


def test_conditions_and_later_actions_read_what_is_mapped_of_an_answer(
    store: SessionFactory,
) -> None:
    many = "context.action.call.response.points > 100"
    gone = 'context.action.call.jo_status_code = "http_404"'
    document = by_segment(
        call("choose", on_error="why"),
        condition((many, "tell"), otherwise="done"),
        condition((gone, "rest"), otherwise="done", node_id="why"),
        call(node_id="tell", points="context.action.call.response.points"),
        wait(),
        END,
    )
    start(store, document, ADA, BOB)
    at(store)

    end_delivery(store, DeliveryOutcome.SENT, code="200", mapped={"response": {"points": 250}})
    at(store, 1)

    assert states_of(store) == [("inside", "tell"), ("inside", "tell")]
    with store.opened() as session:
        told = [each.parameters for each in deliveries_of(session) if each.node_id == "tell"]
    assert told == [{"points": 250}, {"points": 250}]
    assert is_balanced(store)


def test_the_error_path_reads_the_status_of_a_call(store: SessionFactory) -> None:
    gone = 'context.action.call.jo_status_code = "http_404"'
    known = 'context.action.call.errorResponse.why = "known"'
    document = by_segment(
        call("done", on_error="choose"),
        condition((f"{gone} and {known}", "rest"), otherwise="done"),
        wait(),
        END,
    )
    start(store, document, ADA)
    at(store)

    mapped: JsonObject = {"errorResponse": {"why": "known"}}
    end_delivery(store, DeliveryOutcome.FAILED, code="404", mapped=mapped)
    at(store, 1)

    assert states_of(store) == [("inside", "rest")]


def test_an_action_writes_one_delivery_with_its_parameters_and_parks(store: SessionFactory) -> None:
    document = by_segment(call(city="homeAddress.city", kind='"VIP"', why="context.segment.status"))
    version = start(store, document, ADA, homeAddress={"city": "Bonn"})

    at(store)

    with store.opened() as session:
        (delivery,) = deliveries_of(session)
        (instance,) = instances_of(session)
        step = session.scalars(
            select(StepEvent).where(StepEvent.sandbox_id == 1, StepEvent.kind == "dispatch")
        ).one()
    assert delivery.parameters == {"city": "Bonn", "kind": "VIP", "why": "realized"}
    assert (delivery.action_id, delivery.identity_id) == (ACTION, ADA.key)
    assert (delivery.journey_version_id, delivery.node_id) == (version.id, "call")
    assert delivery.expires_at == instance.expires_at
    assert step.delivery_id == delivery.id
    assert is_balanced(store)


@pytest.mark.parametrize(
    ("outcome", "status", "node"),
    [
        (DeliveryOutcome.SENT, "finished", "done"),
        (DeliveryOutcome.SUPPRESSED, "finished", "done"),
        (DeliveryOutcome.CAPPED, "inside", "rest"),
        (DeliveryOutcome.FAILED, "inside", "rest"),
        (DeliveryOutcome.UNKNOWN, "inside", "rest"),
        (DeliveryOutcome.TIMED_OUT, "inside", "rest"),
    ],
)
def test_an_outcome_chooses_the_way(
    store: SessionFactory, outcome: DeliveryOutcome, status: str, node: str
) -> None:
    start(store, by_segment(call(on_error="rest"), wait(), END), ADA)
    at(store)

    end_delivery(store, outcome)
    at(store, 1)

    assert states_of(store) == [(status, node)]
    assert is_balanced(store)


def test_without_an_error_path_the_run_fails_with_the_outcome(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)
    at(store)

    end_delivery(store, DeliveryOutcome.CAPPED)
    at(store, 1)

    assert states_of(store) == [("failed", "call")]
    assert steps_of(store)[-1] == ("call", "end:failed")
    assert is_balanced(store)


def test_what_is_told_twice_happens_once(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)
    at(store)
    with store.opened() as session:
        (instance,) = instances_of(session)
    twice = Told(instance.id, DeliveryEnded("call", Sent), NOW)

    tell(store, twice, twice)
    taken = at(store)
    tell(store, twice)
    at(store)

    assert taken == 2
    assert steps_of(store).count(("done", "end:finished")) == 1
    assert reasons_of(store) == [("stimulus", "alreadyEnded")] * 2


def test_a_timer_is_stored_once_and_a_stale_one_changes_nothing(store: SessionFactory) -> None:
    start(store, by_segment(wait(60)), ADA)
    at(store)
    with store.opened() as session:
        (instance,) = instances_of(session)

    due = NOW + timedelta(seconds=60)
    tell(store, Told(instance.id, TimerFired(2), due), Told(instance.id, TimerFired(1), due))

    assert at(store, 60) == 2
    assert states_of(store) == [("finished", "done")]
    assert len(steps_of(store)) == 4


def test_a_stop_ends_everyone_and_takes_back_what_no_worker_has_begun(
    store: SessionFactory,
) -> None:
    document = by_segment(condition(("isGold", "call"), otherwise="rest"), call(), wait(), END)
    with unit_of_work(store) as session:
        version = published(session, document)
        known_people(session, ADA, BOB, isGold=True)
        known_people(session, EVE)
    enter(store, ADA, BOB, EVE)
    at(store)
    with unit_of_work(store) as session:
        lane = Lane(PROD, ACTION)
        (held,) = fair_claims.claim(session, lane, now=NOW, limit=1)

    with unit_of_work(store) as session:
        lifecycle.stop(session, PROD, version.journey_id, now=NOW)
    taken = at(store)

    with store.opened() as session:
        states = {each.id: (each.state, each.reason) for each in deliveries_of(session)}
        assert fair_claims.claim(session, lane, now=NOW, limit=9) == []
    assert taken == 3
    assert [status for status, _ in states_of(store)] == ["stopped"] * 3
    assert states.pop(held.id) == ("waiting", None)
    assert list(states.values()) == [("suppressed", "journeyEnded")]
    assert is_balanced(store)


def test_somebody_let_in_while_the_journey_was_being_stopped_is_stopped_too(
    store: SessionFactory,
) -> None:
    version = start(store, by_segment(wait()), ADA)
    with unit_of_work(store) as session:
        lifecycle.stop(session, PROD, version.journey_id, now=NOW)
        # What the other transaction could not see: nobody was told.
        chosen = delete(JourneyStimulus).where(
            JourneyStimulus.sandbox_id == 1, JourneyStimulus.kind == "stopped"
        )
        session.execute(chosen)

    at(store)

    assert states_of(store) == [("stopped", "start")]
    assert is_balanced(store)


def test_a_stop_before_the_first_step_leaves_balanced_ledgers(store: SessionFactory) -> None:
    version = start(store, by_segment(wait()), ADA, BOB)
    with unit_of_work(store) as session:
        lifecycle.stop(session, PROD, version.journey_id, now=NOW)

    at(store)

    assert steps_of(store) == [("start", "entrance"), ("start", "end:stopped")] * 2
    assert is_balanced(store)


def test_an_erased_person_stops_and_the_run_forgets_what_it_carried(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_event(wait()))
        known_people(session, ADA)
        entry.enter_by_event(session, PROD, [order(5, ADA, "1")], now=NOW)
    at(store)
    with store.opened() as session:
        (instance,) = instances_of(session)

    tell(store, Told(instance.id, ProfileErased(), NOW))
    at(store)

    with store.opened() as session:
        (instance,) = instances_of(session)
    assert (instance.status, instance.state["context"]) == ("stopped", {})


def test_a_life_of_91_days_ends_also_while_a_delivery_is_under_way(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)
    at(store)
    later = NOW + timedelta(days=91)

    with unit_of_work(store) as session:
        early = inbox.end_old_lives(session, PROD, now=later - timedelta(seconds=1))
        late = inbox.end_old_lives(session, PROD, now=later)
        inbox.end_old_lives(session, PROD, now=later)
    at(store, 91 * 86_400)

    assert (early, late) == (0, 1)
    assert states_of(store) == [("failed", "call")]
    assert is_balanced(store)


def test_a_worker_killed_before_its_commit_gives_everything_back(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)

    with store.opened() as session:
        assert advance_once(session, now=NOW, limit=500) == 1
        assert len(deliveries_of(session)) == 1

    assert states_of(store) == [("inside", None)]
    assert at(store) == 1
    assert states_of(store) == [("inside", "call")]
    with store.opened() as session:
        assert len(deliveries_of(session)) == 1


def test_two_workers_share_what_is_due_and_do_nothing_twice(
    postgres_store: SessionFactory,
) -> None:
    people = [person(f"p{number}") for number in range(6)]
    start(postgres_store, by_segment(call()), *people)

    with unit_of_work(postgres_store) as first:
        taken = [advance_once(first, now=NOW, limit=4)]
        taken.append(at(postgres_store, limit=4))

    with postgres_store.opened() as session:
        assert len(deliveries_of(session)) == 6
    assert taken == [4, 2]
    assert is_balanced(postgres_store)


def test_two_stimuli_of_one_person_in_two_workers_are_told_one_after_the_other(
    postgres_store: SessionFactory,
) -> None:
    start(postgres_store, by_segment(call()), ADA)
    at(postgres_store)
    with postgres_store.opened() as session:
        (instance,) = instances_of(session)
    told = Told(instance.id, DeliveryEnded("call", Sent), NOW)
    tell(postgres_store, told, told)
    taken: list[int] = []
    has_begun = Event()

    def second() -> None:
        has_begun.set()
        taken.append(at(postgres_store, limit=1))

    with unit_of_work(postgres_store) as first:
        taken.append(advance_once(first, now=NOW, limit=1))
        other = Thread(target=second)
        other.start()
        has_begun.wait(timeout=5)
    other.join(timeout=10)

    assert taken == [1, 1]
    assert steps_of(postgres_store).count(("done", "end:finished")) == 1
    assert reasons_of(postgres_store) == [("stimulus", "alreadyEnded")]


def test_a_stimulus_of_a_newer_release_is_kept_for_it(store: SessionFactory) -> None:
    start(store, by_segment(wait()), ADA, BOB)
    with unit_of_work(store) as session:
        (first, _) = instances_of(session)
        chosen = update(JourneyStimulus).where(
            JourneyStimulus.sandbox_id == 1, JourneyStimulus.instance_id == first.id
        )
        session.execute(chosen.values(kind="dreamed"))

    assert at(store) == 2

    with store.opened() as session:
        kept = session.scalars(
            select(JourneyStimulus).where(
                JourneyStimulus.sandbox_id == 1, JourneyStimulus.kind == "dreamed"
            )
        ).one()
    assert kept.due_at == NOW + timedelta(minutes=5)
    assert sorted(states_of(store), key=str) == [("inside", "rest"), ("inside", None)]


def test_one_persons_trouble_does_not_keep_the_others(
    store: SessionFactory, clock: FixedClock
) -> None:
    broken = by_segment(call(), name="Broken")
    broken["nodes"][1]["actionId"] = "no key"
    clock.advance((NOW - clock.now()).total_seconds())
    with unit_of_work(store) as session:
        published(session, broken)
        published(session, by_event(wait(), name="Sound"))
        known_people(session, ADA, BOB)
    enter(store, ADA)
    with unit_of_work(store) as session:
        entry.enter_by_event(session, PROD, [order(1, BOB, "1")], now=NOW)

    taken = [advance(store, clock), advance(store, clock), advance(store, clock)]

    assert taken == [1, 1, 0]
    assert [node for _, node in states_of(store)] == [None, "rest"]
    clock.advance(301)
    assert advance(store, clock) == 1


def test_the_person_is_found_anew_at_each_step(store: SessionFactory) -> None:
    document = by_event(wait(60), call(city="city"), END, identityNamespace="ECID")
    document["nodes"][1]["transitions"] = [{"targetNodeId": "call"}]
    with unit_of_work(store) as session:
        published(session, document)
        known_people(session, ADA, city="Bonn")
        ingest(session, [request(order(1, ecid(1), "1").event)], now=NOW)
    at(store)

    with unit_of_work(store) as session:
        ingest(session, [request(event(ecid(1), ADA, at=9))], now=NOW)
    at(store, 60)

    with store.opened() as session:
        (delivery,) = deliveries_of(session)
        profiles = [
            each.body["_experience"]["journeyOrchestration"]["stepEvents"]["profileID"]
            for each in session.scalars(select(StepEvent).where(StepEvent.sandbox_id == 1))
        ]
    assert delivery.parameters == {"city": "Bonn"}
    assert set(profiles) == {str(ecid(1).key), str(ADA.key)}


def test_people_of_two_sandboxes_in_one_batch_stay_apart(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=START)
        published(session, by_segment(wait()), scope=other)
        known_people(session, ADA, scope=other)
        entry.enter_qualified(session, other, qualified(ADA), now=NOW)
    start(store, by_segment(call()), ADA)

    assert at(store) == 2

    with store.opened() as session:
        places = [instances_of(session, scope)[0].state["node_id"] for scope in (PROD, other)]
    assert places == ["call", "rest"]


def test_the_statements_of_a_batch_do_not_grow_with_it(sqlite_store: SessionFactory) -> None:
    document = by_segment(
        condition(
            ("isGold", "call"), ('context.segment.status = "exited"', "done"), otherwise="call"
        ),
        call(city="city"),
        END,
    )
    seen: list[str] = []
    engine: Engine = sqlite_store.engine
    hooks.listen(engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))

    def statements_of(people: Sequence[ClaimedIdentity]) -> list[str]:
        enter(sqlite_store, *people)
        seen.clear()
        at(sqlite_store)
        return list(seen)

    crowd = [person(f"p{number}") for number in range(60)]
    start(sqlite_store, document, ADA)
    at(sqlite_store)
    with unit_of_work(sqlite_store) as session:
        known_people(session, BOB, *crowd, isGold=False)

    assert statements_of([BOB]) == statements_of(crowd)


OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.integers(0, 4)),
        st.tuples(st.just("advance"), st.integers(1, 5)),
        st.tuples(st.just("outcome"), st.sampled_from(list(DeliveryOutcome))),
        st.tuples(st.just("track"), st.sampled_from(list(InteractionKind))),
        st.tuples(st.just("pass"), st.integers(1, 20 * 86_400)),
        st.tuples(st.just("stop"), st.just(0)),
        st.tuples(st.just("repeat"), st.integers(0, 3)),
    ),
    min_size=1,
    max_size=25,
)


class Story:
    """One journey on one store, to which anything may happen in any order."""

    def __init__(self, store: SessionFactory, document: dict[str, Any]) -> None:
        self.store = store
        self.people = [person(f"p{number}") for number in range(5)]
        self.seconds = 0.0
        with unit_of_work(store) as session:
            self.journey_id = published(session, document).journey_id
            known_people(session, *self.people, e00=True, e11=True)

    @property
    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def happen(self, what: str, value: Any) -> None:
        match what:
            case "enter":
                with unit_of_work(self.store) as session:
                    came = order(1, self.people[value], str(self.seconds))
                    entry.enter_by_event(session, PROD, [came], now=self.now)
            case "advance":
                at(self.store, self.seconds, limit=value)
            case "outcome":
                end_delivery(self.store, value, self.seconds)
            case "track":
                self.track(value)
            case "pass":
                self.seconds += value
            case "stop":
                with suppress(ConflictError), unit_of_work(self.store) as session:
                    lifecycle.stop(session, PROD, self.journey_id, now=self.now)
            case "repeat":
                self.repeat(value)

    def track(self, kind: InteractionKind) -> None:
        """Let everybody do the same with every message they were sent."""
        with unit_of_work(self.store) as session:
            for each in deliveries_of(session):
                execution = {"messageExecution": {"messageID": str(each.id)}}
                xdm = {
                    "_experience": {"customerJourneyManagement": execution},
                    "pushNotificationTracking": {"customAction": {"actionID": "Dismiss"}},
                }
                came = event(event_type=EVENT_TYPES[kind], xdm=xdm)
                kept = EventToKeep(came, source(), self.now, each.identity_id)
                keep_tracking(session, PROD, {kept.key: kept}, now=self.now)

    def repeat(self, count: int) -> None:
        with unit_of_work(self.store) as session:
            for each in instances_of(session)[:count]:
                told = DeliveryEnded(each.state["node_id"] or "", Sent)
                inbox.tell(session, PROD, [Told(each.id, told, self.now)])


@settings(max_examples=20)
@given(document=documents(), operations=OPERATIONS)
def test_the_ledgers_balance_after_anything_that_can_happen(
    tmp_path_factory: pytest.TempPathFactory,
    sqlite_template: Path,
    document: dict[str, Any],
    operations: Sequence[tuple[str, Any]],
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "edgepost.db"
    path.write_bytes(sqlite_template.read_bytes())
    store = SessionFactory(open_engine(f"sqlite:///{path}"))
    for node in document["nodes"]:
        if node["type"] == "custom_action":
            node["actionId"] = str(ACTION)
    story = Story(store, document)

    for what, value in operations:
        story.happen(what, value)

        assert is_balanced(store)

    store.engine.dispose()
