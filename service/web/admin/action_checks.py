"""Checks of custom actions that call their vendors."""

from uuid import UUID

from flask.views import MethodView

from service.access.permissions import Permission
from service.db.session import unit_of_work
from service.flows.check_authentication import AuthenticationCheck, check_authentication
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.action_checks import AuthenticationCheckSchema

blueprint = Blueprint("action-checks", __name__, description="Whether third parties can be called.")


@blueprint.route("/actions/<uuid:action_id>/check-authentication")
class ActionAuthentication(MethodView):
    """Whether one action can prove who calls."""

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.response(200, AuthenticationCheckSchema)
    def post(self, action_id: UUID) -> AuthenticationCheck:
        """Get a token afresh, by the way that calls go, and say what happened without showing it.

        The token is kept for the calls that follow. A vendor's refusal is an answer, not an error.
        """
        tools = services().delivery
        checked = check_authentication(
            tools.sessions, services().actions, tools.tokens, scope(), action_id, tools.clock
        )
        with unit_of_work(tools.sessions) as session:
            facts = {"kind": checked.kind, "ok": checked.is_ok}
            record_change(session, "action.authenticationChecked", action_id, **facts)
        return checked
