"""One person by any identity. Source: Profile API, ``GET /data/core/ups/access/entities``."""

from flask import Response, jsonify
from flask.views import MethodView

from service.access.permissions import Permission
from service.core.errors import NotFoundError
from service.core.json import JsonObject
from service.db.session import unit_of_work
from service.identity import namespaces
from service.profiles.lookups import ProfileView, find_profile
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import scope, services
from service.web.payloads.profiles import (
    EntityArgumentsSchema,
    EntitySchema,
    ProfileSchema,
    entity_answer,
    profile_answer,
)

blueprint = Blueprint("profiles", __name__, description="People, by any of their identities.")
_ENTITIES = {
    "type": "object",
    "description": "The entity under its own id.",
    "additionalProperties": {"type": "object"},
}


@blueprint.route("/profiles/<namespace>/<path:value>")
class OneProfile(MethodView):
    """One person."""

    @requires(Permission.PROFILES_READ)
    @blueprint.response(200, ProfileSchema)
    def get(self, namespace: str, value: str) -> JsonObject:
        """Show a person with identities, live activities, push tokens and the owners of these."""
        return profile_answer(_found(namespace, value))


@blueprint.route("/data/core/ups/access/entities")
class Entities(MethodView):
    """Profiles as the Profile API answers them."""

    @requires(Permission.PROFILES_READ)
    @blueprint.arguments(EntityArgumentsSchema, location="query")
    @blueprint.response(200, _ENTITIES)
    def get(self, asked: tuple[str, str]) -> Response:
        """Show a person in XDM's shape, by namespace and id."""
        view = _found(*asked)
        return jsonify({str(view.profile.id): EntitySchema().dump(entity_answer(view))})


def _found(namespace: str, value: str) -> ProfileView:
    """Return the person; a namespace is found whatever its case, as Adobe's clients write it."""
    with unit_of_work(services().sessions) as session:
        known = {each.code.lower(): each.code for each in namespaces.list_all(session, scope())}
        code = known.get(namespace.lower())
        if code is None:
            raise NotFoundError(
                f"There is no namespace {namespace!r} in this sandbox: /idnamespace/identities "
                "lists them.",
            )
        view = find_profile(session, scope(), code, value)
    if view is None:
        raise NotFoundError(f"Nobody was seen with this identity of {namespace}.")
    return view
