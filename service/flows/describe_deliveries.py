"""Deliveries with whom they were for, which token was used and what was done with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.identity import namespaces
from service.identity.identity_map import identity_key
from service.identity.models import Identity
from service.outbound import kept_interactions
from service.outbound.models import Delivery, DeliveryInteraction
from service.profiles.models import PushToken
from service.sandboxes.scope import Scope


@dataclass(frozen=True, slots=True)
class DescribedDelivery:
    """A delivery; identity and token are ``None`` where there was none or it was erased."""

    delivery: Delivery
    identity: Identity | None
    token: PushToken | None
    interactions: tuple[DeliveryInteraction, ...] = ()


def describe(
    session: Session, scope: Scope, deliveries: Sequence[Delivery]
) -> tuple[DescribedDelivery, ...]:
    """Return deliveries in their order, each with what belongs to it, in three queries."""
    identities = {
        row.id: row
        for row in session.scalars(
            select(Identity).where(
                Identity.sandbox_id == scope.sandbox_id,
                Identity.id.in_({each.identity_id for each in deliveries}),
            )
        )
    }
    tokens = {
        row.id: row
        for row in session.scalars(
            select(PushToken).where(
                PushToken.sandbox_id == scope.sandbox_id,
                PushToken.id.in_({each.token_id for each in deliveries if each.token_id}),
            )
        )
    }
    done = kept_interactions.of_deliveries(session, scope, [each.id for each in deliveries])
    return tuple(
        DescribedDelivery(
            each,
            identities.get(each.identity_id),
            tokens.get(each.token_id) if each.token_id else None,
            done.get(each.id, ()),
        )
        for each in deliveries
    )


def recipient_key(session: Session, scope: Scope, namespace: str, value: str) -> UUID:
    """Return the key that deliveries to an identity carry; a namespace is found in any case."""
    known = {each.code.lower(): each.code for each in namespaces.list_all(session, scope)}
    return identity_key(known.get(namespace.lower(), namespace), value)
