"""Processes that ask for permits as fast as they can, and what their starts add up to.

    python -m tests.support.cap_hammer '{"url": …, "max_calls_count": …, …}'

prints the CLOCK_MONOTONIC nanoseconds of every start as one JSON list. With a sink's URL each start
is a real request on the wire, and its moment is the one at which libcurl is about to write it.
"""

import json
import subprocess
import sys
from bisect import bisect_left
from dataclasses import asdict, dataclass
from ipaddress import ip_network
from pathlib import Path
from threading import Event
from typing import Protocol
from uuid import UUID

from service.core.clock import SystemClock
from service.db.engine import open_engine
from service.db.session import SessionFactory, unit_of_work
from service.outbound.capping import Cap, Grant, take_permits
from service.outbound.egress import AddressGuard
from service.outbound.store_clock import StoreWatch
from service.outbound.transport import Call, LaneOptions
from service.outbound.transport_curl import CurlTransport
from service.sandboxes.scope import Scope

CAP_ID = UUID("0197c000-0000-7000-8000-00000000cafe")
_SCOPE = Scope(1, "prod")
_ROOT = Path(__file__).resolve().parents[2]
_PAUSE = Event()


@dataclass(frozen=True, slots=True)
class Hammer:
    """What one process does: ask for ``bulk`` permits at a time, for ``seconds``."""

    url: str
    max_calls_count: int
    period_in_ms: int
    bulk: int
    seconds: float
    sink: str | None = None

    @property
    def cap(self) -> Cap:
        """Return the cap they all share."""
        return Cap(CAP_ID, self.max_calls_count, self.period_in_ms)


@dataclass(frozen=True, slots=True)
class Sweep:
    """What starts add up to.

    ``used`` compares the period with the mean time from each start to the one a whole cap later:
    the share of the cap in use between the first window and the last.
    """

    starts: int
    max_in_window: int
    over: int
    used: float


class Starter(Protocol):
    """Starts calls under a grant."""

    def use(self, grant: Grant) -> None:
        """Start as many calls as the grant allows."""
        ...


class Tick:
    """A start without a call."""

    def __init__(self, starts: list[int]) -> None:
        self._starts = starts
        self._clock = SystemClock()

    def use(self, grant: Grant) -> None:
        """Note one start after the other while the permits live."""
        for _ in range(grant.count):
            at = self._clock.monotonic()
            if at > grant.usable_until:
                return
            self._starts.append(round(at * 1e9))


class Post:
    """A start with a request to a sink, over as many connections as a grant has permits."""

    def __init__(self, starts: list[int], hammer: Hammer) -> None:
        self._starts = starts
        self._clock = SystemClock()
        self._usable_until = 0.0
        self._url = f"{hammer.sink}/push"
        guard = AddressGuard((ip_network("127.0.0.0/8"),))
        self._lane = CurlTransport(guard).open_lane(LaneOptions(slots=hammer.bulk), self._starting)

    def use(self, grant: Grant) -> None:
        """Send every request, and wait for the answers."""
        self._usable_until = grant.usable_until
        for number in range(grant.count):
            self._lane.submit(
                Call(number, "POST", self._url, (), b'{"token":"t"}', 5000, 5000),
            )
        while self._lane.in_flight:
            self._lane.run_once(0.05)

    def _starting(self, _call: Call) -> bool:
        at = self._clock.monotonic()
        if at > self._usable_until:
            return False
        self._starts.append(round(at * 1e9))
        return True


def hammer_alone(hammer: Hammer) -> list[int]:
    """Return the starts of one process that works until its time is over."""
    clock = SystemClock()
    watch = StoreWatch(clock)
    sessions = SessionFactory(open_engine(hammer.url))
    starts: list[int] = []
    starter: Starter = Post(starts, hammer) if hammer.sink else Tick(starts)
    deadline = clock.monotonic() + hammer.seconds
    while clock.monotonic() < deadline:
        with unit_of_work(sessions) as session:
            grant = take_permits(
                session, _SCOPE, hammer.cap, wanted=hammer.bulk, clock=clock, watch=watch
            )
        starter.use(grant)
        if grant.count == 0:
            _PAUSE.wait(min(grant.retry_after_ms / 1000, deadline - clock.monotonic()))
    return starts


def hammer_together(hammer: Hammer, processes: int) -> list[list[int]]:
    """Return the starts of several processes that hammer one cap at the same time."""
    command = [sys.executable, "-m", "tests.support.cap_hammer", json.dumps(asdict(hammer))]
    running = [
        subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE) for _ in range(processes)
    ]
    outputs = [process.communicate(timeout=hammer.seconds + 60)[0] for process in running]
    return [json.loads(output) for output in outputs]


def sweep(starts: list[int], cap: Cap) -> Sweep:
    """Return the fullest window of all and the share of the cap that was used."""
    period_ns = cap.period_in_ms * 1_000_000
    ordered = sorted(starts)
    fullest = max(
        (bisect_left(ordered, start + period_ns) - index for index, start in enumerate(ordered)),
        default=0,
    )
    laps = [
        later - earlier
        for earlier, later in zip(ordered, ordered[cap.max_calls_count :], strict=False)
    ]
    used = period_ns / (sum(laps) / len(laps)) if laps else 0.0
    return Sweep(len(ordered), fullest, max(0, fullest - cap.max_calls_count), round(used, 4))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(hammer_alone(Hammer(**json.loads(sys.argv[1])))))
