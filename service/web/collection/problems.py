"""The errors of streaming ingestion, in Experience Platform's shapes.

Source: Experience Platform, Streaming Ingestion API and its troubleshooting guide.
"""

from service.core.json import JsonObject
from service.flows.sources import InletSource
from service.web.body import BodyError, BodyFault
from service.web.collection.messages import MessageError

INLET_TYPE = "http://ns.adobe.com/adobecloud/problem/data-collection-service/inlet"
AUTHORIZATION_TYPE = "https://ns.adobe.com/adobecloud/problem/data-collection-service-authorization"
INVALID_FORMAT = "Invalid XDM Message Format"


class CollectionError(Exception):
    """A request that is refused whole.

    Attributes:
        problem: The document of the answer; it holds its status.
    """

    def __init__(self, problem: JsonObject) -> None:
        super().__init__(problem["title"])
        self.problem = problem

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self.problem["status"])


def refused_message(error: MessageError, source: InletSource, *, is_sync: bool) -> CollectionError:
    """Return the error for a single message; a synchronous check lists what is wrong."""
    report: JsonObject = {"message": spoken(error.reason, source)}
    if is_sync and error.violations:
        report["cause"] = {"_streamingValidation": list(error.violations)}
    return CollectionError(
        {"type": INLET_TYPE, "status": 400, "title": INVALID_FORMAT, "report": report}
    )


def spoken(reason: str, source: InletSource) -> str:
    """Return a reason as Experience Platform words it, with the inlet and organisation."""
    return f"inletId: [{source.id}] imsOrgId: [{source.org_id}] {reason}"


def invalid_body(error: BodyError) -> CollectionError:
    """Return the error for a body that cannot be read as messages at all."""
    if error.fault is BodyFault.TOO_LARGE:
        return inlet_error(413, "Request too large", error.problem)
    return inlet_error(400, INVALID_FORMAT, f"{error.path}: {error.problem}")


def inlet_error(status: int, title: str, message: str) -> CollectionError:
    """Return an error about the inlet or the request to it."""
    return CollectionError(
        {"type": INLET_TYPE, "status": status, "title": title, "report": {"message": message}}
    )


def unauthorized(source: InletSource) -> CollectionError:
    """Return the error for a request without the access token that its inlet requires."""
    message = f"[{source.id}] Ims service token is empty"
    return _authorization_error(401, message)


def forbidden(source: InletSource) -> CollectionError:
    """Return the error for an access token that is wrong, expired or of another sandbox."""
    message = f"[{source.id}] Ims service token is not valid for this inlet"
    return _authorization_error(403, message)


def unavailable() -> JsonObject:
    """Return the problem for trouble on our side: send it again later."""
    return {
        "type": INLET_TYPE,
        "status": 503,
        "title": "Service unavailable",
        "report": {"message": "The service is temporarily unavailable. Please try again later."},
    }


def _authorization_error(status: int, message: str) -> CollectionError:
    return CollectionError(
        {
            "type": AUTHORIZATION_TYPE,
            "status": status,
            "title": "Authorization",
            "report": {"message": message},
        }
    )
