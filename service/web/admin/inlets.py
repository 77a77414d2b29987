"""Streaming ingestion connections of one sandbox."""

from uuid import UUID

from flask.views import MethodView

from service.access.permissions import Permission
from service.catalog import inlets
from service.catalog.inlets import InletChanges, NewInlet
from service.catalog.models import Inlet
from service.db.session import unit_of_work
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.base import Page, PageArguments, PageArgumentsSchema, page_of
from service.web.payloads.inlets import InletChangesSchema, InletPageSchema, InletSchema

blueprint = Blueprint("inlets", __name__, description="Where servers stream events and profiles.")


@blueprint.route("/inlets")
class Inlets(MethodView):
    """Every inlet of the sandbox."""

    @requires(Permission.DATASTREAMS_READ)
    @blueprint.arguments(PageArgumentsSchema, location="query")
    @blueprint.response(200, InletPageSchema)
    def get(self, asked: PageArguments) -> Page[Inlet]:
        """List inlets, oldest first."""
        with unit_of_work(services().sessions) as session:
            return page_of(
                asked,
                lambda limit: inlets.list_page(session, scope(), limit=limit, after=asked.after),
                lambda row: row.id,
            )

    @requires(Permission.DATASTREAMS_WRITE)
    @blueprint.arguments(InletSchema, example=examples.INLET)
    @blueprint.response(201, InletSchema)
    def post(self, new: NewInlet) -> Inlet:
        """Create an inlet with its system datasets."""
        with unit_of_work(services().sessions) as session:
            row = inlets.create(session, scope(), new, now=services().clock.now())
            record_change(session, "inlet.create", row.id, name=row.name)
            return row


@blueprint.route("/inlets/<uuid:inlet_id>")
class OneInlet(MethodView):
    """One inlet."""

    @requires(Permission.DATASTREAMS_READ)
    @blueprint.response(200, InletSchema)
    def get(self, inlet_id: UUID) -> Inlet:
        """Show one inlet."""
        with unit_of_work(services().sessions) as session:
            return inlets.get(session, scope(), inlet_id)

    @requires(Permission.DATASTREAMS_WRITE)
    @blueprint.arguments(InletChangesSchema, example=examples.INLET_CHANGES)
    @blueprint.response(200, InletSchema)
    def patch(self, changes: InletChanges, inlet_id: UUID) -> Inlet:
        """Change an inlet; running processes follow within five seconds.

        An inlet is not deleted, since what was streamed hangs on it: send `"enabled": false`.
        """
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            row = inlets.update(session, scope(), inlet_id, changes, now=now)
            record_change(session, "inlet.update", row.id, name=row.name)
            return row
