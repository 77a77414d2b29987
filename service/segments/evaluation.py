"""Who belongs to which segment: while events come in, and in batch.

Both run the same compiled expressions and write through ``segments.memberships``.
Source: service/decisions/0011-segment-evaluation.md.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.db.statements import INTEGER, KEY, SetStatement
from service.sandboxes.scope import Scope
from service.segments import memberships
from service.segments.compiler import later
from service.segments.judging import (
    RULES_PER_STATEMENT,
    Difference,
    Judge,
    Judged,
    judge_profiles,
    judge_range,
    judges,
    streaming_judges,
)
from service.segments.memberships import Cause, Evaluated, MembershipChange, Status
from service.segments.methods import Evaluation
from service.segments.pql.reads import Reads
from service.segments.programs import program_of

__all__ = [
    "BatchStep",
    "Cause",
    "MembershipChange",
    "Status",
    "TouchedBy",
    "close_absorbed",
    "evaluate_batch",
    "evaluate_streaming",
    "truths",
]

_MOST_ROWS = 20_000
_PROFILES_PER_STEP = 1_000
_FIRST = UUID(int=0)

_NEXT_PROFILES = SetStatement(
    """
    SELECT p.id FROM profile AS p WHERE p.sandbox_id = :sandbox_id AND p.id > :after
    ORDER BY p.id LIMIT :most
    """,
    rows={},
    params={"sandbox_id": INTEGER, "after": KEY, "most": INTEGER},
    result={"id": KEY},
)
_LOCK = SetStatement(
    """
    SELECT t.id FROM profile AS t
    WHERE t.sandbox_id = :sandbox_id AND t.id IN (SELECT r.id FROM {r}) ORDER BY t.id {lock_t}
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"id": KEY},
)


@dataclass(frozen=True, slots=True)
class TouchedBy:
    """What of a profile changed in a micro-batch.

    Attributes:
        event_types: Types of its new events, as they came; an event without one counts as ``""``.
        reshaped: Whether its attributes or its set of identities changed, or it is new.
        event_id: Key of its last new event, named as the cause of what changes.
    """

    event_types: frozenset[str]
    reshaped: bool
    event_id: UUID | None


@dataclass(frozen=True, slots=True)
class BatchStep:
    """One step of a batch run.

    Attributes:
        next_key: What to pass as ``after`` for the next step; ``None`` when the run is complete.
    """

    changes: tuple[MembershipChange, ...]
    next_key: UUID | None


def evaluate_streaming(
    session: Session,
    scope: Scope,
    touched: Mapping[UUID, TouchedBy],
    *,
    now: datetime,
) -> tuple[MembershipChange, ...]:
    """Bring the memberships of touched profiles up to date and return what changed.

    Only the streaming segments that could have changed are evaluated, all of them for all profiles
    in one statement (one for each hundred rules). The micro-batch's events are inserted. The
    profiles are locked, so what is seen here is newer than every evaluation before, also where the
    clock of the process that made it was ahead: a change is then ordered just after it. The caller
    commits.
    """
    if not touched:
        return ()
    chosen = [
        each
        for each in streaming_judges(session, scope)
        if _could_change(each.reads, touched.values())
    ]
    found: list[Evaluated] = []
    for judged in judge_profiles(session, scope, chosen, touched, now=now):
        by = touched[judged.profile_id]
        cause = Cause.PROFILE if by.event_id is None else Cause.EVENT
        at = now if judged.latest is None else max(now, later(judged.latest))
        found.extend(
            _evaluated(judged, each, at, cause, by.event_id) for each in judged.differences
        )
    return memberships.apply(session, scope, found)


def close_absorbed(
    session: Session,
    scope: Scope,
    profile_ids: Collection[UUID],
    *,
    now: datetime,
) -> tuple[MembershipChange, ...]:
    """End every stay of profiles that became part of another, with the cause ``merged``.

    The profiles are locked. No statement runs for none. The caller commits.
    """
    if not profile_ids:
        return ()
    found = [
        Evaluated(
            MembershipChange(segment, profile, Status.EXITED, None, Cause.MERGED),
            max(now, later(evaluated_at)),
        )
        for segment, profile, evaluated_at in memberships.realized(session, scope, profile_ids)
    ]
    return memberships.apply(session, scope, found)


