"""Identity namespaces of one sandbox. Source: Identity Service API, ``/idnamespace``."""

from flask.views import MethodView

from service.access.permissions import Permission
from service.db.session import unit_of_work
from service.identity import namespaces
from service.identity.models import IdentityNamespace
from service.identity.namespaces import NamespaceChanges, NewNamespace
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.namespaces import NamespaceChangesSchema, NamespaceSchema

blueprint = Blueprint("identity namespaces", __name__, description="Kinds of identifiers.")


@blueprint.route("/idnamespace/identities")
class Namespaces(MethodView):
    """Every namespace of the sandbox."""

    @requires(Permission.NAMESPACES_READ)
    @blueprint.response(200, NamespaceSchema(many=True))
    def get(self) -> list[IdentityNamespace]:
        """List namespaces, most important first."""
        with unit_of_work(services().sessions) as session:
            return list(namespaces.list_all(session, scope()))

    @requires(Permission.NAMESPACES_WRITE)
    @blueprint.arguments(NamespaceSchema, example=examples.NAMESPACE)
    @blueprint.response(200, NamespaceSchema)
    def post(self, new: NewNamespace) -> IdentityNamespace:
        """Create a namespace."""
        with unit_of_work(services().sessions) as session:
            row = namespaces.create(session, scope(), new, now=services().clock.now())
            record_change(session, "identityNamespace.create", row.code)
            return row


@blueprint.route("/idnamespace/identities/<code>")
class OneNamespace(MethodView):
    """One namespace."""

    @requires(Permission.NAMESPACES_READ)
    @blueprint.response(200, NamespaceSchema)
    def get(self, code: str) -> IdentityNamespace:
        """Show one namespace."""
        with unit_of_work(services().sessions) as session:
            return namespaces.get(session, scope(), code)

    @requires(Permission.NAMESPACES_WRITE)
    @blueprint.arguments(NamespaceChangesSchema, example=examples.NAMESPACE_CHANGES)
    @blueprint.response(200, NamespaceSchema)
    def patch(self, changes: NamespaceChanges, code: str) -> IdentityNamespace:
        """Change a namespace's name or priority.

        A namespace is not deleted, since identities hang on it.
        """
        with unit_of_work(services().sessions) as session:
            row = namespaces.update(session, scope(), code, changes)
            record_change(session, "identityNamespace.update", row.code, priority=row.priority)
            return row
