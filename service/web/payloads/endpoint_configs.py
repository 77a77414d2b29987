"""Capping configurations in Adobe's shapes. Source: Journey Optimizer APIs, capping."""

from typing import Any

from marshmallow import INCLUDE, ValidationError, fields, validate

from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.endpoint_configs import CanDeploy
from service.outbound.endpoint_patterns import (
    MAX_HTTP_CONNECTIONS,
    METHODS,
    UNLIMITED,
    ConfigProblem,
)
from service.outbound.models import EndpointConfig
from service.sandboxes.scope import Scope
from service.web.payloads.base import HAS_VISIBLE, Payload

_INVALID_PAYLOAD = "ERR_ENDPOINTCONFIG_111"
_FORMAT_VERSION = "1.0"
_TEXTS = ("orgId", "name", "description")


class _Open(Payload):
    """An object that may hold more than we read, as what Adobe's answers add."""

    class Meta:
        """Options of marshmallow."""

        unknown = INCLUDE


class RatingSchema(_Open):
    """How many calls may start in any window of the period."""

    max_calls_count = fields.Integer(
        required=True, data_key="maxCallsCount", validate=validate.Range(1)
    )
    period_in_ms = fields.Integer(
        required=True, data_key="periodInMs", validate=validate.Range(1, 24 * 3600 * 1000)
    )


class CappedServiceSchema(_Open):
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


class _ConfigFields(_Open):
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


class WrittenConfigSchema(_ConfigFields):
    """A capping configuration as its author writes it; it is read under Adobe's error codes."""

    def load(self, data: Any, **_: Any) -> Any:
        """Return the document as it came: ``outbound.endpoint_patterns`` judges it."""
        return data


class MetadataSchema(Payload):
    """When what happened."""

    created_at = fields.AwareDateTime(required=True, data_key="createdAt")
    last_modified_at = fields.AwareDateTime(required=True, data_key="lastModifiedAt")
    last_deployed_at = fields.AwareDateTime(data_key="lastDeployedAt")


class ConfigSchema(Payload):
    """A capping configuration as it is kept; ``deployedConfig`` is the copy that holds."""

    uid = fields.UUID(required=True)
    url = fields.String(required=True)
    methods = fields.List(fields.String(), required=True)
    services = fields.Dict(required=True)
    org_id = fields.String(required=True, data_key="orgId")
    name = fields.String()
    description = fields.String()
    state = fields.String(
        required=True, validate=validate.OneOf(["created", "updated", "deployed"])
    )
    has_been_deployed = fields.Boolean(required=True, data_key="hasBeenDeployed")
    deployed_config = fields.Dict(data_key="deployedConfig")
    metadata = fields.Nested(MetadataSchema, required=True)
    sandbox_name = fields.String(required=True, data_key="sandboxName")
    sandbox_id = fields.String(required=True, data_key="sandboxId")
    authoring_format_version = fields.String(required=True, data_key="authoringFormatVersion")


class ConfigErrorSchema(Payload):
    """Why a configuration cannot be deployed."""

    error_code = fields.String(required=True, data_key="errorCode")
    error = fields.String(required=True)


class WarningScopeSchema(Payload):
    """What a warning is about."""

    service = fields.String(data_key="endpointConfigService")
    url = fields.String(required=True, data_key="endpointConfigUrl")


class ConfigWarningSchema(Payload):
    """What to know before deploying."""

    warning_code = fields.String(required=True, data_key="warningCode")
    warning = fields.String(required=True)
    scope = fields.Nested(WarningScopeSchema, required=True)


class VerdictSchema(Payload):
    """Whether a configuration may be deployed."""

    validation_status = fields.String(
        required=True, data_key="validationStatus", validate=validate.OneOf(["ok", "error"])
    )
    reason = fields.String()
    errors = fields.List(fields.Nested(ConfigErrorSchema))
    warnings = fields.List(fields.Nested(ConfigWarningSchema))


class CanDeploySchema(Payload):
    """The answer of ``canDeploy``."""

    can_deploy = fields.Nested(VerdictSchema, required=True, data_key="canDeploy")


