"""A pump: one thread that does one kind of due work until the process stops."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Thread

import structlog

from service.core.clock import Clock
from service.core.errors import StoreUnavailableError
from service.processes.wakeups import Wakeup

_LOG = structlog.get_logger("service.processes.pumps")
_STORE_AWAY_S = 1.0
_FAILED_S = 1.0


@dataclass(frozen=True, slots=True)
class Pump:
    """One kind of work.

    Attributes:
        step: Does one bounded batch in its own transactions and returns how much that was.
        idle_s: How long to wait, when nothing was due and no hint comes.
    """

    name: str
    step: Callable[[], int]
    idle_s: float = 1.0


class Pumps:
    """Runs pumps side by side; what one of them does never waits for another."""

    def __init__(
        self,
        pumps: Sequence[Pump],
        wakeup: Wakeup,
        clock: Clock,
        stopping: Event,
    ) -> None:
        self._wakeup = wakeup
        self._clock = clock
        self._stopping = stopping
        self._threads = [
            Thread(target=self._run, args=(pump,), name=pump.name, daemon=True) for pump in pumps
        ]

    def start(self) -> None:
        """Start one thread per pump."""
        for thread in self._threads:
            thread.start()

    def join(self, timeout_s: float) -> None:
        """Return when every pump has finished the batch in its hands, or time is over."""
        for thread in self._threads:
            thread.join(timeout_s)

    def _run(self, pump: Pump) -> None:
        while not self._stopping.is_set():
            try:
                done = pump.step()
            except StoreUnavailableError:
                _LOG.warning("store_away", pump=pump.name)
                self._clock.wait(_STORE_AWAY_S)
            except Exception:  # noqa: BLE001 - one failure must not end the pump
                _LOG.exception("pump_failed", pump=pump.name)
                self._clock.wait(_FAILED_S)
            else:
                if not done:
                    self._wakeup.wait(pump.idle_s)
