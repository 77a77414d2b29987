"""How a destination stands, and how that changes: its breaker, and the pace it bears. Pure.

Source: service/decisions/0020-destinations.md.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

OPEN_FOR = timedelta(seconds=10)
OPEN_AGAIN_FOR = timedelta(seconds=30)
PROBE_LEASE = timedelta(seconds=60)
LOWEST_PACE = 0.05
_LOWEST_FOR_LATENCY = 0.25
_OVERRUN_FACTOR = 0.7
_SLOW_FACTOR = 0.85
_PACE_STEP = 0.05
_LOWER_AFTER = timedelta(seconds=1)


class Breaker(StrEnum):
    """Whether calls may start; ``HALF_OPEN``: one is on its way to find out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "halfOpen"


class Probe(StrEnum):
    """What came of the one call that a half-open breaker lets through."""

    WORKED = "worked"
    FAILED = "failed"
    NOT_MADE = "notMade"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a destination stands.

    Attributes:
        breaker_until: While the breaker is open: nothing starts before.
        probed_at: When the last probe was let through.
        not_before: What the vendor asked for with ``Retry-After``.
        pace: The share of its caps that is used, above 0 up to 1.
        latency_ms: The slow average of its answers; ``None`` until one was notable.
        reason: The rule of the error atlas that opened the breaker.
        updated_at: When breaker or pace changed last.
    """

    breaker: Breaker = Breaker.CLOSED
    breaker_until: datetime | None = None
    probed_at: datetime | None = None
    not_before: datetime | None = None
    pace: float = 1.0
    latency_ms: int | None = None
    reason: str | None = None
    updated_at: datetime | None = None

    @property
    def needs_probe(self) -> bool:
        """Whether only a probe may start."""
        return self.breaker is not Breaker.CLOSED

    def held_until(self, now: datetime) -> datetime | None:
        """Return until when nothing may start, not even a probe; ``None`` if something may."""
        ends = [self.not_before]
        if self.breaker is Breaker.OPEN:
            ends.append(self.breaker_until)
        elif self.breaker is Breaker.HALF_OPEN and self.probed_at is not None:
            ends.append(self.probed_at + PROBE_LEASE)
        return max((end for end in ends if end is not None and end > now), default=None)

    def probing(self, now: datetime) -> "Standing":
        """Return the standing with a probe on its way."""
        return replace(self, breaker=Breaker.HALF_OPEN, probed_at=now)


@dataclass(frozen=True, slots=True)
class Report:
    """What one lane has seen of a destination since its last report.

    Attributes:
        tripped: The rule by which the breaker is to open.
        probe: What came of this lane's probe.
        is_overrun: It said that calls come too fast.
        is_slow: It answers much later than it used to.
        is_well: It answers, and none of that.
        not_before: What it asked for with ``Retry-After``.
        latency_ms: The slow average, if it is to be kept.
    """

    tripped: str | None = None
    probe: Probe | None = None
    is_overrun: bool = False
    is_slow: bool = False
    is_well: bool = False
    not_before: datetime | None = None
    latency_ms: int | None = None


def after(standing: Standing, report: Report, *, now: datetime, raise_after: timedelta) -> Standing:
    """Return how a destination stands after a report.

    Args:
        standing: As it is.
        report: Of one lane; several may see the same, so pace falls once a second for all of them.
        now: This moment.
        raise_after: How long it must go well for one step up: about a cap's period.
    """
    changed = _breaker_after(standing, report, now)
    pace = _pace_after(standing, report, now, raise_after)
    if pace != standing.pace:
        changed = replace(changed, pace=pace, updated_at=now)
    if report.not_before is not None:
        waits = max(report.not_before, standing.not_before or report.not_before)
        changed = replace(changed, not_before=waits)
    if report.latency_ms is not None:
        changed = replace(changed, latency_ms=report.latency_ms)
    return changed


def _breaker_after(standing: Standing, report: Report, now: datetime) -> Standing:
    if standing.breaker is Breaker.CLOSED and report.tripped is not None:
        return _opened(standing, now + OPEN_FOR, report.tripped, now)
    if standing.breaker is not Breaker.HALF_OPEN or report.probe is None:
        return standing
    match report.probe:
        case Probe.WORKED:
            return replace(
                standing, breaker=Breaker.CLOSED, breaker_until=None, reason=None, updated_at=now
            )
        case Probe.FAILED:
            return _opened(standing, now + OPEN_AGAIN_FOR, report.tripped, now)
        case Probe.NOT_MADE:
            return _opened(standing, now, None, now)


def _opened(standing: Standing, until: datetime, reason: str | None, now: datetime) -> Standing:
    return replace(
        standing,
        breaker=Breaker.OPEN,
        breaker_until=until,
        reason=(reason or standing.reason or "")[:64] or None,
        updated_at=now,
    )


def _pace_after(standing: Standing, report: Report, now: datetime, raise_after: timedelta) -> float:
    """Return the pace: down by a factor, up by a step."""
    pace = standing.pace
    since = None if standing.updated_at is None else now - standing.updated_at
    if report.is_overrun or report.is_slow:
        if pace < 1 and since is not None and since < _LOWER_AFTER:
            return pace
        if report.is_overrun:
            return max(LOWEST_PACE, pace * _OVERRUN_FACTOR)
        return max(min(pace, _LOWEST_FOR_LATENCY), pace * _SLOW_FACTOR)
    if report.is_well and pace < 1 and (since is None or since >= raise_after):
        return min(1.0, pace + _PACE_STEP)
    return pace
