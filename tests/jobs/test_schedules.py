"""A slot becomes one job, however many clocks tick and however long none did."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.errors import ConflictError
from service.db.session import SessionFactory, unit_of_work
from service.jobs import schedules
from service.jobs.models import Job, Schedule
from service.jobs.schedules import NewSchedule
from service.sandboxes.scope import Scope
from tests.support.clocks import START


def on_the_hour(cron: str, after: datetime) -> datetime:
    """Stand in for the clock's cron reading."""
    assert cron == "0 2 * * *"
    return after.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def tick(store: SessionFactory, hours: float) -> int:
    with unit_of_work(store) as session:
        return schedules.enqueue_due(session, on_the_hour, now=START + timedelta(hours=hours))


def slots(session: Session, scope: Scope) -> list[datetime]:
    rows = select(Job).where(Job.sandbox_id == scope.sandbox_id).order_by(Job.due_at)
    return [row.due_at for row in session.scalars(rows)]


def test_each_slot_is_enqueued_once(store: SessionFactory, scope: Scope) -> None:
    enqueued = [tick(store, hours) for hours in (0, 0.5, 1, 1, 1.5, 2.25)]

    with store.opened() as session:
        found = slots(session, scope)
    assert enqueued == [0, 0, 1, 0, 0, 1]
    assert found == [START + timedelta(hours=1), START + timedelta(hours=2)]


def test_of_missed_slots_one_is_made_up_for(store: SessionFactory, scope: Scope) -> None:
    tick(store, 0)

    late = tick(store, 9.5)
    following = tick(store, 10)

    assert (late, following) == (1, 1)
    with store.opened() as session:
        assert slots(session, scope) == [START + timedelta(hours=1), START + timedelta(hours=10)]


def test_a_clock_that_did_not_see_the_slot_move_on_enqueues_nothing_again(
    store: SessionFactory,
    scope: Scope,
) -> None:
    tick(store, 0)
    tick(store, 1)
    with unit_of_work(store) as session:
        for row in session.scalars(select(Schedule).where(Schedule.sandbox_id == scope.sandbox_id)):
            row.next_slot_at = START + timedelta(hours=1)

    assert tick(store, 1.5) == 0


def test_an_inactive_schedule_enqueues_nothing(store: SessionFactory, scope: Scope) -> None:
    tick(store, 0)
    with unit_of_work(store) as session:
        for row in session.scalars(select(Schedule).where(Schedule.sandbox_id == scope.sandbox_id)):
            row.is_active = False

    assert tick(store, 5) == 0


def test_names_are_unique_and_pages_follow_each_other(store: SessionFactory, scope: Scope) -> None:
    new = NewSchedule("hourly", schedules.EVALUATE_SEGMENTS, "0 2 * * *")
    with store.opened() as session:
        made = schedules.create(session, scope, new, now=START)

        (first,) = schedules.list_page(session, scope, limit=1)
        (second,) = schedules.list_page(session, scope, limit=9, after=first.id)
        assert second.id == made.id
        with pytest.raises(ConflictError):
            schedules.create(session, scope, new, now=START)
