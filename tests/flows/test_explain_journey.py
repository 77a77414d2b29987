"""Every silence can be explained: each gate that stayed shut is named with what it saw."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete
from sqlalchemy.orm import Session

from service.audit import gate_traces
from service.audit.gate_traces import Trace
from service.core.errors import NotFoundError
from service.core.ids import new_key
from service.db.session import SessionFactory, unit_of_work
from service.flows.advance_journeys import advance_once
from service.flows.explain_journey import JourneyExplanation, explain
from service.flows.ingest import ingest
from service.flows.publish_journey import publish
from service.journeys import entry, inbox, lifecycle
from service.journeys.explain import Basis, Line
from service.journeys.inbox import Told
from service.journeys.models import JourneyVersion, StepEvent
from service.journeys.problems import DefinitionError
from service.journeys.stimuli import DeliveryEnded, DeliveryOutcome
from service.outbound import attempts, deliveries, fair_claims, kept_interactions
from service.outbound.attempts import AttemptOutcome, EndedAttempt
from service.outbound.deliveries import DeliveryState, EndedDelivery, Lane, delivery_key
from service.outbound.interactions import Interaction, InteractionKind
from service.outbound.kept_interactions import TrackedEvent
from service.outbound.models import CustomAction, Delivery
from service.segments import definitions, memberships
from service.segments.definitions import NewSegment
from service.segments.memberships import Cause, Evaluated, MembershipChange, Status
from tests.support.builders import PROD, ecid, event, person, request, source, token
from tests.support.clocks import START
from tests.support.journeys import (
    ACTION,
    NOW,
    by_event,
    by_segment,
    call,
    condition,
    instances_of,
    known_people,
    published,
    qualified,
    reaction,
    wait,
)

ADA = person("ada")
EventId = {"_experience": {"campaign": {"orchestration": {"eventID": "order"}}}}


def told(
    store: SessionFactory,
    version: JourneyVersion,
    identity: tuple[str, str] = ("CRMID", "ada"),
    now: datetime = NOW,
) -> JourneyExplanation:
    with unit_of_work(store) as session:
        return explain(session, PROD, version.journey_id, identity, now=now)


def line_of(found: JourneyExplanation, gate: str, reason: str | None = "any") -> Line:
    """Return the one line of a gate (with a reason, where there are several)."""
    (line,) = (each for each in found.lines if each.gate == gate and reason in {"any", each.reason})
    return line


def enter(store: SessionFactory, at: datetime = NOW, status: Status = Status.REALIZED) -> int:
    with unit_of_work(store) as session:
        return entry.enter_qualified(session, PROD, qualified(ADA, status=status), now=at)


def advance(store: SessionFactory, at: datetime = NOW) -> None:
    with unit_of_work(store) as session:
        advance_once(session, now=at, limit=500)


def with_action(session: Session, **changes: Any) -> None:
    """Store the action that the journeys of these tests call."""
    row: dict[str, Any] = {
        "sandbox_id": 1,
        "id": ACTION,
        "name": "push",
        "adapter": "push",
        "method": "POST",
        "url": "https://api.example.com/push",
        "headers": {},
        "payload": {},
        "auth": {"type": "none"},
        "settings": {},
        "timeout_ms": 1000,
        "max_retries": 0,
        "on_unknown": "record",
        "on_backlog": "send",
        "is_marketing": True,
        "created_at": START,
        "updated_at": START,
    }
    session.add(CustomAction(**{**row, **changes}))


def test_the_gates_of_somebody_who_came_in_are_listed_in_order(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_segment(wait()))
        known_people(session, ADA)
    enter(store)
    advance(store)

    found = told(store, version)

    assert [(each.gate, each.basis) for each in found.lines] == [
        ("identity", Basis.EVALUATED_NOW),
        ("versionLive", Basis.EVALUATED_NOW),
        ("namespace", Basis.EVALUATED_NOW),
        ("inSegment", Basis.NOT_KEPT),
        ("qualified", Basis.RECORDED),
        ("entered", Basis.RECORDED),
        ("step", Basis.RECORDED),
        ("step", Basis.RECORDED),
    ]
    assert found.profile_id == ADA.key
    assert line_of(found, "entered").seen == {"version": 1, "status": "inside"}


def test_somebody_nobody_ever_saw_is_named_as_that(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_segment())

    found = told(store, version, ("crmid", "stranger"))

    assert (found.namespace, found.profile_id) == ("CRMID", None)
    assert line_of(found, "identity").reason == "identityUnknown"


def test_a_journey_that_is_not_there_is_not_found(store: SessionFactory) -> None:
    with unit_of_work(store) as session, pytest.raises(NotFoundError):
        explain(session, PROD, ADA.key, ("CRMID", "ada"), now=NOW)


def refuse_absent_namespace(session: Session) -> JourneyVersion:
    version = published(session, by_segment(identityNamespace="Email"))
    entry.enter_qualified(session, PROD, qualified(ADA), now=NOW)
    return version


def refuse_wrong_status(session: Session) -> JourneyVersion:
    version = published(session, by_segment(status="exited"))
    entry.enter_qualified(session, PROD, qualified(ADA), now=NOW)
    return version


def refuse_stopped(session: Session) -> JourneyVersion:
    version = published(session, by_segment())
    lifecycle.stop(session, PROD, version.journey_id, now=START)
    entry.enter_qualified(session, PROD, qualified(ADA), now=NOW)
    return version


def refuse_already_inside(session: Session) -> JourneyVersion:
    version = published(session, by_segment())
    for _ in range(2):
        entry.enter_qualified(session, PROD, qualified(ADA), now=NOW)
    return version


def _after_an_end(session: Session, policy: str) -> JourneyVersion:
    version = published(session, by_segment(reentrance={"policy": policy, "durationInSecs": 60}))
    entry.enter_qualified(session, PROD, qualified(ADA), now=NOW)
    (instance,) = instances_of(session)
    instance.status, instance.ended_at = "finished", NOW
    session.flush()
    entry.enter_qualified(session, PROD, qualified(ADA), now=NOW + timedelta(seconds=59))
    return version


def refuse_too_early(session: Session) -> JourneyVersion:
    return _after_an_end(session, "allow")


def refuse_ever_again(session: Session) -> JourneyVersion:
    return _after_an_end(session, "never")


@pytest.mark.parametrize(
    ("refuse", "gate", "reason", "seen"),
    [
        (refuse_absent_namespace, "namespace", "namespaceAbsent", {"namespace": "Email"}),
        (
            refuse_wrong_status,
            "entryStatus",
            "entryStatusMismatch",
            {"entersOn": "exited", "status": "realized"},
        ),
        (refuse_stopped, "versionLive", "notLive", {"state": "stopped", "version": 1}),
        (refuse_already_inside, "reentrance", "alreadyInside", {}),
        (
            refuse_too_early,
            "reentrance",
            "reentranceWait",
            {"blockedUntil": "2026-07-02T10:01:00Z"},
        ),
        (
            refuse_ever_again,
            "reentrance",
            "reentranceNotAllowed",
            {"blockedUntil": "2026-10-01T10:00:00Z"},
        ),
    ],
)
def test_each_refusal_at_the_door_is_recorded_with_what_it_saw(
    store: SessionFactory, refuse: Any, gate: str, reason: str, seen: dict[str, Any]
) -> None:
    with unit_of_work(store) as session:
        known_people(session, ADA)
        version = refuse(session)

    found = told(store, version)

    recorded = [each for each in found.lines if each.at is not None and each.reason == reason]
    assert [(each.gate, each.passed, each.basis) for each in recorded] == [
        (gate, False, Basis.RECORDED)
    ]
    assert seen.items() <= recorded[0].seen.items()


def test_without_any_record_the_answer_says_so_and_does_not_guess(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_event())
        known_people(session, ADA)

    found = told(store, version)

    entered, happened = line_of(found, "entered"), line_of(found, "event")
    assert (entered.passed, entered.basis) == (False, Basis.NOT_KEPT)
    assert entered.reason == "nothingRecorded"
    assert (happened.passed, happened.basis) == (None, Basis.NOT_KEPT)


def test_an_event_that_is_stored_is_named(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_event())
        for at, name in ((1, "first"), (2, "last")):
            posted = event(ecid(1), ADA, at=at, event_id=name, xdm=EventId)
            ingest(session, [request(posted)], now=NOW)

    found = told(store, version)

    happened = line_of(found, "event")
    assert (happened.passed, happened.basis) == (True, Basis.RECORDED)
    assert happened.seen["_id"] == "last"


def in_segment(session: Session, rule: str) -> UUID:
    new = NewSegment("Gold", rule)
    return definitions.create(session, PROD, new, now=START).id


def test_the_segments_rule_is_judged_now_condition_by_condition(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        segment = in_segment(session, 'tier = "gold" and age > 30')
        version = published(session, by_segment(segment=segment))
        known_people(session, ADA, tier="gold", age=20)

    found = told(store, version)

    line = line_of(found, "inSegment")
    assert (line.passed, line.basis) == (False, Basis.EVALUATED_NOW)
    truths = [(each["isTrue"], each["seen"]) for each in line.seen["conditions"]]
    assert truths == [(True, {"tier": "gold"}), (False, {"age": 20})]
    assert line_of(found, "qualified").reason == "neverQualified"


def test_somebody_in_the_segment_before_the_journey_went_live_is_told(
    store: SessionFactory,
) -> None:
    with unit_of_work(store) as session:
        segment = in_segment(session, 'tier = "gold"')
        known_people(session, ADA, tier="gold")
        version = published(session, by_segment(segment=segment), now=NOW)
        early = MembershipChange(segment, ADA.key, Status.REALIZED, None, Cause.BATCH)
        memberships.apply(session, PROD, [Evaluated(early, NOW - timedelta(hours=1))])

    line = line_of(told(store, version), "qualified")

    assert (line.passed, line.reason) == (False, "qualifiedBeforePublish")
    assert (line.seen["cause"], line.at) == ("batch", NOW - timedelta(hours=1))


def test_a_qualification_since_then_passes(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        segment = in_segment(session, 'tier = "gold"')
        version = published(session, by_segment(segment=segment, status="exited"))
        known_people(session, ADA, tier="gold")
        for hours, status in ((1, Status.REALIZED), (2, Status.EXITED)):
            moved = MembershipChange(segment, ADA.key, status, None, Cause.EVENT)
            at = START + timedelta(hours=hours)
            memberships.apply(session, PROD, [Evaluated(moved, at)])

    line = line_of(told(store, version), "qualified")

    assert (line.passed, line.seen["status"]) == (True, "exited")
    assert line.at == START + timedelta(hours=2)


@pytest.fixture
def called(store: SessionFactory) -> JourneyVersion:
    """Return a journey in which Ada waits for the outcome of a call."""
    with unit_of_work(store) as session:
        version = published(session, by_segment(call()))
        with_action(session)
        known_people(session, ADA)
    enter(store)
    advance(store)
    return version


def finish(
    store: SessionFactory, state: DeliveryState, outcome: DeliveryOutcome, reason: str
) -> UUID:
    """End Ada's delivery as the dispatcher does, with one attempt when it was sent or failed."""
    with unit_of_work(store) as session:
        (instance,) = instances_of(session)
        key = delivery_key(instance.id, "call")
        lane = Lane(PROD, ACTION)
        fair_claims.claim(session, lane, now=NOW, limit=9)
        if state in {DeliveryState.SENT, DeliveryState.FAILED}:
            (attempt,) = attempts.start(
                session,
                lane,
                [(key, 1)],
                worker="w",
                cap_id=ADA.key,
                permitted_at=NOW,
                leased_until=NOW,
            )
            of_state = {DeliveryState.SENT: AttemptOutcome.SENT}
            kind = of_state.get(state, AttemptOutcome.FAILED)
            ended = EndedAttempt(attempt, kind, status_code=200 if kind == "sent" else 410)
            attempts.finish(session, PROD, [ended], worker="w", now=NOW)
        else:
            trace = Trace(
                ADA.key,
                instance.journey_id,
                "cap",
                "capped",
                {"maxCallsCount": 12},
                instance.id,
                "call",
            )
            gate_traces.record(session, PROD, [trace], now=NOW)
        final = EndedDelivery(key, state, reason, {"rule": "x"}, 1)
        deliveries.end(session, PROD, [final], now=NOW)
        stimulus = DeliveryEnded("call", outcome, reason)
        inbox.tell(session, PROD, [Told(instance.id, stimulus, NOW)])
    advance(store)
    return key


