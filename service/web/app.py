"""Builds the Flask application of the admin API, the token endpoint and the health checks."""

from flask import Flask

from service.flows.access_tokens import AccessTokens
from service.web import auth, errors, health, ims, logging, receipts
from service.web.admin import (
    action_checks,
    actions,
    audit_entries,
    datastreams,
    dead_letters,
    deliveries,
    endpoint_configs,
    endpoint_usage,
    halts,
    incidents,
    inlets,
    journeys,
    ledger,
    mobile_properties,
    namespaces,
    profiles,
    receipt_sources,
    sandboxes,
    segment_jobs,
    segments,
    throttling_configs,
)
from service.web.api import build_api
from service.web.context import ACCESS_TOKENS, SERVICES, WebServices

_SCOPED = (
    datastreams,
    mobile_properties,
    inlets,
    namespaces,
    segment_jobs,
    segments,
    profiles,
    actions,
    action_checks,
    endpoint_configs,
    throttling_configs,
    endpoint_usage,
    deliveries,
    dead_letters,
    halts,
    incidents,
    receipt_sources,
    journeys,
    ledger,
    audit_entries,
)
MAX_BODY_BYTES = 4 * 1024 * 1024


def create_app(services: WebServices) -> Flask:
    """Return the application; it holds ``services`` and opens nothing of its own."""
    app = Flask("edgepost", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.extensions[SERVICES] = services
    app.extensions[ACCESS_TOKENS] = AccessTokens(
        services.sessions,
        services.keyring,
        services.clock,
        org_id=services.settings.org_id,
        life_s=services.settings.access_token_s,
    )
    logging.register(app)
    auth.register(app)
    api = build_api(app)
    errors.register(app)
    for open_resource in (health, ims, receipts, sandboxes):
        api.register_resource(open_resource.blueprint, is_scoped=False)
    for resource in _SCOPED:
        api.register_resource(resource.blueprint)
    return app
