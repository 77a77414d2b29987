"""Loads segments, runs their compiled rules and says how memberships differ from the truth."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.orm import Session

from service.db.statements import INTEGER, KEY, TEXT, SetStatement
from service.sandboxes.scope import Scope
from service.segments.memberships import Status
from service.segments.methods import Evaluation
from service.segments.pql.reads import Reads
from service.segments.programs import Program, program_of, rule_of, segment_values

RULES_PER_STATEMENT = 100
_LEAVES_PER_STATEMENT = 1_000
_JUDGED = len(("id", "latest", "newer"))

_STREAMING = SetStatement(
    """
    SELECT s.id, s.expression, s.evaluation FROM segment AS s
    WHERE s.sandbox_id = :sandbox_id AND s.evaluation = 'streaming' ORDER BY s.id
    """,
    rows={},
    params={"sandbox_id": INTEGER},
    result={"id": KEY, "expression": TEXT, "evaluation": TEXT},
)
_CHOSEN = SetStatement(
    """
    SELECT s.id, s.expression, s.evaluation FROM segment AS s
    WHERE s.sandbox_id = :sandbox_id AND s.id IN (SELECT r.id FROM {r}) ORDER BY s.id
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"id": KEY, "expression": TEXT, "evaluation": TEXT},
)


@dataclass(frozen=True, slots=True)
class Judge:
    """A segment as evaluation needs it."""

    segment_id: UUID
    expression: str
    reads: Reads
    leaf_count: int
    evaluation: Evaluation


@dataclass(frozen=True, slots=True)
class Difference:
    """A profile that is to enter or leave a segment."""

    judge: Judge
    status: Status


@dataclass(frozen=True, slots=True)
class Judged:
    """A profile whose memberships differ from the truth.

    Attributes:
        latest: The newest evaluation that any of the memberships looked at has.
        has_newer: Whether events of the profile came in after the moment of this evaluation.
    """

    profile_id: UUID
    latest: datetime | None
    has_newer: bool
    differences: tuple[Difference, ...]


def streaming_judges(session: Session, scope: Scope) -> tuple[Judge, ...]:
    """Return the streaming segments of the sandbox."""
    return _judges(_STREAMING.run(session, {"sandbox_id": scope.sandbox_id}))


def judges(session: Session, scope: Scope, segment_ids: Collection[UUID]) -> tuple[Judge, ...]:
    """Return those of the segments that exist."""
    keys = [(key,) for key in sorted(segment_ids)]
    return _judges(_CHOSEN.run(session, {"sandbox_id": scope.sandbox_id}, r=keys))


def judge_profiles(
    session: Session,
    scope: Scope,
    chosen: Sequence[Judge],
    profile_ids: Collection[UUID],
    *,
    now: datetime,
) -> Iterator[Judged]:
    """Yield the differences of these profiles; one statement for each hundred rules."""
    for part in _parts(chosen):
        program = _program(session, part)
        values = _values(program, scope, part, now)
        values["ids"] = program.keys_value(sorted(profile_ids))
        for row in session.execute(program.changes, values):
            yield _judged(row, part)


def judge_range(
    session: Session,
    scope: Scope,
    chosen: Sequence[Judge],
    stretch: tuple[UUID, UUID],
    *,
    now: datetime,
) -> Iterator[Judged]:
    """Yield the differences of the profiles after the first key up to the second."""
    after, through = stretch
    for part in _parts(chosen):
        program = _program(session, part)
        values = _values(program, scope, part, now) | {"after": after, "through": through}
        for row in session.execute(program.changes_between, values):
            yield _judged(row, part)


def _program(session: Session, part: Sequence[Judge]) -> Program:
    return program_of(session.get_bind().dialect.name, tuple(each.expression for each in part))


def _values(program: Program, scope: Scope, part: Sequence[Judge], now: datetime) -> dict[str, Any]:
    segments = segment_values([each.segment_id for each in part])
    return {**program.values(now), **segments, "sandbox_id": scope.sandbox_id}


def _judged(row: Row[Any], part: Sequence[Judge]) -> Judged:
    truths, members = row[_JUDGED : _JUDGED + len(part)], row[_JUDGED + len(part) :]
    differences = tuple(
        Difference(judge, Status.REALIZED if is_true else Status.EXITED)
        for judge, is_true, is_member in zip(part, truths, members, strict=True)
        if is_true != is_member
    )
    return Judged(row.id, row.latest, row.newer > 0, differences)


def _judges(rows: Iterable[Row[Any]]) -> tuple[Judge, ...]:
    return tuple(
        Judge(row.id, row.expression, rule.reads, rule.leaf_count, Evaluation(row.evaluation))
        for row, rule in ((row, rule_of(row.expression)) for row in rows)
    )


def _parts(chosen: Iterable[Judge]) -> Iterator[list[Judge]]:
    """Yield segments in groups that one statement can take."""
    part: list[Judge] = []
    leaves = 0
    for each in chosen:
        if part and (
            len(part) == RULES_PER_STATEMENT or leaves + each.leaf_count > _LEAVES_PER_STATEMENT
        ):
            yield part
            part, leaves = [], 0
        part.append(each)
        leaves += each.leaf_count
    if part:
        yield part
