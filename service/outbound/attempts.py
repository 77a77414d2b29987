"""Attempts: one row per call, written with its permit and ended once, by its worker or the reaper.

Source: service/decisions/0008-attempt-states.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import new_key
from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.outbound.deliveries import Lane
from service.sandboxes.scope import Scope

_START = SetStatement(
    """
    INSERT INTO delivery_attempt (sandbox_id, id, delivery_id, number, worker, lane, cap_id,
        permitted_at, leased_until)
    SELECT :sandbox_id, r.id, r.delivery_id, r.number, :worker, :lane, :cap_id,
        :permitted_at, :leased_until
    FROM {r}
    """,
    rows={"r": {"id": KEY, "delivery_id": KEY, "number": INTEGER}},
    params={
        "sandbox_id": INTEGER,
        "worker": TEXT,
        "lane": TEXT,
        "cap_id": KEY,
        "permitted_at": MOMENT,
        "leased_until": MOMENT,
    },
)
_FINISH = SetStatement(
    """
    UPDATE delivery_attempt SET ended_at = :now, outcome = r.outcome,
        status_code = r.status_code, error_code = r.error_code, elapsed_ms = r.elapsed_ms
    FROM {r}
    WHERE delivery_attempt.sandbox_id = :sandbox_id AND delivery_attempt.id = r.id
        AND delivery_attempt.worker = :worker AND delivery_attempt.ended_at IS NULL
    RETURNING delivery_attempt.id
    """,
    rows={
        "r": {
            "id": KEY,
            "outcome": TEXT,
            "status_code": INTEGER,
            "error_code": TEXT,
            "elapsed_ms": INTEGER,
        },
    },
    params={"sandbox_id": INTEGER, "worker": TEXT, "now": MOMENT},
    result={"id": KEY},
)
_REAP = SetStatement(
    """
    /* across sandboxes: doubtful-attempts */
    WITH doubtful AS MATERIALIZED (
        SELECT sandbox_id, id FROM delivery_attempt
        WHERE ended_at IS NULL AND leased_until < :now
        ORDER BY leased_until LIMIT :limit {skip_locked}
    )
    UPDATE delivery_attempt SET ended_at = :now, outcome = 'unknown', error_code = 'leaseEnded'
    WHERE (sandbox_id, id) IN (SELECT sandbox_id, id FROM doubtful)
    RETURNING sandbox_id, id, delivery_id, number, lane
    """,
    rows={},
    params={"now": MOMENT, "limit": INTEGER},
    result={"sandbox_id": INTEGER, "id": KEY, "delivery_id": KEY, "number": INTEGER, "lane": TEXT},
)
_LONGEST_CODE = 64


class AttemptOutcome(StrEnum):
    """How a call ended; ``NOT_SENT``: certainly nothing went on the wire."""

    SENT = "sent"
    FAILED = "failed"
    RETRY = "retry"
    NOT_SENT = "notSent"
    SUPPRESSED = "suppressed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """What is known of a call after it; ``status_code`` only if the vendor answered."""

    attempt_id: UUID
    outcome: AttemptOutcome
    status_code: int | None = None
    error_code: str | None = None
    elapsed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A call whose worker did not come back in time."""

    sandbox_id: int
    attempt_id: UUID
    delivery_id: UUID
    number: int
    lane: str


def start(
    session: Session,
    lane: Lane,
    calls: Sequence[tuple[UUID, int]],
    *,
    worker: str,
    cap_id: UUID,
    permitted_at: datetime,
    leased_until: datetime,
) -> list[UUID]:
    """Write the open attempts of deliveries and their numbers; return their ids, in order.

    In the transaction of their permits, so a killed worker's open attempts are exactly its doubtful
    calls. The caller commits before any call.
    """
    ids = [new_key() for _ in calls]
    if calls:
        _START.run(
            session,
            {
                "sandbox_id": lane.scope.sandbox_id,
                "worker": worker,
                "lane": lane.key,
                "cap_id": cap_id,
                "permitted_at": permitted_at,
                "leased_until": leased_until,
            },
            r=[(key, *call) for key, call in zip(ids, calls, strict=True)],
        )
    return ids


def finish(
    session: Session, scope: Scope, ended: Sequence[EndedAttempt], *, worker: str, now: datetime
) -> frozenset[UUID]:
    """End a worker's own open attempts; return which were its own and open.

    An end that comes after the reaper changes nothing, and what it would cause must not happen. The
    rows need no ordered lock: besides their worker only the reaper takes them, and it passes over
    rows that are held. The caller commits.
    """
    if not ended:
        return frozenset()
    by_id = {each.attempt_id: each for each in ended}
    kept = _FINISH.run(
        session,
        {"sandbox_id": scope.sandbox_id, "worker": worker, "now": now},
        r=[
            (
                key,
                each.outcome,
                each.status_code,
                each.error_code and each.error_code[:_LONGEST_CODE],
                each.elapsed_ms,
            )
            for key, each in sorted(by_id.items())
        ],
    )
    return frozenset(row.id for row in kept)


def reap(session: Session, *, now: datetime, limit: int) -> list[Doubtful]:
    """End as unknown up to ``limit`` attempts of all sandboxes whose lease has passed.

    Their deliveries are the caller's to end or to put back, in the same transaction.
    """
    rows = _REAP.run(session, {"now": now, "limit": limit})
    return [Doubtful(row.sandbox_id, row.id, row.delivery_id, row.number, row.lane) for row in rows]
