"""The script of a gateway: which request goes wrong, and how.

A script is JSON: ``{"faults": [{"kind": "throttled", "route": "fcm", "times": 3, ...}]}``.
The first fault that matches a request and has not run out decides about it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Route(StrEnum):
    """The vendor-side operations a fault can be set on."""

    FCM = "fcm"
    PUSH = "push"
    OAUTH = "token"
    APNS = "apns"
    TWILIO = "twilio"


class FaultKind(StrEnum):
    """What goes wrong. ``slow`` and ``drip`` still give the ordinary answer.

    ``refused`` says what ``code`` says in the vendor's own words. ``blackHole`` takes the request
    and never answers. ``cutBody`` is a whole answer by its length whose text ends in the middle.
    Only of APNs: ``goAway`` ends the connection, ``streams`` changes how many streams it may hold.
    Only of Twilio: ``undelivered`` is taken, and later reported as such with ``code``.
    """

    SLOW = "slow"
    DRIP = "drip"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    BAD_GATEWAY = "badGateway"
    UNAUTHENTICATED = "unauthenticated"
    INVALID_ARGUMENT = "invalidArgument"
    DEAD_TOKEN = "deadToken"  # noqa: S105 - an address at a push provider, no secret
    SENDER_MISMATCH = "senderMismatch"
    CLOSE = "close"
    RESET = "reset"
    RESET_BEFORE_BODY = "resetBeforeBody"
    RESET_IN_BODY = "resetInBody"
    CUT_BODY = "cutBody"
    BLACK_HOLE = "blackHole"
    REFUSED = "refused"
    GO_AWAY = "goAway"
    STREAMS = "streams"
    UNDELIVERED = "undelivered"


ACCEPTING = frozenset(
    {
        FaultKind.SLOW,
        FaultKind.DRIP,
        FaultKind.CLOSE,
        FaultKind.RESET_IN_BODY,
        FaultKind.CUT_BODY,
        FaultKind.BLACK_HOLE,
        FaultKind.STREAMS,
        FaultKind.UNDELIVERED,
    }
)
"""Kinds after which the vendor has the message, unless the script says otherwise."""

OF_TOKENS = frozenset({FaultKind.DEAD_TOKEN, FaultKind.SENDER_MISMATCH})
"""Kinds that are true of a token and not of a request: a percentage is one of all tokens."""

_ONLY_AT = {
    FaultKind.GO_AWAY: Route.APNS,
    FaultKind.STREAMS: Route.APNS,
    FaultKind.UNDELIVERED: Route.TWILIO,
}


class ScriptError(ValueError):
    """A script this gateway cannot play; the message names the field."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule of a script. ``None`` matches anything.

    It skips the first ``after`` matching requests, then takes every ``every``-th, ``times`` times
    (``None``: for ever). With ``percent`` only so many match, drawn by chance from a fixed seed; of
    dead tokens it is the same tokens each time. ``latency_ms`` delays whatever follows, by up to
    ``spread_ms`` more, and by ``grow_ms`` more each time; ``interval_ms`` is the pause after each
    byte of a drip. ``retry_after`` is sent as it is, ``retry_after_date_s`` as the date so many
    seconds from now. ``accepted`` says whether the vendor has the message although no whole answer
    came. ``code`` and ``status`` are those of a refusal; APNs says that a token has been dead for
    ``dead_for_s``.
    """

    kind: FaultKind
    route: Route | None = None
    token: str | None = None
    after: int = 0
    every: int = 1
    times: int | None = None
    latency_ms: int = 0
    interval_ms: int = 20
    retry_after: str | None = None
    accepted: bool = False
    percent: float = 100
    spread_ms: int = 0
    grow_ms: int = 0
    retry_after_date_s: int | None = None
    code: str | None = None
    status: int | None = None
    dead_for_s: int = 0
    streams: int = 1


FIELDS = {
    "kind": "kind",
    "route": "route",
    "token": "token",
    "after": "after",
    "every": "every",
    "times": "times",
    "latencyMs": "latency_ms",
    "intervalMs": "interval_ms",
    "retryAfter": "retry_after",
    "accepted": "accepted",
    "percent": "percent",
    "spreadMs": "spread_ms",
    "growMs": "grow_ms",
    "retryAfterDateS": "retry_after_date_s",
    "code": "code",
    "status": "status",
    "deadForS": "dead_for_s",
    "streams": "streams",
}
_LEAST = {
    "after": 0,
    "every": 1,
    "times": 0,
    "latencyMs": 0,
    "intervalMs": 0,
    "spreadMs": 0,
    "growMs": 0,
    "retryAfterDateS": 0,
    "status": 200,
    "deadForS": 0,
    "streams": 0,
}
_TEXTS = frozenset({"token", "retryAfter", "code"})
_ALL_PERCENT = 100
_LAST_STATUS = 599


def parse_script(document: object) -> tuple[Fault, ...]:
    """Read a script.

    Raises:
        ScriptError: an unknown field or kind, or a value of a wrong type.
    """
    faults = document.get("faults") if isinstance(document, dict) else None
    if not isinstance(faults, list):
        raise ScriptError('a script is an object with an array "faults"')
    return tuple(_parse_fault(item) for item in faults)


def _parse_fault(item: object) -> Fault:
    if not isinstance(item, dict):
        raise ScriptError("each fault is an object")
    unknown = sorted(set(item) - set(FIELDS))
    if unknown:
        raise ScriptError(f"unknown field {unknown[0]}")
    for name, value in item.items():
        _check_field(name, value)
    try:
        kind = FaultKind(item.get("kind", ""))
        route = Route(item["route"]) if item.get("route") else None
    except ValueError as error:
        raise ScriptError(str(error)) from None
    route = _ONLY_AT.get(kind) if route is None else route
    values = {FIELDS[name]: value for name, value in item.items()}
    values |= {"kind": kind, "route": route}
    values.setdefault("accepted", kind in ACCEPTING)
    _check_kind(kind, route, item)
    return Fault(**values)


def _check_kind(kind: FaultKind, route: Route | None, item: Mapping[str, Any]) -> None:
    if kind is FaultKind.RESET_BEFORE_BODY and item.get("token"):
        raise ScriptError("resetBeforeBody cannot know the token: it stands in the body")
    if kind is FaultKind.REFUSED and (route is None or "code" not in item):
        raise ScriptError("refused needs a route and the code that its vendor gives")
    if route is not _ONLY_AT.get(kind, route):
        raise ScriptError(f"{kind} is for the route {_ONLY_AT[kind]} only")


def _check_field(name: str, value: Any) -> None:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    if name in _LEAST and not (is_count and value >= _LEAST[name]):
        raise ScriptError(f"{name} must be an integer from {_LEAST[name]}")
    if name == "status" and value > _LAST_STATUS:
        raise ScriptError(f"status must be an integer up to {_LAST_STATUS}")
    if name in _TEXTS and not isinstance(value, str):
        raise ScriptError(f"{name} must be a string")
    if name == "accepted" and not isinstance(value, bool):
        raise ScriptError("accepted must be true or false")
    if name == "percent" and not (_is_number(value) and 0 <= value <= _ALL_PERCENT):
        raise ScriptError("percent must be a number from 0 to 100")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