def test_a_delivery_under_way_says_that_it_waits(
    store: SessionFactory, called: JourneyVersion
) -> None:
    line = line_of(told(store, called), "delivery")

    assert (line.passed, line.reason, line.node_id) == (None, "waiting", "call")


def test_a_message_that_was_sent_shows_its_call(
    store: SessionFactory, called: JourneyVersion
) -> None:
    key = finish(store, DeliveryState.SENT, DeliveryOutcome.SENT, "ok")

    found = told(store, called)

    gates = [each.gate for each in found.lines if each.basis is Basis.RECORDED]
    assert gates == ["qualified", "entered", "step", "step", "attempt", "delivery", "step", "step"]
    assert line_of(found, "attempt").seen["statusCode"] == 200
    delivery = line_of(found, "delivery")
    assert (delivery.passed, delivery.seen["deliveryId"]) == (True, str(key))


def see(
    session: Session, key: UUID, kind: InteractionKind, seconds: float, *, opens: bool = False
) -> None:
    """Let Ada do something with her message."""
    done = Interaction(kind, "Buy" if kind is InteractionKind.CUSTOM_ACTION else None, opens)
    at = NOW + timedelta(seconds=seconds)
    kept_interactions.keep(session, PROD, [TrackedEvent(new_key(), key, done, at)])


