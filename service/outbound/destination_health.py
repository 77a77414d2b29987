"""What one lane sees of its destination: whether it answers, refuses, is overrun or grows slow.

Source: service/decisions/0020-destinations.md.
"""

from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from http import HTTPStatus
from uuid import UUID

from service.outbound.atlas_rules import OutcomeKind, RetryKind, RetryUnit, Scope
from service.outbound.attempts import EndedAttempt
from service.outbound.destination_standing import Probe, Report, Standing
from service.outbound.outcomes import Outcome
from service.outbound.transport import Trouble

_IN_A_ROW = 5
_ROW_LASTS = timedelta(seconds=1)
_LAST = 20
_MOST_FAILED = 16
_REPORT_EVERY = timedelta(seconds=1)
_SAMPLES = 50
_AVERAGE_WEIGHT = 0.05
_BASELINE_WEIGHT = 0.005
_NOTABLE_MS = 50
_OVERRUN = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_OURS = frozenset({Trouble.PERMIT_REFUSED, Trouble.LANE_CLOSED, Trouble.CALL_FULL})
_OPEN_DOORS = frozenset({Scope.NONE, Scope.RECIPIENT, Scope.PAYLOAD})
_CLOSED_DOORS = frozenset({Scope.DESTINATION, Scope.ACCOUNT})


class _Sign(Enum):
    """What one reply says of its destination.

    ``SHUT``: whoever calls is turned away until somebody acts. ``TURNED_AWAY``: everything is, for
    now. ``FAILING``: it did not do its work. ``NEUTRAL``: it answered about something else.
    """

    WORKS = auto()
    NEUTRAL = auto()
    TURNED_AWAY = auto()
    SHUT = auto()
    FAILING = auto()


@dataclass(slots=True)
class _Latency:
    """A slow average and what it was when the destination was at its best."""

    average: float = 0.0
    baseline: float = 0.0
    count: int = 0

    def add(self, elapsed_ms: int) -> None:
        """Take note of one answer."""
        self.count += 1
        weight = max(_AVERAGE_WEIGHT, 1 / self.count)
        self.average += weight * (elapsed_ms - self.average)
        if self.count <= _SAMPLES or self.average < self.baseline:
            self.baseline = self.average
        else:
            self.baseline += _BASELINE_WEIGHT * (self.average - self.baseline)

    @property
    def is_slow(self) -> bool:
        """Whether the average has doubled, and not by a trifle."""
        grown = self.average - self.baseline
        return self.count > _SAMPLES and grown >= max(self.baseline, _NOTABLE_MS)


@dataclass(slots=True)
class _News:
    """What was seen since the last report."""

    tripped: str | None = None
    probe: Probe | None = None
    is_overrun: bool = False
    has_worked: bool = False
    not_before: datetime | None = None


