"""What goes to a third party and what comes back, and the contract of whoever carries it.

A flow opens one ``Lane`` per destination, submits a ``Call`` for each free slot and collects
``Reply`` values with ``run_once``. The lane decides nothing about meaning: ``outcomes`` does.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeAlias

from service.outbound.connection_spec import ClientCertificate

Headers: TypeAlias = tuple[tuple[str, str], ...]


class ReplyKind(StrEnum):
    """What is known of a call after it ended."""

    ANSWERED = "answered"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"


class Trouble(StrEnum):
    """Why a call was not answered.

    ``CALL_FULL``: of many rows in one call, this one had no room, or the call was turned away as a
    whole; it goes again with fewer.
    """

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    RESET = "reset"
    RESEND_STOPPED = "resend_stopped"
    STREAM_REFUSED = "stream_refused"
    ADDRESS_REFUSED = "address_refused"
    PERMIT_REFUSED = "permit_refused"
    MALFORMED = "malformed"
    LANE_CLOSED = "lane_closed"
    CALL_FULL = "call_full"


class HttpVersion(StrEnum):
    """What a lane speaks: ``2`` is negotiated over TLS and falls back to 1.1."""

    HTTP_1_1 = "1.1"
    HTTP_2 = "2"


@dataclass(frozen=True, slots=True)
class CallParts:
    """A request as an adapter renders it, before it is timed and sent."""

    method: str
    url: str = field(repr=False)
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)

    def with_headers(self, more: Headers) -> "CallParts":
        """Return the same request with headers added."""
        return CallParts(self.method, self.url, (*self.headers, *more), self.body)


@dataclass(frozen=True, slots=True)
class Call:
    """One request to be made once.

    Attributes:
        key: The caller's name for it, given back in the reply.
        timeout_ms: The whole exchange: name, connection, request and full answer.
        connect_timeout_ms: The part of it up to a usable connection.
    """

    key: Hashable
    method: str
    url: str = field(repr=False)
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)
    timeout_ms: int
    connect_timeout_ms: int

    @classmethod
    def of(
        cls, key: Hashable, parts: CallParts, *, timeout_ms: int, connect_timeout_ms: int
    ) -> "Call":
        """Return the parts as a call with its limits."""
        return cls(
            key, parts.method, parts.url, parts.headers, parts.body, timeout_ms, connect_timeout_ms
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """How one call ended.

    ``NOT_SENT``: certainly no byte of the request left, or an HTTP/2 server said that it did not
    look at it (a refused stream, or one above the last of its GOAWAY; RFC 9113, 8.7). ``UNKNOWN``:
    it left, and no whole answer came back, so the third party may have acted on it.

    Attributes:
        status: The status line's code; 0 when none arrived.
        headers: Raw lines as they arrived, status lines included; read them with ``header``.
        body: The answer's body, at most as long as the lane's options say.
        started_ns: CLOCK_MONOTONIC when the request went on the wire; 0 when it did not.
        ended_ns: CLOCK_MONOTONIC when the call ended.
        trouble: Why it was not answered; ``None`` when it was.
        connected_to: The address on the other side; empty when none was reached.
    """

    key: Hashable
    kind: ReplyKind
    status: int = 0
    headers: tuple[bytes, ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    started_ns: int = 0
    ended_ns: int = 0
    trouble: Trouble | None = None
    connected_to: str = ""

    def header(self, name: str) -> str | None:
        """Return the last value of a header of the final answer, whatever its letter case."""
        wanted = name.lower().encode() + b":"
        for line in reversed(self.headers):
            if line[: len(wanted)].lower() == wanted:
                return line[len(wanted) :].strip().decode("latin-1")
            if line.startswith(b"HTTP/"):
                return None
        return None


OnStart: TypeAlias = Callable[[Call], bool]
"""Asked once, when a connection stands and before the first byte: may this call start now?

It must not block or raise. ``False`` ends the call as ``NOT_SENT`` with ``PERMIT_REFUSED``.
"""


@dataclass(frozen=True, slots=True)
class LaneOptions:
    """How a lane connects.

    Attributes:
        slots: Connections that the lane may hold open, idle ones included.
        streams: Calls in the air over one connection at most; more than 1 over HTTP/2 only.
        proxy: An explicit proxy, with its credentials; the environment's are never used.
        certificate: What is shown to an endpoint that asks who calls.
        ca_file: Certificates to trust in place of certifi's.
        longest_body: Bytes of an answer that are read; what is longer is cut.
    """

    slots: int
    http_version: HttpVersion = HttpVersion.HTTP_1_1
    streams: int = 1
    proxy: str | None = field(default=None, repr=False)
    certificate: ClientCertificate | None = None
    ca_file: str | None = None
    longest_body: int = 64 * 1024


class LaneFullError(Exception):
    """A call was submitted while no slot was free: ask ``free_slots`` first."""


class Lane(Protocol):
    """The connections of one worker to one destination; used by one thread."""

    @property
    def free_slots(self) -> int:
        """How many calls may be submitted now: a call each slot, over HTTP/2 a call each stream.

        Over HTTP/2 it begins with a call each slot and grows as the server shows what it takes.
        """
        ...

    @property
    def in_flight(self) -> int:
        """How many submitted calls have not been replied to."""
        ...

    def submit(self, call: Call) -> None:
        """Start a call as soon as ``run_once`` runs.

        Raises:
            LaneFullError: No slot is free.
        """
        ...

    def run_once(self, timeout: float) -> list[Reply]:
        """Move bytes, and return the calls that ended; wait up to ``timeout`` seconds for one."""
        ...

    def resize(self, slots: int) -> None:
        """Change the number of connections; a smaller number closes every connection first.

        What was in flight while shrinking is replied to, as by ``close``, in the next ``run_once``.
        """
        ...

    def close(self) -> list[Reply]:
        """Close every connection; what was in flight ends as ``NOT_SENT`` or ``UNKNOWN``."""
        ...


class Transport(Protocol):
    """Opens lanes; a process has one."""

    def open_lane(self, options: LaneOptions, on_start: OnStart) -> Lane:
        """Return a lane without connections; the thread that uses it closes it."""
        ...
