"""How each vendor answers: its success, and every scripted failure in its own words."""

import json
from typing import NamedTuple

from mobile_stub.gateway_faults import Fault, FaultKind, Route
from mobile_stub.gateway_fcm import error_body
from mobile_stub.gateway_http import Ending, Reply, answer

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"
_MS = 1000
_ENDINGS = {
    FaultKind.CLOSE: Ending.CLOSED,
    FaultKind.RESET: Ending.RESET,
    FaultKind.RESET_BEFORE_BODY: Ending.RESET,
}


class _Failure(NamedTuple):
    """One failure in three dialects: FCM (status, code, FcmError), generic, OAuth."""

    http: int
    fcm_status: str
    fcm_code: str | None
    word: str
    generic_http: int | None = None


_FAILURES = {
    FaultKind.THROTTLED: _Failure(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "rate_limited"),
    FaultKind.UNAVAILABLE: _Failure(503, "UNAVAILABLE", "UNAVAILABLE", "unavailable"),
    FaultKind.INTERNAL: _Failure(500, "INTERNAL", "INTERNAL", "internal_error"),
    FaultKind.UNAUTHENTICATED: _Failure(401, "UNAUTHENTICATED", None, "unauthorized"),
    FaultKind.INVALID_ARGUMENT: _Failure(
        400, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "invalid_argument"
    ),
    FaultKind.DEAD_TOKEN: _Failure(404, "NOT_FOUND", "UNREGISTERED", "unregistered", 410),
    FaultKind.SENDER_MISMATCH: _Failure(
        403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "wrong_sender"
    ),
}


class VendorAnswer(NamedTuple):
    """A reply with the status it carries; 0 when the caller gets no answer."""

    status: int
    reply: Reply


def success(fields: dict[str, object]) -> VendorAnswer:
    """Return a 200 with these JSON fields."""
    return VendorAnswer(200, answer(200, json.dumps(fields).encode()))


def generic_error(status: int, word: str) -> VendorAnswer:
    """Return an error of the generic push API or of OAuth: ``{"error": word}``."""
    return VendorAnswer(status, answer(status, json.dumps({"error": word}).encode()))


def fcm_error(
    code: int, status: str, text: str, *, error_code: str | None = None, field: str | None = None
) -> VendorAnswer:
    """Return an error of FCM in the form of ``google.rpc.Status``."""
    body = error_body(code, status, text, error_code=error_code, field=field)
    return VendorAnswer(code, answer(code, body))


def faulty(fault: Fault, route: Route, usual: VendorAnswer) -> VendorAnswer:
    """Return what a fault makes of the usual answer: another one, a late one, or none."""
    status, reply = _instead(fault, route) or usual
    ending = _ENDINGS.get(fault.kind, Ending.ANSWERED)
    drip_s = fault.interval_ms / _MS if fault.kind is FaultKind.DRIP else 0.0
    shaped = reply._replace(delay_s=fault.latency_ms / _MS, drip_s=drip_s, ending=ending)
    return VendorAnswer(status if ending is Ending.ANSWERED else 0, shaped)


def _instead(fault: Fault, route: Route) -> VendorAnswer | None:
    headers = () if fault.retry_after is None else (f"Retry-After: {fault.retry_after}",)
    if fault.kind is FaultKind.BAD_GATEWAY:
        return VendorAnswer(502, answer(502, _HTML, "text/html", headers))
    failure = _FAILURES.get(fault.kind)
    if failure is None:
        return None
    if route is Route.FCM:
        text = f"scripted {fault.kind.value}"
        status = failure.http
        body = error_body(status, failure.fcm_status, text, error_code=failure.fcm_code)
    else:
        status = failure.generic_http or failure.http
        body = json.dumps({"error": failure.word}).encode()
    return VendorAnswer(status, answer(status, body, headers=headers))
