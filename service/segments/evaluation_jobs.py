"""Batch runs on demand, and what became of them.

Source: Segmentation Service API, ``/segment/jobs`` and its states.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.errors import NotFoundError
from service.core.json import JsonObject
from service.jobs.models import Job
from service.jobs.queue import JobKind
from service.sandboxes.scope import Scope
from service.segments import definitions

_STATUS = {
    "waiting": "QUEUED",
    "running": "PROCESSING",
    "finished": "SUCCEEDED",
    "failed": "FAILED",
}


@dataclass(frozen=True, slots=True)
class EvaluationJob:
    """A batch run in Adobe's words; ``metrics`` counts what it changed, once it has ended."""

    id: UUID
    status: str
    segments: tuple[str, ...]
    metrics: JsonObject
    created_at: datetime
    ended_at: datetime | None


def start(
    session: Session,
    scope: Scope,
    segment_ids: list[UUID],
    *,
    now: datetime,
) -> EvaluationJob:
    """Enqueue a batch run over these segments, over all without any. The caller commits.

    Raises:
        NotFoundError: One of them does not exist.
    """
    for segment_id in segment_ids:
        definitions.get(session, scope, segment_id)
    job_id = definitions.request_evaluation(session, scope, segment_ids or None, now=now)
    return get(session, scope, job_id)


def get(session: Session, scope: Scope, job_id: UUID) -> EvaluationJob:
    """Return one batch run.

    Raises:
        NotFoundError: There is no such run in this sandbox.
    """
    job = session.get(Job, (scope.sandbox_id, job_id))
    if job is None or job.kind != JobKind.EVALUATE_SEGMENTS:
        raise NotFoundError(f"There is no segment job {job_id}.")
    return EvaluationJob(
        job.id,
        _STATUS[job.state],
        tuple(job.payload.get("segments", ["*"])),
        job.result or {},
        job.created_at,
        job.ended_at,
    )
