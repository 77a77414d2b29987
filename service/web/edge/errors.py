"""The Edge Network's errors that this service can answer with, by their EXEG codes.

Source: Adobe Experience Platform, Edge Network API, "Troubleshooting and error codes".
"""

from collections.abc import Mapping
from typing import Any

from service.core.json import JsonObject
from service.web.body import BodyError, BodyFault

TYPE_PREFIX = "https://ns.adobe.com/aep/errors/EXEG-"
NO_TYPE = "about:blank"


class EdgeError(Exception):
    """A request that is refused whole: nothing of it is stored.

    Attributes:
        code: ``0101-400`` and the like; ``None`` where Adobe has no code for the case.
    """

    def __init__(
        self,
        code: str | None,
        status: int,
        title: str,
        detail: str,
        report: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(title)
        self.code = code
        self.status = status
        self.title = title
        self.detail = detail
        self.report = report or {}

    def problem(self, request_id: str) -> JsonObject:
        """Return the problem document. Its types are those that iOS decodes strictly."""
        return {
            "type": f"{TYPE_PREFIX}{self.code}" if self.code else NO_TYPE,
            "status": self.status,
            "title": self.title,
            "detail": self.detail,
            "report": {**self.report, "requestId": request_id},
        }


def missing_datastream() -> EdgeError:
    """Return the error for a URL without ``configId``."""
    return EdgeError(
        "0002-400",
        400,
        "Missing datastream parameter",
        "The query parameter configId is missing. Add the datastream ID and try again.",
    )


def unknown_datastream(datastream: str) -> EdgeError:
    """Return the error for a ``configId`` that names no datastream."""
    return EdgeError(
        "0003-400",
        400,
        "Invalid datastream ID",
        f"The datastream ID '{datastream[:64]}' referenced in your request does not exist. "
        "Update the request with a valid datastream ID and try again.",
    )


def disabled_datastream(datastream: str) -> EdgeError:
    """Return the error for a datastream that an operator switched off."""
    return EdgeError(
        "0004-422",
        422,
        "Datastream disabled",
        f"The datastream '{datastream[:64]}' is disabled. Enable it and try again.",
    )


def missing_value(path: str) -> EdgeError:
    """Return the error for a mandatory field that is absent."""
    return EdgeError(
        "0103-400",
        400,
        "Missing required value",
        f"The field {path} is required. Add it and try again.",
    )


def invalid_field(path: str, problem: str) -> EdgeError:
    """Return the error for a wrong type or value at ``path``."""
    return EdgeError(
        "0102-400",
        400,
        "Invalid request field",
        f"The field {path} is not valid: {problem}.",
        {"errors": [f"{path}: {problem}"]},
    )


def invalid_body(error: BodyError) -> EdgeError:
    """Return what the Edge Network says to a body that cannot be read.

    An empty body is 400: Adobe's own 408 would make a phone send it again for ever.
    """
    match error.fault:
        case BodyFault.EMPTY:
            return EdgeError(
                "0105-400", 400, "Empty request", "The request has no body. Send a JSON object."
            )
        case BodyFault.TOO_LARGE:
            return EdgeError("0112-413", 413, "Request too large", f"{error.problem}.")
        case BodyFault.NOT_JSON:
            return EdgeError("0101-400", 400, "Invalid JSON request", f"{error.problem}.")
        case BodyFault.WRONG_FIELD:
            return invalid_field(error.path, error.problem)


def refused_data(detail: str) -> EdgeError:
    """Return the error for data that the store itself refuses; a retry cannot help."""
    return EdgeError(
        "0104-422",
        422,
        "Unprocessable Entity",
        "Invalid request (report attached). Please check your input and try again.",
        {"errors": [detail]},
    )


class RefusedOriginError(EdgeError):
    """A page whose origin the datastream does not list; the page may not read the answer."""

    def __init__(self, origin: str) -> None:
        detail = f"The datastream does not accept requests from {origin}."
        super().__init__(None, 403, "Origin not allowed", detail)


def wrong_method() -> EdgeError:
    """Return the error for anything but POST and OPTIONS."""
    return EdgeError(None, 405, "Method not allowed", "Use POST.")


def not_served() -> EdgeError:
    """Return the error for a path of the protocol that this version does not serve."""
    return EdgeError(None, 404, "Not found", "This path is not served.")


def unavailable() -> EdgeError:
    """Return the error for trouble on our side: SDKs keep the hit and send it again."""
    return EdgeError(
        "0201-503",
        503,
        "Service unavailable",
        "The service is temporarily unavailable. Please try again later.",
    )


def consent_missing() -> JsonObject:
    """Return the warning that the events were not kept for lack of consent."""
    return _warning("0301-200", "User consent missing: the events were not kept")


def token_not_taken(reason: str) -> JsonObject:
    """Return the warning that a push token was refused, and why."""
    return _warning("0204-200", "A push token was not taken", reason)


def _warning(code: str, title: str, cause: str | None = None) -> JsonObject:
    warning: JsonObject = {"type": TYPE_PREFIX + code, "status": 200, "title": title}
    if cause is not None:
        warning["report"] = {"cause": {"message": cause, "code": 200}}
    return warning
