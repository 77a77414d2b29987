"""Which limits hold for a call, and what is in use under a configuration at this moment."""

from typing import Any
from uuid import UUID

from flask.views import MethodView

from service.access.permissions import Permission
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.db.session import unit_of_work
from service.outbound import endpoint_configs, endpoint_usage, store_clock
from service.outbound.endpoint_choice import entries_of
from service.outbound.endpoint_documents import ConfigKind
from service.web.admin.endpoint_errors import adobes_errors
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import scope, services
from service.web.payloads.endpoint_shapes import CompatSchema
from service.web.payloads.endpoint_usage import (
    AskedCall,
    AskedCallSchema,
    ExplainedSchema,
    UsageSchema,
    explained_answer,
    usage_answer,
)

blueprint = Blueprint(
    "endpoint_usage", __name__, description="Which limits hold for a call, and what is in use."
)
_BASE = "/journey/orchestration"


@blueprint.route(f"{_BASE}/endpointConfigs/explain")
class Explanation(MethodView):
    """The limits of one call."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.arguments(AskedCallSchema, location="query")
    @blueprint.response(200, ExplainedSchema)
    def get(self, asked: AskedCall) -> JsonObject:
        """Tell which configurations hold for a call, which decide its rate, and what is in use."""
        with unit_of_work(services().sessions) as session:
            try:
                found = services().endpoints.explain(
                    session, scope(), method=asked.method, url=asked.url, service=asked.service
                )
            except ValueError as error:
                raise InvalidInputError(f"url: {error}; write it as an action has it.") from error
            limits = found.limits
            cap_ids = [each.cap.id for each in limits.rates]
            cap_ids += [each.cap_id for each in limits.connections]
            used = endpoint_usage.read(session, scope(), cap_ids)
            return explained_answer(asked, found, used)


@blueprint.route(f"{_BASE}/endpointConfigs/<uuid:uid>/usage")
class CappingUsage(MethodView):
    """What is in use under one capping configuration."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.response(200, UsageSchema)
    def get(self, uid: UUID) -> JsonObject:
        """Show permits that count and connections that are leased now, under the deployed copy."""
        return _usage(uid, ConfigKind.CAPPING)


@blueprint.route(f"{_BASE}/throttlingConfigs/<uuid:uid>/usage")
class ThrottlingUsage(MethodView):
    """What is in use under one throttling configuration."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.arguments(CompatSchema, location="query")
    @blueprint.response(200, UsageSchema)
    def get(self, asked: dict[str, Any], uid: UUID) -> JsonObject:
        """Show the permits that count now, under the deployed copy."""
        with adobes_errors(asked["compat"]):
            return _usage(uid, ConfigKind.THROTTLING)


def _usage(uid: UUID, kind: ConfigKind) -> JsonObject:
    with unit_of_work(services().sessions) as session:
        config = endpoint_configs.get(session, scope(), uid, kind=kind)
        entries = entries_of(config)
        used = endpoint_usage.read(session, scope(), [each.rate.cap.id for each in entries])
        return usage_answer(
            config,
            entries,
            used,
            headroom_percent=services().settings.headroom_percent,
            read_at=store_clock.read(session),
        )
