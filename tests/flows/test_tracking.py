"""What devices tell of messages lands on their deliveries, their runs and their journeys."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event as hooks
from sqlalchemy import select
from sqlalchemy.orm import Session

from mobile_stub import tracking as phone
from mobile_stub.device import Device, Hit, Kind, Platform, new_device
from mobile_stub.tracking import Push
from service.audit.models import GateTrace
from service.db.session import SessionFactory, unit_of_work
from service.flows.advance_journeys import advance_once
from service.flows.ingest import ingest
from service.flows.open_sandbox import open_sandbox
from service.flows.tracking import keep_tracking
from service.identity.identity_map import ClaimedIdentity
from service.journeys import entry, history, inbox, lifecycle
from service.journeys.inbox import Told
from service.journeys.models import JourneyStimulus, StepEvent
from service.journeys.stimuli import DeliveryEnded, DeliveryOutcome
from service.ledger import balance
from service.outbound import deliveries, kept_interactions
from service.outbound.adapters.contract import MessageContext, tracking
from service.outbound.deliveries import DeliveryState, EndedDelivery
from service.outbound.models import Delivery, DeliveryInteraction
from service.profiles.events import EventToKeep
from service.profiles.incoming import IncomingEvent
from service.profiles.models import ExperienceEvent
from service.sandboxes.scope import Scope
from service.segments import definitions, memberships
from service.segments.definitions import Evaluation, NewSegment
from tests.support.builders import PROD, ecid, event, person, request, source
from tests.support.clocks import START
from tests.support.database import until_somebody_waits
from tests.support.journeys import (
    END,
    NOW,
    by_segment,
    call,
    instances_of,
    known_people,
    published,
    qualified,
    reaction,
    wait,
)

ADA, BOB, EVE = person("ada"), person("bob"), person("eve")
OPENED = "pushTracking.applicationOpened"
RECEIVED = "pushTracking.receive"
ACTION = "pushTracking.customAction"
FOLLOWED = by_segment(call("react"), reaction("rest"), wait(), END)


def start(
    store: SessionFactory,
    document: dict[str, Any],
    *people: ClaimedIdentity,
    scope: Scope = PROD,
) -> UUID:
    """Publish a journey, let people in and plan up to their messages; return the journey's id."""
    with unit_of_work(store) as session:
        version = published(session, document, scope=scope)
        known_people(session, *people, scope=scope)
    with unit_of_work(store) as session:
        entry.enter_qualified(session, scope, qualified(*people), now=NOW)
    advance(store)
    return version.journey_id


def advance(store: SessionFactory, seconds: float = 0) -> int:
    with unit_of_work(store) as session:
        return advance_once(session, now=NOW + timedelta(seconds=seconds), limit=500)


def sent(
    store: SessionFactory,
    state: DeliveryState = DeliveryState.SENT,
    *,
    attempts: int = 1,
    scope: Scope = PROD,
) -> None:
    """End every waiting delivery as the dispatcher does; nobody has walked on yet."""
    with unit_of_work(store) as session:
        for each in all_deliveries(session, scope):
            ended = EndedDelivery(each.id, state, None, {}, attempts)
            if deliveries.end(session, scope, [ended], now=NOW):
                told = DeliveryEnded(each.node_id, DeliveryOutcome(state.value))
                inbox.tell(session, scope, [Told(each.instance_id, told, NOW)])


def all_deliveries(session: Session, scope: Scope = PROD) -> Sequence[Delivery]:
    chosen = select(Delivery).where(Delivery.sandbox_id == scope.sandbox_id)
    return session.scalars(chosen.order_by(Delivery.created_at, Delivery.id)).all()


def delivery_of(
    store: SessionFactory, who: ClaimedIdentity = ADA, scope: Scope = PROD, node: str = "call"
) -> Delivery:
    with store.opened() as session:
        (found,) = (
            each
            for each in all_deliveries(session, scope)
            if (each.identity_id, each.node_id) == (who.key, node)
        )
        return found


