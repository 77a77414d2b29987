"""Journeys of one sandbox: authored, published, stopped, and explained for one person.

Adobe has no public API to author journeys; the shape is that of its retrieve API.
Source: Journey Optimizer, Journey retrieve API.
"""

from typing import Any
from uuid import UUID

from flask import Response
from flask.views import MethodView

from service.access.permissions import Permission
from service.core.errors import NotFoundError
from service.core.json import JsonObject
from service.db.session import unit_of_work
from service.flows.check_ledgers import read_ledger
from service.flows.describe_deliveries import recipient_key
from service.flows.explain_journey import explain
from service.flows.publish_journey import publish
from service.jobs import wakeup
from service.journeys import history, instances, lifecycle, removal, versions
from service.journeys.models import JourneyVersion
from service.journeys.problems import DefinitionError, Problem, ProblemCode
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.errors import edgepost_problem, problem
from service.web.payloads.base import Page, PageArguments, PageArgumentsSchema, page_of
from service.web.payloads.journey_runs import (
    ExplanationSchema,
    InstanceListSchema,
    PersonArgumentsSchema,
    StepEventListSchema,
    explanation_answer,
    instance_answer,
    steps_answer,
)
from service.web.payloads.journeys import (
    JourneyPageSchema,
    JourneySchema,
    VersionArgumentsSchema,
    journey_answer,
)
from service.web.payloads.ledger import LedgerSchema, ledger_answer

blueprint = Blueprint("journeys", __name__, description="What people walk through.")
_MOST_RUNS = 100


@blueprint.route("/journeys")
class Journeys(MethodView):
    """Every journey of the sandbox."""

    @requires(Permission.JOURNEYS_READ)
    @blueprint.arguments(PageArgumentsSchema, location="query")
    @blueprint.response(200, JourneyPageSchema)
    def get(self, asked: PageArguments) -> Page[JsonObject]:
        """List journeys by their latest version, oldest journey first."""
        with unit_of_work(services().sessions) as session:
            found = page_of(
                asked,
                lambda limit: versions.list_page(session, scope(), limit=limit, after=asked.after),
                lambda row: row.journey_id,
            )
        return Page([_answer(row) for row in found.items], found.page)

    @requires(Permission.JOURNEYS_WRITE)
    @blueprint.arguments(JourneySchema, examples=examples.JOURNEYS)
    @blueprint.response(201, JourneySchema)
    def post(self, document: Any) -> JsonObject:
        """Create a journey as a draft, which need not be able to run yet."""
        with unit_of_work(services().sessions) as session:
            row = lifecycle.create(session, scope(), document, now=services().clock.now())
            record_change(session, "journey.create", row.journey_id, name=row.name)
        return _answer(row)


@blueprint.route("/journeys/<uuid:journey_id>")
class OneJourney(MethodView):
    """One journey."""

    @requires(Permission.JOURNEYS_READ)
    @blueprint.arguments(VersionArgumentsSchema, location="query")
    @blueprint.response(200, JourneySchema)
    def get(self, asked: JsonObject, journey_id: UUID) -> JsonObject:
        """Show one version of a journey, the latest unless one is named."""
        with unit_of_work(services().sessions) as session:
            return _answer(versions.get(session, scope(), journey_id, asked["version"]))

    @requires(Permission.JOURNEYS_WRITE)
    @blueprint.arguments(JourneySchema, examples=examples.JOURNEYS)
    @blueprint.response(200, JourneySchema)
    def put(self, document: Any, journey_id: UUID) -> JsonObject:
        """Replace the draft; a version that was published never changes."""
        with unit_of_work(services().sessions) as session:
            row = lifecycle.update_draft(session, scope(), journey_id, document)
            record_change(session, "journey.update", journey_id, version=row.version)
        return _answer(row)

    @requires(Permission.JOURNEYS_WRITE)
    @blueprint.arguments(VersionArgumentsSchema, location="query")
    @blueprint.response(204)
    def delete(self, asked: JsonObject, journey_id: UUID) -> Response:
        """Delete a journey that was never published, or the draft that `version` names.

        What was published stays (409): stop it. Its history is that of the people who were in it.
        """
        with unit_of_work(services().sessions) as session:
            gone = removal.delete_draft(session, scope(), journey_id, asked["version"])
            record_change(
                session, "journey.delete", journey_id, name=gone.name, version=gone.version
            )
        return Response(status=204)


@blueprint.route("/journeys/<uuid:journey_id>/versions")
class Versions(MethodView):
    """The versions of one journey."""

    @requires(Permission.JOURNEYS_WRITE)
    @blueprint.response(201, JourneySchema)
    def post(self, journey_id: UUID) -> JsonObject:
        """Add a draft that begins as a copy of the latest version."""
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            row = lifecycle.add_version(session, scope(), journey_id, now=now)
            record_change(session, "journey.addVersion", journey_id, version=row.version)
        return _answer(row)


