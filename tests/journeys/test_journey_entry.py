"""Who comes in, who does not, and what is remembered of both."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy import event as hooks
from sqlalchemy.orm import Session

from service.audit.models import GateTrace
from service.db.session import SessionFactory, unit_of_work
from service.flows.ingest import ingest
from service.identity.identity_map import ClaimedIdentity
from service.journeys import entry, instances, lifecycle, planner
from service.journeys.conditions import NO_FACTS
from service.journeys.definitions import INSTANCE_LIFE
from service.journeys.document import parse
from service.journeys.entry import ReadingRate
from service.journeys.models import JourneyStimulus, StepEvent
from service.journeys.state import InstanceState, state_from_json
from service.journeys.step_events import Run, step_to_xdm
from service.journeys.stimuli import Entered, stimulus_from_row
from service.ledger import balance
from service.profiles.events import EventToKeep
from service.segments.evaluation import MembershipChange, Status
from tests.support.builders import PROD, ecid, event, person, request, source, token
from tests.support.journeys import (
    END,
    NOW,
    by_event,
    by_segment,
    instances_of,
    known_people,
    known_to,
    published,
    qualified,
    wait,
)

ADA, BOB = person("ada"), person("bob")


def enter(
    store: SessionFactory,
    changes: Sequence[MembershipChange],
    now: Any = NOW,
    reading: ReadingRate | None = None,
) -> int:
    with unit_of_work(store) as session:
        return entry.enter_qualified(session, PROD, changes, now=now, reading=reading)


def traces_of(session: Session) -> list[GateTrace]:
    chosen = select(GateTrace).where(GateTrace.sandbox_id == 1)
    return list(session.scalars(chosen.order_by(GateTrace.at, GateTrace.id)))


def stimuli_of(session: Session) -> list[JourneyStimulus]:
    chosen = select(JourneyStimulus).where(JourneyStimulus.sandbox_id == 1)
    return list(session.scalars(chosen.order_by(JourneyStimulus.due_at)))


def end_all(store: SessionFactory, at: Any) -> None:
    with unit_of_work(store) as session:
        for each in instances_of(session):
            each.status, each.ended_at = "finished", at


def order_of(*identities: ClaimedIdentity, at: float = 1, event_id: str = "e1") -> EventToKeep:
    xdm = {
        "_experience": {"campaign": {"orchestration": {"eventID": "order"}}},
        "commerce": {"order": {"priceTotal": 9}},
        "identityMap": {"CRMID": [{"id": "ada"}]},
        "pushNotificationDetails": [{"token": "SECRET"}],
    }
    happened = event(*identities, at=at, event_id=event_id, xdm=xdm)
    return EventToKeep(happened, source(), NOW, identities[0].key)


def test_a_qualified_person_is_inside_with_a_first_step_and_a_stimulus(
    store: SessionFactory,
) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_segment())
        known_people(session, ADA)

    count = enter(store, qualified(ADA))

    with store.opened() as session:
        (instance,) = instances_of(session)
        (stimulus,) = stimuli_of(session)
        told = stimulus_from_row(stimulus.kind, stimulus.payload)
        steps = session.scalars(select(StepEvent).where(StepEvent.sandbox_id == 1)).all()
    assert count == 1
    assert (instance.version_id, instance.identity_id) == (version.id, ADA.key)
    assert (instance.status, instance.expires_at - instance.entered_at) == ("inside", INSTANCE_LIFE)
    assert state_from_json(instance.state) == InstanceState()
    assert (stimulus.instance_id, stimulus.due_at) == (instance.id, NOW)
    assert isinstance(told, Entered)
    assert told.segment is not None
    assert (told.at, told.segment["status"], told.is_reentrance) == (NOW, "realized", False)
    assert [(step.kind, step.sequence) for step in steps] == [("entrance", 1)]


def test_the_entrance_written_at_the_door_is_the_one_that_the_planner_writes(
    store: SessionFactory,
) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_segment())
        known_people(session, ADA)
    enter(store, qualified(ADA))
    with store.opened() as session:
        (instance,) = instances_of(session)
        (stimulus,) = stimuli_of(session)
        stored = session.scalars(select(StepEvent).where(StepEvent.sandbox_id == 1)).one()

    told = stimulus_from_row(stimulus.kind, stimulus.payload)
    planned = planner.plan(
        parse(version.definition), InstanceState(), told, NO_FACTS, NOW, instance.seed
    )

    run = Run(instance.id, version.journey_id, version.id, 1, "Welcome", "CRMID:ada", str(ADA.key))
    assert step_to_xdm(planned.steps[0], run) == stored.body


def test_the_ledger_counts_who_entered_and_balances(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_segment())
        known_people(session, ADA, BOB)

    enter(store, qualified(ADA, BOB))

    with store.opened() as session:
        sheet = balance.check(session, PROD)
    assert sheet.is_balanced
    assert sorted((each.entry, amount) for each, amount in sheet.amounts.items()) == [
        ("entered", 2),
        ("inside", 2),
    ]


def test_without_a_journey_nothing_but_the_question_is_asked(sqlite_store: SessionFactory) -> None:
    seen: list[str] = []
    engine: Engine = sqlite_store.engine
    hooks.listen(engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))

    with unit_of_work(sqlite_store) as session:
        entry.enter_qualified(session, PROD, qualified(ADA), now=NOW)
        entry.enter_qualified(session, PROD, [], now=NOW)
        entry.enter_by_event(
            session, PROD, [EventToKeep(event(ADA), source(), NOW, ADA.key)], now=NOW
        )

    assert [each.split()[0] for each in seen] == ["BEGIN", "SELECT"]


def test_the_statements_of_an_entry_do_not_grow_with_the_people(
    sqlite_store: SessionFactory,
) -> None:
    people = [person(f"p{number}") for number in range(41)]
    with unit_of_work(sqlite_store) as session:
        published(session, by_segment())
        known_people(session, *people)
    seen: list[str] = []
    engine: Engine = sqlite_store.engine
    hooks.listen(engine, "before_cursor_execute", lambda *arguments: seen.append(arguments[2]))

    enter(sqlite_store, qualified(people[0]))
    one = list(seen)
    seen.clear()
    enter(sqlite_store, qualified(*people[1:]))

    assert seen == one


def test_an_event_brings_its_person_in_with_what_it_said_and_no_token(
    store: SessionFactory,
) -> None:
    with unit_of_work(store) as session:
        published(session, by_event())
        known_people(session, ADA)

    with unit_of_work(store) as session:
        count = entry.enter_by_event(session, PROD, [order_of(ADA)], now=NOW)

    with store.opened() as session:
        (stimulus,) = stimuli_of(session)
    assert count == 1
    assert stimulus.payload["event"]["commerce"] == {"order": {"priceTotal": 9}}
    assert "SECRET" not in str(stimulus.payload)


def test_an_event_enters_by_the_identity_that_it_carries(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_event(identityNamespace="ECID"))
        for device in (ecid(1), ecid(2)):
            posted = event(device, ADA, event_id=device.value)
            ingest(session, [request(posted)], now=NOW)

    with unit_of_work(store) as session:
        happened = order_of(ADA, ecid(2))
        entry.enter_by_event(session, PROD, [happened], now=NOW)

    with store.opened() as session:
        (instance,) = instances_of(session)
    assert instance.identity_id == ecid(2).key


def test_a_segment_enters_by_the_identity_known_longest(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_segment(identityNamespace="ECID"))
        for number in (1, 2):
            posted = event(ecid(number), ADA, event_id=str(number))
            ingest(session, [request(posted)], now=NOW + timedelta(seconds=number))

    enter(store, qualified(ADA))

    with store.opened() as session:
        (instance,) = instances_of(session)
    assert instance.identity_id == ecid(1).key


def test_ingest_enters_by_event_in_its_own_transaction(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_event())

    happened = order_of(ecid(1), ADA).event
    with unit_of_work(store) as session:
        ingest(session, [request(happened, happened)], now=NOW)

    with store.opened() as session:
        assert [each.identity_id for each in instances_of(session)] == [ADA.key]


def test_a_person_without_the_namespace_is_refused_and_remembered(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_segment(identityNamespace="Email"))
        known_people(session, ADA)

    count = enter(store, qualified(ADA))

    with store.opened() as session:
        (trace,) = traces_of(session)
        assert not instances_of(session)
    assert (count, trace.gate, trace.reason) == (0, "namespace", "namespaceAbsent")
    assert (trace.identity_id, trace.facts["namespace"]) == (ADA.key, "Email")


@pytest.mark.parametrize(
    ("entered_on", "status", "count"),
    [
        ("realized", Status.EXITED, 0),
        ("exited", Status.REALIZED, 0),
        ("exited", Status.EXITED, 1),
        ("both", Status.EXITED, 1),
        ("both", Status.REALIZED, 1),
    ],
)
def test_a_journey_waits_for_one_change_or_for_both(
    store: SessionFactory, entered_on: str, status: Status, count: int
) -> None:
    with unit_of_work(store) as session:
        published(session, by_segment(status=entered_on))
        known_people(session, ADA)

    entered = enter(store, qualified(ADA, status=status))

    with store.opened() as session:
        reasons = [(each.reason, each.facts["status"]) for each in traces_of(session)]
    assert entered == count
    assert reasons == ([] if count else [("entryStatusMismatch", status.value)])


def test_somebody_inside_cannot_come_in_again(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_segment())
        known_people(session, ADA)
    enter(store, qualified(ADA))

    again = enter(store, qualified(ADA), now=NOW + timedelta(days=1))

    with store.opened() as session:
        (trace,) = traces_of(session)
        assert len(instances_of(session)) == 1
    assert (again, trace.reason) == (0, "alreadyInside")
    assert trace.facts["lastEnteredAt"] == NOW.isoformat().replace("+00:00", "Z")


def test_two_events_of_one_batch_let_a_person_in_once(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_event())
        known_people(session, ADA)

    with unit_of_work(store) as session:
        pair = [order_of(ADA, event_id="e1"), order_of(ADA, event_id="e2")]
        count = entry.enter_by_event(session, PROD, pair, now=NOW)

    with store.opened() as session:
        assert (count, len(instances_of(session))) == (1, 1)
        assert [each.reason for each in traces_of(session)] == ["alreadyInside"]


def test_re_entrance_waits_after_the_end_and_then_is_marked(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_segment(reentrance={"policy": "allow", "durationInSecs": 600}))
        known_people(session, ADA)
    enter(store, qualified(ADA))
    end_all(store, NOW)

    early = enter(store, qualified(ADA), now=NOW + timedelta(seconds=599))
    late = enter(store, qualified(ADA), now=NOW + timedelta(seconds=600))

    with store.opened() as session:
        (trace,) = traces_of(session)
        told = [each.payload["is_reentrance"] for each in stimuli_of(session)]
    assert (early, late, told) == (0, 1, [False, True])
    assert trace.reason == "reentranceWait"
    until = NOW + timedelta(seconds=600)
    assert trace.facts["blockedUntil"] == until.isoformat().replace("+00:00", "Z")


def test_without_re_entrance_nobody_comes_twice(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_segment(reentrance={"policy": "never"}))
        known_people(session, ADA)
    enter(store, qualified(ADA))
    end_all(store, NOW)

    again = enter(store, qualified(ADA), now=NOW + timedelta(days=90))

    with store.opened() as session:
        assert [each.reason for each in traces_of(session)] == ["reentranceNotAllowed"]
    assert again == 0


def test_a_stopped_journey_lets_nobody_in_and_says_so(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_segment())
        known_people(session, ADA)
        lifecycle.stop(session, PROD, version.journey_id, now=NOW)

    count = enter(store, qualified(ADA))

    with store.opened() as session:
        (trace,) = traces_of(session)
    assert (count, trace.gate, trace.reason) == (0, "versionLive", "notLive")
    assert trace.facts["state"] == "stopped"


def test_a_draft_lets_nobody_in_and_leaves_no_trace(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        lifecycle.create(session, PROD, by_segment(), now=NOW)
        known_people(session, ADA)

    count = enter(store, qualified(ADA))

    with store.opened() as session:
        assert (count, traces_of(session)) == (0, [])


def test_people_enter_the_live_version_and_not_the_one_it_closed(store: SessionFactory) -> None:
    document = by_segment()
    with unit_of_work(store) as session:
        first = published(session, document)
        known_people(session, ADA, BOB)
    enter(store, qualified(ADA))
    with unit_of_work(store) as session:
        lifecycle.add_version(session, PROD, first.journey_id, now=NOW)
        second = lifecycle.publish(
            session, PROD, first.journey_id, known_to(document), lambda _: None, now=NOW
        ).version

    entered = enter(store, qualified(ADA, BOB))

    with store.opened() as session:
        inside = {each.identity_id: each.version_id for each in instances_of(session)}
    assert entered == 1
    assert inside == {ADA.key: first.id, BOB.key: second.id}


def test_one_qualification_opens_every_journey_that_waits_for_it(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_segment(name="One"))
        published(session, by_segment(name="Two"))
        known_people(session, ADA)

    assert enter(store, qualified(ADA)) == 2


def test_people_found_by_a_batch_begin_to_walk_at_the_reading_rate(store: SessionFactory) -> None:
    people = [person(f"p{number}") for number in range(4)]
    with unit_of_work(store) as session:
        published(session, by_segment())
        known_people(session, *people)

    enter(store, qualified(*people), reading=ReadingRate(per_s=2, ahead=10))

    with store.opened() as session:
        begins = [(each.due_at - NOW).total_seconds() for each in stimuli_of(session)]
    assert begins == [5.0, 5.5, 6.0, 6.5]


def test_a_journey_of_another_sandbox_is_not_entered(store: SessionFactory) -> None:
    other = replace(PROD, sandbox_id=2, sandbox="dev")
    with unit_of_work(store) as session:
        published(session, by_segment(), scope=other)
        known_people(session, ADA)

    assert enter(store, qualified(ADA)) == 0


def test_two_transactions_at_once_let_a_person_in_once(postgres_store: SessionFactory) -> None:
    with unit_of_work(postgres_store) as session:
        published(session, by_segment())
        known_people(session, ADA)
    counts: list[int] = []

    with unit_of_work(postgres_store) as first:
        counts.append(entry.enter_qualified(first, PROD, qualified(ADA), now=NOW))
        # The second looks while the first has not committed, and inserts after it has.
        other = Thread(target=lambda: counts.append(enter(postgres_store, qualified(ADA))))
        other.start()
        _await_a_lock(postgres_store)
    other.join(timeout=10)

    with postgres_store.opened() as session:
        assert len(instances_of(session)) == 1
        assert [each.reason for each in traces_of(session)] == ["alreadyInside"]
        assert balance.check(session, PROD).is_balanced
    assert counts == [1, 0]


def _await_a_lock(store: SessionFactory) -> None:
    """Return when some connection waits for another's lock; fail when none does."""
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    for _ in range(2000):
        with store.engine.connect() as connection:
            if connection.execute(waiting).scalar():
                return
    raise AssertionError("nobody waits")


