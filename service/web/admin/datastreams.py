"""Datastreams of one sandbox."""

from uuid import UUID

from flask.views import MethodView

from service.access.permissions import Permission
from service.catalog import datastreams
from service.catalog.datastreams import DatastreamChanges, NewDatastream
from service.catalog.models import Datastream
from service.db.session import unit_of_work
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.base import Page, PageArguments, PageArgumentsSchema, page_of
from service.web.payloads.datastreams import (
    DatastreamChangesSchema,
    DatastreamPageSchema,
    DatastreamSchema,
)

blueprint = Blueprint("datastreams", __name__, description="What an SDK's configId names.")


@blueprint.route("/datastreams")
class Datastreams(MethodView):
    """Every datastream of the sandbox."""

    @requires(Permission.DATASTREAMS_READ)
    @blueprint.arguments(PageArgumentsSchema, location="query")
    @blueprint.response(200, DatastreamPageSchema)
    def get(self, asked: PageArguments) -> Page[Datastream]:
        """List datastreams, oldest first."""
        with unit_of_work(services().sessions) as session:
            return page_of(
                asked,
                lambda limit: datastreams.list_page(
                    session, scope(), limit=limit, after=asked.after
                ),
                lambda row: row.id,
            )

    @requires(Permission.DATASTREAMS_WRITE)
    @blueprint.arguments(DatastreamSchema)
    @blueprint.response(201, DatastreamSchema)
    def post(self, new: NewDatastream) -> Datastream:
        """Create a datastream with its system datasets."""
        with unit_of_work(services().sessions) as session:
            row = datastreams.create(session, scope(), new, now=services().clock.now())
            record_change(session, "datastream.create", row.id, name=row.name)
            return row


@blueprint.route("/datastreams/<uuid:datastream_id>")
class OneDatastream(MethodView):
    """One datastream."""

    @requires(Permission.DATASTREAMS_READ)
    @blueprint.response(200, DatastreamSchema)
    def get(self, datastream_id: UUID) -> Datastream:
        """Show one datastream."""
        with unit_of_work(services().sessions) as session:
            return datastreams.get(session, scope(), datastream_id)

    @requires(Permission.DATASTREAMS_WRITE)
    @blueprint.arguments(DatastreamChangesSchema)
    @blueprint.response(200, DatastreamSchema)
    def patch(self, changes: DatastreamChanges, datastream_id: UUID) -> Datastream:
        """Change a datastream; running processes follow within five seconds."""
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            row = datastreams.update(session, scope(), datastream_id, changes, now=now)
            record_change(session, "datastream.update", row.id, name=row.name)
            return row
