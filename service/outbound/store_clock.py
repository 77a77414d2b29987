"""The store's own clock, which every process shares, and a watch over how it runs.

Caps and leases are reckoned in it: the clocks of two workers may differ, the store has one. What a
worker does by itself it reckons in its monotonic clock, which nobody sets.

Source: service/decisions/0005-permit-life.md.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from sqlalchemy.orm import Session

from service.core.clock import Clock
from service.db.statements import MOMENT, Columns, SetStatement

COARSENESS = timedelta(milliseconds=1)
"""How much earlier than it is the store may say it is: SQLite cuts to milliseconds."""

_MOMENTS = {
    "postgresql": "clock_timestamp()",
    "sqlite": "CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER) * 1000",
}
_DRIFT = 0.001
_NOISE_S = 0.002
_REMEMBERED_JUMPS = 16


class ClockStatement:
    """One statement in which ``{moment}`` is the store's time, read when it runs.

    On PostgreSQL that is not the time at which the transaction began.
    """

    def __init__(self, sql: str, *, params: Columns, result: Columns | None = None) -> None:
        self._of = {
            dialect: SetStatement(
                sql.replace("{moment}", moment), rows={}, params=params, result=result
            )
            for dialect, moment in _MOMENTS.items()
        }

    def run(self, session: Session, params: Mapping[str, Any]) -> Any:
        """Execute once and return the first row, if there is one. The caller commits."""
        rows = self._of[session.get_bind().dialect.name].run(session, params)
        return rows[0] if rows else None


_READ = ClockStatement("SELECT {moment} AS now", params={}, result={"now": MOMENT})


def read(session: Session) -> datetime:
    """Return what time it is for the store."""
    row = _READ.run(session, {})
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    moment: datetime = row.now
    return moment


@dataclass(frozen=True, slots=True)
class _Sight:
    """One reading: the store's clock was between ``low`` and ``high`` seconds ahead of ours."""

    at: float
    low: float
    high: float


class StoreWatch:
    """Notices when the store's clock is set; one per process, safe between threads.

    Each reading brackets how far the store's clock is ahead of the monotonic one, however long the
    reading took. Two brackets that do not meet, drift allowed for, are a jump.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._last: _Sight | None = None
        self._jumps: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED_JUMPS)

    def observe(self, store_now: datetime, *, asked_at: float) -> None:
        """Take note of a reading that was asked for at ``asked_at`` and has just arrived."""
        store_s = store_now.timestamp()
        arrived_at = self._clock.monotonic()
        sight = _Sight(arrived_at, store_s - arrived_at, store_s - asked_at)
        with self._lock:
            last, self._last = self._last, sight
            if last is None:
                return
            size = max(sight.low - last.high, last.low - sight.high)
            if size > _NOISE_S + _DRIFT * (sight.at - last.at):
                self._jumps.append((sight.at, size))

    def seconds_since_jump(self, larger_than_s: float) -> float | None:
        """Return how long ago the last jump of more than that size was noticed."""
        with self._lock:
            moments = [at for at, size in self._jumps if size > larger_than_s]
        return self._clock.monotonic() - moments[-1] if moments else None
