"""Batch evaluation: a job from its claim to its end, one short transaction for each step."""

from datetime import datetime
from uuid import UUID

from service.core.clock import Clock
from service.core.json import JsonObject
from service.db.session import SessionFactory, unit_of_work
from service.jobs import queue
from service.jobs.queue import ClaimedJob, JobKind
from service.jobs.wakeup import notify
from service.journeys import entry
from service.journeys.entry import ReadingRate
from service.segments import definitions, evaluation, memberships
from service.segments.evaluation import Status

KINDS = (JobKind.EVALUATE_SEGMENTS, JobKind.FORGET_SEGMENT)
_ROWS_PER_STEP = 20_000
_MOST_ATTEMPTS = 3


def run_due(sessions: SessionFactory, owner: str, clock: Clock) -> int:
    """Claim the oldest due job about segments and do all of it; return how many that was.

    A worker that dies leaves its job to whoever claims it after the lease; the run then begins
    again, and finds nothing to change where the first was. The third claim is the last.

    Raises:
        StoreUnavailableError: The job stays claimed until its lease ends, as after any error.
    """
    with unit_of_work(sessions) as session:
        job = queue.claim(session, owner, KINDS, now=clock.now())
        if job is None:
            return 0
        if job.attempts > _MOST_ATTEMPTS:
            queue.fail(session, job, f"given up after {_MOST_ATTEMPTS} attempts", now=clock.now())
            return 1
    result = _do(sessions, job, clock)
    if result is not None:
        with unit_of_work(sessions) as session:
            queue.finish(session, job, result, now=clock.now())
    return 1


def _do(sessions: SessionFactory, job: ClaimedJob, clock: Clock) -> JsonObject | None:
    if job.kind == JobKind.FORGET_SEGMENT:
        return _forget(sessions, job, clock)
    return _evaluate(sessions, job, clock)


def _evaluate(sessions: SessionFactory, job: ClaimedJob, clock: Clock) -> JsonObject | None:
    """Evaluate the job's segments for everybody; ``None`` when another worker took over."""
    now = clock.now()
    with unit_of_work(sessions) as session:
        wanted = job.payload.get("segments", ["*"])
        segment_ids = (
            definitions.every_id(session, job.scope)
            if "*" in wanted
            else tuple(UUID(text) for text in wanted)
        )
    counts = dict.fromkeys(Status, 0)
    entered = 0
    after: UUID | None = None
    while True:
        with unit_of_work(sessions) as session:
            if not queue.hold(session, job, now=clock.now()):
                return None
            step = evaluation.evaluate_batch(
                session, job.scope, segment_ids, now=now, after=after, limit=_ROWS_PER_STEP
            )
            rate = ReadingRate(ahead=entered)
            came = entry.enter_qualified(session, job.scope, step.changes, now=now, reading=rate)
            if came:
                notify(session)
        entered += came
        for change in step.changes:
            counts[change.status] += 1
        after = step.next_key
        if after is None:
            break
    return _result(counts, len(segment_ids), entered, now)


def _result(counts: dict[Status, int], segments: int, entered: int, now: datetime) -> JsonObject:
    return {
        "evaluatedAt": now.isoformat().replace("+00:00", "Z"),
        "segments": segments,
        "realized": counts[Status.REALIZED],
        "exited": counts[Status.EXITED],
        "entered": entered,
    }


def _forget(sessions: SessionFactory, job: ClaimedJob, clock: Clock) -> JsonObject | None:
    """Remove what a deleted segment left; ``None`` when another worker took over."""
    segment_id = UUID(job.payload["segment"])
    removed = 0
    while True:
        with unit_of_work(sessions) as session:
            if not queue.hold(session, job, now=clock.now()):
                return None
            count = memberships.forget(session, job.scope, segment_id, limit=_ROWS_PER_STEP)
        removed += count
        if count == 0:
            return {"removed": removed}
