"""The rows of interactions: each kept once, on the delivery it is about.

Source: service/decisions/0016-tracking.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.ids import sorted_keys
from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.outbound.interactions import Interaction, InteractionKind
from service.outbound.models import DeliveryInteraction
from service.sandboxes.scope import Scope

MOST_OF_A_DELIVERY = 100
# A message that no call was ever made for cannot have been seen. The reaper ends a dead worker's
# calls as unknown without counting them.
_ADD = SetStatement(
    """
    INSERT INTO delivery_interaction (sandbox_id, delivery_id, id, kind, action_id, at)
    SELECT :sandbox_id, d.id, r.id, r.kind, r.action_id, r.at
    FROM {r} JOIN delivery AS d ON d.sandbox_id = :sandbox_id AND d.id = r.delivery_id
    WHERE (d.attempts > 0 OR d.state IN ('waiting', 'unknown'))
        AND (
            SELECT COUNT(*) FROM delivery_interaction AS x
            WHERE x.sandbox_id = :sandbox_id AND x.delivery_id = d.id
        ) < :most
    ON CONFLICT DO NOTHING RETURNING id
    """,
    rows={
        "r": {"id": KEY, "delivery_id": KEY, "kind": TEXT, "action_id": TEXT, "at": MOMENT},
    },
    params={"sandbox_id": INTEGER, "most": INTEGER},
    result={"id": KEY},
)
_OPEN = SetStatement(
    """
    UPDATE delivery SET opened_at = o.at
    FROM (
        SELECT t.id, r.at FROM delivery AS t JOIN {r} ON t.id = r.id
        WHERE t.sandbox_id = :sandbox_id AND (t.opened_at IS NULL OR t.opened_at > r.at)
        ORDER BY t.id {lock_t}
    ) AS o
    WHERE delivery.sandbox_id = :sandbox_id AND delivery.id = o.id
    """,
    rows={"r": {"id": KEY, "at": MOMENT}},
    params={"sandbox_id": INTEGER},
)
_READ = SetStatement(
    """
    SELECT d.id, d.opened_at, x.kind, x.action_id
    FROM {r} JOIN delivery AS d ON d.sandbox_id = :sandbox_id AND d.id = r.id
    LEFT JOIN delivery_interaction AS x ON x.sandbox_id = :sandbox_id AND x.delivery_id = d.id
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"id": KEY, "opened_at": MOMENT, "kind": TEXT, "action_id": TEXT},
)


@dataclass(frozen=True, slots=True)
class TrackedEvent:
    """A tracking event; ``key`` is the event's."""

    key: UUID
    delivery_id: UUID
    interaction: Interaction
    at: datetime


def keep(
    session: Session, scope: Scope, tracked: Sequence[TrackedEvent]
) -> tuple[TrackedEvent, ...]:
    """Store interactions with the deliveries they name; return those that are new, by delivery.

    Passed over are ids that no delivery of the sandbox has, messages that were never called for,
    and what a delivery is told beyond its first hundred: all of them come from devices. The first
    open becomes ``opened_at``. One statement, or two when something was opened. The caller commits.
    """
    params = {"sandbox_id": scope.sandbox_id, "most": MOST_OF_A_DELIVERY}
    asked = sorted(tracked, key=lambda each: (each.delivery_id, each.key))
    added = _ADD.run(
        session,
        params,
        r=[
            (each.key, each.delivery_id, each.interaction.kind, each.interaction.action_id, each.at)
            for each in asked
        ],
    )
    new = {row.id for row in added}
    kept = tuple(each for each in asked if each.key in new)
    first: dict[UUID, datetime] = {}
    for each in kept:
        if each.interaction.opens_app:
            first[each.delivery_id] = min(each.at, first.get(each.delivery_id, each.at))
    if first:
        _OPEN.run(session, {"sandbox_id": scope.sandbox_id}, r=sorted(first.items()))
    return kept


def read(
    session: Session, scope: Scope, delivery_ids: Iterable[UUID]
) -> Mapping[UUID, frozenset[Interaction]]:
    """Return what is known to have been done with the messages of deliveries that exist."""
    asked = [(key,) for key in sorted_keys(delivery_ids)]
    found: dict[UUID, set[Interaction]] = {}
    for row in _READ.run(session, {"sandbox_id": scope.sandbox_id}, r=asked):
        seen = found.setdefault(row.id, set())
        if row.opened_at is not None:
            seen.add(Interaction(InteractionKind.OPENED, opens_app=True))
        if row.kind is not None:
            seen.add(Interaction(InteractionKind(row.kind), row.action_id))
    return {key: frozenset(seen) for key, seen in found.items()}


def of_deliveries(
    session: Session, scope: Scope, delivery_ids: Iterable[UUID]
) -> Mapping[UUID, tuple[DeliveryInteraction, ...]]:
    """Return the rows of each delivery that has any, oldest first."""
    rows = session.scalars(
        select(DeliveryInteraction)
        .where(
            DeliveryInteraction.sandbox_id == scope.sandbox_id,
            DeliveryInteraction.delivery_id.in_(set(delivery_ids)),
        )
        .order_by(DeliveryInteraction.at, DeliveryInteraction.id)
    )
    found: dict[UUID, list[DeliveryInteraction]] = {}
    for row in rows:
        found.setdefault(row.delivery_id, []).append(row)
    return {key: tuple(each) for key, each in found.items()}
