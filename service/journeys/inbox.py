"""What instances are to be told: rows that a worker claims when they are due."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import derived_key, new_key
from service.core.json import JsonObject
from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement
from service.journeys.stimuli import LifeEnded, Stimulus, Stopped, TimerFired, stimulus_to_row
from service.sandboxes.scope import Scope

_TELL = SetStatement(
    """
    INSERT INTO journey_stimulus (sandbox_id, id, instance_id, kind, due_at, payload)
    SELECT :sandbox_id, r.id, r.instance_id, r.kind, r.due_at, r.payload
    FROM {r} WHERE true ON CONFLICT DO NOTHING
    """,
    rows={
        "r": {
            "id": KEY,
            "instance_id": KEY,
            "kind": TEXT,
            "due_at": MOMENT,
            "payload": JSON_OBJECT,
        },
    },
    params={"sandbox_id": INTEGER},
)
# The instance's own key is the stimulus' key: no two stops of one instance can wait.
_TELL_ALL_INSIDE = SetStatement(
    """
    INSERT INTO journey_stimulus (sandbox_id, id, instance_id, kind, due_at, payload)
    SELECT t.sandbox_id, t.id, t.id, :kind, :now, :payload FROM journey_instance AS t
    WHERE t.sandbox_id = :sandbox_id AND t.journey_id = :journey_id AND t.ended_at IS NULL
        AND t.version_id IN (SELECT r.version_id FROM {r})
    ON CONFLICT DO NOTHING
    """,
    rows={"r": {"version_id": KEY}},
    params={
        "sandbox_id": INTEGER,
        "journey_id": KEY,
        "now": MOMENT,
        "kind": TEXT,
        "payload": JSON_OBJECT,
    },
)
_EXPIRED = SetStatement(
    """
    SELECT t.id FROM journey_instance AS t
    WHERE t.sandbox_id = :sandbox_id AND t.ended_at IS NULL AND t.expires_at <= :now
    ORDER BY t.id LIMIT :limit
    """,
    rows={},
    params={"sandbox_id": INTEGER, "now": MOMENT, "limit": INTEGER},
    result={"id": KEY},
)
# The plan must read the due rows once; without MATERIALIZED PostgreSQL may repeat the sub-select
# and claim more than the limit.
_CLAIM = SetStatement(
    """
    /* across sandboxes: claim-stimuli */
    WITH due AS MATERIALIZED (
        SELECT sandbox_id, id FROM journey_stimulus WHERE due_at <= :now
        ORDER BY due_at LIMIT :limit {skip_locked}
    )
    DELETE FROM journey_stimulus
    WHERE (sandbox_id, id) IN (SELECT sandbox_id, id FROM due)
    RETURNING sandbox_id, id, instance_id, kind, due_at, payload
    """,
    rows={},
    params={"now": MOMENT, "limit": INTEGER},
    result={
        "sandbox_id": INTEGER,
        "id": KEY,
        "instance_id": KEY,
        "kind": TEXT,
        "due_at": MOMENT,
        "payload": JSON_OBJECT,
    },
)


@dataclass(frozen=True, slots=True)
class Told:
    """A stimulus for one instance, not before ``due_at``."""

    instance_id: UUID
    stimulus: Stimulus
    due_at: datetime

    @property
    def key(self) -> UUID:
        """The row's key: a timer and the end of a life have theirs by what they say."""
        match self.stimulus:
            case TimerFired(sequence):
                return derived_key("timerFired", str(self.instance_id), str(sequence))
            case LifeEnded():
                return derived_key("lifeEnded", str(self.instance_id))
        return new_key()


@dataclass(frozen=True, slots=True)
class Claimed:
    """A stimulus as it was stored; its row is gone once the caller commits."""

    sandbox_id: int
    id: UUID
    instance_id: UUID
    kind: str
    due_at: datetime
    payload: JsonObject


def tell(session: Session, scope: Scope, told: Sequence[Told]) -> None:
    """Store stimuli; one that names itself is stored once. The caller commits."""
    if not told:
        return
    rows = []
    for each in told:
        kind, payload = stimulus_to_row(each.stimulus)
        rows.append((each.key, each.instance_id, kind, each.due_at, payload))
    _TELL.run(session, {"sandbox_id": scope.sandbox_id}, r=sorted(rows, key=lambda row: row[0].int))


def stop_all(
    session: Session,
    scope: Scope,
    journey_id: UUID,
    version_ids: Iterable[UUID],
    *,
    now: datetime,
) -> None:
    """Tell everyone inside these versions that the journey was stopped. The caller commits."""
    kind, payload = stimulus_to_row(Stopped())
    _TELL_ALL_INSIDE.run(
        session,
        {
            "sandbox_id": scope.sandbox_id,
            "journey_id": journey_id,
            "now": now,
            "kind": kind,
            "payload": payload,
        },
        r=[(version_id,) for version_id in version_ids],
    )


def end_old_lives(session: Session, scope: Scope, *, now: datetime, limit: int = 5000) -> int:
    """Tell up to ``limit`` instances that their 91 days are over; return how many there are.

    For housekeeping. The caller commits.
    """
    params = {"sandbox_id": scope.sandbox_id, "now": now, "limit": limit}
    expired = [row.id for row in _EXPIRED.run(session, params)]
    tell(session, scope, [Told(key, LifeEnded(), now) for key in expired])
    return len(expired)


def claim(session: Session, *, now: datetime, limit: int) -> list[Claimed]:
    """Take up to ``limit`` due stimuli of all sandboxes, oldest first, that no other worker holds.

    They are given back when the caller rolls back or dies.
    """
    rows = _CLAIM.run(session, {"now": now, "limit": limit})
    claimed = [
        Claimed(row.sandbox_id, row.id, row.instance_id, row.kind, row.due_at, row.payload)
        for row in rows
    ]
    return sorted(claimed, key=lambda each: (each.due_at, each.id))


def give_back(
    session: Session, scope: Scope, claimed: Sequence[Claimed], *, due_at: datetime
) -> None:
    """Store claimed stimuli again as they were, for later. The caller commits."""
    if claimed:
        rows = [(each.id, each.instance_id, each.kind, due_at, each.payload) for each in claimed]
        _TELL.run(
            session, {"sandbox_id": scope.sandbox_id}, r=sorted(rows, key=lambda row: row[0].int)
        )
