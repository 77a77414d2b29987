"""Deliveries as operators and other flows see them: lanes with work, lists, attempts."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.errors import NotFoundError
from service.outbound import delivery_rows as rows
from service.outbound.deliveries import DeliveryState, Lane
from service.outbound.models import Delivery, DeliveryAttempt
from service.sandboxes import registry
from service.sandboxes.scope import Scope


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries to list; ``None`` means all."""

    journey_id: UUID | None = None
    journey_version_id: UUID | None = None
    node_id: str | None = None
    action_id: UUID | None = None
    identity_id: UUID | None = None
    instance_id: UUID | None = None
    state: DeliveryState | None = None


def due_lanes(session: Session, *, now: datetime) -> tuple[Lane, ...]:
    """Return the lanes of all sandboxes in which something is due, the longest waiting first."""
    found = rows.DUE_LANES.run(session, {"now": now})
    if not found:
        return ()
    scopes = {each.id: Scope(each.id, each.name) for each in registry.list_all(session)}
    lanes = (parse_lane(row.lane, scopes[int(row.lane.partition(":")[0])]) for row in found)
    return tuple(dict.fromkeys(lanes))


def parse_lane(key: str, scope: Scope) -> Lane:
    """Return the lane that ``Lane.key`` named, or that a line is in."""
    return Lane(scope, UUID(key.split(":")[1]))


def list_page(
    session: Session,
    scope: Scope,
    chosen: DeliveryFilter,
    *,
    limit: int,
    after: tuple[datetime, UUID] | None = None,
) -> tuple[Delivery, ...]:
    """Return up to ``limit`` deliveries, newest first, older than ``after`` (created at, id)."""
    query = select(Delivery).where(Delivery.sandbox_id == scope.sandbox_id)
    for column, value in (
        (Delivery.journey_id, chosen.journey_id),
        (Delivery.journey_version_id, chosen.journey_version_id),
        (Delivery.node_id, chosen.node_id),
        (Delivery.action_id, chosen.action_id),
        (Delivery.identity_id, chosen.identity_id),
        (Delivery.instance_id, chosen.instance_id),
        (Delivery.state, chosen.state),
    ):
        if value is not None:
            query = query.where(column == value)
    if after is not None:
        at, key = after
        query = query.where(
            (Delivery.created_at < at) | ((Delivery.created_at == at) & (Delivery.id < key))
        )
    newest_first = query.order_by(Delivery.created_at.desc(), Delivery.id.desc())
    return tuple(session.scalars(newest_first.limit(limit)))


def get(
    session: Session, scope: Scope, delivery_id: UUID
) -> tuple[Delivery, tuple[DeliveryAttempt, ...]]:
    """Return one delivery and its attempts in order.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
    """
    delivery = session.scalar(
        select(Delivery).where(Delivery.sandbox_id == scope.sandbox_id, Delivery.id == delivery_id)
    )
    if delivery is None:
        raise NotFoundError(f"There is no delivery {delivery_id}.")
    attempts = session.scalars(
        select(DeliveryAttempt)
        .where(
            DeliveryAttempt.sandbox_id == scope.sandbox_id,
            DeliveryAttempt.delivery_id == delivery_id,
        )
        .order_by(DeliveryAttempt.number, DeliveryAttempt.id)
    )
    return delivery, tuple(attempts)
