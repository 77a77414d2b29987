"""Segments of one sandbox. Source: Segmentation Service API, ``/segment/definitions``."""

from typing import Any
from uuid import UUID

from flask import Response, request
from flask.views import MethodView

from service.access.permissions import Permission
from service.db.session import unit_of_work
from service.flows.delete_unused import delete_segment
from service.segments import definitions
from service.segments.definitions import NewSegment, SegmentChanges
from service.segments.pql.errors import PqlError
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.errors import problem
from service.web.payloads.base import Page, PageArguments, PageArgumentsSchema, page_of
from service.web.payloads.segments import (
    SegmentChangesSchema,
    SegmentPageSchema,
    SegmentSchema,
    segment_answer,
)

blueprint = Blueprint("segments", __name__, description="Who belongs together, by a rule.")


@blueprint.route("/data/core/ups/segment/definitions")
class Segments(MethodView):
    """Every segment of the sandbox."""

    @requires(Permission.SEGMENTS_READ)
    @blueprint.arguments(PageArgumentsSchema, location="query")
    @blueprint.response(200, SegmentPageSchema)
    def get(self, asked: PageArguments) -> Page[dict[str, Any]]:
        """List segments, oldest first."""
        with unit_of_work(services().sessions) as session:
            page = page_of(
                asked,
                lambda limit: definitions.list_page(
                    session, scope(), limit=limit, after=asked.after
                ),
                lambda row: row.id,
            )
        return Page([segment_answer(row) for row in page.items], page.page)

    @requires(Permission.SEGMENTS_WRITE)
    @blueprint.arguments(SegmentSchema, examples=examples.SEGMENTS)
    @blueprint.response(200, SegmentSchema)
    def post(self, new: NewSegment) -> dict[str, Any]:
        """Create a segment; a streaming one is evaluated for everybody by a job.

        `evaluation` in the answer says how the segment is evaluated and why.
        """
        with unit_of_work(services().sessions) as session:
            row = definitions.create(session, scope(), new, now=services().clock.now())
            record_change(session, "segment.create", row.id, name=row.name)
            return segment_answer(row)


@blueprint.route("/data/core/ups/segment/definitions/<uuid:segment_id>")
class OneSegment(MethodView):
    """One segment."""

    @requires(Permission.SEGMENTS_READ)
    @blueprint.response(200, SegmentSchema)
    def get(self, segment_id: UUID) -> dict[str, Any]:
        """Show one segment."""
        with unit_of_work(services().sessions) as session:
            return segment_answer(definitions.get(session, scope(), segment_id))

    @requires(Permission.SEGMENTS_WRITE)
    @blueprint.arguments(SegmentChangesSchema, example=examples.SEGMENT_CHANGES)
    @blueprint.response(200, SegmentSchema)
    def patch(self, changes: SegmentChanges, segment_id: UUID) -> dict[str, Any]:
        """Change a segment; a new rule is evaluated for everybody by a job."""
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            row = definitions.update(session, scope(), segment_id, changes, now=now)
            record_change(session, "segment.update", row.id, name=row.name)
            return segment_answer(row)

    @requires(Permission.SEGMENTS_WRITE)
    @blueprint.response(204)
    def delete(self, segment_id: UUID) -> Response:
        """Remove a segment at once, and its memberships soon after.

        One that a live journey uses is kept: 409, with the journeys in `journeys`.
        """
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            delete_segment(session, scope(), segment_id, now=now)
            record_change(session, "segment.delete", segment_id)
        return Response(status=204)


@blueprint.errorhandler(PqlError)
def _wrong_rule(error: PqlError) -> Response:
    """Show the fault under the rule as it was written."""
    rule = (request.get_json().get("expression") or {}).get("value")
    caret = error.caret(rule) if isinstance(rule, str) else None
    return problem(422, error.detail, **{**error.fields, "caret": caret})
