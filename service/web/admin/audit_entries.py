"""What was refused, dropped or changed in one sandbox."""

from flask.views import MethodView

from service.access.permissions import Permission
from service.audit import entries
from service.audit.models import AuditEntry
from service.db.session import unit_of_work
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import scope, services
from service.web.payloads.audit_entries import (
    AuditArguments,
    AuditArgumentsSchema,
    AuditPageSchema,
)
from service.web.payloads.base import Page, page_of

blueprint = Blueprint("audit", __name__, description="What was refused, dropped or changed.")


@blueprint.route("/audit/entries")
class AuditEntries(MethodView):
    """Every audit entry of the sandbox."""

    @requires(Permission.AUDIT_READ)
    @blueprint.arguments(AuditArgumentsSchema, location="query")
    @blueprint.response(200, AuditPageSchema)
    def get(self, asked: AuditArguments) -> Page[AuditEntry]:
        """List entries, newest first."""
        with unit_of_work(services().sessions) as session:
            return page_of(
                asked.page,
                lambda limit: entries.list_page(
                    session, scope(), asked.wanted, limit=limit, after=asked.page.after
                ),
                lambda row: row.id,
            )