def tracked(
    delivery_id: UUID | str,
    event_type: str = OPENED,
    *,
    at: float = 0,
    action_id: str | None = None,
    launches: int | None = None,
    event_id: str = "",
) -> IncomingEvent:
    """Return a tracking event of some device, ``at`` seconds after everybody entered."""
    opens = int(event_type == OPENED) if launches is None else launches
    carried: dict[str, Any] = {
        "application": {"launches": {"value": opens}},
        "_experience": {
            "customerJourneyManagement": {"messageExecution": {"messageID": str(delivery_id)}},
        },
    }
    if action_id is not None:
        carried["pushNotificationTracking"] = {"customAction": {"actionID": action_id}}
    seconds = (NOW - START).total_seconds() + at
    return event(ecid(9), at=seconds, event_type=event_type, xdm=carried, event_id=event_id)


def keep(
    store: SessionFactory,
    *events: IncomingEvent,
    scope: Scope = PROD,
    received_at: datetime = NOW + timedelta(days=40),
) -> int:
    """Keep what events track, as if they had just been stored."""
    kept = [EventToKeep(each, source(scope=scope), received_at, ecid(9).key) for each in events]
    with unit_of_work(store) as session:
        return keep_tracking(session, scope, {each.key: each for each in kept}, now=NOW)


def interactions_of(store: SessionFactory, delivery_id: UUID) -> list[tuple[str, str | None]]:
    with store.opened() as session:
        found = kept_interactions.of_deliveries(session, PROD, [delivery_id])
        return [(each.kind, each.action_id) for each in found.get(delivery_id, ())]


def beside(store: SessionFactory) -> list[StepEvent]:
    """Return the step events of interactions."""
    with store.opened() as session:
        chosen = select(StepEvent).where(StepEvent.sandbox_id == 1, StepEvent.kind == "interaction")
        return list(session.scalars(chosen.order_by(StepEvent.at)))


def place_of(store: SessionFactory, who: ClaimedIdentity = ADA) -> tuple[str, str | None]:
    with store.opened() as session:
        (found,) = (each for each in instances_of(session) if each.identity_id == who.key)
        return found.status, found.state["node_id"]


def is_balanced(store: SessionFactory) -> bool:
    with store.opened() as session:
        return balance.check(session, PROD).is_balanced


@contextmanager
def statements(store: SessionFactory) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(*arguments: Any) -> None:
        if not arguments[2].startswith("BEGIN"):
            seen.append(arguments[2])

    hooks.listen(store.engine, "before_cursor_execute", note)
    yield seen
    hooks.remove(store.engine, "before_cursor_execute", note)


def test_every_kind_lands_on_the_delivery_that_it_names(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)
    sent(store)
    ours = delivery_of(store).id

    keep(
        store,
        tracked(ours, RECEIVED, at=1),
        tracked(ours, OPENED, at=2),
        tracked(ours, ACTION, at=3, action_id="Buy now", launches=1),
        tracked(ours, ACTION, at=4, action_id="Dismiss"),
    )

    assert interactions_of(store, ours) == [
        ("received", None),
        ("opened", None),
        ("customAction", "Buy now"),
        ("dismissed", None),
    ]


def test_the_first_open_is_kept_whatever_the_order_of_arrival(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)
    sent(store)
    ours = delivery_of(store).id
    seen = []

    for batch in (
        [tracked(ours, RECEIVED, at=1), tracked(ours, ACTION, at=2, action_id="Later")],
        [tracked(ours, OPENED, at=9)],
        [tracked(ours, OPENED, at=20), tracked(ours, ACTION, at=15, action_id="Go", launches=1)],
        [tracked(ours, ACTION, at=5, action_id="Go", launches=1), tracked(ours, OPENED, at=7)],
    ):
        keep(store, *batch)
        seen.append(delivery_of(store).opened_at)

    assert seen == [None, *(NOW + timedelta(seconds=each) for each in (9, 9, 5))]


