"""Kill switches of one sandbox."""

from uuid import UUID

from flask import Response
from flask.views import MethodView

from service.access.permissions import Permission
from service.core.json import JsonObject
from service.db.session import unit_of_work
from service.flows import halt_sending
from service.outbound import halts
from service.outbound.halts import NewHalt
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.base import Page, page_of
from service.web.payloads.halts import (
    HaltArguments,
    HaltArgumentsSchema,
    HaltPageSchema,
    HaltSchema,
    halt_answer,
)

blueprint = Blueprint("halts", __name__, description="What nothing is sent for.")


@blueprint.route("/halts")
class Halts(MethodView):
    """Every halt of the sandbox."""

    @requires(Permission.DELIVERIES_READ)
    @blueprint.arguments(HaltArgumentsSchema, location="query")
    @blueprint.response(200, HaltPageSchema)
    def get(self, asked: HaltArguments) -> Page[JsonObject]:
        """List halts, newest first."""
        with unit_of_work(services().sessions) as session:
            found = page_of(
                asked.page,
                lambda limit: halts.list_page(
                    session, scope(), is_on=asked.is_on, limit=limit, after=asked.page.after
                ),
                lambda row: row.id,
            )
        return Page([halt_answer(each) for each in found.items], found.page)

    @requires(Permission.DELIVERIES_WRITE)
    @blueprint.arguments(HaltSchema, examples=examples.HALTS)
    @blueprint.response(201, HaltSchema)
    def post(self, new: NewHalt) -> JsonObject:
        """Stop sending for a journey, an action or a destination, within a second everywhere.

        What is on the wire ends by itself; the answer says how much that is, how much waited and
        what became of it.
        """
        row = halt_sending.switch_on(services().delivery, scope(), new)
        with unit_of_work(services().sessions) as session:
            record_change(session, "halt.create", row.id, kind=row.kind, of=row.subject)
        return halt_answer(row)


@blueprint.route("/halts/<uuid:halt_id>")
class OneHalt(MethodView):
    """One halt."""

    @requires(Permission.DELIVERIES_READ)
    @blueprint.response(200, HaltSchema)
    def get(self, halt_id: UUID) -> JsonObject:
        """Show one halt."""
        with unit_of_work(services().sessions) as session:
            return halt_answer(halts.get(session, scope(), halt_id))

    @requires(Permission.DELIVERIES_WRITE)
    @blueprint.response(204)
    def delete(self, halt_id: UUID) -> Response:
        """Let it send again; what was held goes on within a second, inside its caps."""
        with unit_of_work(services().sessions) as session:
            row = halts.lift(session, scope(), halt_id, now=services().clock.now())
            record_change(session, "halt.lift", row.id, kind=row.kind, of=row.subject)
        return Response(status=204)
