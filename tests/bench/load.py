"""A load generator that costs little beside the server: raw HTTP/1.1 over kept-alive sockets."""

import asyncio
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter
from urllib.parse import urlsplit


@dataclass(slots=True)
class Answers:
    """What came back, in the order of the requests."""

    statuses: list[int]
    latencies_ms: list[float]
    elapsed_s: float = 0.0

    @property
    def per_s(self) -> float:
        """Answers per second over the whole run."""
        return len(self.statuses) / self.elapsed_s

    def percentile(self, percent: int) -> float:
        """Return a latency percentile in milliseconds."""
        return statistics.quantiles(self.latencies_ms, n=100)[percent - 1]


@dataclass(slots=True)
class _Run:
    requests: Sequence[bytes]
    answers: Answers
    next_index: int = 0
    done: asyncio.Event = field(default_factory=asyncio.Event)
    finished: int = 0


class _Connection(asyncio.Protocol):
    """Sends the next request as soon as the last is answered."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._index = -1
        self._began = 0.0
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lowered = head.lower()
        at = lowered.find(b"content-length:")
        length = 0 if at < 0 else int(lowered[at + 15 :].split(b"\r\n", 1)[0])
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        answers = self._run.answers
        answers.statuses[self._index] = int(head[9:12])
        answers.latencies_ms[self._index] = (perf_counter() - self._began) * 1000
        self._run.finished += 1
        if self._run.finished == len(self._run.requests):
            self._run.done.set()
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # a lost connection shows in the statuses that stay 0
        if self._run.finished < len(self._run.requests):
            self._run.done.set()

    def _send(self) -> None:
        run = self._run
        assert self._transport is not None
        if run.next_index >= len(run.requests):
            return
        self._index, run.next_index = run.next_index, run.next_index + 1
        self._began = perf_counter()
        self._transport.write(run.requests[self._index])


def post(
    url: str, body: bytes, *, content_type: str = "application/json", origin: str | None = None
) -> bytes:
    """Return the bytes of one request."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n"
    )
    if origin is not None:
        head += f"Origin: {origin}\r\n"
    return f"{head}\r\n".encode() + body


def send_all(
    host: str,
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    timeout_s: float = 120,
) -> Answers:
    """Send every request once over ``connections`` sockets and return the answers."""
    return asyncio.run(_send_all(host, port, requests, connections, timeout_s))


async def _send_all(
    host: str,
    port: int,
    requests: Sequence[bytes],
    connections: int,
    timeout_s: float,
) -> Answers:
    run = _Run(requests, Answers([0] * len(requests), [0.0] * len(requests)))
    loop = asyncio.get_running_loop()
    began = perf_counter()
    made = [
        await loop.create_connection(lambda: _Connection(run), host, port)
        for _ in range(connections)
    ]
    await asyncio.wait_for(run.done.wait(), timeout_s)
    run.answers.elapsed_s = perf_counter() - began
    for transport, _ in made:
        transport.close()
    return run.answers