def test_a_device_whose_clock_is_ahead_opens_nothing_in_the_future(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)
    ours = delivery_of(store).id
    received_at = NOW + timedelta(seconds=3)

    keep(store, tracked(ours, at=999), received_at=received_at)

    assert delivery_of(store).opened_at == received_at


def test_the_same_event_again_changes_nothing(store: SessionFactory) -> None:
    start(store, FOLLOWED, ADA)
    sent(store)
    ours = delivery_of(store).id
    told = [keep(store, tracked(ours, event_id="same")) for _ in range(2)]

    assert told == [1, 0]
    assert interactions_of(store, ours) == [("opened", None)]
    assert len(beside(store)) == 1


def test_ids_that_are_no_deliverys_are_passed_over(store: SessionFactory) -> None:
    start(store, FOLLOWED, ADA)
    sent(store)

    assert keep(store, tracked(uuid4()), tracked("m-998"), tracked(ADA.key)) == 0

    with store.opened() as session:
        assert session.scalars(select(DeliveryInteraction).filter_by(sandbox_id=1)).all() == []
    assert beside(store) == []


def test_a_sandbox_cannot_touch_anothers_deliveries(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=START)
    start(store, FOLLOWED, ADA)
    sent(store)
    ours = delivery_of(store).id

    told = keep(store, tracked(ours), scope=other)

    assert told == 0
    assert interactions_of(store, ours) == []
    assert delivery_of(store).opened_at is None


@pytest.mark.parametrize(
    ("state", "attempts", "is_kept"),
    [
        (DeliveryState.SENT, 1, True),
        (DeliveryState.FAILED, 2, True),
        (DeliveryState.UNKNOWN, 0, True),
        (DeliveryState.SUPPRESSED, 0, False),
        (DeliveryState.CAPPED, 0, False),
        (DeliveryState.EXPIRED, 0, False),
    ],
)
def test_a_message_that_was_never_called_for_cannot_have_been_seen(
    store: SessionFactory, state: DeliveryState, attempts: int, *, is_kept: bool
) -> None:
    start(store, by_segment(call()), ADA)
    sent(store, state, attempts=attempts)
    ours = delivery_of(store).id

    keep(store, tracked(ours))

    assert bool(interactions_of(store, ours)) is is_kept
    assert (delivery_of(store).opened_at is not None) is is_kept


def test_a_delivery_is_told_of_so_much_and_no_more(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)
    ours = delivery_of(store).id
    for batch in range(4):
        keep(store, *(tracked(ours, RECEIVED, at=batch * 30 + each) for each in range(30)))

    kept = len(interactions_of(store, ours))
    keep(store, tracked(ours, RECEIVED, at=999))

    assert kept == 100
    assert len(interactions_of(store, ours)) == len(beside(store)) == kept


def test_one_request_cannot_tell_a_delivery_more_than_many(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA, BOB)
    ours, others = delivery_of(store).id, delivery_of(store, BOB).id

    keep(
        store,
        *(tracked(ours, RECEIVED, at=each) for each in range(130)),
        *(tracked(others, RECEIVED, at=each) for each in range(3)),
    )

    assert (len(interactions_of(store, ours)), len(interactions_of(store, others))) == (100, 3)


def test_the_first_of_each_kind_is_always_kept(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)
    ours = delivery_of(store).id
    keep(store, *(tracked(ours, RECEIVED, at=each) for each in range(100)))

    for at in (200, 201):
        keep(store, tracked(ours, OPENED, at=at), tracked(ours, OPENED, at=at + 10))

    kinds = [kind for kind, _ in interactions_of(store, ours)]
    assert (len(kinds), kinds.count("opened")) == (101, 1)
    assert delivery_of(store).opened_at == NOW + timedelta(seconds=200)