def test_what_was_done_with_a_message_follows_its_delivery(
    store: SessionFactory, called: JourneyVersion
) -> None:
    key = finish(store, DeliveryState.SENT, DeliveryOutcome.SENT, "ok")
    with unit_of_work(store) as session:
        see(session, key, InteractionKind.CUSTOM_ACTION, 9, opens=True)
        see(session, key, InteractionKind.RECEIVED, 1)

    found = told(store, called)

    gates = [each.gate for each in found.lines if each.node_id == "call"]
    assert gates[:5] == ["step", "attempt", "delivery", "interaction", "interaction"]
    received, pressed = (each for each in found.lines if each.gate == "interaction")
    assert (received.reason, received.seen) == ("received", {"deliveryId": str(key)})
    assert (pressed.reason, pressed.seen["actionID"], pressed.at) == (
        "customAction",
        "Buy",
        NOW + timedelta(seconds=9),
    )
    assert line_of(found, "delivery").seen["openedAt"] == NOW + timedelta(seconds=9)


@pytest.mark.parametrize(
    ("has_reacted", "passed", "reason"), [(True, True, "opened"), (False, False, "noReaction")]
)
def test_a_reaction_tells_how_its_wait_ended(
    store: SessionFactory, reason: str, *, has_reacted: bool, passed: bool
) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_segment(call("react"), reaction(timeout=60)))
        known_people(session, ADA)
    enter(store)
    advance(store)
    key = finish(store, DeliveryState.SENT, DeliveryOutcome.SENT, "ok")
    if has_reacted:
        with unit_of_work(store) as session:
            see(session, key, InteractionKind.OPENED, 30, opens=True)
    advance(store, NOW + timedelta(seconds=60))

    rested, ended = (each for each in told(store, version).lines if each.node_id == "react")

    assert (rested.passed, rested.reason) == (True, None)
    assert (ended.passed, ended.reason, ended.basis) == (passed, reason, Basis.RECORDED)


