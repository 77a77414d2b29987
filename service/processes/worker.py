"""The worker does: jobs, journeys, deliveries and housekeeping, each in threads of its own."""

from threading import Event

import structlog

from service.bootstrap import Services, delivery_tools
from service.core import memory
from service.flows import advance_journeys, deliver, evaluate_segments, housekeeping
from service.processes.lanes import LaneThreads
from service.processes.pumps import Pump, Pumps
from service.processes.wakeups import LocalWakeup

_LOG = structlog.get_logger("service.processes.worker")
_STOP_S = 30.0
_LANES_S = 0.5
_REAP_S = 5.0
_HOUSEKEEPING_S = 60.0


class Worker:
    """The threads of one worker process, or of the embedded service."""

    def __init__(self, services: Services, wakeup: LocalWakeup, stopping: Event) -> None:
        tools = delivery_tools(services)
        self._lanes = LaneThreads(tools, stopping, lambda _: wakeup.hint())
        sessions, clock = services.sessions, services.clock

        def advance() -> int:
            done = advance_journeys.advance(sessions, clock)
            if done:
                wakeup.hint()
            return done

        def evaluate() -> int:
            done = evaluate_segments.run_due(sessions, tools.worker, clock)
            if done:
                wakeup.hint()
            return done

        self._pumps = Pumps(
            [
                Pump("journeys", advance),
                Pump("jobs", evaluate),
                Pump("lanes", self._lanes.start_due, _LANES_S),
                Pump("reaper", lambda: deliver.reap_doubtful(tools), _REAP_S),
                Pump("housekeeping", lambda: housekeeping.run(sessions, clock), _HOUSEKEEPING_S),
            ],
            wakeup,
            clock,
            stopping,
        )

    def start(self) -> None:
        """Start every thread."""
        self._pumps.start()
        _LOG.info("worker_started")

    def join(self) -> None:
        """Return when what was in hand is finished; ``stopping`` is set by then."""
        self._pumps.join(_STOP_S)
        self._lanes.join()
        _LOG.info("worker_stopped")


def run(services: Services, wakeup: LocalWakeup, stopping: Event) -> None:
    """Work until ``stopping`` is set, then finish what is in hand."""
    working = Worker(services, wakeup, stopping)
    working.start()
    memory.settle()
    stopping.wait()
    wakeup.hint()
    working.join()