@blueprint.route("/journeys/<uuid:journey_id>/publish")
class Publication(MethodView):
    """Whether people may enter."""

    @requires(Permission.JOURNEYS_WRITE)
    @blueprint.response(200, JourneySchema)
    def post(self, journey_id: UUID) -> JsonObject:
        """Make the draft live; the version before it lets nobody in any more.

        What keeps it from running is answered whole, each problem with its JSON pointer and code.
        """
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            published = publish(session, scope(), journey_id, now=now)
            number = published.version.version
            record_change(session, "journey.publish", journey_id, version=number)
        return _answer(published.version, published.warnings)


@blueprint.route("/journeys/<uuid:journey_id>/stop")
class Stop(MethodView):
    """The end of a journey."""

    @requires(Permission.JOURNEYS_WRITE)
    @blueprint.response(200, JourneySchema)
    def post(self, journey_id: UUID) -> JsonObject:
        """Stop every version: nobody enters and everyone inside leaves.

        Messages that no worker has begun are taken back as people leave; one on the wire is not.
        """
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            row = lifecycle.stop(session, scope(), journey_id, now=now)
            record_change(session, "journey.stop", journey_id, version=row.version)
            wakeup.notify(session)
        return _answer(row)


@blueprint.route("/journeys/<uuid:journey_id>/explain")
class Explanation(MethodView):
    """Why one person is where they are."""

    @requires(Permission.PROFILES_READ)
    @blueprint.arguments(PersonArgumentsSchema, location="query")
    @blueprint.response(200, ExplanationSchema)
    def get(self, identity: tuple[str, str], journey_id: UUID) -> JsonObject:
        """List every gate in order, passed or not, with the values it saw.

        A line is `recorded`, `evaluatedNow`, or `notKept` where nothing tells any more.
        """
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            return explanation_answer(explain(session, scope(), journey_id, identity, now=now))


@blueprint.route("/journeys/<uuid:journey_id>/ledger")
class JourneyLedger(MethodView):
    """Who entered and what was sent."""

    @requires(Permission.JOURNEYS_READ)
    @blueprint.response(200, LedgerSchema)
    def get(self, journey_id: UUID) -> JsonObject:
        """Show both ledgers of every version, held against the rows of this moment."""
        with unit_of_work(services().sessions) as session:
            versions.get(session, scope(), journey_id)
            return ledger_answer(read_ledger(session, scope()), {"journey_id": journey_id})


@blueprint.route("/journeys/<uuid:journey_id>/instances")
class Instances(MethodView):
    """The runs of one person."""

    @requires(Permission.PROFILES_READ)
    @blueprint.arguments(PersonArgumentsSchema, location="query")
    @blueprint.response(200, InstanceListSchema)
    def get(self, identity: tuple[str, str], journey_id: UUID) -> JsonObject:
        """List the runs that an identity has in a journey, newest first."""
        with unit_of_work(services().sessions) as session:
            versions.get(session, scope(), journey_id)
            keys = [recipient_key(session, scope(), *identity)]
            rows = instances.list_of_people(session, scope(), journey_id, keys, limit=_MOST_RUNS)
            return {"items": [instance_answer(row) for row in rows]}


@blueprint.route("/journeys/<uuid:journey_id>/instances/<uuid:instance_id>/step-events")
class StepEvents(MethodView):
    """What happened in one run."""

    @requires(Permission.PROFILES_READ)
    @blueprint.response(200, StepEventListSchema)
    def get(self, journey_id: UUID, instance_id: UUID) -> JsonObject:
        """List the step events of one run in their order, in Adobe's field names.

        What the person did with its messages stands among them by its time.
        """
        with unit_of_work(services().sessions) as session:
            row = instances.get(session, scope(), instance_id)
            if row.journey_id != journey_id:
                raise NotFoundError(f"There is no run {instance_id} of this journey.")
            return steps_answer(history.list_story(session, scope(), instance_id))


@blueprint.errorhandler(DefinitionError)
def _wrong_definition(error: DefinitionError) -> Response:
    """Answer 413 to what is too large, as Journey Optimizer does, and 422 to the rest."""
    if any(each.code is ProblemCode.DOCUMENT_TOO_LARGE for each in error.problems):
        return problem(413, error.detail, **error.fields)
    return edgepost_problem(error)


def _answer(row: JourneyVersion, warnings: tuple[Problem, ...] = ()) -> JsonObject:
    return journey_answer(row, scope(), services().settings.org_id, warnings)