def test_two_requests_at_once_are_counted_together(postgres_store: SessionFactory) -> None:
    store = postgres_store
    start(store, by_segment(call()), ADA)
    ours = delivery_of(store).id
    first, second = (
        [tracked(ours, RECEIVED, at=begin + each) for each in range(80)] for begin in (0, 100)
    )
    received_at = NOW + timedelta(days=40)
    kept = [EventToKeep(each, source(), received_at, ecid(9).key) for each in first]

    with ThreadPoolExecutor(1) as other, unit_of_work(store) as session:
        keep_tracking(session, PROD, {each.key: each for each in kept}, now=NOW)
        late = other.submit(keep, store, *second)
        until_somebody_waits(store)
        session.commit()
        late.result(10)

    assert len(interactions_of(store, ours)) == 100


def test_each_interaction_is_a_step_event_in_adobes_names(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)
    sent(store)
    ours = delivery_of(store)

    keep(store, tracked(ours.id, ACTION, at=5, action_id="Buy now", launches=1))

    (step,) = beside(store)
    fields = step.body["_experience"]["journeyOrchestration"]["stepEvents"]
    assert step.body["_id"] == fields["stepID"] == str(step.id)
    assert step.body["timestamp"] == "2026-07-02T10:00:05Z"
    assert step.body["eventType"] == fields["eventID"] == "pushTracking.customAction"
    assert step.body["pushNotificationTracking"] == {"customAction": {"actionID": "Buy now"}}
    assert step.body["_experience"]["customerJourneyManagement"] == {
        "messageExecution": {
            "messageExecutionID": f"{ours.journey_version_id}:call",
            "messageID": str(ours.id),
            "journeyVersionID": str(ours.journey_version_id),
            "journeyVersionInstanceID": str(ours.instance_id),
        },
        "messageInteraction": {"interactionType": "click"},
    }
    assert (
        fields.items()
        >= {
            "nodeID": "call",
            "nodeName": "Call",
            "nodeType": "action",
            "journeyID": str(ours.journey_id),
            "journeyVersionName": "Welcome",
            "journeyVersion": "1",
            "instanceID": str(ours.instance_id),
            "externalKey": "CRMID:ada",
            "profileID": str(ADA.key),
            "actionName": "push",
            "isExternalEvent": True,
        }.items()
    )
    assert (step.delivery_id, step.node_id) == (ours.id, "call")


def test_a_run_that_is_over_learns_of_it_and_no_ledger_moves(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)
    sent(store)
    advance(store)
    ours = delivery_of(store)
    assert place_of(store) == ("finished", "done")

    told = keep(store, tracked(ours.id, RECEIVED, at=1), tracked(ours.id, OPENED, at=2))

    assert told == 0
    assert [each.body["_edgepost"]["interaction"] for each in beside(store)] == [
        "received",
        "opened",
    ]
    assert is_balanced(store)
    with store.opened() as session:
        story = history.list_story(session, PROD, ours.instance_id)
        steps = history.list_page(session, PROD, ours.instance_id)
    assert [each.kind for each in steps] == ["entrance", "dispatch", "step", "end:finished"]
    assert [each.kind for each in story][4:] == ["interaction", "interaction"]


def test_what_was_done_stands_among_the_steps_by_its_time(store: SessionFactory) -> None:
    start(store, by_segment(call("rest"), wait(60), END), ADA)
    sent(store)
    advance(store, 1)
    advance(store, 61)
    ours = delivery_of(store)

    keep(store, tracked(ours.id, at=30), tracked(ours.id, RECEIVED, at=90))

    with store.opened() as session:
        story = history.list_story(session, PROD, ours.instance_id)
    assert [(each.node_id, each.kind) for each in story] == [
        ("start", "entrance"),
        ("call", "dispatch"),
        ("call", "step"),
        ("rest", "step"),
        ("call", "interaction"),
        ("rest", "step"),
        ("done", "end:finished"),
        ("call", "interaction"),
    ]


def test_nobody_is_told_where_no_journey_listens(store: SessionFactory) -> None:
    start(store, by_segment(call("rest"), wait(), END), ADA)
    sent(store)
    advance(store)

    assert keep(store, tracked(delivery_of(store).id)) == 0


