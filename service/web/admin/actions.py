"""Custom actions of one sandbox: how third parties are called."""

from uuid import UUID

from flask import Response
from flask.views import MethodView
from sqlalchemy.orm import Session

from service.access.permissions import Permission
from service.core.errors import ForbiddenError
from service.db.session import unit_of_work
from service.flows import test_action
from service.flows.change_action import change_action
from service.flows.delete_unused import delete_action
from service.flows.test_action import Trial, TrialResult
from service.outbound import actions
from service.outbound.models import CustomAction
from service.outbound.new_action import NewAction
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import caller, record_change, scope, services
from service.web.payloads.action_trials import TrialResultSchema, TrialSchema
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
    @blueprint.arguments(NewActionSchema, examples=examples.ACTIONS)
    @blueprint.response(200, ActionSchema)
    def put(self, new: NewAction, action_id: UUID) -> CustomAction:
        """Overwrite a custom action, which workers follow in a second; a left out secret stays.

        409, with the journeys in `journeys`, while one that runs would not give the parameters that
        the action then declares.
        """
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            row = change_action(session, scope(), services().actions, action_id, new, now=now)
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


@blueprint.route("/actions/<uuid:action_id>/test")
class ActionTest(MethodView):
    """One message of an action, sent now."""

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(TrialSchema, examples=examples.TRIALS)
    @blueprint.response(200, TrialResultSchema)
    def post(self, trial: Trial, action_id: UUID) -> TrialResult:
        """Send a test request, the way every message goes, and tell what became of it.

        It takes a permit and a connection like any call, so it may be `capped`. It is one call: no
        delivery is kept and nothing is repeated.
        """
        _may_see_person(trial)
        _record_test("action.test", action_id)
        result = test_action.send(services().delivery, scope(), action_id, trial)
        status = result.reply.status if result.reply else None
        _record_test("action.tested", action_id, outcome=result.outcome, statusCode=status)
        return result


@blueprint.route("/actions/<uuid:action_id>/preview")
class ActionPreview(MethodView):
    """One message of an action, not sent."""

    @requires(Permission.ACTIONS_WRITE)
    @blueprint.arguments(TrialSchema, examples=examples.TRIALS)
    @blueprint.response(200, TrialResultSchema)
    def post(self, trial: Trial, action_id: UUID) -> TrialResult:
        """Show what would be sent, or why nothing would; no token is fetched for it."""
        _may_see_person(trial)
        return test_action.preview(services().delivery, scope(), action_id, trial)


def _may_see_person(trial: Trial) -> None:
    """Refuse to make a message of somebody whose profile the caller may not read.

    Raises:
        ForbiddenError: The token lacks ``profiles.read``.
    """
    if trial.identity is not None and Permission.PROFILES_READ not in caller().permissions:
        raise ForbiddenError(
            "A message of a person shows the profile: the token needs profiles.read for that."
        )


def _record_test(action: str, action_id: UUID, **facts: object) -> None:
    with unit_of_work(services().sessions) as session:
        name = actions.get(session, scope(), action_id).name
        record_change(session, action, action_id, name=name, **facts)


def _oldest_first(session: Session, after: UUID | None) -> list[CustomAction]:
    rows = sorted(actions.list_all(session, scope()), key=lambda row: row.id)
    return [row for row in rows if after is None or row.id > after]
