"""Batch runs on demand. Source: Segmentation Service API, ``/segment/jobs``."""

from typing import Any
from uuid import UUID

from flask.views import MethodView

from service.access.permissions import Permission
from service.db.session import unit_of_work
from service.segments import evaluation_jobs
from service.segments.evaluation_jobs import EvaluationJob
from service.web import examples
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import record_change, scope, services
from service.web.payloads.segment_jobs import SegmentJobItemSchema, SegmentJobSchema

blueprint = Blueprint("segment jobs", __name__, description="Batch runs over segments.")


@blueprint.route("/data/core/ups/segment/jobs")
class SegmentJobs(MethodView):
    """Batch runs."""

    @requires(Permission.SEGMENTS_WRITE)
    @blueprint.arguments(SegmentJobItemSchema(many=True), example=examples.SEGMENT_JOB)
    @blueprint.response(200, SegmentJobSchema)
    def post(self, wanted: list[dict[str, Any]]) -> EvaluationJob:
        """Evaluate segments for everybody; an empty list means all of them."""
        segment_ids = [each["segment_id"] for each in wanted]
        now = services().clock.now()
        with unit_of_work(services().sessions) as session:
            job = evaluation_jobs.start(session, scope(), segment_ids, now=now)
            record_change(session, "segment.evaluate", job.id)
            return job


@blueprint.route("/data/core/ups/segment/jobs/<uuid:job_id>")
class OneSegmentJob(MethodView):
    """One batch run."""

    @requires(Permission.SEGMENTS_READ)
    @blueprint.response(200, SegmentJobSchema)
    def get(self, job_id: UUID) -> EvaluationJob:
        """Show how far a batch run is and what it changed."""
        with unit_of_work(services().sessions) as session:
            return evaluation_jobs.get(session, scope(), job_id)
