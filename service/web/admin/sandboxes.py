"""Sandboxes: they stand above ``x-sandbox-name``, so a caller sees those its token is good for."""

from typing import Any

from flask import g
from flask.views import MethodView

from service.access.permissions import Permission
from service.core.errors import ForbiddenError
from service.db.session import unit_of_work
from service.flows.open_sandbox import open_sandbox
from service.sandboxes import registry
from service.sandboxes.models import Sandbox
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import caller, record_change, services
from service.web.payloads.sandboxes import NewSandbox, SandboxListSchema, SandboxSchema

blueprint = Blueprint("sandboxes", __name__, description="Isolated worlds in one installation.")


@blueprint.route("/sandbox-management/sandboxes")
class Sandboxes(MethodView):
    """Every sandbox."""

    @requires(Permission.SANDBOXES_READ, is_scoped=False)
    @blueprint.response(200, SandboxListSchema)
    def get(self) -> dict[str, Any]:
        """List the sandboxes that the access token is good for."""
        with unit_of_work(services().sessions) as session:
            rows = registry.list_all(session)
        return {"sandboxes": [row for row in rows if caller().may_enter(row.name)]}

    @requires(Permission.SANDBOXES_WRITE, is_scoped=False)
    @blueprint.arguments(SandboxSchema, example=examples.SANDBOX)
    @blueprint.response(201, SandboxSchema)
    def post(self, new: NewSandbox) -> Sandbox:
        """Open a sandbox with its namespaces, merge policy and daily segmentation.

        Needs an access token that is good for all sandboxes.
        """
        if not caller().is_for_all_sandboxes:
            raise ForbiddenError("Opening a sandbox needs an access token for all sandboxes.")
        with unit_of_work(services().sessions) as session:
            g.scope = open_sandbox(
                session,
                name=new.name,
                title=new.title,
                type_=new.type,
                now=services().clock.now(),
            )
            record_change(session, "sandbox.create", new.name)
            return registry.get(session, new.name)


@blueprint.route("/sandbox-management/sandboxes/<name>")
class OneSandbox(MethodView):
    """One sandbox."""

    @requires(Permission.SANDBOXES_READ, is_scoped=False)
    @blueprint.response(200, SandboxSchema)
    def get(self, name: str) -> Sandbox:
        """Show one sandbox."""
        if not caller().may_enter(name):
            raise ForbiddenError(f"The access token is not for the sandbox {name}.")
        with unit_of_work(services().sessions) as session:
            return registry.get(session, name)
