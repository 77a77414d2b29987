"""Mobile properties of one sandbox."""

from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView

from service.access.permissions import Permission
from service.catalog import datastreams, mobile_properties, mobile_settings
from service.catalog.mobile_properties import MobilePropertyChanges, NewMobileProperty
from service.catalog.mobile_settings import Environment
from service.catalog.models import MobileProperty
from service.catalog.sdk_configuration import configuration_url
from service.core.errors import NotFoundError
from service.db.session import unit_of_work
from service.flows.sdk_files import app_of
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.base import Page, PageArguments, PageArgumentsSchema, page_of
from service.web.payloads.mobile_properties import (
    MobilePropertyChangesSchema,
    MobilePropertyPageSchema,
    MobilePropertySchema,
    PropertySnippetsArgumentsSchema,
    SnippetsSchema,
    app_snippets,
)

blueprint = Blueprint(
    "mobile properties", __name__, description="What an app downloads its configuration by."
)


@blueprint.route("/mobile-properties")
class MobileProperties(MethodView):
    """Every mobile property of the sandbox."""

    @requires(Permission.DATASTREAMS_READ)
    @blueprint.arguments(PageArgumentsSchema, location="query")
    @blueprint.response(200, MobilePropertyPageSchema)
    def get(self, asked: PageArguments) -> Page[MobileProperty]:
        """List mobile properties, oldest first."""
        with unit_of_work(services().sessions) as session:
            return page_of(
                asked,
                lambda limit: mobile_properties.list_page(
                    session, scope(), limit=limit, after=asked.after
                ),
                lambda row: row.id,
            )

    @requires(Permission.DATASTREAMS_WRITE)
    @blueprint.arguments(MobilePropertySchema, example=examples.MOBILE_PROPERTY)
    @blueprint.response(201, MobilePropertySchema)
    def post(self, new: NewMobileProperty) -> MobileProperty:
        """Create a mobile property; its configuration is served at once."""
        with unit_of_work(services().sessions) as session:
            row = mobile_properties.create(session, scope(), new, now=services().clock.now())
            record_change(session, "mobileProperty.create", row.id, name=row.name)
            return row


@blueprint.route("/mobile-properties/<uuid:property_id>")
class OneMobileProperty(MethodView):
    """One mobile property."""

    @requires(Permission.DATASTREAMS_READ)
    @blueprint.response(200, MobilePropertySchema)
    def get(self, property_id: UUID) -> MobileProperty:
        """Show one mobile property."""
        with unit_of_work(services().sessions) as session:
            return mobile_properties.get(session, scope(), property_id)

    @requires(Permission.DATASTREAMS_WRITE)
    @blueprint.arguments(MobilePropertyChangesSchema, example=examples.MOBILE_PROPERTY_CHANGES)
    @blueprint.response(200, MobilePropertySchema)
    def patch(self, changes: MobilePropertyChanges, property_id: UUID) -> MobileProperty:
        """Change a mobile property; what apps download follows within five seconds.

        Caches in between may keep the file for a minute, and an app asks at its next launch.
        """
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            row = mobile_properties.update(session, scope(), property_id, changes, now=now)
            record_change(session, "mobileProperty.update", row.id, name=row.name)
            return row

    @requires(Permission.DATASTREAMS_WRITE)
    @blueprint.response(204)
    def delete(self, property_id: UUID) -> Response:
        """Remove a mobile property; apps that name it keep the configuration that they have."""
        with unit_of_work(services().sessions) as session:
            row = mobile_properties.delete(session, scope(), property_id)
            record_change(session, "mobileProperty.delete", row.id, name=row.name)
        return Response(status=204)


@blueprint.route("/mobile-properties/<uuid:property_id>/snippets")
class PropertySnippets(MethodView):
    """What to paste into an app."""

    @requires(Permission.DATASTREAMS_READ)
    @blueprint.arguments(PropertySnippetsArgumentsSchema, location="query")
    @blueprint.response(200, SnippetsSchema)
    def get(self, asked: dict[str, Environment], property_id: UUID) -> dict[str, Any]:
        """Show the code that points the builds of one environment here."""
        environment = asked["environment"]
        with unit_of_work(services().sessions) as session:
            row = mobile_properties.get(session, scope(), property_id)
            served = mobile_settings.read_settings(row.settings).environments
            if environment not in served:
                raise NotFoundError(
                    f"The mobile property {row.name} has no environment {environment}: it has "
                    f"{', '.join(served)}.",
                )
            datastream = datastreams.get(session, scope(), served[environment].datastream_id)
            app = app_of(row, environment, datastream)
        return {
            **app_snippets(f"{row.name}, {environment}", app),
            "app_id": mobile_properties.file_id(row.app_id, environment),
            "configuration_url": configuration_url(app),
        }