def test_an_event_that_names_nobody_enters_nobody(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_event())

    with unit_of_work(store) as session:
        unknown = replace(order_of(ADA), identity_id=person("nobody").key)
        count = entry.enter_by_event(session, PROD, [unknown], now=NOW)

    with store.opened() as session:
        assert (count, traces_of(session)) == (0, [])


def test_nothing_of_an_entry_stays_when_its_request_is_not_kept(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_event())

    with store.opened() as session:
        ingest(session, [request(order_of(ecid(1), ADA, at=1).event)], now=NOW)
        assert len(instances_of(session)) == 1

    with store.opened() as session:
        assert (instances_of(session), stimuli_of(session)) == ([], [])


def test_a_device_keeps_its_own_run_when_its_person_is_known_later(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        published(session, by_event(wait(), END, identityNamespace="ECID"))
        announced = order_of(ecid(1), at=1).event
        announced = replace(announced, tokens=(token(ecid(1), "T"),))
        ingest(session, [request(announced)], now=NOW)
    with unit_of_work(store) as session:
        ingest(session, [request(event(ecid(1), ADA, at=2, event_id="login"))], now=NOW)

    with unit_of_work(store) as session:
        (instance,) = instances_of(session)
        locked = instances.lock(session, PROD, [instance.id])[instance.id]

    assert (locked.external_key, locked.profile_id) == (f"ECID:{ecid(1).value}", ADA.key)
