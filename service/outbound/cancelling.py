"""Ends deliveries whose journey is over, as long as no worker has begun them."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import sorted_keys
from service.db.statements import INTEGER, KEY, SetStatement
from service.outbound import deliveries
from service.outbound.deliveries import DeliveryState, EndedDelivery
from service.sandboxes.scope import Scope

# Whoever deletes the due row has the delivery: a worker by its claim, or a cancellation.
_TAKE = SetStatement(
    """
    DELETE FROM delivery_due
    WHERE sandbox_id = :sandbox_id AND delivery_id IN (SELECT r.id FROM {r})
    RETURNING delivery_id, attempt
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"delivery_id": KEY, "attempt": INTEGER},
)


def cancel(
    session: Session,
    scope: Scope,
    delivery_ids: Iterable[UUID],
    *,
    reason: str,
    now: datetime,
) -> frozenset[UUID]:
    """Suppress deliveries that wait for their first or next attempt; return which.

    One that a worker holds goes on: its call may be on the wire. The caller commits.
    """
    asked = [(key,) for key in sorted_keys(delivery_ids)]
    if not asked:
        return frozenset()
    taken = _TAKE.run(session, {"sandbox_id": scope.sandbox_id}, r=asked)
    ended = [
        EndedDelivery(row.delivery_id, DeliveryState.SUPPRESSED, reason, {}, row.attempt - 1)
        for row in taken
    ]
    return deliveries.end(session, scope, ended, now=now)
