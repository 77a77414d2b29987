"""Coarse background work: enqueued in the unit of work of its cause, claimed under a lease."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import new_key
from service.core.json import JsonObject
from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement
from service.sandboxes.scope import Scope

LEASE = timedelta(minutes=1)


class JobKind(StrEnum):
    """What a worker knows to do."""

    EVALUATE_SEGMENTS = "evaluate_segments"
    FORGET_SEGMENT = "forget_segment"


_ADD = SetStatement(
    """
    INSERT INTO job (sandbox_id, id, kind, dedupe_key, payload, state, due_at, attempts, created_at)
    SELECT :sandbox_id, r.id, r.kind, r.dedupe_key, r.payload, 'waiting', r.due_at, 0, :now
    FROM {r} WHERE true
    ON CONFLICT (sandbox_id, kind, dedupe_key) DO NOTHING RETURNING id
    """,
    rows={
        "r": {"id": KEY, "kind": TEXT, "dedupe_key": TEXT, "payload": JSON_OBJECT, "due_at": MOMENT}
    },
    params={"sandbox_id": INTEGER, "now": MOMENT},
    result={"id": KEY},
)
_CLAIM = SetStatement(
    """
    UPDATE /* across sandboxes: claim-jobs */ job
    SET state = 'running', attempts = attempts + 1, lease_owner = :owner, leased_until = :until
    WHERE (sandbox_id, id) IN (
        SELECT sandbox_id, id FROM job
        WHERE kind IN (SELECT r.kind FROM {r}) AND due_at <= :now
            AND (state = 'waiting' OR (state = 'running' AND leased_until < :now))
        ORDER BY due_at, id LIMIT 1 {skip_locked}
    )
    RETURNING sandbox_id, (SELECT name FROM sandbox WHERE sandbox.id = job.sandbox_id) AS sandbox,
        id, kind, payload, due_at, attempts
    """,
    rows={"r": {"kind": TEXT}},
    params={"owner": TEXT, "until": MOMENT, "now": MOMENT},
    result={
        "sandbox_id": INTEGER,
        "sandbox": TEXT,
        "id": KEY,
        "kind": TEXT,
        "payload": JSON_OBJECT,
        "due_at": MOMENT,
        "attempts": INTEGER,
    },
)
_HOLDER = {"sandbox_id": INTEGER, "id": KEY, "owner": TEXT, "attempts": INTEGER}
_HOLD = SetStatement(
    """
    UPDATE job SET leased_until = :until
    WHERE sandbox_id = :sandbox_id AND id = :id AND state = 'running'
        AND lease_owner = :owner AND attempts = :attempts
    RETURNING id
    """,
    rows={},
    params={**_HOLDER, "until": MOMENT},
    result={"id": KEY},
)
_RELEASE = SetStatement(
    """
    UPDATE job SET state = :state, result = :result, error = :error, ended_at = :ended_at,
        due_at = COALESCE(:due_at, due_at), lease_owner = NULL, leased_until = NULL
    WHERE sandbox_id = :sandbox_id AND id = :id AND state = 'running'
        AND lease_owner = :owner AND attempts = :attempts
    RETURNING id
    """,
    rows={},
    params={
        **_HOLDER,
        "state": TEXT,
        "result": JSON_OBJECT,
        "error": TEXT,
        "ended_at": MOMENT,
        "due_at": MOMENT,
    },
    result={"id": KEY},
)


@dataclass(frozen=True, slots=True)
class NewJob:
    """Work to enqueue; ``dedupe_key`` names its slot or cause within its kind."""

    kind: str
    dedupe_key: str
    payload: JsonObject
    due_at: datetime


@dataclass(frozen=True, slots=True)
class ClaimedJob:
    """Work in this worker's hands.

    Attributes:
        attempts: How often it was claimed, this time included; with ``owner`` the lease's fence.
    """

    scope: Scope
    id: UUID
    kind: str
    due_at: datetime
    owner: str
    attempts: int
    payload: JsonObject = field(default_factory=dict)


def enqueue(session: Session, scope: Scope, job: NewJob, *, now: datetime) -> UUID | None:
    """Add work and return its id, ``None`` when it was enqueued before. The caller commits."""
    key = new_key()
    row = (key, str(job.kind), job.dedupe_key, job.payload, job.due_at)
    params = {"sandbox_id": scope.sandbox_id, "now": now}
    return key if _ADD.run(session, params, r=[row]) else None


def claim(
    session: Session,
    owner: str,
    kinds: Collection[str],
    *,
    now: datetime,
    lease: timedelta = LEASE,
) -> ClaimedJob | None:
    """Take the oldest due job of one of these kinds, also from a worker whose lease has ended.

    The caller commits at once, works in transactions of its own, and calls ``hold`` in each.
    """
    params = {"owner": owner, "until": now + lease, "now": now}
    rows = _CLAIM.run(session, params, r=[(str(kind),) for kind in kinds])
    if not rows:
        return None
    row = rows[0]
    scope = Scope(row.sandbox_id, row.sandbox)
    return ClaimedJob(scope, row.id, row.kind, row.due_at, owner, row.attempts, row.payload)


def hold(
    session: Session,
    job: ClaimedJob,
    *,
    now: datetime,
    lease: timedelta = LEASE,
) -> bool:
    """Prolong the lease; false when another worker has the job, so that nothing may be written.

    Called first in a transaction it also keeps others from taking the job until the commit.
    """
    return bool(_HOLD.run(session, _holder(job) | {"until": now + lease}))


def finish(session: Session, job: ClaimedJob, result: JsonObject, *, now: datetime) -> bool:
    """Close a job with its result; false when another worker has it. The caller commits."""
    return _release(session, job, state="finished", result=result, ended_at=now)


def fail(
    session: Session,
    job: ClaimedJob,
    error: str,
    *,
    now: datetime,
    retry_at: datetime | None = None,
) -> bool:
    """Give a job back until ``retry_at``, or close it as failed; false when another has it.

    The caller commits.
    """
    if retry_at is None:
        return _release(session, job, state="failed", error=error, ended_at=now)
    return _release(session, job, state="waiting", error=error, due_at=retry_at)


def _release(session: Session, job: ClaimedJob, **changes: Any) -> bool:
    unchanged = dict.fromkeys(("result", "error", "ended_at", "due_at"))
    return bool(_RELEASE.run(session, {**_holder(job), **unchanged, **changes}))


def _holder(job: ClaimedJob) -> dict[str, Any]:
    return {
        "sandbox_id": job.scope.sandbox_id,
        "id": job.id,
        "owner": job.owner,
        "attempts": job.attempts,
    }
