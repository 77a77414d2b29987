"""What a gateway remembers of the requests it got: the vendor's own count, outside the service."""

import json
from array import array
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from mobile_stub.gateway_faults import Route


class Received(NamedTuple):
    """One request at the vendor. ``status`` 0 means that no answer was given.

    ``accepted`` means that the vendor has the message, whatever the caller saw. The body is kept
    as it came and read only when somebody asks; that of the OAuth route is never kept.
    """

    arrived_ns: int
    route: Route
    address: str | None
    idempotency_key: str | None
    body: bytes
    status: int
    accepted: bool
    id: str | None


class Memory:
    """Requests and counts. ``keep`` bounds the requests kept: ``None`` all, 0 counts only."""

    def __init__(self, keep: int | None = None) -> None:
        self._keep = keep
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._rows: deque[Received] = deque(maxlen=self._keep)
        self._arrivals = array("q")
        self._statuses: Counter[int] = Counter()
        self._routes: Counter[Route] = Counter()
        self._accepted: Counter[Route] = Counter()
        self._keys: set[tuple[Route, str]] = set()
        self._duplicates: Counter[Route] = Counter()

    def add(self, row: Received) -> None:
        """Remember one request."""
        self._rows.append(row)
        self._arrivals.append(row.arrived_ns)
        self._statuses[row.status] += 1
        self._routes[row.route] += 1
        if row.accepted:
            self._accepted[row.route] += 1
            if row.idempotency_key is not None:
                self._count_duplicate((row.route, row.idempotency_key))

    def add_arrival(self, arrived_ns: int) -> None:
        """Remember only that something arrived."""
        self._arrivals.append(arrived_ns)

    def arrivals_ns(self) -> Sequence[int]:
        """Return each arrival in CLOCK_MONOTONIC nanoseconds, in order."""
        return self._arrivals

    def counts(self) -> dict[str, Any]:
        """Return the totals; they hold for everything since the last ``clear``.

        A duplicate is a message that was accepted although one of the same key was before.
        """
        return {
            "total": len(self._arrivals),
            "accepted": sum(self._accepted.values()),
            "byRoute": dict(self._routes),
            "acceptedByRoute": dict(self._accepted),
            "duplicatesByRoute": dict(self._duplicates),
            "byStatus": {str(status): count for status, count in self._statuses.items()},
        }

    def listing(self) -> list[dict[str, Any]]:
        """Return the kept requests, oldest first, as JSON values."""
        return [
            {
                "arrivedNs": row.arrived_ns,
                "route": row.route.value,
                "address": row.address,
                "idempotencyKey": row.idempotency_key,
                "body": _readable(row.body),
                "status": row.status,
                "accepted": row.accepted,
                "id": row.id,
            }
            for row in self._rows
        ]

    def _count_duplicate(self, key: tuple[Route, str]) -> None:
        if key in self._keys:
            self._duplicates[key[0]] += 1
        self._keys.add(key)


def _readable(body: bytes) -> Any:
    """Return the body as JSON, or as text when it is none, or ``None`` when there was none."""
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
