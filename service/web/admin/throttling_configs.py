"""Throttling configurations on Adobe's paths.

What a document gets wrong is answered 400, what a state does not allow 409, each with Adobe's codes
in the member ``error``; Adobe answers both with 400.

Source: Journey Optimizer APIs, throttling; service/web/payloads/throttling_configs.py has the
shapes.
"""

from typing import Any
from uuid import UUID

from flask.views import MethodView

from service.access.permissions import Permission
from service.core.json import JsonObject
from service.db.session import unit_of_work
from service.outbound import endpoint_configs, endpoint_overlaps
from service.outbound.endpoint_documents import ConfigKind
from service.outbound.endpoint_throttling import INVALID_PAYLOAD
from service.web import examples
from service.web.admin.endpoint_errors import adobes_errors
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import caller, record_change, scope, services
from service.web.payloads.endpoint_shapes import (
    CanDeploySchema,
    CompatSchema,
    DeletionSchema,
    NothingSchema,
    checked_texts,
    verdict_answer,
)
from service.web.payloads.throttling_configs import (
    CreatedThrottlingSchema,
    FoundThrottlingSchema,
    ThrottlingListSchema,
    UpdatedThrottlingSchema,
    WrittenThrottlingSchema,
    saved_throttling,
    throttling_answer,
)

blueprint = Blueprint(
    "throttling_configs", __name__, description="Calls a second, above which deliveries wait."
)
_BASE = "/journey/orchestration/throttlingConfigs"
_KIND = ConfigKind.THROTTLING


@blueprint.route("/journey/orchestration/list/throttlingConfigs")
class ListedThrottlings(MethodView):
    """Every throttling configuration of the sandbox."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.response(200, ThrottlingListSchema)
    def post(self) -> JsonObject:
        """List throttling configurations, oldest first; a body is not looked at."""
        with unit_of_work(services().sessions) as session:
            rows = endpoint_configs.list_all(session, scope(), kind=_KIND)
            return {"results": [throttling_answer(row, scope(), _org_id()) for row in rows]}


@blueprint.route(_BASE)
class NewThrottling(MethodView):
    """A throttling configuration that is written."""

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(CompatSchema, location="query")
    @blueprint.arguments(WrittenThrottlingSchema, example=examples.THROTTLING_CONFIG)
    @blueprint.response(200, CreatedThrottlingSchema)
    def post(self, asked: dict[str, Any], document: Any) -> JsonObject:
        """Create a throttling configuration; it holds nothing before it is deployed."""
        now, by = services().clock.now(), caller().client_id
        with adobes_errors(asked["compat"]), unit_of_work(services().sessions) as session:
            checked = checked_texts(document, INVALID_PAYLOAD)
            row = endpoint_configs.create(session, scope(), checked, now=now, kind=_KIND, by=by)
            verdict = endpoint_overlaps.can_deploy(session, scope(), row.id, kind=_KIND)
            record_change(session, "throttlingConfig.create", row.id, url=row.config["urlPattern"])
            uri = f"{_BASE}/{row.id}"
            return saved_throttling(row, verdict, scope(), _org_id(), uri=uri, status="created")


@blueprint.route(f"{_BASE}/<uuid:uid>")
class OneThrottling(MethodView):
    """One throttling configuration."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.arguments(CompatSchema, location="query")
    @blueprint.response(200, FoundThrottlingSchema)
    def get(self, asked: dict[str, Any], uid: UUID) -> JsonObject:
        """Show a throttling configuration."""
        with adobes_errors(asked["compat"]), unit_of_work(services().sessions) as session:
            row = endpoint_configs.get(session, scope(), uid, kind=_KIND)
            return {"result": throttling_answer(row, scope(), _org_id())}

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(CompatSchema, location="query")
    @blueprint.arguments(WrittenThrottlingSchema, example=examples.THROTTLING_CONFIG)
    @blueprint.response(200, UpdatedThrottlingSchema)
    def put(self, asked: dict[str, Any], document: Any, uid: UUID) -> JsonObject:
        """Overwrite a throttling configuration; a deployed one holds as it is now at once."""
        now, by = services().clock.now(), caller().client_id
        with adobes_errors(asked["compat"]), unit_of_work(services().sessions) as session:
            checked = checked_texts(document, INVALID_PAYLOAD)
            row = endpoint_configs.update(
                session, scope(), uid, checked, now=now, kind=_KIND, by=by
            )
            verdict = endpoint_overlaps.can_deploy(session, scope(), uid, kind=_KIND)
            record_change(session, "throttlingConfig.update", uid, url=row.config["urlPattern"])
            uri = f"{_BASE}/{uid}"
            answer = saved_throttling(row, verdict, scope(), _org_id(), uri=uri, status="updated")
        services().endpoints.forget(scope())
        return answer

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(DeletionSchema, location="query")
    @blueprint.response(200, NothingSchema)
    def delete(self, asked: dict[str, Any], uid: UUID) -> JsonObject:
        """Delete a throttling configuration; a deployed one only with ``forceDelete=true``."""
        is_forced = asked["force_delete"]
        with adobes_errors(asked["compat"]), unit_of_work(services().sessions) as session:
            endpoint_configs.delete(session, scope(), uid, is_forced=is_forced, kind=_KIND)
            record_change(session, "throttlingConfig.delete", uid, forced=is_forced)
        services().endpoints.forget(scope())
        return {}


