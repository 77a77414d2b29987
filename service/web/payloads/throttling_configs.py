"""Throttling configurations in Adobe's shapes. Source: Journey Optimizer APIs, throttling."""

from typing import Any

from marshmallow import fields, validate

from service.core.json import JsonObject
from service.outbound.endpoint_documents import METHODS, MOST_COUNT, OWN
from service.outbound.endpoint_overlaps import CanDeploy
from service.outbound.models import EndpointConfig
from service.sandboxes.scope import Scope
from service.web.payloads.base import HAS_VISIBLE, Payload
from service.web.payloads.endpoint_shapes import (
    FORMAT_VERSION,
    KeptConfigSchema,
    OpenPayload,
    OwnTermsSchema,
    SavedSchema,
    common_answer,
    verdict_answer,
)


class WrittenThrottlingSchema(OpenPayload):
    """A throttling configuration as its author writes it; it is read under Adobe's error codes."""

    name = fields.String(allow_none=True, validate=HAS_VISIBLE)
    description = fields.String(allow_none=True)
    url_pattern = fields.String(
        required=True,
        data_key="urlPattern",
        validate=validate.Length(1),
        metadata={"description": "The endpoint; `*` in the path stands for any characters."},
    )
    methods = fields.List(
        fields.String(validate=validate.OneOf(sorted(METHODS))),
        required=True,
        validate=validate.Length(1),
    )
    max_throughput = fields.Integer(
        required=True,
        data_key="maxThroughput",
        validate=validate.Range(1, MOST_COUNT),
        metadata={"description": "Calls a second; Journey Optimizer itself takes 200 to 5000."},
    )
    org_id = fields.String(data_key="orgId", allow_none=True)
    own = fields.Nested(OwnTermsSchema, data_key=OWN, allow_none=True)

    def load(self, data: Any, **_: Any) -> Any:
        """Return the document as it came: ``outbound.endpoint_throttling`` judges it."""
        return data


class ThrottlingSchema(KeptConfigSchema):
    """A throttling configuration as it is kept; ``version`` is there while it is deployed."""

    own_id = fields.String(required=True, data_key="_id")
    url_pattern = fields.String(required=True, data_key="urlPattern")
    max_throughput = fields.Integer(required=True, data_key="maxThroughput")
    version = fields.String()


class CreatedThrottlingSchema(SavedSchema):
    """The answer to a new configuration."""

    element = fields.Nested(ThrottlingSchema, required=True, data_key="createdElement")


class UpdatedThrottlingSchema(SavedSchema):
    """The answer to an overwritten configuration."""

    element = fields.Nested(ThrottlingSchema, required=True, data_key="updatedElement")


class FoundThrottlingSchema(Payload):
    """One configuration."""

    result = fields.Nested(ThrottlingSchema, required=True)


class ThrottlingListSchema(Payload):
    """Every throttling configuration of a sandbox, oldest first."""

    results = fields.List(fields.Nested(ThrottlingSchema), required=True)


def throttling_answer(config: EndpointConfig, scope: Scope, org_id: str) -> JsonObject:
    """Return what ``ThrottlingSchema`` dumps."""
    written: Any = config.config
    answer = {
        **common_answer(config, scope, org_id),
        "own_id": f"{config.id}_{scope.sandbox_id}",
        "url_pattern": written["urlPattern"],
        "max_throughput": written["maxThroughput"],
    }
    if config.deployed is not None:
        answer["version"] = FORMAT_VERSION
    return answer


def saved_throttling(
    config: EndpointConfig, verdict: CanDeploy, scope: Scope, org_id: str, *, uri: str, status: str
) -> JsonObject:
    """Return what ``CreatedThrottlingSchema`` and ``UpdatedThrottlingSchema`` dump."""
    return {
        "element": throttling_answer(config, scope, org_id),
        "uid": config.id,
        "uri": uri,
        "res_status": status,
        "can_deploy": verdict_answer(config, verdict),
    }