def test_whoever_opens_in_time_goes_the_way_of_the_reaction(store: SessionFactory) -> None:
    start(store, FOLLOWED, ADA, BOB)
    sent(store)
    advance(store)
    assert place_of(store) == ("inside", "react")

    told = keep(store, tracked(delivery_of(store).id, at=3600))
    advance(store, 3600)
    before = (place_of(store), place_of(store, BOB))
    advance(store, 86_400)

    assert told == 1
    assert before == (("inside", "rest"), ("inside", "react"))
    assert place_of(store, BOB) == ("finished", "done")
    assert is_balanced(store)


def test_an_open_before_the_run_comes_to_its_reaction_counts(store: SessionFactory) -> None:
    start(store, FOLLOWED, ADA)

    keep(store, tracked(delivery_of(store).id))
    advance(store)
    before = place_of(store)
    sent(store)
    advance(store)

    assert (before, place_of(store)) == (("inside", "call"), ("inside", "rest"))


def test_an_open_that_commits_while_a_worker_plans_is_not_lost(
    postgres_store: SessionFactory,
) -> None:
    start(postgres_store, FOLLOWED, ADA)
    sent(postgres_store)
    came = tracked(delivery_of(postgres_store).id)
    kept = EventToKeep(came, source(), NOW, ecid(9).key)

    with unit_of_work(postgres_store) as web:
        keep_tracking(web, PROD, {kept.key: kept}, now=NOW)
        advance(postgres_store)
        before = place_of(postgres_store)
    advance(postgres_store)

    assert (before, place_of(postgres_store)) == (("inside", "react"), ("inside", "rest"))


def test_a_button_or_a_receipt_can_be_waited_for(store: SessionFactory) -> None:
    later = reaction("rest", interaction="customAction", actionID="Later")
    start(store, by_segment(call("react"), later, wait(), END), ADA)
    sent(store)
    advance(store)
    ours = delivery_of(store).id
    places = []

    for each in (
        tracked(ours, OPENED),
        tracked(ours, ACTION, action_id="Now", launches=1),
        tracked(ours, ACTION, action_id="Later"),
    ):
        keep(store, each)
        advance(store)
        places.append(place_of(store)[1])

    assert places == ["react", "react", "rest"]


def test_a_reaction_reads_interactions_of_its_own_message_and_run(store: SessionFactory) -> None:
    second = call("react", node_id="again")
    asked = reaction("rest", message="again")
    start(store, by_segment(call("again"), second, asked, wait(), END), ADA, BOB)
    sent(store)
    keep(store, tracked(delivery_of(store).id), tracked(delivery_of(store, BOB).id))
    advance(store)
    keep(store, tracked(delivery_of(store, BOB, node="again").id))
    sent(store)
    advance(store)

    assert (place_of(store), place_of(store, BOB)) == (("inside", "react"), ("inside", "rest"))


def test_a_late_worker_lets_nobody_who_reacted_go_the_other_way(store: SessionFactory) -> None:
    start(store, FOLLOWED, ADA)
    sent(store)
    advance(store)
    keep(store, tracked(delivery_of(store).id))
    with unit_of_work(store) as session:
        chosen = select(JourneyStimulus).filter_by(sandbox_id=1, kind="interacted")
        session.scalars(chosen).one().due_at = NOW + timedelta(days=2)

    advance(store, 86_400)

    assert place_of(store) == ("inside", "rest")


def test_stopping_a_journey_ends_those_who_wait_for_a_reaction(store: SessionFactory) -> None:
    journey_id = start(store, FOLLOWED, ADA)
    sent(store)
    advance(store)
    with unit_of_work(store) as session:
        lifecycle.stop(session, PROD, journey_id, now=NOW)

    keep(store, tracked(delivery_of(store).id))
    advance(store)

    assert place_of(store) == ("stopped", "react")
    assert is_balanced(store)