class _SavedSchema(CanDeploySchema):
    uid = fields.UUID(required=True)
    uri = fields.String(required=True)
    res_status = fields.String(required=True, data_key="resStatus")


class CreatedConfigSchema(_SavedSchema):
    """The answer to a new configuration."""

    element = fields.Nested(ConfigSchema, required=True, data_key="createdElement")


class UpdatedConfigSchema(_SavedSchema):
    """The answer to an overwritten configuration."""

    element = fields.Nested(ConfigSchema, required=True, data_key="updatedElement")


class FoundConfigSchema(Payload):
    """One configuration."""

    result = fields.Nested(ConfigSchema, required=True)


class ConfigListSchema(Payload):
    """Every configuration of a sandbox, oldest first."""

    results = fields.List(fields.Nested(ConfigSchema), required=True)


class NothingSchema(Payload):
    """An empty object."""


class CompatSchema(Payload):
    """How errors are written."""

    compat = fields.String(
        load_default=None,
        validate=validate.OneOf(["ajo"]),
        metadata={"description": "`ajo`: the member `error` of an error is a JSON text."},
    )


class DeletionSchema(CompatSchema):
    """How to delete."""

    force_delete = fields.Boolean(
        load_default=False,
        truthy={"true"},
        falsy={"false"},
        data_key="forceDelete",
        metadata={"description": "Delete it although it is deployed."},
    )


def checked_texts(document: Any) -> Any:
    """Return the document when what names it is text, and its name one that can be seen.

    Raises:
        InvalidInputError: It is not; ``fields["errors"]`` as for the rest of the document.
    """
    for key in _TEXTS if isinstance(document, dict) else ():
        if not isinstance(document.get(key), str | None):
            raise _invalid_payload(f"{key} must be a text.")
    name = document.get("name") if isinstance(document, dict) else None
    try:
        HAS_VISIBLE("." if name is None else name)
    except ValidationError as error:
        raise _invalid_payload("name needs at least one visible character.") from error
    return document


def config_answer(config: EndpointConfig, scope: Scope, org_id: str) -> JsonObject:
    """Return what ``ConfigSchema`` dumps."""
    written: Any = config.config
    answer = {
        "uid": config.id,
        "url": written["url"],
        "methods": written["methods"],
        "services": written["services"],
        "org_id": written.get("orgId", org_id),
        "state": config.state,
        "has_been_deployed": config.deployed is not None,
        "metadata": {"created_at": config.created_at, "last_modified_at": config.updated_at},
        "sandbox_name": scope.sandbox,
        "sandbox_id": str(scope.sandbox_id),
        "authoring_format_version": _FORMAT_VERSION,
    }
    answer |= {key: written[key] for key in ("name", "description") if key in written}
    if config.deployed is not None:
        answer["deployed_config"] = {**config.deployed, "uid": str(config.id)}
        answer["metadata"]["last_deployed_at"] = config.deployed_at
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


def verdict_answer(config: EndpointConfig, verdict: CanDeploy) -> JsonObject:
    """Return what ``VerdictSchema`` dumps; a service is named where there is but one."""
    written: Any = config.config
    about = {"url": written["url"]}
    if len(written["services"]) == 1:
        [about["service"]] = written["services"]
    answer: JsonObject = {"validation_status": verdict.validation_status}
    if verdict.errors:
        answer["reason"] = f"{len(verdict.errors)} error(s) block the deployment."
        answer["errors"] = [_error(each) for each in verdict.errors]
    if verdict.warnings:
        answer["warnings"] = [
            {"warning_code": each.code, "warning": each.message, "scope": about}
            for each in verdict.warnings
        ]
    return answer


def _invalid_payload(said: str) -> InvalidInputError:
    return InvalidInputError(said, errors=[{"errorCode": _INVALID_PAYLOAD, "error": said}])


def _error(problem: ConfigProblem) -> JsonObject:
    return {"error_code": problem.code, "error": problem.message}
