"""Where vendors post what became of messages: open to everyone whose signature is right."""

from uuid import UUID

from flask import request
from flask.views import MethodView

from service.flows import receipts
from service.flows.receipts import Taken
from service.outbound.receipt_signatures import ReceiptRequest
from service.web.api import Blueprint
from service.web.auth import open_to_everyone
from service.web.context import services
from service.web.payloads.receipt_sources import TakenSchema

blueprint = Blueprint("receipts", __name__, description="What became of messages.")


@blueprint.route("/receipts/<uuid:source_id>")
class Receipts(MethodView):
    """The receipts of one source."""

    @open_to_everyone
    @blueprint.response(200, TakenSchema)
    def post(self, source_id: UUID) -> Taken:
        """Take a vendor's receipts in its own form, signed as it signs.

        The same again changes nothing. Receipts of messages that nobody knows are counted.
        """
        found = services()
        posted = ReceiptRequest(
            url=request.url if not request.query_string else _called_url(),
            headers={name.lower(): value for name, value in request.headers.items()},
            body=request.get_data(cache=False),
        )
        return receipts.take_in(found.sessions, found.keyring, found.clock, source_id, posted)


def _called_url() -> str:
    """Return the URL with its query just as it was sent: it is signed."""
    return f"{request.base_url}?{request.query_string.decode('latin-1')}"
