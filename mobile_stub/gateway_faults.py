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


class FaultKind(StrEnum):
    """What goes wrong. ``slow`` and ``drip`` still give the ordinary answer."""

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


ACCEPTING = frozenset({FaultKind.SLOW, FaultKind.DRIP, FaultKind.CLOSE})
"""Kinds after which the vendor has the message, unless the script says otherwise."""


class ScriptError(ValueError):
    """A script this gateway cannot play; the message names the field."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule of a script. ``None`` matches anything.

    It skips the first ``after`` matching requests, then takes every ``every``-th, ``times`` times
    (``None``: for ever). ``latency_ms`` delays whatever follows; ``interval_ms`` is the pause after
    each byte of a drip; ``retry_after`` is sent as it is. ``accepted`` says whether the vendor has
    the message although no whole answer came.
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


_FIELDS = {
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
}
_COUNTS = frozenset({"after", "every", "times", "latencyMs", "intervalMs"})
_TEXTS = frozenset({"token", "retryAfter"})


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
    unknown = sorted(set(item) - set(_FIELDS))
    if unknown:
        raise ScriptError(f"unknown field {unknown[0]}")
    for name, value in item.items():
        _check_field(name, value)
    try:
        kind = FaultKind(item.get("kind", ""))
        route = Route(item["route"]) if item.get("route") else None
    except ValueError as error:
        raise ScriptError(str(error)) from None
    values = {_FIELDS[name]: value for name, value in item.items()}
    values |= {"kind": kind, "route": route}
    values.setdefault("accepted", kind in ACCEPTING)
    if kind is FaultKind.RESET_BEFORE_BODY and values.get("token"):
        raise ScriptError("resetBeforeBody cannot know the token: it stands in the body")
    return Fault(**values)


def _check_field(name: str, value: Any) -> None:
    is_count = isinstance(value, int) and not isinstance(value, bool)
    least = 1 if name == "every" else 0
    if name in _COUNTS and not (is_count and value >= least):
        raise ScriptError(f"{name} must be an integer from {least}")
    if name in _TEXTS and not isinstance(value, str):
        raise ScriptError(f"{name} must be a string")
    if name == "accepted" and not isinstance(value, bool):
        raise ScriptError("accepted must be true or false")


class Script:
    """A script being played: it counts what each fault has seen and done."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self._faults = faults
        self._seen = [0] * len(faults)
        self._used = [0] * len(faults)
        early = FaultKind.RESET_BEFORE_BODY
        self._early = tuple(i for i, fault in enumerate(faults) if fault.kind is early)
        self._late = tuple(i for i, fault in enumerate(faults) if fault.kind is not early)

    def pick_early(self, route: Route) -> Fault | None:
        """Return the fault that strikes before the body is read, if one does."""
        return self._pick(self._early, route, None) if self._early else None

    def pick(self, route: Route, token: str | None) -> Fault | None:
        """Return the fault for a whole request, if one matches, and count it as played."""
        return self._pick(self._late, route, token) if self._late else None

    def report(self) -> list[dict[str, Any]]:
        """Return each fault with how often it matched (``seen``) and struck (``used``)."""
        rows: list[Mapping[str, Any]] = [
            {name: getattr(fault, field) for name, field in _FIELDS.items()}
            for fault in self._faults
        ]
        return [
            {**row, "seen": seen, "used": used}
            for row, seen, used in zip(rows, self._seen, self._used, strict=True)
        ]

    def _pick(self, places: tuple[int, ...], route: Route, token: str | None) -> Fault | None:
        for place in places:
            fault = self._faults[place]
            if fault.route not in (None, route) or fault.token not in (None, token):
                continue
            turn = self._seen[place] - fault.after
            self._seen[place] += 1
            spent = fault.times is not None and self._used[place] >= fault.times
            if turn >= 0 and turn % fault.every == 0 and not spent:
                self._used[place] += 1
                return fault
        return None
