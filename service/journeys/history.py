"""The rows of step events: what happened to people at nodes, each kept once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.json import JsonObject
from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement
from service.journeys.models import StepEvent
from service.journeys.step_events import Run, Step, step_id, step_to_xdm
from service.sandboxes.scope import Scope

BESIDE = 0
"""The sequence of what stands beside the numbered steps."""
_RECORD = SetStatement(
    """
    INSERT INTO step_event (sandbox_id, id, instance_id, journey_version_id, node_id, sequence,
        kind, at, body, delivery_id)
    SELECT :sandbox_id, r.id, r.instance_id, r.version_id, r.node_id, r.sequence, r.kind, r.at,
        r.body, r.delivery_id
    FROM {r} WHERE true ON CONFLICT DO NOTHING
    """,
    rows={
        "r": {
            "id": KEY,
            "instance_id": KEY,
            "version_id": KEY,
            "node_id": TEXT,
            "sequence": INTEGER,
            "kind": TEXT,
            "at": MOMENT,
            "body": JSON_OBJECT,
            "delivery_id": KEY,
        },
    },
    params={"sandbox_id": INTEGER},
)


@dataclass(frozen=True, slots=True)
class HappenedStep:
    """A step, whose it is, and the delivery it wrote or learned the end of."""

    step: Step
    run: Run
    delivery_id: UUID | None = None


class StepRow(NamedTuple):
    """A step as it is stored: the columns of its row in their order."""

    id: UUID
    instance_id: UUID
    version_id: UUID
    node_id: str
    sequence: int
    kind: str
    at: datetime
    body: JsonObject
    delivery_id: UUID | None


def record(session: Session, scope: Scope, happened: Sequence[HappenedStep]) -> None:
    """Store steps; one that is stored already stays as it is. The caller commits."""
    rows = [
        StepRow(
            step_id(each.run.instance_id, each.step.sequence),
            each.run.instance_id,
            each.run.journey_version_id,
            each.step.node_id,
            each.step.sequence,
            each.step.ledger_kind,
            each.step.at,
            step_to_xdm(each.step, each.run),
            each.delivery_id,
        )
        for each in happened
    ]
    store(session, scope, rows)


def store(session: Session, scope: Scope, rows: Sequence[StepRow]) -> None:
    """Store steps as rows; one that is stored already stays as it is. The caller commits."""
    if rows:
        in_order = sorted(rows, key=lambda row: row.id.int)
        _RECORD.run(session, {"sandbox_id": scope.sandbox_id}, r=in_order)


def list_page(
    session: Session,
    scope: Scope,
    instance_id: UUID,
    *,
    after: int = 0,
    limit: int = 200,
) -> tuple[StepEvent, ...]:
    """Return up to ``limit`` steps of one instance in their order, past sequence ``after``.

    What stands beside them is not among them.
    """
    chosen = (
        select(StepEvent)
        .where(
            StepEvent.sandbox_id == scope.sandbox_id,
            StepEvent.instance_id == instance_id,
            StepEvent.sequence > after,
        )
        .order_by(StepEvent.sequence)
        .limit(limit)
    )
    return tuple(session.scalars(chosen))


def list_story(
    session: Session, scope: Scope, instance_id: UUID, *, limit: int = 200
) -> tuple[StepEvent, ...]:
    """Return up to ``limit`` steps of one instance, and among them by time what stands beside.

    Of that there may be as much again. The steps keep their order, whatever their times.
    """
    chosen = (
        select(StepEvent)
        .where(
            StepEvent.sandbox_id == scope.sandbox_id,
            StepEvent.instance_id == instance_id,
            StepEvent.sequence == BESIDE,
        )
        .order_by(StepEvent.at, StepEvent.id)
        .limit(limit)
    )
    steps = list_page(session, scope, instance_id, limit=limit)
    return tuple(merge(steps, session.scalars(chosen), key=lambda each: each.at))
