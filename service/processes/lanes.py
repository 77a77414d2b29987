"""One thread per destination that has something due, so a slow vendor holds up only its own."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, Thread

import structlog

from service.db.session import unit_of_work
from service.flows.delivery_lane import LaneRunner
from service.flows.delivery_steps import DeliveryTools
from service.outbound import delivery_views
from service.outbound.deliveries import Lane

MAX_LANES = 32
_IDLE_S = 10.0
_STOP_S = 60.0
_LOG = structlog.get_logger("service.processes.lanes")


class LaneThreads:
    """Starts a runner for each lane that needs one; a runner ends when its lane stays idle."""

    def __init__(
        self,
        tools: DeliveryTools,
        stopping: Event,
        on_told: Callable[[int], None],
    ) -> None:
        self._tools = tools
        self._stopping = stopping
        self._on_told = on_told
        self._running: dict[str, Thread] = {}
        self._lock = Lock()

    def start_due(self) -> int:
        """Start what is due and not at work yet; return how many lanes that was."""
        with unit_of_work(self._tools.sessions) as session:
            due = delivery_views.due_lanes(session, now=self._tools.clock.now())
        started = 0
        with self._lock:
            for lane in due:
                if lane.key not in self._running and len(self._running) < MAX_LANES:
                    self._running[lane.key] = self._start(lane)
                    started += 1
        return started

    def join(self) -> None:
        """Return when every lane has recorded what it had in the air, or time is over."""
        with self._lock:
            threads = list(self._running.values())
        for thread in threads:
            thread.join(_STOP_S)

    def _start(self, lane: Lane) -> Thread:
        thread = Thread(target=self._run, args=(lane,), name=f"lane {lane.key}", daemon=True)
        thread.start()
        return thread

    def _run(self, lane: Lane) -> None:
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="outcomes") as recorder:
                runner = LaneRunner(self._tools, lane, on_told=self._on_told, recorder=recorder)
                runner.run(self._stopping.is_set, idle_s=_IDLE_S)
        except Exception:  # noqa: BLE001 - one lane must not end the others
            _LOG.exception("lane_failed", lane=lane.key)
        finally:
            with self._lock:
                del self._running[lane.key]
