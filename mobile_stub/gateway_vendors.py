"""How each vendor answers: its success, and every scripted failure in its own words."""

import json
from collections.abc import Mapping
from typing import Final, NamedTuple

from mobile_stub.gateway_dialect import Dialect
from mobile_stub.gateway_faults import Fault, FaultKind
from mobile_stub.gateway_fcm import error_body
from mobile_stub.gateway_http import Ending, Reply, answer

_MS = 1000
_ENDINGS = {
    FaultKind.CLOSE: Ending.CLOSED,
    FaultKind.RESET: Ending.RESET,
    FaultKind.RESET_BEFORE_BODY: Ending.RESET,
    FaultKind.RESET_IN_BODY: Ending.RESET_IN_BODY,
    FaultKind.BLACK_HOLE: Ending.SILENT,
}
_FCM_CODES: Final[Mapping[str, tuple[int, str]]] = {
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED"),
    "UNAVAILABLE": (503, "UNAVAILABLE"),
    "INTERNAL": (500, "INTERNAL"),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT"),
    "UNREGISTERED": (404, "NOT_FOUND"),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED"),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED"),
}
_PLAIN_CODES: Final[Mapping[str, int]] = {
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
}


class VendorAnswer(NamedTuple):
    """A reply with the status it carries; 0 when the caller gets no answer."""

    status: int
    reply: Reply


def success(fields: Mapping[str, object], status: int = 200) -> VendorAnswer:
    """Return a 200 with these JSON fields."""
    return VendorAnswer(status, answer(status, json.dumps(fields).encode()))


def generic_error(status: int, word: str) -> VendorAnswer:
    """Return an error of the generic push API or of OAuth: ``{"error": word}``."""
    return VendorAnswer(status, answer(status, json.dumps({"error": word}).encode()))


def fcm_error(
    code: int, status: str, text: str, *, error_code: str | None = None, field: str | None = None
) -> VendorAnswer:
    """Return an error of FCM in the form of ``google.rpc.Status``."""
    body = error_body(code, status, text, error_code=error_code, field=field)
    return VendorAnswer(code, answer(code, body))


def faulty(fault: Fault, dialect: Dialect, usual: VendorAnswer) -> VendorAnswer:
    """Return what a fault makes of the usual answer: another one, a late one, or none."""
    status, reply = usual
    refusal = dialect.refusal(fault)
    if refusal is not None:
        status = refusal.status
        lines = tuple(f"{name}: {value}" for name, value in refusal.headers)
        reply = answer(status, refusal.body, refusal.content_type, lines)
    elif fault.kind is FaultKind.CUT_BODY:
        reply = _cut(reply)
    ending, drip_s = timing(fault)
    shaped = reply._replace(delay_s=fault.latency_ms / _MS, drip_s=drip_s, ending=ending)
    return VendorAnswer(status if ending is Ending.ANSWERED else 0, shaped)


def timing(fault: Fault) -> tuple[Ending, float]:
    """Return how the exchange ends, and the pause after each byte in seconds."""
    drip_s = fault.interval_ms / _MS if fault.kind is FaultKind.DRIP else 0.0
    return _ENDINGS.get(fault.kind, Ending.ANSWERED), drip_s


def half(body: bytes) -> bytes:
    """Return the first half of a body."""
    return body[: len(body) // 2]


def _cut(reply: Reply) -> Reply:
    head, _, body = reply.payload.partition(b"\r\n\r\n")
    kept = half(body)
    old, new = f"Content-Length: {len(body)}", f"Content-Length: {len(kept)}"
    return Reply(head.replace(old.encode(), new.encode()) + b"\r\n\r\n" + kept)


def _spell_fcm(status: int, code: str, fault: Fault) -> bytes:
    text = f"scripted {fault.kind.value}"
    known = _FCM_CODES.get(code)
    if known is None:
        return error_body(status, code, text)
    return error_body(status, known[1], text, error_code=code)


def _spell_generic(_status: int, code: str, _fault: Fault) -> bytes:
    return json.dumps({"error": code}).encode()


_WORDS = {
    FaultKind.THROTTLED: "rate_limited",
    FaultKind.UNAVAILABLE: "unavailable",
    FaultKind.INTERNAL: "internal_error",
    FaultKind.UNAUTHENTICATED: "unauthorized",
    FaultKind.INVALID_ARGUMENT: "invalid_argument",
    FaultKind.DEAD_TOKEN: "unregistered",
    FaultKind.SENDER_MISMATCH: "wrong_sender",
}
GENERIC = Dialect(
    _WORDS,
    {
        "rate_limited": 429,
        "unavailable": 503,
        "internal_error": 500,
        "unauthorized": 401,
        "unregistered": 410,
        "wrong_sender": 403,
    },
    _spell_generic,
)
FCM = Dialect(
    {
        FaultKind.THROTTLED: "QUOTA_EXCEEDED",
        FaultKind.UNAVAILABLE: "UNAVAILABLE",
        FaultKind.INTERNAL: "INTERNAL",
        FaultKind.UNAUTHENTICATED: "UNAUTHENTICATED",
        FaultKind.INVALID_ARGUMENT: "INVALID_ARGUMENT",
        FaultKind.DEAD_TOKEN: "UNREGISTERED",
        FaultKind.SENDER_MISMATCH: "SENDER_ID_MISMATCH",
    },
    {**{code: http for code, (http, _) in _FCM_CODES.items()}, **_PLAIN_CODES},
    _spell_fcm,
)
