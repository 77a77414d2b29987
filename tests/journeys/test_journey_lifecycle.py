"""Drafted, published, closed by the next version, stopped."""

from datetime import timedelta
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from sqlalchemy import select

from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.db.session import SessionFactory, unit_of_work
from service.journeys import lifecycle, versions
from service.journeys.document import parse
from service.journeys.models import Journey, JourneyVersion
from service.journeys.problems import DefinitionError, ProblemCode
from service.journeys.validation import Known
from service.sandboxes.scope import Scope
from service.web.payloads.journeys import JourneySchema, journey_answer
from tests.journeys.worlds import documents, welcome
from tests.support.builders import PROD
from tests.support.clocks import START
from tests.support.journeys import (
    SEGMENT,
    accept,
    by_event,
    by_segment,
    known_to,
    published,
    wait,
)

OTHER = Scope(2, "dev")


def create(store: SessionFactory, document: Any) -> JourneyVersion:
    with unit_of_work(store) as session:
        return lifecycle.create(session, PROD, document, now=START)


def publish(store: SessionFactory, version: JourneyVersion, document: Any) -> JourneyVersion:
    with unit_of_work(store) as session:
        return lifecycle.publish(
            session, PROD, version.journey_id, known_to(document), accept, now=START
        ).version


def next_version(store: SessionFactory, version: JourneyVersion, document: Any) -> JourneyVersion:
    """Add a version with another definition and publish it."""
    with unit_of_work(store) as session:
        lifecycle.add_version(session, PROD, version.journey_id, now=START)
        lifecycle.update_draft(session, PROD, version.journey_id, document)
    return publish(store, version, document)


def states_of(store: SessionFactory, version: JourneyVersion) -> list[str]:
    with store.opened() as session:
        return [each.state for each in versions.list_all(session, PROD, version.journey_id)]


def test_a_new_journey_is_a_draft_that_need_not_run(store: SessionFactory) -> None:
    version = create(store, {"name": "Sketch", "nodes": []})

    with store.opened() as session:
        found = versions.get(session, PROD, version.journey_id)
    assert (found.version, found.state, found.name) == (1, "draft", "Sketch")


@pytest.mark.parametrize("name", ["", " ", "x" * 257])
def test_a_name_that_cannot_be_kept_is_refused(store: SessionFactory, name: str) -> None:
    with pytest.raises(DefinitionError):
        create(store, {"name": name, "nodes": []})


def test_two_journeys_cannot_have_one_name(store: SessionFactory) -> None:
    create(store, by_segment())

    with pytest.raises(ConflictError):
        create(store, by_segment())


def test_publishing_writes_what_an_entry_looks_for(store: SessionFactory) -> None:
    document = by_segment(reentrance={"policy": "allow", "durationInSecs": 60}, status="both")

    version = publish(store, create(store, document), document)

    assert (version.entry_kind, version.entry_ref) == ("audience_qualification", str(SEGMENT))
    assert (version.entry_status, version.namespace) == ("both", "CRMID")
    assert (version.reentrance_s, version.published_at, version.state) == (60, START, "live")


def test_what_cannot_run_is_refused_with_everything_that_is_wrong(store: SessionFactory) -> None:
    document = by_event(wait(0), identityNamespace="CRMID")
    document["nodes"].append({"id": "lost", "type": "end"})
    draft = create(store, document)

    with unit_of_work(store) as session, pytest.raises(DefinitionError) as refused:
        lifecycle.publish(session, PROD, draft.journey_id, Known(), accept, now=START)

    assert {each.code for each in refused.value.problems} == {
        ProblemCode.WAIT_TOO_SHORT,
        ProblemCode.UNREACHABLE_NODE,
        ProblemCode.UNKNOWN_NAMESPACE,
    }
    assert states_of(store, draft) == ["draft"]


def test_an_expression_that_cannot_be_evaluated_keeps_it_a_draft(store: SessionFactory) -> None:
    document = welcome()
    draft = create(store, document)

    def refuse(text: str) -> None:
        raise InvalidInputError(f"cannot read {text}")

    known = Known(frozenset({"seg-1"}), frozenset({"act-1", "act-2"}), frozenset({"CRMID"}))
    with unit_of_work(store) as session, pytest.raises(DefinitionError) as refused:
        lifecycle.publish(session, PROD, draft.journey_id, known, refuse, now=START)

    assert [each.code for each in refused.value.problems] == [ProblemCode.INVALID_EXPRESSION]


def test_a_published_version_never_changes(store: SessionFactory) -> None:
    document = by_segment()
    version = publish(store, create(store, document), document)

    with unit_of_work(store) as session, pytest.raises(ConflictError):
        lifecycle.update_draft(session, PROD, version.journey_id, by_segment(wait(9)))
    with unit_of_work(store) as session, pytest.raises(ConflictError):
        lifecycle.publish(session, PROD, version.journey_id, known_to(document), accept, now=START)