def test_an_interaction_that_nobody_waits_for_leaves_no_trace_of_a_refusal(
    store: SessionFactory,
) -> None:
    start(store, FOLLOWED, ADA)
    sent(store)
    advance(store)
    ours = delivery_of(store)
    keep(store, tracked(ours.id, RECEIVED))

    taken = advance(store)

    with store.opened() as session:
        steps = history.list_page(session, PROD, ours.instance_id)
        refused = session.scalars(select(GateTrace).filter_by(sandbox_id=1)).all()
    assert (taken, list(refused)) == (1, [])
    assert [each.kind for each in steps] == ["entrance", "dispatch", "step", "step"]


def test_the_statements_do_not_grow_with_the_batch_and_none_runs_for_nothing(
    sqlite_store: SessionFactory,
) -> None:
    crowd = [person(f"p{number}") for number in range(30)]
    start(sqlite_store, FOLLOWED, ADA, *crowd)
    sent(sqlite_store)
    events = [tracked(delivery_of(sqlite_store, who).id) for who in crowd]

    with statements(sqlite_store) as nothing:
        keep(sqlite_store, event(ecid(1)), tracked("m-998"), event(ecid(1), event_type=None))
    ours = tracked(delivery_of(sqlite_store).id)
    with statements(sqlite_store) as one:
        told_one = keep(sqlite_store, ours)
    with statements(sqlite_store) as many:
        told_many = keep(sqlite_store, *events)

    assert (told_one, told_many) == (1, 30)
    assert one == many
    assert (len(nothing), len(many)) == (0, 6)


# Through the front door: what a phone reports of a message that we sent.


def pushed(delivery: Delivery, **changes: Any) -> Push:
    """Return the message as it lies on the phone, with the ``_xdm`` that our payload carries."""
    context = MessageContext(
        delivery_id=delivery.id,
        idempotency_key="k",
        token=None,
        profile={},
        event={},
        parameters={},
        journey_version_id=delivery.journey_version_id,
        instance_id=delivery.instance_id,
        node_id=delivery.node_id,
        expires_at=delivery.expires_at,
    )
    blob = tracking(context)
    blob["cjm"]["_experience"].update(changes)
    return Push("0:1626292837123456%c2b1", blob)


def post(store: SessionFactory, step: tuple[Device, Hit | None]) -> IncomingEvent | None:
    """Send what a phone's SDK queued, if it queued anything."""
    _, hit = step
    if hit is None:
        return None
    xdm = hit.event["xdm"]
    made = event(ecid(1), event_id=hit.id, event_type=xdm["eventType"], xdm=xdm)
    came = replace(made, at=NOW)
    with unit_of_work(store) as session:
        ingest(session, [request(came, received_at=NOW)], now=NOW)
    return came


ANDROID = new_device(Kind.ANDROID, "com.example.shop", Platform.FCM, 1)
IOS = new_device(Kind.IOS, "com.example.shop", Platform.APNS_SANDBOX, 2)


@pytest.mark.parametrize("device", [ANDROID, IOS], ids=["android", "ios"])
def test_case_43_a_tap_on_a_push_opens_its_delivery_and_moves_its_run(
    store: SessionFactory, device: Device
) -> None:
    start(store, FOLLOWED, ADA)
    sent(store)
    advance(store)

    post(store, phone.opened(device, pushed(delivery_of(store)), NOW))
    advance(store)

    assert delivery_of(store).opened_at == NOW
    assert interactions_of(store, delivery_of(store).id) == [("opened", None)]
    assert place_of(store) == ("inside", "rest")


@pytest.mark.parametrize("device", [ANDROID, IOS], ids=["android", "ios"])
def test_case_44_a_push_that_is_cleared_away_is_dismissed_and_not_opened(
    store: SessionFactory, device: Device
) -> None:
    start(store, FOLLOWED, ADA)
    sent(store)
    advance(store)

    post(store, phone.dismissed(device, pushed(delivery_of(store)), NOW))
    advance(store)

    assert delivery_of(store).opened_at is None
    assert interactions_of(store, delivery_of(store).id) == [("dismissed", None)]
    assert place_of(store) == ("inside", "react")


