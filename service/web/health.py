"""Whether the process lives, and whether it can do its work."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask.views import MethodView
from marshmallow import fields
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.core.errors import StoreUnavailableError
from service.db.migrations import is_current
from service.db.session import unit_of_work
from service.flows.due_work import oldest_due_at
from service.web.api import Blueprint
from service.web.auth import open_to_everyone
from service.web.context import services
from service.web.payloads.base import Payload

blueprint = Blueprint("health", __name__, description="For the platform that runs the process.")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that readiness depends on."""

    name: str
    is_ok: bool
    detail: str


class CheckSchema(Payload):
    """One thing that readiness depends on."""

    name = fields.String(required=True)
    is_ok = fields.Boolean(required=True, data_key="ok")
    detail = fields.String(required=True)


class HealthSchema(Payload):
    """The process answers."""

    status = fields.String(required=True)


class ReadinessSchema(Payload):
    """Whether each check passed."""

    status = fields.String(required=True, metadata={"enum": ["ready", "notReady"]})
    checks = fields.List(fields.Nested(CheckSchema), required=True)


@blueprint.route("/healthz")
class Health(MethodView):
    """Liveness."""

    @open_to_everyone
    @blueprint.response(200, HealthSchema)
    def get(self) -> dict[str, str]:
        """Tell that the process answers; nothing else is looked at."""
        return {"status": "ok"}


@blueprint.route("/readyz")
class Readiness(MethodView):
    """Readiness."""

    @open_to_everyone
    @blueprint.response(200, ReadinessSchema)
    @blueprint.alt_response(503, schema=ReadinessSchema)
    def get(self) -> tuple[dict[str, Any], int]:
        """Tell whether the store is reachable and current, and no due work is too old."""
        checks = run_checks()
        is_ready = all(check.is_ok for check in checks)
        answer = {"status": "ready" if is_ready else "notReady", "checks": checks}
        return answer, 200 if is_ready else 503


def run_checks() -> tuple[Check, ...]:
    """Run every check; one that cannot run has failed."""
    named: tuple[tuple[str, Callable[[Session], Check]], ...] = (
        ("database", _reach),
        ("migrations", _compare_migrations),
        ("dueWork", _measure_lag),
    )
    return tuple(_run(name, check) for name, check in named)


def _run(name: str, check: Callable[[Session], Check]) -> Check:
    try:
        with unit_of_work(services().sessions) as session:
            return check(session)
    except (StoreUnavailableError, DBAPIError) as error:
        return Check(name, is_ok=False, detail=f"could not be checked: {type(error).__name__}")


def _reach(session: Session) -> Check:
    session.connection()
    return Check("database", is_ok=True, detail="reachable")


def _compare_migrations(session: Session) -> Check:
    current = is_current(session.connection())
    return Check("migrations", current, "current" if current else "run `edgepost migrate`")


def _measure_lag(session: Session) -> Check:
    due_at = oldest_due_at(session)
    now = services().clock.now()
    lag_s = 0 if due_at is None else max(0, int((now - due_at).total_seconds()))
    is_ok = lag_s <= services().settings.ready_lag_s
    return Check("dueWork", is_ok, f"the oldest due work is {lag_s} s old")
