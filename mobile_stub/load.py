"""Many devices at a rate: ``python -m mobile_stub load``.

Requests are due at fixed moments, whatever the service does, and their latency counts from then:
a service that falls behind shows it. What cannot be sent in time is counted, never piled up.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter

from mobile_stub.edge_client import EXCHANGE_TIMEOUT_S, Edge
from mobile_stub.load_clients import ClientName, Crowd, LoadClient
from mobile_stub.load_wire import Connection
from mobile_stub.load_words import refusal_of, warnings_of

_MOST_CONNECTIONS = 128
_WAITING_PER_CONNECTION = 64
_TELL_EVERY_S = 0.1
_MOST_REASONS = 5
_SUCCESSES = range(200, 300)
NO_ANSWER = "no answer"
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is played: ``rate`` requests per second of all devices together, for ``duration_s``.

    ``patience_s`` is how long an answer may take, and what has been sent in the end.
    """

    url: str
    datastream: str
    client: ClientName
    devices: int
    rate: float
    duration_s: float
    seed: str = "1"
    patience_s: float = EXCHANGE_TIMEOUT_S

    @property
    def total(self) -> int:
        """How many requests are due in all."""
        return max(1, round(self.rate * self.duration_s))


@dataclass(slots=True)
class Tally:
    """What came of it.

    Attributes:
        outcomes: How often each status came, or none, or one that the SDK could not have read.
        latencies_ms: From the moment a request was due to its whole answer.
        unsent: Requests that were due and never left: the service, or this machine, is too slow.
        elapsed_s: How long it took.
        refusals: How often the service gave each of the first reasons why not.
        warnings: How often a success carried each of the first warnings.
        warned: How many successes carried any.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    unsent: int = 0
    elapsed_s: float = 0.0
    refusals: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    warned: int = 0

    @property
    def answered(self) -> int:
        """How many requests have ended."""
        return sum(self.outcomes.values())

    @property
    def failed(self) -> int:
        """How many requests got no 2xx that their SDK could read, or never left."""
        good = sum(count for name, count in self.outcomes.items() if _is_success(name))
        return self.answered - good + self.unsent

    def percentile_ms(self, percent: float) -> float:
        """Return the latency that so many percent of the answers did not exceed."""
        ordered = sorted(self.latencies_ms)
        if not ordered:
            return 0.0
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def hear(self, status: int, body: bytes) -> None:
        """Count what an answer says in words."""
        if status not in _SUCCESSES:
            _count(self.refusals, refusal_of(status, body))
            return
        warnings = warnings_of(body)
        self.warned += bool(warnings)
        for each in warnings:
            _count(self.warnings, each)


def _count(words: Counter[str], said: str) -> None:
    if said in words or len(words) < _MOST_REASONS:
        words[said] += 1


def play(plan: Plan, tell: Callable[[Tally], None] = lambda _: None) -> Tally:
    """Play the plan to its end; ``tell`` hears ten times a second how far it is."""
    return asyncio.run(_play(plan, tell))


@dataclass(slots=True)
class _Lane:
    """One connection and the devices that take turns on it."""

    connection: Connection
    due: asyncio.Queue[tuple[int, float]]
    clients: dict[int, LoadClient] = field(default_factory=dict)


async def _play(plan: Plan, tell: Callable[[Tally], None]) -> Tally:
    tally = Tally()
    crowd = Crowd(plan.client, Edge(plan.url, plan.datastream), plan.seed)
    lanes = [
        _Lane(Connection(plan.url), asyncio.Queue(_WAITING_PER_CONNECTION))
        for _ in range(min(plan.devices, _MOST_CONNECTIONS))
    ]
    began = perf_counter()
    workers = [asyncio.create_task(_serve(lane, crowd, tally, plan)) for lane in lanes]
    teller = asyncio.create_task(_keep_telling(tally, tell))
    try:
        await _hand_out(plan, lanes, tally, began)
        with suppress(TimeoutError):
            async with asyncio.timeout(plan.patience_s):
                await asyncio.gather(*(lane.due.join() for lane in lanes))
    finally:
        for task in (*workers, teller):
            task.cancel()
        await asyncio.gather(*workers, teller, return_exceptions=True)
        for lane in lanes:
            await lane.connection.close()
    tally.elapsed_s = perf_counter() - began
    tally.unsent = plan.total - tally.answered
    tell(tally)
    return tally


async def _hand_out(plan: Plan, lanes: list[_Lane], tally: Tally, began: float) -> None:
    """Give each request to its device's lane when it is due; a full lane loses it."""
    for number in range(plan.total):
        due = began + number / plan.rate
        if (ahead := due - perf_counter()) > 0:
            await asyncio.sleep(ahead)
        device = number % plan.devices
        try:
            lanes[device % len(lanes)].due.put_nowait((device, due))
        except asyncio.QueueFull:
            tally.unsent += 1


async def _serve(lane: _Lane, crowd: Crowd, tally: Tally, plan: Plan) -> None:
    while True:
        device, due = await lane.due.get()
        client = lane.clients.get(device) or lane.clients.setdefault(device, crowd.member(device))
        request = client.next_request(datetime.now(UTC))
        answer = await lane.connection.exchange(request, plan.patience_s)
        if answer is None:
            tally.outcomes[NO_ANSWER] += 1
        else:
            is_readable = client.take(answer, datetime.now(UTC))
            tally.latencies_ms.append((perf_counter() - due) * 1000)
            tally.outcomes[str(answer.status) if is_readable else UNREADABLE] += 1
            tally.hear(answer.status, answer.body)
        lane.due.task_done()


async def _keep_telling(tally: Tally, tell: Callable[[Tally], None]) -> None:
    while True:
        tell(tally)
        await asyncio.sleep(_TELL_EVERY_S)


def _is_success(outcome: str) -> bool:
    return outcome.isdecimal() and int(outcome) in _SUCCESSES
