"""What keeps the store small: bounded steps, each in a transaction of its own."""

from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.audit import entries as audit_entries
from service.audit import gate_traces
from service.catalog import datasets
from service.core.clock import Clock
from service.db.session import SessionFactory, unit_of_work
from service.flows import refusals
from service.journeys import inbox, lifecycle
from service.ledger import entries
from service.outbound import capping, dead_letters, kept_interactions, token_rows
from service.profiles import live_activities, retention
from service.sandboxes import registry
from service.sandboxes.scope import Scope

ROWS_AT_ONCE = 5000
TRACE_LIFE = timedelta(days=91)
REFUSAL_LIFE = timedelta(days=91)

Step = Callable[[Session, Scope, datetime], object]


def run(sessions: SessionFactory, clock: Clock) -> int:
    """Do every step once for every sandbox; return 0, so that its pump waits for its next turn."""
    with unit_of_work(sessions) as session:
        scopes = [Scope(each.id, each.name) for each in registry.list_all(session)]
    for scope in scopes:
        for step in _STEPS:
            with unit_of_work(sessions) as session:
                step(session, scope, clock.now())
    return 0


def _end_old_lives(session: Session, scope: Scope, now: datetime) -> None:
    inbox.end_old_lives(session, scope, now=now)


def _finish_closed(session: Session, scope: Scope, now: datetime) -> None:
    lifecycle.finish_closed(session, scope, now=now)


def _roll_up(session: Session, scope: Scope, _now: datetime) -> None:
    entries.roll_up(session, scope)


def _forget_grants(session: Session, scope: Scope, _now: datetime) -> None:
    capping.forget_ended(session, scope)


def _remove_vendor_tokens(session: Session, scope: Scope, _now: datetime) -> None:
    token_rows.remove_ended(session, scope, limit=ROWS_AT_ONCE)


def _remove_events(session: Session, scope: Scope, now: datetime) -> None:
    kept_since = {
        each.id: now - timedelta(days=each.retention_days)
        for each in datasets.list_all(session, scope)
    }
    retention.remove_events(session, scope, kept_since, limit=ROWS_AT_ONCE)


def _remove_fragments(session: Session, scope: Scope, now: datetime) -> None:
    retention.remove_fragments(session, scope, now=now, limit=ROWS_AT_ONCE)


def _remove_live_activities(session: Session, scope: Scope, now: datetime) -> None:
    live_activities.remove_ended(session, scope, now=now, limit=ROWS_AT_ONCE)


def _remove_interactions(session: Session, scope: Scope, now: datetime) -> None:
    kept_interactions.remove_old(session, scope, now=now, limit=ROWS_AT_ONCE)


def _remove_dead_letters(session: Session, scope: Scope, now: datetime) -> None:
    dead_letters.remove_expired(session, scope, now=now, limit=ROWS_AT_ONCE)


def _remove_refusals(session: Session, scope: Scope, now: datetime) -> None:
    audit_entries.remove_before(
        session, scope, refusals.ACTIONS, now - REFUSAL_LIFE, limit=ROWS_AT_ONCE
    )


def _remove_traces(session: Session, scope: Scope, now: datetime) -> None:
    gate_traces.remove_before(session, scope, now - TRACE_LIFE, limit=ROWS_AT_ONCE)


_STEPS: tuple[Step, ...] = (
    _end_old_lives,
    _finish_closed,
    _roll_up,
    _forget_grants,
    _remove_events,
    _remove_fragments,
    _remove_live_activities,
    _remove_interactions,
    _remove_dead_letters,
    _remove_refusals,
    _remove_traces,
    _remove_vendor_tokens,
)