def test_a_reaction_says_that_there_was_nothing_to_react_to(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_segment(call("react"), reaction(timeout=60)))
        known_people(session, ADA)
    enter(store)
    advance(store)
    finish(store, DeliveryState.SUPPRESSED, DeliveryOutcome.SUPPRESSED, "consent")

    advance(store)

    (passed,) = (each for each in told(store, version).lines if each.node_id == "react")
    assert (passed.passed, passed.reason) == (False, "messageNotSent")


def test_a_message_over_the_cap_is_named_with_the_cap_that_it_met(
    store: SessionFactory, called: JourneyVersion
) -> None:
    finish(store, DeliveryState.CAPPED, DeliveryOutcome.CAPPED, "capped")

    found = told(store, called)

    cap = line_of(found, "cap")
    assert (cap.passed, cap.basis, cap.seen) == (False, Basis.RECORDED, {"maxCallsCount": 12})
    assert line_of(found, "delivery").passed is False
    last = [each for each in found.lines if each.gate == "step"][-1]
    assert (last.passed, last.seen["endReason"], last.seen["endDetail"]) == (
        False,
        "failed",
        "capped",
    )


def test_what_was_removed_is_said_to_be_removed(
    store: SessionFactory, called: JourneyVersion
) -> None:
    with unit_of_work(store) as session:
        session.execute(delete(Delivery).where(Delivery.sandbox_id == 1))
    assert line_of(told(store, called), "delivery").basis is Basis.NOT_KEPT

    with unit_of_work(store) as session:
        session.execute(delete(StepEvent).where(StepEvent.sandbox_id == 1))
    assert line_of(told(store, called), "step").reason == "stepsRemoved"


