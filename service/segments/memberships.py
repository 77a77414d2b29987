"""Who is in which segment now, and every stay with what began and ended it.

The only writer of both tables. A write applies only where its evaluation is newer than the row's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.sandboxes.scope import Scope
from service.segments.models import SegmentMembership, SegmentMembershipInterval

_CHANGE = {
    "segment_id": KEY,
    "profile_id": KEY,
    "status": TEXT,
    "at": MOMENT,
    "cause": TEXT,
    "event_id": KEY,
}
_APPLY = SetStatement(
    """
    INSERT INTO segment_membership
        (sandbox_id, segment_id, profile_id, status, since, evaluated_at)
    SELECT :sandbox_id, r.segment_id, r.profile_id, r.status, r.at, r.at FROM {r} WHERE true
    ON CONFLICT (sandbox_id, segment_id, profile_id) DO UPDATE
    SET status = excluded.status, since = excluded.since, evaluated_at = excluded.evaluated_at
    WHERE segment_membership.evaluated_at < excluded.evaluated_at
    RETURNING segment_id, profile_id
    """,
    rows={"r": _CHANGE},
    params={"sandbox_id": INTEGER},
    result={"segment_id": KEY, "profile_id": KEY},
)
_BEGIN = SetStatement(
    """
    INSERT INTO segment_membership_interval
        (sandbox_id, segment_id, profile_id, entered_at, cause, event_id)
    SELECT :sandbox_id, r.segment_id, r.profile_id, r.at, r.cause, r.event_id FROM {r}
    """,
    rows={"r": _CHANGE},
    params={"sandbox_id": INTEGER},
)
_END = SetStatement(
    """
    UPDATE segment_membership_interval
    SET left_at = r.at, left_cause = r.cause, left_event_id = r.event_id
    FROM {r}
    WHERE segment_membership_interval.sandbox_id = :sandbox_id
        AND segment_membership_interval.segment_id = r.segment_id
        AND segment_membership_interval.profile_id = r.profile_id
        AND segment_membership_interval.left_at IS NULL
    """,
    rows={"r": _CHANGE},
    params={"sandbox_id": INTEGER},
)
_REALIZED = SetStatement(
    """
    SELECT m.segment_id, m.profile_id, m.evaluated_at FROM segment_membership AS m
    WHERE m.sandbox_id = :sandbox_id AND m.status = 'realized'
        AND m.profile_id IN (SELECT r.id FROM {r})
    ORDER BY m.segment_id, m.profile_id
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"segment_id": KEY, "profile_id": KEY, "evaluated_at": MOMENT},
)
_FORGET_INTERVALS = SetStatement(
    """
    DELETE FROM segment_membership_interval
    WHERE sandbox_id = :sandbox_id AND segment_id = :segment_id AND profile_id IN (
        SELECT m.profile_id FROM segment_membership AS m
        WHERE m.sandbox_id = :sandbox_id AND m.segment_id = :segment_id
        ORDER BY m.profile_id LIMIT :most
    )
    """,
    rows={},
    params={"sandbox_id": INTEGER, "segment_id": KEY, "most": INTEGER},
)
_FORGET = SetStatement(
    """
    DELETE FROM segment_membership
    WHERE sandbox_id = :sandbox_id AND segment_id = :segment_id AND profile_id IN (
        SELECT m.profile_id FROM segment_membership AS m
        WHERE m.sandbox_id = :sandbox_id AND m.segment_id = :segment_id
        ORDER BY m.profile_id LIMIT :most
    )
    RETURNING profile_id
    """,
    rows={},
    params={"sandbox_id": INTEGER, "segment_id": KEY, "most": INTEGER},
    result={"profile_id": KEY},
)


class Status(StrEnum):
    """Where a profile stands in a segment; who was never in has no status."""

    REALIZED = "realized"
    EXITED = "exited"


class Cause(StrEnum):
    """What changed a membership: an event, the profile's own facts, a batch run, or a merge."""

    EVENT = "event"
    PROFILE = "profile"
    BATCH = "batch"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class MembershipChange:
    """One profile that entered or left one segment.

    Attributes:
        event_id: The event that came last before the change, where the change came with one.
    """

    segment_id: UUID
    profile_id: UUID
    status: Status
    event_id: UUID | None
    cause: Cause


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A change that an evaluation found, and the moment that orders evaluations."""

    change: MembershipChange
    at: datetime


def apply(
    session: Session,
    scope: Scope,
    found: Sequence[Evaluated],
) -> tuple[MembershipChange, ...]:
    """Write changes and their intervals where they are newer, and return those that applied.

    The profiles are locked by the caller, who commits.
    """
    if not found:
        return ()
    ordered = sorted(found, key=lambda each: (each.change.segment_id, each.change.profile_id))
    rows = {_key(each.change): _row(each) for each in ordered}
    params = {"sandbox_id": scope.sandbox_id}
    applied = {
        (row.segment_id, row.profile_id)
        for row in _APPLY.run(session, params, r=list(rows.values()))
    }
    taken = [each.change for each in ordered if _key(each.change) in applied]
    for status, statement in ((Status.EXITED, _END), (Status.REALIZED, _BEGIN)):
        of_status = [rows[_key(each)] for each in taken if each.status is status]
        if of_status:
            statement.run(session, params, r=of_status)
    return tuple(taken)


def realized(
    session: Session,
    scope: Scope,
    profile_ids: Collection[UUID],
) -> tuple[tuple[UUID, UUID, datetime], ...]:
    """Return (segment, profile, evaluated at) of every segment that these profiles are in."""
    rows = _REALIZED.run(
        session,
        {"sandbox_id": scope.sandbox_id},
        r=[(key,) for key in sorted(profile_ids)],
    )
    return tuple((row.segment_id, row.profile_id, row.evaluated_at) for row in rows)


def of_profile(session: Session, scope: Scope, profile_id: UUID) -> tuple[SegmentMembership, ...]:
    """Return where one profile stands, in the order of segments."""
    chosen = select(SegmentMembership).where(
        SegmentMembership.sandbox_id == scope.sandbox_id,
        SegmentMembership.profile_id == profile_id,
    )
    return tuple(session.scalars(chosen.order_by(SegmentMembership.segment_id)))


def history(
    session: Session,
    scope: Scope,
    segment_id: UUID,
    profile_id: UUID,
) -> tuple[SegmentMembershipInterval, ...]:
    """Return every stay of one profile in one segment, oldest first."""
    chosen = select(SegmentMembershipInterval).where(
        SegmentMembershipInterval.sandbox_id == scope.sandbox_id,
        SegmentMembershipInterval.segment_id == segment_id,
        SegmentMembershipInterval.profile_id == profile_id,
    )
    return tuple(session.scalars(chosen.order_by(SegmentMembershipInterval.entered_at)))


def forget(session: Session, scope: Scope, segment_id: UUID, *, limit: int) -> int:
    """Remove up to ``limit`` memberships of a segment with their stays; 0 when none is left."""
    params = {"sandbox_id": scope.sandbox_id, "segment_id": segment_id, "most": limit}
    _FORGET_INTERVALS.run(session, params)
    return len(_FORGET.run(session, params))


def _key(change: MembershipChange) -> tuple[UUID, UUID]:
    return change.segment_id, change.profile_id


def _row(each: Evaluated) -> tuple[UUID, UUID, str, datetime, str, UUID | None]:
    change = each.change
    return (
        change.segment_id,
        change.profile_id,
        change.status.value,
        each.at,
        change.cause.value,
        change.event_id,
    )
