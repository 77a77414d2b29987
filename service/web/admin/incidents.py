"""Incidents of one sandbox: what a vendor says of too many tokens at once."""

from uuid import UUID

from flask.views import MethodView

from service.access.permissions import Permission
from service.core.json import JsonObject
from service.db.session import unit_of_work
from service.flows import dead_verdicts
from service.outbound import incidents
from service.outbound.incidents import Verdict
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.base import Page, page_of
from service.web.payloads.incidents import (
    DecisionSchema,
    IncidentArguments,
    IncidentArgumentsSchema,
    IncidentPageSchema,
    IncidentSchema,
    incident_answer,
)

blueprint = Blueprint(
    "incidents", __name__, description="What a vendor says of too many tokens at once."
)


@blueprint.route("/incidents")
class Incidents(MethodView):
    """Every incident of the sandbox."""

    @requires(Permission.DELIVERIES_READ)
    @blueprint.arguments(IncidentArgumentsSchema, location="query")
    @blueprint.response(200, IncidentPageSchema)
    def get(self, asked: IncidentArguments) -> Page[JsonObject]:
        """List incidents, newest first."""
        with unit_of_work(services().sessions) as session:
            found = page_of(
                asked.page,
                lambda limit: incidents.list_page(
                    session,
                    scope(),
                    is_open=asked.is_open,
                    action_id=asked.action_id,
                    limit=limit,
                    after=asked.page.after,
                ),
                lambda row: row.id,
            )
            held = incidents.count_held(session, scope(), [each.id for each in found.items])
        items = [incident_answer(each, held.get(each.id, 0)) for each in found.items]
        return Page(items, found.page)


@blueprint.route("/incidents/<uuid:incident_id>")
class OneIncident(MethodView):
    """One incident."""

    @requires(Permission.DELIVERIES_READ)
    @blueprint.response(200, IncidentSchema)
    def get(self, incident_id: UUID) -> JsonObject:
        """Show one incident."""
        with unit_of_work(services().sessions) as session:
            row = incidents.get(session, scope(), incident_id)
            held = incidents.count_held(session, scope(), [row.id])
        return incident_answer(row, held.get(row.id, 0))


@blueprint.route("/incidents/<uuid:incident_id>/decide")
class Decision(MethodView):
    """What is true of the held verdicts."""

    @requires(Permission.DELIVERIES_WRITE)
    @blueprint.arguments(DecisionSchema, example=examples.DECISION)
    @blueprint.response(200, IncidentSchema)
    def post(self, verdict: Verdict, incident_id: UUID) -> JsonObject:
        """Believe or dismiss the held verdicts; what stopped midway is finished by asking again.

        The answer says how many tokens were denylisted, and how many were registered again.
        """
        found = services()
        row = dead_verdicts.decide(found.sessions, found.clock, scope(), incident_id, verdict)
        with unit_of_work(found.sessions) as session:
            record_change(session, "incident.decide", row.id, verdict=verdict.value, **row.facts)
        return incident_answer(row, 0)