@blueprint.route(f"{_BASE}/<uuid:uid>/canDeploy")
class ThrottlingDeployability(MethodView):
    """Whether one throttling configuration may be deployed, by either of Adobe's verbs."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.arguments(CompatSchema, location="query")
    @blueprint.response(200, CanDeploySchema)
    def get(self, asked: dict[str, Any], uid: UUID) -> JsonObject:
        """Tell what would be wrong or doubtful about deploying."""
        return _verdict(asked, uid)

    @requires(Permission.ACTIONS_READ)
    @blueprint.arguments(CompatSchema, location="query")
    @blueprint.response(200, CanDeploySchema)
    def post(self, asked: dict[str, Any], uid: UUID) -> JsonObject:
        """Tell what would be wrong or doubtful about deploying."""
        return _verdict(asked, uid)


@blueprint.route(f"{_BASE}/<uuid:uid>/deploy")
class ThrottlingDeployment(MethodView):
    """The deployed copy of one throttling configuration."""

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(CompatSchema, location="query")
    @blueprint.response(204)
    def post(self, asked: dict[str, Any], uid: UUID) -> None:
        """Make a configuration hold: here at once, in other processes within a second."""
        now, by = services().clock.now(), caller().client_id
        with adobes_errors(asked["compat"]), unit_of_work(services().sessions) as session:
            endpoint_configs.deploy(session, scope(), uid, now=now, kind=_KIND, by=by)
            record_change(session, "throttlingConfig.deploy", uid)
        services().endpoints.forget(scope())


@blueprint.route(f"{_BASE}/<uuid:uid>/undeploy")
class ThrottlingUndeployment(MethodView):
    """The end of the deployed copy."""

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(CompatSchema, location="query")
    @blueprint.response(204)
    def post(self, asked: dict[str, Any], uid: UUID) -> None:
        """Let a configuration hold no longer; what waits under it is sent all the same."""
        with adobes_errors(asked["compat"]), unit_of_work(services().sessions) as session:
            endpoint_configs.undeploy(session, scope(), uid, kind=_KIND)
            record_change(session, "throttlingConfig.undeploy", uid)
        services().endpoints.forget(scope())


def _verdict(asked: dict[str, Any], uid: UUID) -> JsonObject:
    with adobes_errors(asked["compat"]), unit_of_work(services().sessions) as session:
        verdict = endpoint_overlaps.can_deploy(session, scope(), uid, kind=_KIND)
        row = endpoint_configs.get(session, scope(), uid, kind=_KIND)
        return {"can_deploy": verdict_answer(row, verdict)}


def _org_id() -> str:
    return services().settings.org_id
