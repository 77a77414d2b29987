"""Segments are read before they are kept."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.db.session import SessionFactory
from service.flows.open_sandbox import open_sandbox
from service.jobs.models import Job
from service.jobs.queue import JobKind
from service.sandboxes.scope import Scope
from service.segments import definitions
from service.segments.definitions import Evaluation, NewSegment, SegmentChanges
from service.segments.pql.errors import PqlError
from tests.support.clocks import START

LOGIN = 'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "login") WHEN(<= 24 hours before now)])'
EVER = 'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "login")])'
LATER = START + timedelta(hours=1)


def jobs(session: Session, scope: Scope) -> list[tuple[str, object]]:
    rows = session.scalars(select(Job).where(Job.sandbox_id == scope.sandbox_id).order_by(Job.id))
    return [(row.kind, row.payload) for row in rows]


def test_a_streaming_segment_is_kept_with_its_reason_and_a_first_run(
    store: SessionFactory,
    scope: Scope,
) -> None:
    new = NewSegment("logged in", LOGIN, requested_evaluation=Evaluation.STREAMING)
    with store.opened() as session:
        made = definitions.create(session, scope, new, now=START)

        kept = definitions.get(session, scope, made.id)
        assert (kept.evaluation, kept.expression) == ("streaming", LOGIN)
        assert kept.evaluation_reason == "its event clause looks back 24 hours at most"
        assert jobs(session, scope) == [
            (JobKind.EVALUATE_SEGMENTS, {"segments": [str(made.id)]}),
        ]


def test_what_asks_for_nothing_is_batch(store: SessionFactory, scope: Scope) -> None:
    with store.opened() as session:
        made = definitions.create(session, scope, NewSegment("ever", LOGIN), now=START)

        assert made.evaluation == "batch"
        assert jobs(session, scope) == []


def test_streaming_is_refused_with_the_reason_and_never_downgraded(
    store: SessionFactory,
    scope: Scope,
) -> None:
    new = NewSegment("ever", EVER, requested_evaluation=Evaluation.STREAMING)
    with store.opened() as session:
        with pytest.raises(InvalidInputError, match="no window that ends its look back"):
            definitions.create(session, scope, new, now=START)

        assert definitions.list_page(session, scope, limit=9) == ()


def test_a_faulty_rule_is_refused_at_its_place(store: SessionFactory, scope: Scope) -> None:
    with store.opened() as session, pytest.raises(PqlError) as caught:
        definitions.create(session, scope, NewSegment("x", "a = = 1"), now=START)

    assert caught.value.column == 5


@pytest.mark.parametrize("given", ["pql/json", "sql"])
def test_another_format_is_refused(store: SessionFactory, scope: Scope, given: str) -> None:
    new = NewSegment("x", "a = 1", expression_format=given)
    with store.opened() as session, pytest.raises(InvalidInputError, match=given):
        definitions.create(session, scope, new, now=START)


def test_a_name_is_unique_within_its_sandbox_only(store: SessionFactory, scope: Scope) -> None:
    with store.opened() as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=START)
        definitions.create(session, scope, NewSegment("x", "a = 1"), now=START)
        theirs = definitions.create(session, other, NewSegment("x", "a = 1"), now=START)

        with pytest.raises(ConflictError):
            definitions.create(session, scope, NewSegment("x", "a = 2"), now=START)
        with pytest.raises(NotFoundError):
            definitions.get(session, scope, theirs.id)


def test_a_changed_rule_stays_streaming_or_is_refused(store: SessionFactory, scope: Scope) -> None:
    new = NewSegment("x", LOGIN, requested_evaluation=Evaluation.STREAMING)
    with store.opened() as session:
        made = definitions.create(session, scope, new, now=START)
        session.commit()

        changes = SegmentChanges(expression_text=EVER)
        with pytest.raises(InvalidInputError):
            definitions.update(session, scope, made.id, changes, now=LATER)
        session.rollback()
        changed = definitions.update(
            session,
            scope,
            made.id,
            SegmentChanges(expression_text=EVER, requested_evaluation=Evaluation.BATCH),
            now=LATER,
        )

        assert (changed.expression, changed.evaluation) == (EVER, "batch")
        assert changed.updated_at == LATER
        assert len(jobs(session, scope)) == 2


def test_a_change_of_words_evaluates_nothing_again(store: SessionFactory, scope: Scope) -> None:
    with store.opened() as session:
        made = definitions.create(session, scope, NewSegment("x", "a = 1"), now=START)
        definitions.create(session, scope, NewSegment("y", "a = 1"), now=START)
        changes = SegmentChanges(name="z", description="words")

        definitions.update(session, scope, made.id, changes, now=LATER)

        assert [each.name for each in definitions.list_page(session, scope, limit=9)] == ["z", "y"]
        assert jobs(session, scope) == []
        with pytest.raises(ConflictError):
            definitions.update(session, scope, made.id, SegmentChanges(name="y"), now=LATER)


def test_a_deleted_segment_is_gone_and_forgotten_by_a_job(
    store: SessionFactory,
    scope: Scope,
) -> None:
    with store.opened() as session:
        made = definitions.create(session, scope, NewSegment("x", "a = 1"), now=START)

        definitions.delete(session, scope, made.id, now=LATER)

        assert definitions.list_page(session, scope, limit=9) == ()
        assert jobs(session, scope) == [(JobKind.FORGET_SEGMENT, {"segment": str(made.id)})]
        with pytest.raises(NotFoundError):
            definitions.delete(session, scope, uuid4(), now=LATER)


def test_pages_follow_each_other(store: SessionFactory, scope: Scope) -> None:
    with store.opened() as session:
        for name in "abc":
            definitions.create(session, scope, NewSegment(name, "a = 1"), now=START)

        first = definitions.list_page(session, scope, limit=2)
        rest = definitions.list_page(session, scope, limit=2, after=first[-1].id)

    assert [each.name for each in (*first, *rest)] == ["a", "b", "c"]