def test_case_45_without_a_dataset_or_tracking_data_nothing_is_sent_and_nothing_lands(
    store: SessionFactory,
) -> None:
    start(store, FOLLOWED, ADA)
    sent(store)
    ours = pushed(delivery_of(store))

    silent = [
        post(store, phone.opened(replace(ANDROID, event_dataset=""), ours, NOW)),
        post(store, phone.opened(ANDROID, replace(ours, xdm=None), NOW)),
    ]
    foreign = post(store, phone.opened(ANDROID, replace(ours, xdm={"cjm": {}}), NOW))

    assert silent == [None, None]
    assert foreign is not None
    assert interactions_of(store, delivery_of(store).id) == []
    with store.opened() as session:
        stored = session.scalars(select(ExperienceEvent).filter_by(sandbox_id=1)).all()
    assert [each.event_type for each in stored] == [OPENED]


@pytest.mark.parametrize(
    ("report", "kind", "said"),
    [(phone.opened, "opened", "interact"), (phone.dismissed, "dismissed", "dismiss")],
)
def test_case_46_what_the_sdk_adds_of_decisioning_is_kept_and_in_nobodys_way(
    store: SessionFactory, report: Any, kind: str, said: str
) -> None:
    start(store, FOLLOWED, ADA)
    sent(store)
    ours = pushed(delivery_of(store), decisioning={"exdRequestID": "exd-1"})

    post(store, report(ANDROID, ours, NOW))

    assert interactions_of(store, delivery_of(store).id) == [(kind, None)]
    with store.opened() as session:
        (stored,) = session.scalars(select(ExperienceEvent).filter_by(sandbox_id=1)).all()
    assert stored.xdm["_experience"]["decisioning"] == {
        "exdRequestID": "exd-1",
        "propositionEventType": {said: 1},
    }


def test_both_forms_of_tracking_data_come_back_alike(store: SessionFactory) -> None:
    start(store, by_segment(call()), ADA)
    sent(store)
    ours = pushed(delivery_of(store))
    assert ours.xdm is not None

    post(store, phone.opened(ANDROID, replace(ours, xdm={"mixins": ours.xdm["cjm"]}), NOW))

    assert interactions_of(store, delivery_of(store).id) == [("opened", None)]


def test_a_message_is_seen_also_when_somebody_else_holds_the_device_by_now(
    store: SessionFactory,
) -> None:
    start(store, by_segment(call()), ADA)
    sent(store)
    _, hit = phone.opened(ANDROID, pushed(delivery_of(store)), NOW)
    assert hit is not None
    xdm = hit.event["xdm"]

    with unit_of_work(store) as session:
        came = event(ecid(1), EVE, event_id=hit.id, event_type=xdm["eventType"], xdm=xdm)
        ingest(session, [request(came)], now=NOW)
        (stored,) = session.scalars(select(ExperienceEvent).filter_by(sandbox_id=1)).all()

    assert stored.identity_id == EVE.key
    assert interactions_of(store, delivery_of(store).id) == [("opened", None)]


def test_whoever_opened_in_the_last_day_is_in_a_segment_that_asks_for_it(
    store: SessionFactory,
) -> None:
    rule = (
        'chain(xEvent, timestamp, [A: WHAT(eventType = "pushTracking.applicationOpened") '
        "WHEN(<= 1 days before now)])"
    )
    opened = tracked(uuid4(), at=-3600)
    long_ago = tracked(uuid4(), at=-2 * 86_400)
    with unit_of_work(store) as session:
        new = NewSegment("Opened", rule, requested_evaluation=Evaluation.STREAMING)
        segment = definitions.create(session, PROD, new, now=START)

    with unit_of_work(store) as session:
        events = [
            replace(opened, identities=(ecid(1), ADA)),
            replace(long_ago, identities=(ecid(2), BOB)),
        ]
        ingest(session, [request(*events, received_at=NOW)], now=NOW)

    with store.opened() as session:
        members = {
            who.value: [each.segment_id for each in memberships.of_profile(session, PROD, who.key)]
            for who in (ADA, BOB)
        }
    assert members == {"ada": [segment.id], "bob": []}
