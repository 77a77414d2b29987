"""The two ledgers of one sandbox: people and deliveries."""

from flask.views import MethodView

from service.access.permissions import Permission
from service.core.json import JsonObject
from service.db.session import unit_of_work
from service.flows.check_ledgers import read_ledger
from service.web.api import Blueprint
from service.web.auth import requires
from service.web.context import scope, services
from service.web.payloads.ledger import LedgerArgumentsSchema, LedgerSchema, ledger_answer

blueprint = Blueprint(
    "ledger", __name__, description="Whether everybody and everything is counted."
)


@blueprint.route("/ledger")
class Ledger(MethodView):
    """People and deliveries, counted three ways."""

    @requires(Permission.DELIVERIES_READ)
    @blueprint.arguments(LedgerArgumentsSchema, location="query")
    @blueprint.response(200, LedgerSchema)
    def get(self, wanted: JsonObject) -> JsonObject:
        """Show both ledgers by journey version and node, held against the rows of this moment."""
        with unit_of_work(services().sessions) as session:
            return ledger_answer(read_ledger(session, scope()), wanted)
