"""What FCM HTTP v1 checks in a message, and how it spells its errors.

Source: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages,
https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_TARGETS = ("fid", "token", "topic", "condition")
_RESERVED_KEYS = frozenset({"from", "message_type"})
_RESERVED_PREFIXES = ("google", "gcm")
_MAX_PAYLOAD_BYTES = 4096
_MAX_TTL_S = 2_419_200
_TTL = re.compile(r"([0-9]+)(\.[0-9]{1,9})?s")
_REQUEST_FIELDS = frozenset({"message", "validate_only", "validateOnly"})
_PRIORITIES = frozenset({"NORMAL", "HIGH"})


class FcmRefusalError(Exception):
    """A message FCM does not take; ``field`` names the bad field, if one is to blame."""

    def __init__(self, description: str, field: str | None = None) -> None:
        super().__init__(description)
        self.field = field


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message that passed; ``address`` is its target."""

    address: str
    message: dict[str, Any]
    validate_only: bool


def check(body: bytes) -> Accepted:
    """Check a ``messages:send`` body.

    Of the two lists of reserved data keys that Google publishes, the wider one is enforced: any
    key that begins with ``google`` or ``gcm``.

    Raises:
        FcmRefusalError: INVALID_ARGUMENT, as FCM says it.
    """
    try:
        request = json.loads(body)
    except ValueError:
        raise FcmRefusalError("Invalid JSON payload received.") from None
    message = request.get("message") if isinstance(request, dict) else None
    if not isinstance(message, dict):
        raise FcmRefusalError("A message is required.", "message")
    unknown = request.keys() - _REQUEST_FIELDS
    if unknown:
        raise FcmRefusalError(f'Unknown name "{min(unknown)}": Cannot find field.', min(unknown))
    address = _target(message)
    _check_data(message.get("data"))
    if "android" in message:
        _check_android(message)
    if len(body) > _MAX_PAYLOAD_BYTES:
        _check_size(message)
    validate_only = request.get("validate_only") or request.get("validateOnly")
    return Accepted(address, message, validate_only is True)


def error_body(
    code: int, status: str, text: str, *, error_code: str | None = None, field: str | None = None
) -> bytes:
    """Return a ``google.rpc.Status`` error; ``error_code`` adds the FcmError detail."""
    details: list[dict[str, Any]] = []
    if error_code:
        details.append({"@type": _FCM_ERROR, "errorCode": error_code})
    if field:
        violation = {"field": field, "description": text}
        details.append({"@type": _BAD_REQUEST, "fieldViolations": [violation]})
    error: dict[str, Any] = {"code": code, "message": text, "status": status}
    if details:
        error["details"] = details
    return json.dumps({"error": error}).encode()


def _target(message: dict[str, Any]) -> str:
    named = [name for name in _TARGETS if name in message]
    if len(named) != 1:
        text = "Recipient of the message is not set." if not named else "More than one recipient."
        raise FcmRefusalError(text)
    address = message[named[0]]
    if not isinstance(address, str) or not address:
        text = "The registration token is not a valid FCM registration token"
        raise FcmRefusalError(text, f"message.{named[0]}")
    return address


def _check_data(data: object) -> None:
    if data is None:
        return
    if not isinstance(data, dict):
        raise FcmRefusalError("data must be a map of strings.", "message.data")
    for place, (key, value) in enumerate(data.items()):
        if not isinstance(value, str):
            raise FcmRefusalError(
                f"Invalid value at 'message.data[{place}].value' (TYPE_STRING)",
                f"message.data[{place}].value",
            )
        if key in _RESERVED_KEYS or key.startswith(_RESERVED_PREFIXES):
            raise FcmRefusalError(f"Invalid data payload key: {key}", f"data.{key}")


def _check_android(message: dict[str, Any]) -> None:
    android = message["android"]
    if not isinstance(android, dict):
        raise FcmRefusalError("android must be an object.", "message.android")
    if "android_v2" in message:
        raise FcmRefusalError("Only one of android and android_v2 may be set.", "message.android")
    priority = android.get("priority")
    if priority is not None and str(priority).upper() not in _PRIORITIES:
        raise FcmRefusalError("Invalid priority.", "message.android.priority")
    ttl = android.get("ttl")
    if ttl is not None:
        parsed = _TTL.fullmatch(ttl) if isinstance(ttl, str) else None
        if parsed is None or int(parsed[1]) > _MAX_TTL_S:
            raise FcmRefusalError("Invalid ttl.", "message.android.ttl")


def _check_size(message: dict[str, Any]) -> None:
    data = message.get("data") or {}
    payload_bytes = sum(len(key.encode()) + len(value.encode()) for key, value in data.items())
    notification = message.get("notification")
    if notification is not None:
        payload_bytes += len(json.dumps(notification).encode())
    if payload_bytes > _MAX_PAYLOAD_BYTES:
        raise FcmRefusalError("Android message is too big")
