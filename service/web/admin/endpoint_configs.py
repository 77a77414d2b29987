"""Capping configurations on Adobe's paths.

What a document gets wrong is answered 400, with Adobe's codes in the member ``error``; Adobe
answers the same with 500.

Source: Journey Optimizer APIs, capping; service/web/payloads/endpoint_configs.py has the shapes.
"""

from typing import Any
from uuid import UUID

from flask.views import MethodView

from service.access.permissions import Permission
from service.core.json import JsonObject
from service.db.session import unit_of_work
from service.outbound import endpoint_configs, endpoint_overlaps
from service.outbound.endpoint_capping import INVALID_PAYLOAD
from service.web import examples
from service.web.admin.endpoint_errors import adobes_errors
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import caller, record_change, scope, services
from service.web.payloads.endpoint_configs import (
    ConfigListSchema,
    CreatedConfigSchema,
    FoundConfigSchema,
    UpdatedConfigSchema,
    WrittenConfigSchema,
    built_in_answer,
    config_answer,
    saved_answer,
)
from service.web.payloads.endpoint_shapes import (
    CanDeploySchema,
    CompatSchema,
    DeletionSchema,
    NothingSchema,
    checked_texts,
    verdict_answer,
)

blueprint = Blueprint(
    "endpoint_configs", __name__, description="What third parties can take: rates and connections."
)
_BASE = "/journey/orchestration/endpointConfigs"


@blueprint.route("/journey/orchestration/list/endpointConfigs")
class ListedConfigs(MethodView):
    """Every capping configuration of the sandbox."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.response(200, ConfigListSchema)
    def post(self) -> JsonObject:
        """List capping configurations, oldest first; a body is not looked at."""
        with unit_of_work(services().sessions) as session:
            rows = endpoint_configs.list_all(session, scope())
            results = [config_answer(row, scope(), _org_id()) for row in rows]
            return {"results": results, "built_in": built_in_answer()}


@blueprint.route(_BASE)
class NewConfig(MethodView):
    """A capping configuration that is written."""

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(CompatSchema, location="query")
    @blueprint.arguments(WrittenConfigSchema, example=examples.ENDPOINT_CONFIG)
    @blueprint.response(200, CreatedConfigSchema)
    def post(self, asked: dict[str, Any], document: Any) -> JsonObject:
        """Create a capping configuration; it holds nothing before it is deployed."""
        now = services().clock.now()
        with adobes_errors(asked["compat"]), unit_of_work(services().sessions) as session:
            checked = checked_texts(document, INVALID_PAYLOAD)
            by = caller().client_id
            row = endpoint_configs.create(session, scope(), checked, now=now, by=by)
            verdict = endpoint_overlaps.can_deploy(session, scope(), row.id)
            record_change(session, "endpointConfig.create", row.id, url=row.config["url"])
            uri = f"{_BASE}/{row.id}"
            return saved_answer(row, verdict, scope(), _org_id(), uri=uri, status="created")


@blueprint.route(f"{_BASE}/<uuid:uid>")
class OneConfig(MethodView):
    """One capping configuration."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.response(200, FoundConfigSchema)
    def get(self, uid: UUID) -> JsonObject:
        """Show the latest copy of a capping configuration, and the deployed one."""
        with unit_of_work(services().sessions) as session:
            row = endpoint_configs.get(session, scope(), uid)
            return {"result": config_answer(row, scope(), _org_id())}

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(CompatSchema, location="query")
    @blueprint.arguments(WrittenConfigSchema, example=examples.ENDPOINT_CONFIG)
    @blueprint.response(200, UpdatedConfigSchema)
    def put(self, asked: dict[str, Any], document: Any, uid: UUID) -> JsonObject:
        """Overwrite the latest copy; a deployed one goes on until it is deployed again."""
        now = services().clock.now()
        with adobes_errors(asked["compat"]), unit_of_work(services().sessions) as session:
            checked = checked_texts(document, INVALID_PAYLOAD)
            by = caller().client_id
            row = endpoint_configs.update(session, scope(), uid, checked, now=now, by=by)
            verdict = endpoint_overlaps.can_deploy(session, scope(), uid)
            record_change(session, "endpointConfig.update", uid, url=row.config["url"])
            uri = f"{_BASE}/{uid}"
            return saved_answer(row, verdict, scope(), _org_id(), uri=uri, status="updated")

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(DeletionSchema, location="query")
    @blueprint.response(200, NothingSchema)
    def delete(self, asked: dict[str, Any], uid: UUID) -> JsonObject:
        """Delete a capping configuration; a deployed one only with ``forceDelete=true``."""
        is_forced = asked["force_delete"]
        with adobes_errors(asked["compat"]), unit_of_work(services().sessions) as session:
            endpoint_configs.delete(session, scope(), uid, is_forced=is_forced)
            record_change(session, "endpointConfig.delete", uid, forced=is_forced)
        services().endpoints.forget(scope())
        return {}


@blueprint.route(f"{_BASE}/<uuid:uid>/canDeploy")
class Deployability(MethodView):
    """Whether one capping configuration may be deployed; Adobe's pages disagree about the verb."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.response(200, CanDeploySchema)
    def get(self, uid: UUID) -> JsonObject:
        """Tell what would be wrong or doubtful about deploying."""
        return _verdict(uid)

    @requires(Permission.ACTIONS_READ)
    @blueprint.response(200, CanDeploySchema)
    def post(self, uid: UUID) -> JsonObject:
        """Tell what would be wrong or doubtful about deploying."""
        return _verdict(uid)


@blueprint.route(f"{_BASE}/<uuid:uid>/deploy")
class Deployment(MethodView):
    """The deployed copy of one capping configuration."""

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.response(204)
    def post(self, uid: UUID) -> None:
        """Make the latest copy hold: here at once, in other processes within a second."""
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            endpoint_configs.deploy(session, scope(), uid, now=now, by=caller().client_id)
            record_change(session, "endpointConfig.deploy", uid)
        services().endpoints.forget(scope())


@blueprint.route(f"{_BASE}/<uuid:uid>/undeploy")
class Undeployment(MethodView):
    """The end of the deployed copy."""

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.response(204)
    def post(self, uid: UUID) -> None:
        """Let a capping configuration hold no longer, whether it did or not."""
        with unit_of_work(services().sessions) as session:
            endpoint_configs.undeploy(session, scope(), uid)
            record_change(session, "endpointConfig.undeploy", uid)
        services().endpoints.forget(scope())


def _verdict(uid: UUID) -> JsonObject:
    with unit_of_work(services().sessions) as session:
        verdict = endpoint_overlaps.can_deploy(session, scope(), uid)
        row = endpoint_configs.get(session, scope(), uid)
        return {"can_deploy": verdict_answer(row, verdict)}


def _org_id() -> str:
    return services().settings.org_id
