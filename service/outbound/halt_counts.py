"""What a kill switch stops and what it came too late for, in exact numbers."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import sorted_keys
from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.outbound import delivery_rows
from service.sandboxes.scope import Scope

EVER: Final = timedelta(days=3650)
"""Longer than anything waits."""

_HOUR = timedelta(hours=1)
_AT = {"sandbox_id": INTEGER, "moment": MOMENT}
_COUNT = {"count": INTEGER}
_WAITING = SetStatement(
    """
    SELECT COUNT(*) AS count FROM {r} JOIN delivery_due AS d
    ON d.sandbox_id = :sandbox_id AND d.lane = r.lane
    """,
    rows={"r": {"lane": TEXT}},
    params={"sandbox_id": INTEGER},
    result=_COUNT,
)


def _sent(column: str) -> SetStatement:
    return SetStatement(
        f"""
        SELECT COUNT(*) AS count FROM {{r}} JOIN delivery AS d
        ON d.sandbox_id = :sandbox_id AND d.{column} = r.id
        WHERE d.state = 'sent' AND d.ended_at > :moment
        """,  # noqa: S608 - the name of one of two columns
        rows={"r": {"id": KEY}},
        params=_AT,
        result=_COUNT,
    )


def _in_flight(column: str) -> SetStatement:
    return SetStatement(
        f"""
        SELECT COUNT(*) AS count FROM delivery_attempt AS a
        JOIN delivery AS d ON d.sandbox_id = :sandbox_id AND d.id = a.delivery_id
        JOIN {{r}} ON d.{column} = r.id
        WHERE a.sandbox_id = :sandbox_id AND a.ended_at IS NULL AND a.leased_until > :moment
        """,  # noqa: S608 - the name of one of two columns
        rows={"r": {"id": KEY}},
        params=_AT,
        result=_COUNT,
    )


_BY_ACTION = (_in_flight("action_id"), _sent("action_id"))
_BY_JOURNEY = (_in_flight("journey_id"), _sent("journey_id"))


def lines(session: Session, scope: Scope, *, now: datetime) -> tuple[str, ...]:
    """Return the name of every line of a sandbox in which something waits, due or not."""
    params = {
        "sandbox_id": scope.sandbox_id,
        "now": now + EVER,
        "first": f"{scope.sandbox_id}:",
        "last": f"{scope.sandbox_id}:g",
    }
    found = delivery_rows.DUE_LINES.run(session, params)
    # Which names lie between two others is the database's collation's to say: look at each.
    return tuple(row.lane for row in found if row.lane.startswith(f"{scope.sandbox_id}:"))


def waiting(session: Session, scope: Scope, named: Iterable[str]) -> int:
    """Return how many deliveries wait in some lines."""
    asked = [(line,) for line in sorted(set(named))]
    [row] = _WAITING.run(session, {"sandbox_id": scope.sandbox_id}, r=asked)
    return int(row.count)


def calls(
    session: Session,
    scope: Scope,
    *,
    actions: Collection[UUID] = (),
    journeys: Collection[UUID] = (),
    now: datetime,
) -> tuple[int, int]:
    """Return how many calls of some actions, or journeys, are under way, and were sent this hour.

    A call is under way from its permit until its outcome is recorded.
    """
    in_flight, sent = _BY_JOURNEY if journeys else _BY_ACTION
    asked = [(key,) for key in sorted_keys(journeys or actions)]
    keys = {"sandbox_id": scope.sandbox_id}
    [flying] = in_flight.run(session, {**keys, "moment": now}, r=asked)
    [gone] = sent.run(session, {**keys, "moment": now - _HOUR}, r=asked)
    return int(flying.count), int(gone.count)
