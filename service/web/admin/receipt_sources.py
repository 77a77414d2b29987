"""Where vendors post their receipts, in one sandbox."""

from uuid import UUID

from flask import Response
from flask.views import MethodView

from service.access.permissions import Permission
from service.core.json import JsonObject
from service.db.session import unit_of_work
from service.outbound import receipt_sources
from service.outbound.receipt_sources import NewReceiptSource
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.base import Page, PageArguments, PageArgumentsSchema, page_of
from service.web.payloads.receipt_sources import (
    ReceiptSourcePageSchema,
    ReceiptSourceSchema,
    source_answer,
)

blueprint = Blueprint(
    "receipt sources", __name__, description="Where vendors post what became of messages."
)


@blueprint.route("/receipt-sources")
class ReceiptSources(MethodView):
    """Every receipt source of the sandbox."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.arguments(PageArgumentsSchema, location="query")
    @blueprint.response(200, ReceiptSourcePageSchema)
    def get(self, asked: PageArguments) -> Page[JsonObject]:
        """List receipt sources, oldest first."""
        with unit_of_work(services().sessions) as session:
            found = page_of(
                asked,
                lambda limit: receipt_sources.list_page(
                    session, scope(), limit=limit, after=asked.after
                ),
                lambda row: row.id,
            )
        return Page([source_answer(each) for each in found.items], found.page)

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(ReceiptSourceSchema, examples=examples.RECEIPT_SOURCES)
    @blueprint.response(201, ReceiptSourceSchema)
    def post(self, new: NewReceiptSource) -> JsonObject:
        """Make a receipt source; `path` is where its vendor posts."""
        found = services()
        with unit_of_work(found.sessions) as session:
            row = receipt_sources.create(
                session, scope(), found.keyring, new, now=found.clock.now()
            )
            record_change(session, "receiptSource.create", row.id, name=row.name)
        return source_answer(row)


@blueprint.route("/receipt-sources/<uuid:source_id>")
class OneReceiptSource(MethodView):
    """One receipt source."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.response(200, ReceiptSourceSchema)
    def get(self, source_id: UUID) -> JsonObject:
        """Show one receipt source."""
        with unit_of_work(services().sessions) as session:
            return source_answer(receipt_sources.get(session, scope(), source_id))

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.response(204)
    def delete(self, source_id: UUID) -> Response:
        """Remove a receipt source; what its vendor posts from now on is not found."""
        with unit_of_work(services().sessions) as session:
            row = receipt_sources.delete(session, scope(), source_id)
            record_change(session, "receiptSource.delete", row.id, name=row.name)
        return Response(status=204)
