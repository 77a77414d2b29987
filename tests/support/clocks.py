"""A clock that moves only when told."""

from datetime import UTC, datetime, timedelta

START = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)


class FixedClock:
    """A clock for tests; waiting moves it instead of the test."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """Return the set moment."""
        return self._now

    def monotonic(self) -> float:
        """Return the set monotonic seconds."""
        return self._monotonic

    def wait(self, seconds: float) -> None:
        """Advance without sleeping."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Move both clocks on."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