def evaluate_batch(
    session: Session,
    scope: Scope,
    segment_ids: Collection[UUID],
    *,
    now: datetime,
    after: UUID | None = None,
    limit: int = _MOST_ROWS,
    most_profiles: int = _PROFILES_PER_STEP,
) -> BatchStep:
    """Take one step of a batch run over the sandbox's profiles, in the order of their keys.

    ``now`` is the same for all steps of a run: windows are reckoned from it and events after it
    have not happened. A step looks at ``most_profiles`` without locking them; only those who would
    change are locked and evaluated again. It writes at most ``limit`` memberships (but all of
    at least one profile), each where it is newer. Someone with events that came in after ``now`` is
    left to streaming, which has seen them. The caller commits each step.
    """
    chosen = judges(session, scope, segment_ids)
    start = after or _FIRST
    params = {"sandbox_id": scope.sandbox_id, "after": start, "most": most_profiles}
    profiles = [row.id for row in _NEXT_PROFILES.run(session, params)]
    if not chosen or not profiles:
        return BatchStep((), None)
    counts: dict[UUID, int] = {}
    for judged in judge_range(session, scope, chosen, (start, profiles[-1]), now=now):
        count = len(_batch_differences(judged))
        if count:
            counts[judged.profile_id] = counts.get(judged.profile_id, 0) + count
    taken, cut_at = _within(counts, limit)
    found = _locked_changes(session, scope, chosen, taken, now)
    kept, cut_again_at = _within({key: len(each) for key, each in found.items()}, limit)
    changes = memberships.apply(session, scope, [each for key in kept for each in found[key]])
    following = profiles[-1] if len(profiles) == most_profiles else None
    return BatchStep(changes, cut_again_at or cut_at or following)


def truths(
    session: Session,
    scope: Scope,
    rules: Sequence[str],
    profile_ids: Collection[UUID],
    *,
    now: datetime,
) -> dict[UUID, tuple[bool, ...]]:
    """Return for each profile the truth of each rule (PQL text); absorbed profiles are left out.

    Raises:
        PqlError: A rule cannot be used as written.
    """
    dialect = session.get_bind().dialect.name
    answers: dict[UUID, tuple[bool, ...]] = {}
    if not profile_ids:
        return answers
    for first in range(0, len(rules), RULES_PER_STATEMENT):
        program = program_of(dialect, tuple(rules[first : first + RULES_PER_STATEMENT]))
        values = program.values(now) | {
            "sandbox_id": scope.sandbox_id,
            "ids": program.keys_value(sorted(profile_ids)),
        }
        for row in session.execute(program.truths, values):
            answers[row[0]] = answers.get(row[0], ()) + tuple(row[1:])
    return answers


def _could_change(reads: Reads, touches: Iterable[TouchedBy]) -> bool:
    for by in touches:
        if by.reshaped:
            return True
        if reads.has_event_clause and by.event_types:
            types = {each.lower() for each in by.event_types}
            if reads.event_types is None or types & reads.event_types:
                return True
    return False


def _evaluated(
    judged: Judged,
    difference: Difference,
    at: datetime,
    cause: Cause,
    event_id: UUID | None = None,
) -> Evaluated:
    segment_id = difference.judge.segment_id
    change = MembershipChange(segment_id, judged.profile_id, difference.status, event_id, cause)
    return Evaluated(change, at)


def _batch_differences(judged: Judged) -> list[Difference]:
    """Return the differences that streaming has not judged at a later moment already."""
    return [
        each
        for each in judged.differences
        if not (
            judged.has_newer
            and each.judge.evaluation is Evaluation.STREAMING
            and each.judge.reads.has_event_clause
        )
    ]


def _within(counts: Mapping[UUID, int], limit: int) -> tuple[list[UUID], UUID | None]:
    """Return the first profiles that stay within ``limit``, and the last of them if more follow."""
    taken: list[UUID] = []
    total = 0
    for key in sorted(counts):
        if taken and total + counts[key] > limit:
            return taken, taken[-1]
        taken.append(key)
        total += counts[key]
    return taken, None


def _locked_changes(
    session: Session,
    scope: Scope,
    chosen: Sequence[Judge],
    profile_ids: Sequence[UUID],
    now: datetime,
) -> dict[UUID, list[Evaluated]]:
    """Lock profiles and return what is to change of each, now that nobody else changes them."""
    found: dict[UUID, list[Evaluated]] = {}
    if not profile_ids:
        return found
    _LOCK.run(session, {"sandbox_id": scope.sandbox_id}, r=[(key,) for key in profile_ids])
    for judged in judge_profiles(session, scope, chosen, profile_ids, now=now):
        found.setdefault(judged.profile_id, []).extend(
            _evaluated(judged, each, now, Cause.BATCH) for each in _batch_differences(judged)
        )
    return found
