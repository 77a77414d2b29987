"""The vendor's last word on deliveries: by rank, so that any order of receipts ends the same."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import sorted_keys
from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.outbound.feedback import FeedbackStatus, Receipt
from service.sandboxes.scope import Scope

_SANDBOX = {"sandbox_id": INTEGER}
_RANK: Final = " ".join(f"WHEN '{each.value}' THEN {each.rank}" for each in FeedbackStatus)
_KNOWN = SetStatement(
    """
    SELECT t.id, t.identity_id FROM delivery AS t JOIN {r} ON t.id = r.id
    WHERE t.sandbox_id = :sandbox_id ORDER BY t.id {lock_t}
    """,
    rows={"r": {"id": KEY}},
    params=_SANDBOX,
    result={"id": KEY, "identity_id": KEY},
)
# A message that no call was ever made for cannot have a receipt.
_KEEP = SetStatement(
    f"""
    UPDATE delivery SET feedback = r.feedback, feedback_at = r.at, feedback_reason = r.reason
    FROM {{r}}
    WHERE delivery.sandbox_id = :sandbox_id AND delivery.id = r.id
        AND (delivery.attempts > 0 OR delivery.state IN ('waiting', 'unknown'))
        AND (delivery.feedback IS NULL
            OR CASE delivery.feedback {_RANK} ELSE 99 END < r.place)
    RETURNING delivery.id
    """,  # noqa: S608 - the names and ranks of an enum
    rows={"r": {"id": KEY, "feedback": TEXT, "place": INTEGER, "at": MOMENT, "reason": TEXT}},
    params=_SANDBOX,
    result={"id": KEY},
)
_FORGET = SetStatement(
    """
    DELETE FROM dead_letter WHERE sandbox_id = :sandbox_id AND state = 'unknown'
        AND delivery_id IN (SELECT r.id FROM {r})
    """,
    rows={"r": {"id": KEY}},
    params=_SANDBOX,
)
_ARRIVED = frozenset({FeedbackStatus.SENT, FeedbackStatus.DELIVERED, FeedbackStatus.READ})


def lock_known(session: Session, scope: Scope, ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """Lock the deliveries that exist, in key order, and return whom each is for."""
    asked = [(key,) for key in sorted_keys(ids)]
    rows = _KNOWN.run(session, {"sandbox_id": scope.sandbox_id}, r=asked)
    return {row.id: row.identity_id for row in rows}


def keep(session: Session, scope: Scope, receipts: Sequence[Receipt]) -> int:
    """Keep what says more than is known of locked deliveries; return of how many.

    What arrived after a doubtful call was sent: its dead letter goes, or a replay would send it
    twice. The caller commits.
    """
    best: dict[UUID, tuple[FeedbackStatus, Receipt]] = {}
    for each in sorted(receipts, key=lambda one: one.at):
        if each.status is None or each.delivery_id is None:
            continue
        known = best.get(each.delivery_id)
        if known is None or known[0].rank < each.status.rank:
            best[each.delivery_id] = (each.status, each)
    if not best:
        return 0
    params = {"sandbox_id": scope.sandbox_id}
    sent = [
        (key, status.value, status.rank, each.at, each.reason)
        for key, (status, each) in sorted(best.items())
    ]
    changed = _KEEP.run(session, params, r=sent)
    arrived = [(key,) for key, (status, _) in sorted(best.items()) if status in _ARRIVED]
    if arrived:
        _FORGET.run(session, params, r=arrived)
    return len(changed)
