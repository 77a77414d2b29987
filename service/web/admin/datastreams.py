"""Datastreams of one sandbox."""

from typing import Any
from uuid import UUID

from flask.views import MethodView

from service.access.permissions import Permission
from service.catalog import datastreams, sdk_snippets
from service.catalog.datastream_settings import SettingsChanges, read_settings
from service.catalog.datastreams import (
    DatastreamChanges,
    DefaultConsent,
    NewDatastream,
    Platform,
)
from service.catalog.mobile_settings import Environment, EnvironmentSettings, Extension
from service.catalog.models import Datastream
from service.catalog.sdk_configuration import App
from service.catalog.sdk_snippets import Page as SitePage
from service.db.session import unit_of_work
from service.flows.sdk_files import stream_of
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.base import Page, PageArguments, PageArgumentsSchema, page_of
from service.web.payloads.datastream_settings import written_names
from service.web.payloads.datastreams import (
    DatastreamChangesSchema,
    DatastreamPageSchema,
    DatastreamSchema,
    Written,
)
from service.web.payloads.mobile_properties import (
    DatastreamSnippetsArgumentsSchema,
    SnippetsSchema,
    app_snippets,
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
    @blueprint.arguments(DatastreamSchema, examples=examples.DATASTREAMS)
    @blueprint.response(201, DatastreamSchema)
    def post(self, written: Written[NewDatastream]) -> Datastream:
        """Create a datastream with its system datasets."""
        new, settings = written.datastream, written.settings
        now, book = services().clock.now(), services().datastreams
        with unit_of_work(services().sessions) as session:
            row = book.create(session, scope(), new, settings, now=now)
            record_change(session, "datastream.create", row.id, **_facts(row, settings))
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
    @blueprint.arguments(DatastreamChangesSchema, examples=examples.DATASTREAM_CHANGES)
    @blueprint.response(200, DatastreamSchema)
    def patch(self, written: Written[DatastreamChanges], datastream_id: UUID) -> Datastream:
        """Change a datastream; running processes follow within five seconds.

        A datastream is not deleted, since events and push tokens hang on it: send
        `"enabled": false`, and its requests are refused.
        """
        changes, settings = written.datastream, written.settings
        now, book = services().clock.now(), services().datastreams
        with unit_of_work(services().sessions) as session:
            row = book.update(session, scope(), datastream_id, changes, settings, now=now)
            record_change(session, "datastream.update", row.id, **_facts(row, settings))
            return row


@blueprint.route("/datastreams/<uuid:datastream_id>/snippets")
class DatastreamSnippets(MethodView):
    """What to paste into a page or an app."""

    @requires(Permission.DATASTREAMS_READ)
    @blueprint.arguments(DatastreamSnippetsArgumentsSchema, location="query")
    @blueprint.response(200, SnippetsSchema)
    def get(self, asked: dict[str, str], datastream_id: UUID) -> dict[str, Any]:
        """Show the code that points pages, or apps, here: `alloy` for a web datastream.

        For an app with several environments, or one that is to follow changes, create a mobile
        property.
        """
        host = asked["edge_domain"]
        with unit_of_work(services().sessions) as session:
            row = datastreams.get(session, scope(), datastream_id)
        if row.platform == Platform.WEB:
            page = SitePage(row.id, row.org_id, host, DefaultConsent(row.default_consent))
            return {"alloy": sdk_snippets.alloy(row.name, page)}
        settings = EnvironmentSettings(row.id, host)
        app = App(Environment.PRODUCTION, tuple(Extension), settings, stream_of(row))
        return app_snippets(row.name, app)


def _facts(row: Datastream, written: SettingsChanges) -> dict[str, Any]:
    """Return what the audit keeps of a change: which settings, and how logins are proved now."""
    facts: dict[str, Any] = {"name": row.name}
    if written:
        facts["settings"] = written_names(written)
    if "login_proof" in written:
        proof = read_settings(row.settings).login_proof
        facts["loginProof"] = {"mode": proof.mode, "algorithms": list(proof.algorithms)}
    return facts
