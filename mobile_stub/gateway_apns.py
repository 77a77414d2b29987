"""What APNs checks in a request, and how it spells its errors.

Source: Apple, Sending notification requests to APNs; Handling notification responses from APNs.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from mobile_stub.gateway_dialect import Dialect
from mobile_stub.gateway_faults import Fault, FaultKind
from mobile_stub.gateway_wire import Request

_DEVICE = "/3/device/"
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_TOPIC = re.compile(r"[A-Za-z0-9.:_-]{1,255}")
_MAX_COLLAPSE_BYTES = 64
_MAX_BYTES = 4096
_MAX_VOIP_BYTES = 5120
_MS = 1000
_GONE = 410
_PRIORITIES = frozenset({"1", "5", "10"})
_SUFFIXES: Final[Mapping[str, str]] = {
    "alert": "",
    "background": "",
    "voip": ".voip",
    "complication": ".complication",
    "fileprovider": ".pushkit.fileprovider",
    "mdm": "",
    "location": ".location-query",
    "liveactivity": ".push-type.liveactivity",
    "pushtotalk": ".voip-ptt",
    "widgets": ".push-type.widgets",
    "controls": ".push-type.controls",
}
_REFUSED_PRIORITIES = {"background": frozenset({"10"}), "liveactivity": frozenset({"1"})}
STATUSES: Final[Mapping[str, int]] = {
    "BadCertificate": 403,
    "BadCertificateEnvironment": 403,
    "ExpiredProviderToken": 403,
    "Forbidden": 403,
    "InvalidProviderToken": 403,
    "MissingProviderToken": 403,
    "UnrelatedKeyIdInToken": 403,
    "BadEnvironmentKeyIdInToken": 403,
    "BadEnvironmentKeyInToken": 403,
    "BadPath": 404,
    "MethodNotAllowed": 405,
    "ExpiredToken": 410,
    "Unregistered": 410,
    "PayloadTooLarge": 413,
    "TooManyProviderTokenUpdates": 429,
    "TooManyRequests": 429,
    "InternalServerError": 500,
    "ServiceUnavailable": 503,
    "Shutdown": 503,
}


class ApnsRefusalError(Exception):
    """A request that APNs does not take; the text is its reason."""


@dataclass(frozen=True, slots=True)
class ApnsPush:
    """A request that passed."""

    token: str
    message: dict[str, Any]


def check_path(request: Request) -> str:
    """Return the device token of a request, as it stands in the path.

    Raises:
        ApnsRefusalError: wrong method or path.
    """
    if not request.path.startswith(_DEVICE.rstrip("/")):
        raise ApnsRefusalError("BadPath")
    if request.method != "POST":
        raise ApnsRefusalError("MethodNotAllowed")
    token = request.path[len(_DEVICE) :]
    if not token:
        raise ApnsRefusalError("MissingDeviceToken")
    if "/" in token:
        raise ApnsRefusalError("BadPath")
    return token


def check(request: Request, topics: tuple[str, ...]) -> ApnsPush:
    """Check headers and body; ``topics`` are the apps of the key, empty for any.

    Raises:
        ApnsRefusalError: with the first reason that applies.
    """
    token = check_path(request)
    headers = {name: value.decode("latin-1") for name, value in request.headers.items()}
    push_type = headers.get(b"apns-push-type", "alert")
    _check_topic(headers.get(b"apns-topic", ""), push_type, topics)
    priority = headers.get(b"apns-priority", "")
    refused = _REFUSED_PRIORITIES.get(push_type, frozenset())
    if priority and (priority not in _PRIORITIES or priority in refused):
        raise ApnsRefusalError("BadPriority")
    expiration = headers.get(b"apns-expiration", "0")
    if not (expiration.isascii() and expiration.isdigit()):
        raise ApnsRefusalError("BadExpirationDate")
    if len(headers.get(b"apns-collapse-id", "")) > _MAX_COLLAPSE_BYTES:
        raise ApnsRefusalError("BadCollapseId")
    _check_body(request.body, push_type)
    if not _HEX.fullmatch(token):
        raise ApnsRefusalError("BadDeviceToken")
    return ApnsPush(token, _message(request.body))


def check_headers(request: Request, *, is_doubled: bool) -> None:
    """Refuse a header that came twice, and an ``apns-id`` that is no UUID.

    Raises:
        ApnsRefusalError: one of them is so.
    """
    if is_doubled:
        raise ApnsRefusalError("DuplicateHeaders")
    given = request.headers.get(b"apns-id")
    if given is None:
        return
    try:
        is_id = str(UUID(given.decode("latin-1"))) == given.decode("latin-1").lower()
    except ValueError:
        is_id = False
    if not is_id:
        raise ApnsRefusalError("BadMessageId")


def error_body(reason: str, dead_for_s: int = 0) -> bytes:
    """Return an error of APNs; only a dead token has a moment, in milliseconds."""
    body: dict[str, Any] = {"reason": reason}
    if STATUSES.get(reason) == _GONE:
        body["timestamp"] = int((time.time() - dead_for_s) * _MS)
    return json.dumps(body).encode()


def _check_topic(topic: str, push_type: str, topics: tuple[str, ...]) -> None:
    if not topic:
        raise ApnsRefusalError("MissingTopic")
    if not _TOPIC.fullmatch(topic):
        raise ApnsRefusalError("BadTopic")
    suffix = _SUFFIXES.get(push_type)
    if suffix is None:
        raise ApnsRefusalError("InvalidPushType")
    if not topic.endswith(suffix) or topic == suffix:
        raise ApnsRefusalError("BadTopic")
    if topics and push_type != "mdm" and topic.removesuffix(suffix) not in topics:
        raise ApnsRefusalError("TopicDisallowed")


def _check_body(body: bytes, push_type: str) -> None:
    if not body:
        raise ApnsRefusalError("PayloadEmpty")
    if len(body) > (_MAX_VOIP_BYTES if push_type == "voip" else _MAX_BYTES):
        raise ApnsRefusalError("PayloadTooLarge")


def _message(body: bytes) -> dict[str, Any]:
    """Return the payload; what is no object reaches the device as nothing."""
    try:
        message = json.loads(body)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _spell(_status: int, code: str, fault: Fault) -> bytes:
    return error_body(code, fault.dead_for_s)


APNS = Dialect(
    {
        FaultKind.THROTTLED: "TooManyRequests",
        FaultKind.UNAVAILABLE: "ServiceUnavailable",
        FaultKind.INTERNAL: "InternalServerError",
        FaultKind.UNAUTHENTICATED: "InvalidProviderToken",
        FaultKind.INVALID_ARGUMENT: "BadExpirationDate",
        FaultKind.DEAD_TOKEN: "Unregistered",
        FaultKind.SENDER_MISMATCH: "DeviceTokenNotForTopic",
    },
    STATUSES,
    _spell,
)
