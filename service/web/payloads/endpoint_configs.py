"""Capping configurations in Adobe's shapes. Source: Journey Optimizer APIs, capping."""

from typing import Any

from marshmallow import fields, validate

from service.core.json import JsonObject
from service.outbound.endpoint_capping import MAX_HTTP_CONNECTIONS, SERVICES, UNLIMITED
from service.outbound.endpoint_documents import METHODS, OWN
from service.outbound.endpoint_limits import built_in_rate
from service.outbound.endpoint_overlaps import CanDeploy
from service.outbound.models import EndpointConfig
from service.sandboxes.scope import Scope
from service.web.payloads.base import HAS_VISIBLE, Payload
from service.web.payloads.endpoint_shapes import (
    KeptConfigSchema,
    OpenPayload,
    OwnTermsSchema,
    SavedSchema,
    common_answer,
    verdict_answer,
)


class RatingSchema(OpenPayload):
    """How many calls may start in any window of the period."""

    max_calls_count = fields.Integer(
        required=True, data_key="maxCallsCount", validate=validate.Range(1)
    )
    period_in_ms = fields.Integer(
        required=True, data_key="periodInMs", validate=validate.Range(1, 24 * 3600 * 1000)
    )


class CappedServiceSchema(OpenPayload):
    """What one kind of caller may do to the endpoint."""

    max_http_connections = fields.Integer(
        data_key="maxHttpConnections",
        validate=validate.Range(UNLIMITED, MAX_HTTP_CONNECTIONS),
        metadata={"description": "Connections open at a time; -1: unlimited.", "not": {"const": 0}},
    )
    rating = fields.Nested(RatingSchema, required=True)


class CappedServicesSchema(Payload):
    """The callers that are capped; at least one."""

    action = fields.Nested(CappedServiceSchema)
    data_source = fields.Nested(CappedServiceSchema, data_key="dataSource")


class WrittenConfigSchema(OpenPayload):
    """A capping configuration as its author writes it; it is read under Adobe's error codes."""

    url = fields.String(
        required=True,
        validate=validate.Length(1),
        metadata={"description": "The endpoint; `*` in the path stands for any characters."},
    )
    methods = fields.List(
        fields.String(validate=validate.OneOf(sorted(METHODS))),
        required=True,
        validate=validate.Length(1),
    )
    services = fields.Nested(CappedServicesSchema, required=True, metadata={"minProperties": 1})
    org_id = fields.String(data_key="orgId", allow_none=True)
    name = fields.String(allow_none=True, validate=HAS_VISIBLE)
    description = fields.String(allow_none=True)
    own = fields.Nested(OwnTermsSchema, data_key=OWN, allow_none=True)

    def load(self, data: Any, **_: Any) -> Any:
        """Return the document as it came: ``outbound.endpoint_capping`` judges it."""
        return data


class ConfigSchema(KeptConfigSchema):
    """A capping configuration as it is kept; ``deployedConfig`` is the copy that holds."""

    url = fields.String(required=True)
    services = fields.Dict(required=True)
    deployed_config = fields.Dict(data_key="deployedConfig")


class CreatedConfigSchema(SavedSchema):
    """The answer to a new configuration."""

    element = fields.Nested(ConfigSchema, required=True, data_key="createdElement")


class UpdatedConfigSchema(SavedSchema):
    """The answer to an overwritten configuration."""

    element = fields.Nested(ConfigSchema, required=True, data_key="updatedElement")


class FoundConfigSchema(Payload):
    """One configuration."""

    result = fields.Nested(ConfigSchema, required=True)


class BuiltInCapSchema(Payload):
    """What holds for each host where no capping configuration decides."""

    service = fields.String(required=True)
    scope = fields.String(required=True, validate=validate.Equal("host"))
    rating = fields.Nested(RatingSchema, required=True)


class ConfigListSchema(Payload):
    """Every capping configuration of a sandbox, oldest first, and the built-in caps."""

    results = fields.List(fields.Nested(ConfigSchema), required=True)
    built_in = fields.List(fields.Nested(BuiltInCapSchema), required=True, data_key="builtIn")


def config_answer(config: EndpointConfig, scope: Scope, org_id: str) -> JsonObject:
    """Return what ``ConfigSchema`` dumps."""
    written: Any = config.config
    answer = {
        **common_answer(config, scope, org_id),
        "url": written["url"],
        "services": written["services"],
    }
    if config.deployed is not None:
        answer["deployed_config"] = {**config.deployed, "uid": str(config.id)}
    return answer


def saved_answer(
    config: EndpointConfig, verdict: CanDeploy, scope: Scope, org_id: str, *, uri: str, status: str
) -> JsonObject:
    """Return what ``CreatedConfigSchema`` and ``UpdatedConfigSchema`` dump."""
    return {
        "element": config_answer(config, scope, org_id),
        "uid": config.id,
        "uri": uri,
        "res_status": status,
        "can_deploy": verdict_answer(config, verdict),
    }


def built_in_answer() -> list[JsonObject]:
    """Return what ``BuiltInCapSchema`` dumps, for each service."""
    caps = {service: built_in_rate("", service).cap for service in sorted(SERVICES)}
    return [
        {
            "service": service,
            "scope": "host",
            "rating": {
                "max_calls_count": cap.max_calls_count,
                "period_in_ms": cap.period_in_ms,
            },
        }
        for service, cap in caps.items()
    ]
