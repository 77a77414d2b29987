"""Gate traces: why an entry or a send was stopped, written when it happened."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.audit.models import GateTrace
from service.core.ids import first_key_at, new_key
from service.core.json import JsonObject
from service.db.statements import BOOLEAN, INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement
from service.sandboxes.scope import Scope

_RECORD = SetStatement(
    """
    INSERT INTO gate_trace (sandbox_id, id, identity_id, journey_id, instance_id, node_id, gate,
        passed, reason, facts, at)
    SELECT :sandbox_id, r.id, r.identity_id, r.journey_id, r.instance_id, r.node_id, r.gate,
        r.passed, r.reason, r.facts, :now
    FROM {r}
    """,
    rows={
        "r": {
            "id": KEY,
            "identity_id": KEY,
            "journey_id": KEY,
            "instance_id": KEY,
            "node_id": TEXT,
            "gate": TEXT,
            "passed": BOOLEAN,
            "reason": TEXT,
            "facts": JSON_OBJECT,
        },
    },
    params={"sandbox_id": INTEGER, "now": MOMENT},
)

_REMOVE = SetStatement(
    """
    DELETE FROM gate_trace WHERE sandbox_id = :sandbox_id AND id IN (
        SELECT id FROM gate_trace WHERE sandbox_id = :sandbox_id AND id < :before
        ORDER BY id LIMIT :limit
    ) RETURNING id
    """,
    rows={},
    params={"sandbox_id": INTEGER, "before": KEY, "limit": INTEGER},
    result={"id": KEY},
)


@dataclass(frozen=True, slots=True)
class Trace:
    """One gate's verdict with the values it saw; never a token, a secret or a body."""

    identity_id: UUID
    journey_id: UUID
    gate: str
    reason: str
    facts: JsonObject = field(default_factory=dict)
    instance_id: UUID | None = None
    node_id: str | None = None
    passed: bool = False


def record(session: Session, scope: Scope, traces: Sequence[Trace], *, now: datetime) -> None:
    """Write verdicts. The caller commits."""
    rows = [
        (
            new_key(),
            trace.identity_id,
            trace.journey_id,
            trace.instance_id,
            trace.node_id,
            trace.gate,
            trace.passed,
            trace.reason,
            trace.facts,
        )
        for trace in traces
    ]
    if rows:
        _RECORD.run(session, {"sandbox_id": scope.sandbox_id, "now": now}, r=rows)


def remove_before(session: Session, scope: Scope, moment: datetime, *, limit: int) -> int:
    """Remove up to ``limit`` verdicts written before a moment; return how many. Caller commits."""
    params = {
        "sandbox_id": scope.sandbox_id,
        "before": first_key_at(moment),
        "limit": limit,
    }
    return len(_REMOVE.run(session, params))


def list_traces(
    session: Session, scope: Scope, identity_ids: Sequence[UUID], journey_id: UUID
) -> tuple[GateTrace, ...]:
    """Return what was recorded of some identities in one journey, oldest first."""
    chosen = (
        select(GateTrace)
        .where(
            GateTrace.sandbox_id == scope.sandbox_id,
            GateTrace.identity_id.in_(identity_ids),
            GateTrace.journey_id == journey_id,
        )
        .order_by(GateTrace.at, GateTrace.id)
    )
    return tuple(session.scalars(chosen))
