"""A script being played: which fault strikes a request, and what it has done so far."""

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zlib import crc32

from mobile_stub.gateway_faults import FIELDS, OF_TOKENS, Fault, FaultKind, Route

_SHARES = 10_000
_PERCENT = 100


class Script:
    """A script being played: it counts what each fault has seen and done."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self._faults = faults
        self._seen = [0] * len(faults)
        self._used = [0] * len(faults)
        self._chance = random.Random("gateway")  # noqa: S311 - the same play each time, no secret
        early = FaultKind.RESET_BEFORE_BODY
        self._early = tuple(i for i, fault in enumerate(faults) if fault.kind is early)
        self._late = tuple(i for i, fault in enumerate(faults) if fault.kind is not early)

    def pick_early(self, route: Route) -> Fault | None:
        """Return the fault that strikes before the body is read, if one does."""
        return self._pick(self._early, route, None) if self._early else None

    def pick(self, route: Route, token: str | None) -> Fault | None:
        """Return the fault for a whole request, if one matches, and count it as played.

        Its ``latency_ms`` is that of this one time.
        """
        return self._pick(self._late, route, token) if self._late else None

    def draw(self, percent: float) -> bool:
        """Say yes ``percent`` of the times."""
        return self._chance.random() * _PERCENT < percent

    def report(self) -> list[dict[str, Any]]:
        """Return each fault with how often it matched (``seen``) and struck (``used``)."""
        rows: list[Mapping[str, Any]] = [
            {name: getattr(fault, field) for name, field in FIELDS.items()}
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
            if not self._is_among(fault, token):
                continue
            turn = self._seen[place] - fault.after
            self._seen[place] += 1
            spent = fault.times is not None and self._used[place] >= fault.times
            if turn >= 0 and turn % fault.every == 0 and not spent:
                self._used[place] += 1
                return self._timed(fault, self._used[place])
        return None

    def _is_among(self, fault: Fault, token: str | None) -> bool:
        if fault.percent >= _PERCENT:
            return True
        if fault.kind in OF_TOKENS and token is not None:
            return crc32(token.encode()) % _SHARES < fault.percent * _SHARES / _PERCENT
        return self.draw(fault.percent)

    def _timed(self, fault: Fault, time: int) -> Fault:
        if not fault.spread_ms and not fault.grow_ms:
            return fault
        more = self._chance.randint(0, fault.spread_ms) + fault.grow_ms * (time - 1)
        return replace(fault, latency_ms=fault.latency_ms + more)
