"""What capping and throttling configurations have in common in Adobe's shapes.

Source: Journey Optimizer APIs, capping and throttling.
"""

from typing import Any

from marshmallow import INCLUDE, ValidationError, fields, validate

from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.endpoint_configs import METADATA
from service.outbound.endpoint_documents import (
    LONGEST_QUEUED_MS,
    MOST_WEIGHT,
    OWN,
    ConfigProblem,
    OnExceed,
)
from service.outbound.endpoint_kinds import RULES, services_of
from service.outbound.endpoint_overlaps import CanDeploy
from service.outbound.models import EndpointConfig
from service.sandboxes.scope import Scope
from service.web.payloads.base import HAS_VISIBLE, Payload

FORMAT_VERSION = "1.0"
_TEXTS = ("orgId", "name", "description")
_AUTHORS = {
    "createdBy": "created_by",
    "createdById": "created_by_id",
    "lastModifiedBy": "last_modified_by",
    "lastModifiedById": "last_modified_by_id",
    "lastDeployedBy": "last_deployed_by",
    "lastDeployedById": "last_deployed_by_id",
}


class OpenPayload(Payload):
    """An object that may hold more than we read, as what Adobe's answers add."""

    class Meta:
        """Options of marshmallow."""

        unknown = INCLUDE


class OwnTermsSchema(Payload):
    """What goes beyond Journey Optimizer: what happens to a delivery without a permit, and how."""

    on_exceed = fields.String(
        data_key="onExceed",
        validate=validate.OneOf([each.value for each in OnExceed]),
        allow_none=True,
        metadata={
            "description": "`drop` (default) and `errorPath` end it as capped: the journey takes "
            "its error path where it has one. `queue` lets it wait; throttling always does."
        },
    )
    expire_after_ms = fields.Integer(
        data_key="expireAfterMs",
        validate=validate.Range(1, LONGEST_QUEUED_MS),
        allow_none=True,
        metadata={"description": "How long what is queued may wait; six hours by default."},
    )
    weights = fields.Dict(
        keys=fields.UUID(),
        values=fields.Integer(validate=validate.Range(1, MOST_WEIGHT)),
        allow_none=True,
        metadata={"description": "Shares of a short cap by journey id; 1 for the others."},
    )


class MetadataSchema(Payload):
    """When what happened, and through which client."""

    created_at = fields.AwareDateTime(required=True, data_key="createdAt")
    created_by = fields.String(data_key="createdBy")
    created_by_id = fields.String(data_key="createdById")
    last_modified_at = fields.AwareDateTime(required=True, data_key="lastModifiedAt")
    last_modified_by = fields.String(data_key="lastModifiedBy")
    last_modified_by_id = fields.String(data_key="lastModifiedById")
    last_deployed_at = fields.AwareDateTime(data_key="lastDeployedAt")
    last_deployed_by = fields.String(data_key="lastDeployedBy")
    last_deployed_by_id = fields.String(data_key="lastDeployedById")


class KeptConfigSchema(Payload):
    """What the configurations of both kinds show."""

    uid = fields.UUID(required=True)
    methods = fields.List(fields.String(), required=True)
    org_id = fields.String(required=True, data_key="orgId")
    name = fields.String()
    description = fields.String()
    own = fields.Dict(data_key=OWN)
    state = fields.String(
        required=True, validate=validate.OneOf(["created", "updated", "deployed"])
    )
    has_been_deployed = fields.Boolean(required=True, data_key="hasBeenDeployed")
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


class SavedSchema(CanDeploySchema):
    """What is answered beside the element that was written."""

    uid = fields.UUID(required=True)
    uri = fields.String(required=True)
    res_status = fields.String(required=True, data_key="resStatus")


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


def checked_texts(document: Any, code: str) -> Any:
    """Return the document when what names it is text, and its name one that can be seen.

    Raises:
        InvalidInputError: It is not; ``fields["errors"]`` as for the rest of the document.
    """
    for key in _TEXTS if isinstance(document, dict) else ():
        if not isinstance(document.get(key), str | None):
            raise _invalid_payload(code, f"{key} must be a text.")
    name = document.get("name") if isinstance(document, dict) else None
    try:
        HAS_VISIBLE("." if name is None else name)
    except ValidationError as error:
        raise _invalid_payload(code, "name needs at least one visible character.") from error
    return document


def common_answer(config: EndpointConfig, scope: Scope, org_id: str) -> JsonObject:
    """Return what the schemas of both kinds dump of a configuration."""
    written: Any = config.config
    metadata: JsonObject = {
        "created_at": config.created_at,
        "last_modified_at": config.updated_at,
        **{ours: written[METADATA][key] for key, ours in _AUTHORS.items() if key in _by(written)},
    }
    answer: JsonObject = {
        "uid": config.id,
        "methods": written["methods"],
        "org_id": written.get("orgId", org_id),
        "state": config.state,
        "has_been_deployed": config.deployed is not None,
        "metadata": metadata,
        "sandbox_name": scope.sandbox,
        "sandbox_id": str(scope.sandbox_id),
        "authoring_format_version": FORMAT_VERSION,
    }
    if config.deployed is not None:
        metadata["last_deployed_at"] = config.deployed_at
    else:
        metadata.pop("last_deployed_by", None)
        metadata.pop("last_deployed_by_id", None)
    if OWN in written:
        answer["own"] = written[OWN]
    return answer | {key: written[key] for key in ("name", "description") if key in written}


def verdict_answer(config: EndpointConfig, verdict: CanDeploy) -> JsonObject:
    """Return what ``VerdictSchema`` dumps; a service is named where there is but one."""
    written: Any = config.config
    about = {"url": written[RULES[config.kind].url_key]}
    services = services_of(config, written)
    if len(services) == 1:
        [about["service"]] = services
    answer: JsonObject = {"validation_status": verdict.validation_status}
    if verdict.errors:
        answer["reason"] = f"{len(verdict.errors)} error(s) block the deployment."
        answer["errors"] = [_error(each) for each in verdict.errors]
    if verdict.warnings:
        answer["warnings"] = [_warning(each, about) for each in verdict.warnings]
    return answer


def _warning(problem: ConfigProblem, about: JsonObject) -> JsonObject:
    scope = about if problem.service is None else {**about, "service": problem.service}
    return {"warning_code": problem.code, "warning": problem.message, "scope": scope}


def _by(written: Any) -> JsonObject:
    by: JsonObject = written.get(METADATA, {})
    return by


def _invalid_payload(code: str, said: str) -> InvalidInputError:
    return InvalidInputError(said, errors=[{"errorCode": code, "error": said}])


def _error(problem: ConfigProblem) -> JsonObject:
    return {"error_code": problem.code, "error": problem.message}
