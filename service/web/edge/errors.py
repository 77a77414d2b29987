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


def unprocessable(problems: list[str]) -> EdgeError:
    """Return the error for input that breaks a rule; a retry of the same cannot help."""
    return EdgeError(
        "0104-422",
        422,
        "Unprocessable Entity",
        "Invalid request (report attached). Please check your input and try again.",
        {"errors": problems},
    )


def invalid_overrides(problem: str) -> EdgeError:
    """Return the error for ``configOverrides`` that the datastream does not allow."""
    return EdgeError(
        "0113-400",
        400,
        "Invalid request",
        "The configuration overrides are not valid (report attached).",
        {"errors": [problem]},
    )


def invalid_identity() -> EdgeError:
    """Return the error for a consent of nobody: none of its identities can be one."""
    return EdgeError(
        "0305-400",
        400,
        "Invalid identity provided",
        "None of the request's identities can be used. Name one that can and try again.",
    )


def unproved_consent() -> EdgeError:
    """Return the error for a consent of people only, where people have to prove who they are."""
    return EdgeError(
        "0305-400",
        400,
        "Invalid identity provided",
        "The datastream asks for proof of login, which a consent cannot carry: name the ECID of "
        "the device that gives it.",
    )


def unsupported_type() -> EdgeError:
    """Return the error for a body in a format other than JSON."""
    return EdgeError("0111-415", 415, "Invalid request", "Send the body as JSON.")


def unsupported_encoding(encoding: str) -> EdgeError:
    """Return the error for a compressed body, which no SDK sends."""
    detail = f"Content-Encoding {encoding[:32]} is not read: send the body as plain JSON."
    return EdgeError("0111-415", 415, "Invalid request", detail)


def no_token() -> EdgeError:
    """Return the error for a request that needs an access token and carries none."""
    detail = "Send an access token: `Authorization: Bearer …`."
    return EdgeError("0500-401", 401, "Invalid authorization token", detail)


def wrong_token() -> EdgeError:
    """Return the error for a token that this service did not sign, or whose client is gone."""
    detail = "The access token is not valid. Ask for a new one and try again."
    return EdgeError("0502-401", 401, "Invalid authorization token", detail)


def expired_token() -> EdgeError:
    """Return the error for a token whose time is over."""
    detail = "The access token has expired. Ask for a new one and try again."
    return EdgeError("0503-401", 401, "Invalid authorization token", detail)


def foreign_token() -> EdgeError:
    """Return the error for a token that belongs to another client or organisation."""
    return EdgeError(
        "0504-401",
        401,
        "Required product context is missing",
        "x-api-key and x-gw-ims-org-id must be the client and organisation of the access token.",
    )


def token_without_scope(scope: str) -> EdgeError:
    """Return the error for a token that does not allow to send events."""
    detail = f"The access token lacks the scope {scope}."
    return EdgeError("0505-401", 401, "Required authorization token scope is missing", detail)


def closed_sandbox(sandbox: str) -> EdgeError:
    """Return the error for a token that is not good for the datastream's sandbox."""
    detail = f"The access token is not for the sandbox {sandbox}."
    return EdgeError("0506-401", 401, "Sandbox not accessible for write", detail)


class RefusedOriginError(EdgeError):
    """A page whose origin the datastream does not list; the page may not read the answer."""

    def __init__(self, origin: str) -> None:
        detail = (
            f"The datastream does not accept requests from {origin}: list it in the datastream's "
            "`origins`."
        )
        super().__init__(None, 403, "Origin not allowed", detail)


class TooManyRequestsError(EdgeError):
    """More requests than the datastream may send; SDKs keep the hit and send it again.

    Attributes:
        retry_after_s: Whole seconds until one more may be answered.
    """

    def __init__(self, retry_after_s: int, per_second: float) -> None:
        detail = (
            f"The datastream has reached its limit, requestsPerSecond: {per_second:g}. Please try "
            "again later."
        )
        super().__init__(None, 429, "Too many requests", detail)
        self.retry_after_s = retry_after_s


def wrong_method() -> EdgeError:
    """Return the error for anything but POST and OPTIONS."""
    return EdgeError(None, 405, "Method not allowed", "Use POST.")


def not_served() -> EdgeError:
    """Return the error for a path of an app's own, which nobody here would read."""
    return EdgeError(
        None,
        404,
        "Not found",
        "This path is not served. The paths of /ee are v1/interact, v1/collect, "
        "v1/privacy/set-consent, v1/identity/acquire, v2/interact, v2/collect and "
        "va/v1/{mediaEvent} for an event of the Media Edge API, such as va/v1/sessionStart.",
    )


def unavailable() -> EdgeError:
    """Return the error for trouble on our side: SDKs keep the hit and send it again."""
    return EdgeError(
        "0201-503",
        503,
        "Service unavailable",
        "The service is temporarily unavailable. Please try again later.",
    )


def consent_missing(event_index: int) -> JsonObject:
    """Return the warning that an event was not kept for lack of consent."""
    title = "User consent missing: the event was not kept"
    return _warning("0301-200", title, event_index=event_index)


def token_not_taken(reason: str, event_index: int | None, taken: str = "") -> JsonObject:
    """Return the warning that a push token was refused, why, and what would have been taken."""
    title = "A push token was not taken"
    return _warning("0204-200", f"{title}: {taken}" if taken else title, reason, event_index)


def identity_not_counted(namespace: str, reason: str, event_index: int | None = None) -> JsonObject:
    """Return the warning that an identity or a login does not count, and why.

    ``reason`` is a code, the same as in the audit; an unproved login is kept as ambiguous.
    """
    title = f"An identity of the namespace {namespace[:64]} does not count"
    return _warning("0204-200", title, reason, event_index)


def dataset_not_listed(event_index: int) -> JsonObject:
    """Return the warning that an event went to the datastream's own dataset instead."""
    title = "The event's dataset is not one of the datastream's: its own was used"
    return _warning("0204-200", title, "unknownDataset", event_index)


def identity_not_given(namespace: str) -> JsonObject:
    """Return the warning that a namespace's identities are not given out."""
    title = "Unauthorized to fetch identities of this namespace"
    return _warning("0303-200", title, namespace[:64])


def _warning(
    code: str, title: str, cause: str | None = None, event_index: int | None = None
) -> JsonObject:
    warning: JsonObject = {"type": TYPE_PREFIX + code, "status": 200, "title": title}
    report: JsonObject = {}
    if event_index is not None:
        report["eventIndex"] = event_index
    if cause is not None:
        report["cause"] = {"message": cause, "code": 200}
    if report:
        warning["report"] = report
    return warning
