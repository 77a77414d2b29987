"""Two real connections: a batch step and a request that judge one person at the same time."""

from datetime import timedelta
from threading import Event, Thread

from sqlalchemy import text

from service.db.session import SessionFactory, unit_of_work
from service.sandboxes.scope import Scope
from service.segments import evaluation, memberships
from service.segments.evaluation import MembershipChange, TouchedBy
from tests.segments import worlds
from tests.segments.worlds import NOW, Person

RESHAPED = TouchedBy(frozenset(), reshaped=True, event_id=None)
_WAITING = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


def somebody_waits(store: SessionFactory) -> None:
    """Return when a connection of the store's database waits for a lock."""
    for _ in range(500):
        with store.engine.connect() as connection:
            if connection.execute(_WAITING).scalar_one():
                return
        Event().wait(0.02)
    raise AssertionError("the batch did not wait for the person's lock")


def test_a_batch_waits_for_the_request_that_holds_a_person_and_judges_what_it_left(
    postgres_store: SessionFactory,
    scope: Scope,
) -> None:
    store = postgres_store
    with unit_of_work(store) as session:
        segment = worlds.add_segment(session, scope, 'city = "DE"')
        ada = worlds.add_person(session, scope, "ada", Person({"city": "DE"}))
        evaluation.evaluate_streaming(session, scope, {ada: RESHAPED}, now=NOW)
        worlds.say(session, scope, ada, {"city": "FR"})
    changes: list[MembershipChange] = []

    def run() -> None:
        now = NOW + timedelta(hours=1)
        with unit_of_work(store) as session:
            step = evaluation.evaluate_batch(session, scope, [segment], now=now)
            changes.extend(step.changes)

    batch = Thread(target=run)
    with unit_of_work(store) as session:
        worlds.say(session, scope, ada, {"city": "DE"})
        evaluation.evaluate_streaming(session, scope, {ada: RESHAPED}, now=NOW)
        batch.start()
        somebody_waits(store)
    batch.join()

    assert changes == []
    with store.opened() as session:
        (row,) = memberships.of_profile(session, scope, ada)
        assert row.status == "realized"
