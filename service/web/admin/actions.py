"""Custom actions of one sandbox: how third parties are called."""

from uuid import UUID

from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from service.access.permissions import Permission
from service.db.session import unit_of_work
from service.flows.delete_unused import delete_action
from service.outbound import actions
from service.outbound.actions import NewAction
from service.outbound.models import CustomAction
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.actions import ActionPageSchema, ActionSchema, NewActionSchema
from service.web.payloads.base import Page, PageArguments, PageArgumentsSchema, page_of

blueprint = Blueprint("actions", __name__, description="How third parties are called.")


@blueprint.route("/actions")
class Actions(MethodView):
    """Every custom action of the sandbox."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.arguments(PageArgumentsSchema, location="query")
    @blueprint.response(200, ActionPageSchema)
    def get(self, asked: PageArguments) -> Page[CustomAction]:
        """List custom actions, oldest first."""
        with unit_of_work(services().sessions) as session:
            return page_of(
                asked,
                lambda limit: _oldest_first(session, asked.after)[:limit],
                lambda row: row.id,
            )

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(NewActionSchema, examples=examples.ACTIONS)
    @blueprint.response(201, ActionSchema)
    def post(self, new: NewAction) -> CustomAction:
        """Create a custom action; it is refused when it could not be sent for anyone."""
        with unit_of_work(services().sessions) as session:
            row = services().actions.create(session, scope(), new, now=services().clock.now())
            record_change(session, "action.create", row.id, name=row.name, adapter=row.adapter)
            return row


@blueprint.route("/actions/<uuid:action_id>")
class OneAction(MethodView):
    """One custom action."""

    @requires(Permission.ACTIONS_READ)
    @blueprint.response(200, ActionSchema)
    def get(self, action_id: UUID) -> CustomAction:
        """Show one custom action, without its secret."""
        with unit_of_work(services().sessions) as session:
            return actions.get(session, scope(), action_id)

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(NewActionSchema)
    @blueprint.response(200, ActionSchema)
    def put(self, new: NewAction, action_id: UUID) -> CustomAction:
        """Overwrite a custom action, which workers follow in a second; a left out secret stays."""
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            row = services().actions.update(session, scope(), action_id, new, now=now)
            record_change(session, "action.update", row.id, name=row.name, adapter=row.adapter)
            return row

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.response(204)
    def delete(self, action_id: UUID) -> Response:
        """Remove a custom action that no journey needs, and its secret with it.

        409, with the journeys in `journeys`, while a draft or a live version calls it, or people
        are inside a closed one. The record of its deliveries stays.
        """
        with unit_of_work(services().sessions) as session:
            gone = delete_action(session, scope(), action_id)
            record_change(session, "action.delete", action_id, name=gone.name)
        return Response(status=204)


def _oldest_first(session: Session, after: UUID | None) -> list[CustomAction]:
    rows = sorted(actions.list_all(session, scope()), key=lambda row: row.id)
    return [row for row in rows if after is None or row.id > after]