class DestinationHealth:
    """What one lane has seen since its last report; used by one thread."""

    def __init__(self) -> None:
        self._row = 0
        self._row_began: datetime | None = None
        self._last: deque[bool] = deque(maxlen=_LAST)
        self._latency = _Latency()
        self._probing: UUID | None = None
        self._reported_at: datetime | None = None
        self._news = _News()

    def begin_probe(self, attempt_id: UUID) -> None:
        """Take note that this lane's next call is the one that the breaker lets through."""
        self._probing = attempt_id

    def observe(
        self, outcome: Outcome | None, attempt: EndedAttempt | None, number: int, *, now: datetime
    ) -> None:
        """Take note of the end of an attempt; without an outcome there was no call."""
        if attempt is None:
            return
        sign = None
        if outcome is not None and attempt.error_code not in _OURS:
            sign = _sign(outcome, attempt, number)
        if attempt.attempt_id == self._probing:
            self._probing, self._news.probe = None, _probed(sign, outcome)
        if outcome is None or sign is None:
            return
        self._count(sign, outcome.rule_id, now)
        if attempt.status_code in _OVERRUN:
            self._news.is_overrun = True
        if attempt.status_code is not None and attempt.elapsed_ms is not None:
            self._latency.add(attempt.elapsed_ms)
        if outcome.retry_unit is RetryUnit.DESTINATION and outcome.retry_after_s:
            waits = now + timedelta(seconds=outcome.retry_after_s)
            self._news.not_before = max(waits, self._news.not_before or waits)

    def is_holding(self, now: datetime) -> bool:
        """Tell whether nothing more should start before what was seen is reported."""
        return self._news.tripped is not None or (
            self._news.not_before is not None and now < self._news.not_before
        )

    def report(self, standing: Standing, *, now: datetime) -> Report | None:
        """Return what there is to say, ``None`` for nothing.

        A lane speaks once a second at most, but of a probe, which others wait for, at once.
        """
        said_at = self._reported_at
        is_early = said_at is not None and said_at <= now < said_at + _REPORT_EVERY
        if is_early and self._news.probe is None:
            return None
        is_slow = self._latency.is_slow
        report = Report(
            tripped=self._news.tripped,
            probe=self._news.probe,
            is_overrun=self._news.is_overrun,
            is_slow=is_slow and self._news.has_worked,
            is_well=self._news.has_worked
            and standing.pace < 1
            and not (self._news.is_overrun or is_slow),
            not_before=self._news.not_before,
            latency_ms=self._notable(standing),
        )
        return None if report == _NOTHING else report

    def told(self, *, now: datetime) -> None:
        """Take note that the report is kept."""
        self._reported_at = now
        self._news = _News()

    def _count(self, sign: _Sign, rule_id: str, now: datetime) -> None:
        self._news.has_worked |= sign is _Sign.WORKS
        if sign in {_Sign.SHUT, _Sign.TURNED_AWAY}:
            self._row, self._row_began = self._row + 1, self._row_began or now
        elif sign is not _Sign.FAILING:
            self._row, self._row_began = 0, None
        self._last.append(sign is _Sign.FAILING)
        lasts = self._row_began is not None and now - self._row_began >= _ROW_LASTS
        is_shut = self._row >= _IN_A_ROW and (sign is _Sign.SHUT or lasts)
        if is_shut or sum(self._last) >= _MOST_FAILED:
            self._news.tripped = rule_id
            self._row, self._row_began = 0, None
            self._last.clear()

    def _notable(self, standing: Standing) -> int | None:
        """Return the average latency if it is far from what is kept."""
        kept, average = standing.latency_ms or 0, round(self._latency.average)
        far = abs(average - kept) >= max(_NOTABLE_MS, kept // 4)
        return average if far and self._latency.count >= _LAST else None


_NOTHING = Report()


def _sign(outcome: Outcome, attempt: EndedAttempt, number: int) -> _Sign:
    """Return what a reply says; a 401 that a fresh credential may mend says nothing at first."""
    if outcome.kind is OutcomeKind.SENT or outcome.scope in _OPEN_DOORS:
        return _Sign.WORKS
    if outcome.retry_kind is RetryKind.REAUTH1 and number == 1:
        return _Sign.NEUTRAL
    if outcome.scope in _CLOSED_DOORS:
        if outcome.retry_kind in {RetryKind.FIX, RetryKind.REAUTH1}:
            return _Sign.SHUT
        if outcome.retry_unit is RetryUnit.DESTINATION:
            return _Sign.TURNED_AWAY
    status = attempt.status_code or 0
    if outcome.scope in {Scope.VENDOR, Scope.TRANSPORT}:
        return _Sign.FAILING
    return _Sign.FAILING if status >= HTTPStatus.INTERNAL_SERVER_ERROR else _Sign.NEUTRAL


def _probed(sign: _Sign | None, outcome: Outcome | None) -> Probe:
    if sign is None or (outcome is not None and outcome.retry_kind is RetryKind.REAUTH1):
        return Probe.NOT_MADE
    return Probe.WORKED if sign in {_Sign.WORKS, _Sign.NEUTRAL} else Probe.FAILED