def test_the_next_version_closes_the_one_before(store: SessionFactory) -> None:
    document = by_segment()
    version = publish(store, create(store, document), document)

    second = next_version(store, version, by_segment(wait(9), name="Renamed"))

    assert states_of(store, version) == ["closed", "live"]
    with store.opened() as session:
        journey = session.scalars(select(Journey).where(Journey.sandbox_id == 1)).one()
    assert (second.version, journey.name) == (2, "Renamed")


def test_a_draft_is_added_once(store: SessionFactory) -> None:
    version = create(store, by_segment())

    with unit_of_work(store) as session, pytest.raises(ConflictError):
        lifecycle.add_version(session, PROD, version.journey_id, now=START)


@pytest.mark.parametrize(
    ("document", "changed"),
    [
        (by_event(), ["type"]),
        (by_segment(segment=uuid4()), ["segmentId"]),
        (by_segment(identityNamespace="ECID"), ["identityNamespace"]),
        (by_segment(reentrance={"policy": "never"}), ["reentrance"]),
    ],
)
def test_a_version_keeps_whom_the_journey_is_for(
    store: SessionFactory, document: dict[str, Any], changed: list[str]
) -> None:
    first = by_segment()
    version = publish(store, create(store, first), first)

    with pytest.raises(ConflictError) as refused:
        next_version(store, version, document)

    assert refused.value.fields["changed"] == changed
    assert states_of(store, version) == ["live", "draft"]


def test_stopping_ends_every_version_and_leaves_the_draft(store: SessionFactory) -> None:
    document = by_segment()
    version = publish(store, create(store, document), document)
    next_version(store, version, document)
    with unit_of_work(store) as session:
        lifecycle.add_version(session, PROD, version.journey_id, now=START)

    with unit_of_work(store) as session:
        lifecycle.stop(session, PROD, version.journey_id, now=START)

    assert states_of(store, version) == ["stopped", "stopped", "draft"]
    with unit_of_work(store) as session, pytest.raises(ConflictError):
        lifecycle.stop(session, PROD, version.journey_id, now=START)


def test_a_closed_version_finishes_when_nobody_can_be_inside(store: SessionFactory) -> None:
    document = by_segment()
    version = publish(store, create(store, document), document)
    next_version(store, version, document)

    for days in (90, 91):
        with unit_of_work(store) as session:
            lifecycle.finish_closed(session, PROD, now=START + timedelta(days=days))
        assert states_of(store, version)[0] == ("closed" if days == 90 else "finished")


def test_journeys_are_listed_by_their_latest_version(store: SessionFactory) -> None:
    document = by_segment()
    first = publish(store, create(store, document), document)
    next_version(store, first, document)
    second = create(store, by_segment(name="Second"))

    with store.opened() as session:
        page = versions.list_page(session, PROD, limit=1)
        rest = versions.list_page(session, PROD, limit=9, after=page[0].journey_id)

    assert [(each.journey_id, each.version) for each in (*page, *rest)] == [
        (first.journey_id, 2),
        (second.journey_id, 1),
    ]


def test_a_journey_is_unknown_in_another_sandbox(store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        version = published(session, by_segment())

    with unit_of_work(store) as session:
        with pytest.raises(NotFoundError):
            versions.get(session, OTHER, version.journey_id)
        with pytest.raises(NotFoundError):
            lifecycle.stop(session, OTHER, version.journey_id, now=START)
        with pytest.raises(NotFoundError):
            lifecycle.add_version(session, OTHER, version.journey_id, now=START)
        assert not versions.running(session, OTHER, [version.id])


def test_a_named_version_that_is_not_there_is_not_found(store: SessionFactory) -> None:
    version = create(store, by_segment())

    with store.opened() as session, pytest.raises(NotFoundError):
        versions.get(session, PROD, version.journey_id, 2)


def test_two_publishers_at_once_publish_once(postgres_store: SessionFactory) -> None:
    document = by_segment()
    draft = create(postgres_store, document)
    refused: list[Exception] = []

    def second() -> None:
        try:
            publish(postgres_store, draft, document)
        except ConflictError as error:
            refused.append(error)

    with unit_of_work(postgres_store) as session:
        lifecycle.publish(session, PROD, draft.journey_id, known_to(document), accept, now=START)
        other = Thread(target=second)
        other.start()
    other.join(timeout=10)

    assert len(refused) == 1
    assert states_of(postgres_store, draft) == ["live"]


@settings(max_examples=20)
@given(document=documents())
def test_what_is_answered_can_be_sent_back_and_means_the_same(document: dict[str, Any]) -> None:
    row = JourneyVersion(
        id=uuid4(),
        journey_id=uuid4(),
        version=3,
        definition=document,
        state="live",
        created_at=START,
    )

    answered = JourneySchema().load(journey_answer(row, PROD, "EDGEPOST@AdobeOrg"))

    again = parse(answered)
    assert (again.nodes, again.name) == (parse(document).nodes, document["name"])
