"""Segment definitions: rules that were read before they were kept."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.core.ids import new_key
from service.jobs import queue
from service.jobs.queue import JobKind, NewJob
from service.sandboxes.scope import Scope
from service.segments.methods import Evaluation, decide
from service.segments.models import Segment
from service.segments.programs import rule_of

__all__ = [
    "Evaluation",
    "ExpressionFormat",
    "NewSegment",
    "SegmentChanges",
    "create",
    "delete",
    "every_id",
    "get",
    "held_ids",
    "list_page",
    "lock",
    "request_evaluation",
    "update",
]


class ExpressionFormat(StrEnum):
    """How a rule is written. Adobe's ``pql/json`` is not read yet."""

    TEXT = "pql/text"


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A segment to create.

    Attributes:
        requested_evaluation: What ``evaluationInfo`` asks for; ``None`` when it asks for nothing.
    """

    name: str
    expression_text: str
    description: str = ""
    expression_format: str = ExpressionFormat.TEXT
    requested_evaluation: Evaluation | None = None


@dataclass(frozen=True, slots=True)
class SegmentChanges:
    """What to change; ``None`` leaves a value as it is."""

    name: str | None = None
    expression_text: str | None = None
    description: str | None = None
    expression_format: str | None = None
    requested_evaluation: Evaluation | None = None


def create(session: Session, scope: Scope, new: NewSegment, *, now: datetime) -> Segment:
    """Create a segment, and a job that finds who is in it already if it is streaming.

    A batch segment has its first members after the next batch run. The caller commits.

    Raises:
        PqlError: The rule cannot be used as written; it tells where and why.
        InvalidInputError: The format is unknown, or streaming was asked for and the rule is not
            eligible for it.
        ConflictError: The name is taken in this sandbox.

    Source: Segmentation Service API, ``POST /segment/definitions``.
    """
    _refuse_format(new.expression_format)
    method = decide(rule_of(new.expression_text).expression, new.requested_evaluation)
    _refuse_taken(session, scope, new.name)
    row = Segment(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        name=new.name,
        description=new.description,
        expression_format=new.expression_format,
        expression=new.expression_text,
        evaluation=method.evaluation,
        evaluation_reason=method.reason,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    _flush(session, new.name)
    if method.evaluation is Evaluation.STREAMING:
        request_evaluation(session, scope, [row.id], now=now)
    return row


def update(
    session: Session,
    scope: Scope,
    segment_id: UUID,
    changes: SegmentChanges,
    *,
    now: datetime,
) -> Segment:
    """Change a segment; a new rule is evaluated for everybody by a job. The caller commits.

    A streaming segment stays streaming: a rule that is not eligible is refused unless batch is
    asked for with it.

    Raises:
        NotFoundError: The sandbox has no such segment.
        PqlError: The new rule cannot be used as written.
        InvalidInputError: The format is unknown, or the rule is not eligible for streaming.
        ConflictError: The new name is taken.
    """
    row = get(session, scope, segment_id)
    if changes.name not in {None, row.name}:
        _refuse_taken(session, scope, str(changes.name))
    if changes.expression_format is not None:
        _refuse_format(changes.expression_format)
        row.expression_format = changes.expression_format
    has_new_rule = changes.expression_text not in {None, row.expression}
    row.name = row.name if changes.name is None else changes.name
    row.description = row.description if changes.description is None else changes.description
    if changes.expression_text is not None:
        row.expression = changes.expression_text
    if has_new_rule or changes.requested_evaluation is not None:
        wanted = changes.requested_evaluation or Evaluation(row.evaluation)
        method = decide(rule_of(row.expression).expression, wanted)
        row.evaluation, row.evaluation_reason = method.evaluation, method.reason
    row.updated_at = now
    _flush(session, row.name)
    if has_new_rule:
        request_evaluation(session, scope, [row.id], now=now)
    return row


def delete(session: Session, scope: Scope, segment_id: UUID, *, now: datetime) -> None:
    """Remove a segment at once, and its memberships by a job in bounded steps.

    The caller commits.

    Raises:
        NotFoundError: The sandbox has no such segment.
    """
    session.delete(get(session, scope, segment_id))
    session.flush()
    job = NewJob(JobKind.FORGET_SEGMENT, str(segment_id), {"segment": str(segment_id)}, now)
    queue.enqueue(session, scope, job, now=now)


def get(session: Session, scope: Scope, segment_id: UUID) -> Segment:
    """Return one segment.

    Raises:
        NotFoundError: The sandbox has no such segment.
    """
    row = session.get(Segment, (scope.sandbox_id, segment_id))
    if row is None:
        raise NotFoundError(f"There is no segment {segment_id}.")
    return row


def lock(session: Session, scope: Scope, segment_id: UUID) -> Segment:
    """Return one segment, which nobody else changes or refers to until the transaction ends.

    Raises:
        NotFoundError: The sandbox has no such segment.
    """
    row = session.get(Segment, (scope.sandbox_id, segment_id), with_for_update=True)
    if row is None:
        raise NotFoundError(f"There is no segment {segment_id}.")
    return row


def list_page(
    session: Session,
    scope: Scope,
    *,
    limit: int,
    after: UUID | None = None,
) -> tuple[Segment, ...]:
    """Return up to ``limit`` segments, oldest first, that come after one's id."""
    chosen = select(Segment).where(Segment.sandbox_id == scope.sandbox_id)
    if after is not None:
        chosen = chosen.where(Segment.id > after)
    return tuple(session.scalars(chosen.order_by(Segment.id).limit(limit)))


def every_id(session: Session, scope: Scope) -> tuple[UUID, ...]:
    """Return the id of every segment of the sandbox."""
    chosen = select(Segment.id).where(Segment.sandbox_id == scope.sandbox_id)
    return tuple(session.scalars(chosen.order_by(Segment.id)))


def held_ids(session: Session, scope: Scope) -> tuple[UUID, ...]:
    """Return the id of every segment; until the transaction ends none of them is deleted."""
    chosen = select(Segment.id).where(Segment.sandbox_id == scope.sandbox_id)
    held = chosen.order_by(Segment.id).with_for_update(read=True, key_share=True)
    return tuple(session.scalars(held))


def request_evaluation(
    session: Session,
    scope: Scope,
    segment_ids: list[UUID] | None = None,
    *,
    now: datetime,
) -> UUID:
    """Enqueue a batch run over some segments, all without a list; return the job's id.

    Source: Segmentation Service API, ``POST /segment/jobs``.
    """
    wanted = ["*"] if segment_ids is None else [str(key) for key in segment_ids]
    key = new_key()
    job = NewJob(JobKind.EVALUATE_SEGMENTS, f"asked:{key}", {"segments": wanted}, now)
    return queue.enqueue(session, scope, job, now=now) or key


def _refuse_format(given: str) -> None:
    if given != ExpressionFormat.TEXT:
        raise InvalidInputError(
            f"A rule is written as {ExpressionFormat.TEXT.value}; {given} is not read yet.",
            field="expression.format",
        )


def _refuse_taken(session: Session, scope: Scope, name: str) -> None:
    taken = select(Segment.id).where(Segment.sandbox_id == scope.sandbox_id, Segment.name == name)
    if session.scalar(taken) is not None:
        raise ConflictError(f"A segment named {name} exists already.")


def _flush(session: Session, name: str) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(f"A segment named {name} exists already.") from error
