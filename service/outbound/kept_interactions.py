"""The rows of interactions: each kept once, on the delivery it is about.

Source: service/decisions/0016-tracking.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.ids import sorted_keys
from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.outbound.interactions import Interaction, InteractionKind
from service.outbound.models import DeliveryInteraction
from service.sandboxes.scope import Scope

MOST_OF_A_DELIVERY = 100
_LIFE = timedelta(days=91)
_LOCK = SetStatement(
    """
    SELECT t.id FROM delivery AS t JOIN {r} ON t.id = r.id
    WHERE t.sandbox_id = :sandbox_id ORDER BY t.id {lock_t}
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"id": KEY},
)
# A message that no call was ever made for cannot have been seen. The reaper ends a dead worker's
# calls as unknown without counting them.
_ADD = SetStatement(
    """
    INSERT INTO delivery_interaction (sandbox_id, delivery_id, id, kind, action_id, at)
    SELECT :sandbox_id, d.id, n.id, n.kind, n.action_id, n.at
    FROM (
        SELECT r.id, r.delivery_id, r.kind, r.action_id, r.at,
            ROW_NUMBER() OVER (PARTITION BY r.delivery_id ORDER BY r.at, r.id) AS place,
            ROW_NUMBER() OVER (PARTITION BY r.delivery_id, r.kind ORDER BY r.at, r.id)
                AS place_of_kind
        FROM {r} WHERE NOT EXISTS (
            SELECT 1 FROM delivery_interaction AS x
            WHERE x.sandbox_id = :sandbox_id AND x.delivery_id = r.delivery_id AND x.id = r.id
        )
    ) AS n JOIN delivery AS d ON d.sandbox_id = :sandbox_id AND d.id = n.delivery_id
    WHERE (d.attempts > 0 OR d.state IN ('waiting', 'unknown'))
        AND (
            (
                SELECT COUNT(*) FROM delivery_interaction AS x
                WHERE x.sandbox_id = :sandbox_id AND x.delivery_id = d.id
            ) + n.place <= :most
            OR (n.place_of_kind = 1 AND NOT EXISTS (
                SELECT 1 FROM delivery_interaction AS x
                WHERE x.sandbox_id = :sandbox_id AND x.delivery_id = d.id AND x.kind = n.kind
            ))
        )
    ON CONFLICT DO NOTHING RETURNING id
    """,
    rows={
        "r": {"id": KEY, "delivery_id": KEY, "kind": TEXT, "action_id": TEXT, "at": MOMENT},
    },
    params={"sandbox_id": INTEGER, "most": INTEGER},
    result={"id": KEY},
)
_REMOVE = SetStatement(
    """
    DELETE FROM delivery_interaction WHERE sandbox_id = :sandbox_id AND (delivery_id, id) IN (
        SELECT x.delivery_id, x.id FROM delivery_interaction AS x
        WHERE x.sandbox_id = :sandbox_id AND x.at < :before LIMIT :limit
    ) RETURNING id
    """,
    rows={},
    params={"sandbox_id": INTEGER, "before": MOMENT, "limit": INTEGER},
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
    and what a delivery is told beyond its first hundred, unless it is the first of its kind: all of
    them come from devices. The first open becomes ``opened_at``. The deliveries are locked in key
    order, so that two requests at once are counted together. Two statements, or three when
    something was opened. The caller commits.
    """
    params = {"sandbox_id": scope.sandbox_id, "most": MOST_OF_A_DELIVERY}
    asked = sorted(tracked, key=lambda each: (each.delivery_id, each.key))
    named = [(key,) for key in sorted_keys(each.delivery_id for each in asked)]
    _LOCK.run(session, {"sandbox_id": scope.sandbox_id}, r=named)
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


def remove_old(session: Session, scope: Scope, *, now: datetime, limit: int) -> int:
    """Remove up to ``limit`` interactions of 91 days ago; return how many. The caller commits."""
    params = {"sandbox_id": scope.sandbox_id, "before": now - _LIFE, "limit": limit}
    return len(_REMOVE.run(session, params))


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
