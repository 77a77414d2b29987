"""Liveness says the process answers; readiness says what it could not do."""

from datetime import timedelta

from flask import Flask
from sqlalchemy import text

from service.core.ids import new_key
from service.db.engine import open_engine
from service.db.session import SessionFactory, unit_of_work
from service.journeys.models import JourneyStimulus
from service.sandboxes.scope import Scope
from tests.support.admin import admin_app
from tests.support.clocks import FixedClock


def _checks(app: Flask) -> tuple[int, dict[str, bool]]:
    answer = app.test_client().get("/readyz")
    return answer.status_code, {each["name"]: each["ok"] for each in answer.get_json()["checks"]}


def _due(store: SessionFactory, scope: Scope, clock: FixedClock, seconds_ago: int) -> None:
    with unit_of_work(store) as session:
        session.add(
            JourneyStimulus(
                sandbox_id=scope.sandbox_id,
                id=new_key(),
                instance_id=new_key(),
                kind="timer",
                due_at=clock.now() - timedelta(seconds=seconds_ago),
                payload={},
            ),
        )


def test_a_process_is_alive_whatever_its_store_does(clock: FixedClock) -> None:
    engine = open_engine("postgresql+psycopg://postgres@127.0.0.1:1/nowhere")
    app = admin_app(SessionFactory(engine), clock)

    assert app.test_client().get("/healthz").status_code == 200
    assert _checks(app) == (503, {"database": False, "migrations": False, "dueWork": False})


def test_a_migrated_store_without_late_work_is_ready(app: Flask) -> None:
    assert _checks(app) == (200, {"database": True, "migrations": True, "dueWork": True})


def test_work_that_is_due_in_the_future_is_not_late(
    app: Flask,
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    _due(store, scope, clock, -86400)

    assert _checks(app)[0] == 200


def test_work_that_is_too_old_is_not_ready_and_says_how_old(
    app: Flask,
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    _due(store, scope, clock, 300)
    assert _checks(app)[0] == 200

    _due(store, scope, clock, 301)

    assert _checks(app) == (503, {"database": True, "migrations": True, "dueWork": False})
    assert "301 s" in app.test_client().get("/readyz").text


def test_a_store_of_another_revision_is_not_ready(app: Flask, store: SessionFactory) -> None:
    with unit_of_work(store) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))

    assert _checks(app) == (503, {"database": True, "migrations": False, "dueWork": True})
