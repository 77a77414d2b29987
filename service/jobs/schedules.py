"""When coarse work recurs; the clock reads these rows and only enqueues."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.core.errors import ConflictError
from service.core.ids import new_key
from service.core.json import JsonObject
from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement
from service.jobs import queue
from service.jobs.models import Schedule
from service.jobs.queue import JobKind, NewJob
from service.sandboxes.scope import Scope

EVALUATE_SEGMENTS = JobKind.EVALUATE_SEGMENTS.value

_DUE = SetStatement(
    """
    SELECT t.sandbox_id, s.name AS sandbox, t.id, t.kind, t.cron, t.payload, t.next_slot_at
    FROM sandbox AS s JOIN schedule AS t ON t.sandbox_id = s.id
    WHERE t.is_active AND (t.next_slot_at IS NULL OR t.next_slot_at <= :now)
    ORDER BY t.sandbox_id, t.id {lock_t}
    """,
    rows={},
    params={"now": MOMENT},
    result={
        "sandbox_id": INTEGER,
        "sandbox": TEXT,
        "id": KEY,
        "kind": TEXT,
        "cron": TEXT,
        "payload": JSON_OBJECT,
        "next_slot_at": MOMENT,
    },
)
_MOVE_ON = SetStatement(
    """
    UPDATE schedule SET next_slot_at = r.next_slot_at
    FROM {r} WHERE schedule.sandbox_id = r.sandbox_id AND schedule.id = r.id
    """,
    rows={"r": {"sandbox_id": INTEGER, "id": KEY, "next_slot_at": MOMENT}},
)


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A recurring kind of job; ``cron`` has five fields and is read in UTC."""

    name: str
    kind: str
    cron: str
    payload: JsonObject = field(default_factory=dict)


def create(session: Session, scope: Scope, new: NewSchedule, *, now: datetime) -> Schedule:
    """Create an active schedule; its first slot is computed by the clock. The caller commits.

    Raises:
        ConflictError: The name is taken in this sandbox.
    """
    schedule = Schedule(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        name=new.name,
        kind=new.kind,
        cron=new.cron,
        payload=new.payload,
        is_active=True,
        next_slot_at=None,
        created_at=now,
    )
    session.add(schedule)
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(f"A schedule named {new.name} exists already.") from error
    return schedule


def list_page(
    session: Session,
    scope: Scope,
    *,
    limit: int,
    after: UUID | None = None,
) -> tuple[Schedule, ...]:
    """Return up to ``limit`` schedules, oldest first, that come after one's id."""
    chosen = select(Schedule).where(Schedule.sandbox_id == scope.sandbox_id)
    if after is not None:
        chosen = chosen.where(Schedule.id > after)
    return tuple(session.scalars(chosen.order_by(Schedule.id).limit(limit)))


def enqueue_due(
    session: Session,
    next_time: Callable[[str, datetime], datetime],
    *,
    now: datetime,
) -> int:
    """Enqueue a job for each slot that is due in any sandbox, and return how many were new.

    ``next_time`` gives the first slot of a cron line after a moment, in UTC. A job's key is its
    schedule and slot, so a slot runs once however many clocks tick. Of slots that were missed while
    no clock ran, one is made up for: the earliest. The caller commits.
    """
    rows = _DUE.run(session, {"now": now})
    enqueued = 0
    for row in rows:
        if row.next_slot_at is not None:
            slot = row.next_slot_at.astimezone(UTC).isoformat()
            job = NewJob(row.kind, f"{row.id}:{slot}", row.payload, row.next_slot_at)
            scope = Scope(row.sandbox_id, row.sandbox)
            enqueued += queue.enqueue(session, scope, job, now=now) is not None
    if rows:
        following = [(row.sandbox_id, row.id, next_time(row.cron, now)) for row in rows]
        _MOVE_ON.run(session, {}, r=following)
    return enqueued
