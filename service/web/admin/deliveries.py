"""What was sent, or was not, and why."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from flask.views import MethodView
from sqlalchemy.orm import Session

from service.access.permissions import Permission
from service.core.json import JsonObject
from service.db.session import unit_of_work
from service.flows.describe_deliveries import describe, recipient_key
from service.outbound import delivery_views
from service.outbound.delivery_views import DeliveryFilter
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import scope, services
from service.web.payloads.base import Page, page_of
from service.web.payloads.deliveries import (
    DeliveryArguments,
    DeliveryArgumentsSchema,
    DeliveryPageSchema,
    OneDeliverySchema,
    delivery_answer,
    one_delivery_answer,
)

blueprint = Blueprint("deliveries", __name__, description="What was sent, or was not, and why.")


@blueprint.route("/deliveries")
class Deliveries(MethodView):
    """Every delivery of the sandbox."""

    @requires(Permission.DELIVERIES_READ)
    @blueprint.arguments(DeliveryArgumentsSchema, location="query")
    @blueprint.response(200, DeliveryPageSchema)
    def get(self, asked: DeliveryArguments) -> Page[JsonObject]:
        """List deliveries, newest first."""
        with unit_of_work(services().sessions) as session:
            chosen = _filter(session, asked)
            after = None if asked.page.after is None else _place(session, asked.page.after)
            found = page_of(
                asked.page,
                lambda limit: delivery_views.list_page(
                    session, scope(), chosen, limit=limit, after=after
                ),
                lambda row: row.id,
            )
            items = [delivery_answer(each) for each in describe(session, scope(), found.items)]
            return Page(items, found.page)


@blueprint.route("/deliveries/<uuid:delivery_id>")
class OneDelivery(MethodView):
    """One delivery."""

    @requires(Permission.DELIVERIES_READ)
    @blueprint.response(200, OneDeliverySchema)
    def get(self, delivery_id: UUID) -> JsonObject:
        """Show one delivery with every call that was made for it."""
        with unit_of_work(services().sessions) as session:
            row, attempts = delivery_views.get(session, scope(), delivery_id)
            [described] = describe(session, scope(), [row])
            return one_delivery_answer(described, attempts)


def _filter(session: Session, asked: DeliveryArguments) -> DeliveryFilter:
    chosen = DeliveryFilter(**asked.chosen)
    if asked.recipient is None:
        return chosen
    return replace(chosen, identity_id=recipient_key(session, scope(), *asked.recipient))


def _place(session: Session, delivery_id: UUID) -> tuple[datetime, UUID]:
    """Return where a delivery stands in the list: its key does not tell its time."""
    row, _ = delivery_views.get(session, scope(), delivery_id)
    return row.created_at, row.id
