"""What journeys need is not deleted, also while one is being published."""

from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, NotFoundError
from service.db.session import SessionFactory, unit_of_work
from service.flows.advance_journeys import advance
from service.flows.delete_unused import delete_action, delete_segment
from service.flows.ingest import ingest
from service.flows.publish_journey import publish
from service.journeys import lifecycle
from service.outbound.models import CustomAction
from service.sandboxes.scope import Scope
from service.segments import definitions
from service.segments.definitions import NewSegment
from tests.support.builders import ecid, event, person, request
from tests.support.clocks import START, FixedClock
from tests.support.journeys import ACTION, by_event, by_segment, call, condition, wait

ORDER = {"_experience": {"campaign": {"orchestration": {"eventID": "order"}}}}


def add_segment(session: Session, scope: Scope) -> UUID:
    return definitions.create(session, scope, NewSegment("Jos", 'name = "Jo"'), now=START).id


def add_action(session: Session, scope: Scope) -> None:
    session.add(
        CustomAction(
            sandbox_id=scope.sandbox_id,
            id=ACTION,
            name="push",
            adapter="push",
            method="POST",
            url="https://api.example.com/push",
            headers={},
            payload={},
            auth={"type": "none"},
            settings={},
            timeout_ms=1000,
            max_retries=0,
            on_unknown="record",
            on_backlog="send",
            is_marketing=True,
            created_at=START,
            updated_at=START,
        )
    )
    session.flush()


def test_a_segment_is_kept_while_a_live_journey_lets_people_in_by_it(
    store: SessionFactory, scope: Scope
) -> None:
    with unit_of_work(store) as session:
        segment = add_segment(session, scope)
        journey = lifecycle.create(session, scope, by_segment(segment=segment), now=START)
        publish(session, scope, journey.journey_id, now=START)

    with pytest.raises(ConflictError, match="Welcome") as caught, unit_of_work(store) as session:
        delete_segment(session, scope, segment, now=START)

    assert caught.value.fields["journeys"] == [
        {"id": str(journey.journey_id), "name": "Welcome", "version": 1}
    ]
    with unit_of_work(store) as session:
        assert definitions.get(session, scope, segment).name == "Jos"


def test_a_segment_is_kept_while_a_condition_of_a_live_journey_asks_about_it(
    store: SessionFactory, scope: Scope
) -> None:
    with unit_of_work(store) as session:
        segment = add_segment(session, scope)
        asks = condition((f'context.segment.id = "{segment}"', "done"), otherwise="done")
        journey = lifecycle.create(session, scope, by_event(asks), now=START)
        publish(session, scope, journey.journey_id, now=START)

    with pytest.raises(ConflictError), unit_of_work(store) as session:
        delete_segment(session, scope, segment, now=START)


@pytest.mark.parametrize("state", ["draft", "stopped", "closed", "described"])
def test_a_segment_goes_when_nobody_enters_by_it(
    store: SessionFactory, scope: Scope, state: str
) -> None:
    with unit_of_work(store) as session:
        segment = add_segment(session, scope)
        document = by_segment(segment=segment)
        if state == "described":
            document = by_event(description=f"Was for {segment}")
        journey = lifecycle.create(session, scope, document, now=START).journey_id
        if state != "draft":
            publish(session, scope, journey, now=START)
        if state == "stopped":
            lifecycle.stop(session, scope, journey, now=START)
        if state == "closed":
            lifecycle.add_version(session, scope, journey, now=START)
            publish(session, scope, journey, now=START)
            lifecycle.stop(session, scope, journey, now=START)

    with unit_of_work(store) as session:
        delete_segment(session, scope, segment, now=START)

    with pytest.raises(NotFoundError), unit_of_work(store) as session:
        definitions.get(session, scope, segment)


def test_a_segment_of_another_sandbox_is_not_found(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session:
        segment = add_segment(session, scope)

    with pytest.raises(NotFoundError), unit_of_work(store) as session:
        delete_segment(session, Scope(2, "dev"), segment, now=START)


def test_nothing_is_deleted_while_a_journey_is_published_with_it(
    postgres_store: SessionFactory, scope: Scope
) -> None:
    with unit_of_work(postgres_store) as session:
        segment = add_segment(session, scope)
        add_action(session, scope)
        journey = lifecycle.create(session, scope, by_segment(segment=segment), now=START)

    with unit_of_work(postgres_store) as publishing:
        publish(publishing, scope, journey.journey_id, now=START)

        for delete in (
            lambda session: delete_segment(session, scope, segment, now=START),
            lambda session: delete_action(session, scope, ACTION),
        ):
            with postgres_store.opened() as session:
                session.execute(text("SET LOCAL lock_timeout = '50ms'"))
                with pytest.raises(OperationalError):
                    delete(session)

    with pytest.raises(ConflictError), unit_of_work(postgres_store) as session:
        delete_segment(session, scope, segment, now=START)


@pytest.mark.parametrize("state", ["draft", "live"])
def test_an_action_is_kept_while_a_journey_calls_it_or_is_to(
    store: SessionFactory, scope: Scope, state: str
) -> None:
    with unit_of_work(store) as session:
        add_action(session, scope)
        journey = lifecycle.create(session, scope, by_event(call()), now=START)
        if state == "live":
            publish(session, scope, journey.journey_id, now=START)

    with (
        pytest.raises(ConflictError, match=rf"Welcome \(version 1, {state}\)"),
        unit_of_work(store) as session,
    ):
        delete_action(session, scope, ACTION)


def test_an_action_is_kept_until_the_last_person_has_left_a_closed_version(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    with unit_of_work(store) as session:
        add_action(session, scope)
        document = by_event(wait(to="call"), call())
        journey = lifecycle.create(session, scope, document, now=START).journey_id
        publish(session, scope, journey, now=START)
    with unit_of_work(store) as session:
        ingest(session, [request(event(ecid(1), person("ada"), xdm=ORDER))], now=clock.now())
    with unit_of_work(store) as session:
        lifecycle.add_version(session, scope, journey, now=START)
        lifecycle.update_draft(session, scope, journey, by_event(wait()))
        publish(session, scope, journey, now=START)

    with pytest.raises(ConflictError, match="closed"), unit_of_work(store) as session:
        delete_action(session, scope, ACTION)

    with unit_of_work(store) as session:
        lifecycle.stop(session, scope, journey, now=clock.now())
    advance(store, clock)
    with unit_of_work(store) as session:
        assert delete_action(session, scope, ACTION).name == "push"


def test_an_action_that_no_journey_calls_goes(store: SessionFactory, scope: Scope) -> None:
    with unit_of_work(store) as session:
        add_action(session, scope)
        lifecycle.create(session, scope, by_event(description=str(ACTION)), now=START)

    with unit_of_work(store) as session:
        delete_action(session, scope, ACTION)

    with pytest.raises(NotFoundError), unit_of_work(store) as session:
        delete_action(session, scope, ACTION)