@pytest.mark.parametrize(
    ("attributes", "tokens", "consent", "owner"),
    [
        ({}, [], None, "noToken"),
        ({}, ["SECRET-TOKEN-123456"], None, None),
        (
            {"consents": {"marketing": {"push": {"val": "n"}}}},
            ["SECRET-TOKEN-123456"],
            "consent",
            None,
        ),
    ],
)
def test_whether_a_message_could_be_sent_now_is_asked_now(
    store: SessionFactory,
    attributes: dict[str, Any],
    tokens: list[str],
    consent: str | None,
    owner: str | None,
) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_segment(call()))
        with_action(session)
        known_people(session, ADA, **attributes)
        announced = tuple(token(ecid(1), text) for text in tokens)
        ingest(session, [request(event(ecid(1), ADA, at=1, tokens=announced))], now=NOW)

    found = told(store, version)

    lines = {each.gate: each for each in found.lines if each.node_id == "call"}
    assert {each.basis for each in lines.values()} == {Basis.EVALUATED_NOW}
    assert (lines["consent"].reason, lines["owner"].reason) == (consent, owner)
    assert "SECRET" not in str(found)


@pytest.mark.parametrize(
    ("refused", "reason"), [("sms", "consent"), ("any", "consent"), ("push", None)]
)
def test_the_consent_asked_now_is_that_of_the_actions_channel(
    store: SessionFactory, refused: str, reason: str | None
) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_segment(call()))
        with_action(session, adapter="twilio")
        known_people(session, ADA, consents={"marketing": {refused: {"val": "n"}}})

    lines = [each for each in told(store, version).lines if each.node_id == "call"]

    assert [(each.gate, each.reason) for each in lines] == [("consent", reason)]


def test_a_device_and_its_person_are_one_and_the_same_explanation(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_event())
        posted = event(ecid(1), ADA, at=1, xdm=EventId)
        ingest(session, [request(posted, source_=source())], now=NOW)

    by_device = told(store, version, ("ECID", ecid(1).value))

    assert by_device.lines == told(store, version).lines
    assert line_of(by_device, "entered").passed


def test_a_draft_is_explained_as_not_live(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        version = lifecycle.create(session, PROD, by_segment(), now=NOW)
        known_people(session, ADA)

    line = line_of(told(store, version), "versionLive")

    assert (line.passed, line.reason, line.seen["state"]) == (False, "notLive", "draft")


def test_publishing_asks_the_sandbox_what_it_holds(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        segment = in_segment(session, 'tier = "gold"')
        rule = condition(('tier = "gold" and ', "done"), otherwise="call")
        document = by_segment(rule, call(), segment=segment)
        draft = lifecycle.create(session, PROD, document, now=START)
        with pytest.raises(DefinitionError) as refused:
            publish(session, PROD, draft.journey_id, now=START)
        codes = sorted(each.code.value for each in refused.value.problems)

        with_action(session)
        document["nodes"][1]["transitions"][0]["expression"] = 'context.segment.status = "realized"'
        lifecycle.update_draft(session, PROD, draft.journey_id, document)
        live = publish(session, PROD, draft.journey_id, now=START)

    assert codes == ["invalidExpression", "unknownAction"]
    assert (live.version.state, live.warnings) == ("live", ())
