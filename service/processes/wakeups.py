"""How work that was just committed wakes whoever does it, without polling hard.

A wake-up is only a hint: every waiter looks again after its time-out anyway, so a notice that was
lost with a connection costs at most that.
"""

from threading import Condition, Event, Thread
from typing import Protocol

import psycopg
import structlog

from service.core.clock import Clock

_LOG = structlog.get_logger("service.processes.wakeups")
_RECONNECT_S = 1.0
_LISTEN_S = 1.0


class Wakeup(Protocol):
    """Waits for a hint that there may be work."""

    def wait(self, timeout_s: float) -> None:
        """Return at a hint or after ``timeout_s`` seconds."""
        ...


class LocalWakeup:
    """Wakes threads of the same process; the embedded service's way."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._count = 0

    def hint(self) -> None:
        """Wake every waiter."""
        with self._changed:
            self._count += 1
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> None:
        """Return at the next hint or after ``timeout_s`` seconds."""
        with self._changed:
            seen = self._count
            self._changed.wait_for(lambda: self._count != seen, timeout_s)


class PostgresWakeup(LocalWakeup):
    """Listens on one connection and passes each NOTIFY on to the waiters of this process."""

    def __init__(self, url: str, channel: str, clock: Clock, stopping: Event) -> None:
        super().__init__()
        self._channel = channel
        self._url = url.replace("postgresql+psycopg://", "postgresql://")
        self._clock = clock
        self._stopping = stopping

    def start(self) -> None:
        """Listen in a thread of its own until the process stops."""
        Thread(target=self._run, name="wakeups", daemon=True).start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except psycopg.Error as error:
                _LOG.warning("listen_lost", reason=type(error).__name__)
                self._clock.wait(_RECONNECT_S)

    def _listen(self) -> None:
        with psycopg.connect(self._url, autocommit=True, connect_timeout=3) as connection:
            connection.execute(f"LISTEN {self._channel}".encode())
            self.hint()
            while not self._stopping.is_set():
                for _ in connection.notifies(timeout=_LISTEN_S, stop_after=1):
                    self.hint()
