"""`edgepost run`: listener, committer, worker and clock as threads of one process on one file.

Source: service/decisions/0009-embedded-mode.md.
"""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from types import FrameType
from wsgiref.types import WSGIApplication

import structlog

from service.bootstrap import Services
from service.core import memory
from service.processes import clock as clock_process
from service.processes.listener import Listener
from service.processes.wakeups import LocalWakeup
from service.processes.worker import Worker

_LOG = structlog.get_logger("service.processes.embedded")
_STOP_S = 15.0


@dataclass(frozen=True, slots=True)
class Embedded:
    """Everything that the one process runs.

    Attributes:
        application: Answers HTTP; it shares ``services`` with worker and clock.
        wakeup: Hinted by the committer after each commit; what the worker waits on.
        on_ready: Called with the port once requests are accepted.
    """

    services: Services
    application: WSGIApplication
    wakeup: LocalWakeup
    on_ready: Callable[[int], None]


def run(embedded: Embedded, stopping: Event) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun and return.

    Runs in the main thread. Order of the end: no new connections, requests in hand, committer,
    clock, worker with its outcomes.
    """
    services = embedded.services
    stop_on_signals(stopping)
    listener = Listener(embedded.application, services.settings)
    working = Worker(services, embedded.wakeup, stopping)
    ticking = Thread(
        target=clock_process.run,
        args=(services.sessions, stopping),
        name="clock",
        daemon=True,
    )
    working.start()
    ticking.start()
    memory.settle()
    _LOG.info("embedded_started", port=listener.port)
    embedded.on_ready(listener.port)
    listener.serve(stopping, services.clock, on_stop=services.committer.close)
    embedded.wakeup.hint()
    ticking.join(_STOP_S)
    working.join()
    _LOG.info("embedded_stopped")


def stop_on_signals(stopping: Event) -> None:
    """Set ``stopping`` at SIGTERM or SIGINT; work in hand is finished."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
