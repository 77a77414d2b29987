"""Messages that were not sent, and sending them again."""

from uuid import UUID

from flask.views import MethodView

from service.access.permissions import Permission
from service.core.json import JsonObject
from service.db.session import unit_of_work
from service.flows import replay_dead_letters
from service.flows.replay_dead_letters import Replay
from service.flows.test_action import TrialResult
from service.outbound import dead_letters
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.action_trials import TrialResultSchema
from service.web.payloads.base import Page, page_of
from service.web.payloads.dead_letters import (
    DeadLetterPageSchema,
    DeadLetterSchema,
    LetterArguments,
    LetterArgumentsSchema,
    ReplayedSchema,
    ReplaySchema,
    letter_answer,
)

blueprint = Blueprint(
    "dead letters", __name__, description="Messages that were not sent, and sending them again."
)


@blueprint.route("/dead-letters")
class DeadLetters(MethodView):
    """Every dead letter of the sandbox."""

    @requires(Permission.DELIVERIES_READ)
    @blueprint.arguments(LetterArgumentsSchema, location="query")
    @blueprint.response(200, DeadLetterPageSchema)
    def get(self, asked: LetterArguments) -> Page[JsonObject]:
        """List dead letters, newest first."""
        with unit_of_work(services().sessions) as session:
            found = page_of(
                asked.page,
                lambda limit: dead_letters.list_page(
                    session, scope(), asked.chosen, limit=limit, after=asked.page.after
                ),
                lambda row: row.delivery_id,
            )
        return Page([letter_answer(each) for each in found.items], found.page)


@blueprint.route("/dead-letters/<uuid:delivery_id>")
class OneDeadLetter(MethodView):
    """One dead letter."""

    @requires(Permission.DELIVERIES_READ)
    @blueprint.response(200, DeadLetterSchema)
    def get(self, delivery_id: UUID) -> JsonObject:
        """Show one dead letter."""
        with unit_of_work(services().sessions) as session:
            return letter_answer(dead_letters.get(session, scope(), delivery_id))


@blueprint.route("/dead-letters/<uuid:delivery_id>/preview")
class Preview(MethodView):
    """What a dead letter would send now."""

    @requires(Permission.DELIVERIES_READ)
    @blueprint.response(200, TrialResultSchema)
    def get(self, delivery_id: UUID) -> TrialResult:
        """Render a dead letter as it would go now, or show the gate that would stay shut."""
        return replay_dead_letters.preview(services().delivery, scope(), delivery_id)


@blueprint.route("/dead-letters/replay")
class Replays(MethodView):
    """Sending dead letters again."""

    @requires(Permission.DELIVERIES_WRITE)
    @blueprint.arguments(ReplaySchema, examples=examples.REPLAYS)
    @blueprint.response(200, ReplayedSchema)
    def post(self, asked: Replay) -> JsonObject:
        """Send dead letters again, each once, through every gate; journeys stay as they are.

        A letter of a doubtful call may have been sent: `state` of the filter says which to take.
        """
        done = replay_dead_letters.replay(services().delivery, scope(), asked)
        answer = {
            "count": done.count,
            "left": done.left,
            "last_due_at": done.last_due_at,
            "is_dry_run": asked.is_dry_run,
        }
        if not asked.is_dry_run:
            with unit_of_work(services().sessions) as session:
                facts = {"count": done.count, "maxPerMinute": asked.max_per_minute}
                record_change(session, "deadLetters.replay", scope().sandbox, **facts)
        return answer
