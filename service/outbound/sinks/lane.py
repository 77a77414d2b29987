"""A lane whose calls are rows: they are gathered, go together in one call, and end one by one.

To whoever delivers it is a lane like any other. The call is made in a thread of the lane's own, so
that leases are kept and outcomes recorded while it is in the air; there is one at a time.
"""

from collections.abc import Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event

import structlog

from service.outbound.adapters.sink import SinkLimits
from service.outbound.sinks.contract import Sink, SinkRow
from service.outbound.transport import (
    Call,
    CallParts,
    Lane,
    LaneFullError,
    LaneOptions,
    OnStart,
    Reply,
    ReplyKind,
    Transport,
    Trouble,
)

_POLL_S = 0.05
_LONGEST_ANSWER = 4 << 20
_CALL: Hashable = "rows"
_LOG = structlog.get_logger("service.outbound.sinks")


class RowCarrier:
    """Carries a sink's calls over a lane of one connection; used by the thread that puts."""

    def __init__(self, transport: Transport, options: LaneOptions, on_start: OnStart) -> None:
        self._transport = transport
        self._options = replace(options, slots=1, streams=1, longest_body=_LONGEST_ANSWER)
        self._on_start = on_start
        self._lane: Lane | None = None
        self._calls: Sequence[Call] = ()
        self._goes_on = False
        self.stopping = Event()
        self.has_called = False

    def begin(self, calls: Sequence[Call]) -> None:
        """Carry for these rows from now on."""
        self._calls, self.has_called, self._goes_on = calls, False, False

    def may_start(self) -> bool:
        """Tell whether the permit of every row holds now."""
        return all(self._on_start(call) for call in self._calls)

    def call(self, parts: CallParts, *, goes_on: bool = False) -> Reply:
        """Make a call and wait for its end, or until the lane is closed."""
        if self._lane is None:
            self._lane = self._transport.open_lane(
                self._options, lambda _: self._goes_on or self.may_start()
            )
        self._goes_on, self.has_called = goes_on, True
        call = Call.of(
            _CALL,
            parts,
            timeout_ms=min(each.timeout_ms for each in self._calls),
            connect_timeout_ms=min(each.connect_timeout_ms for each in self._calls),
        )
        try:
            self._lane.submit(call)
        except ValueError:  # a header holds a control character
            return Reply(_CALL, ReplyKind.NOT_SENT, trouble=Trouble.MALFORMED)
        ended: list[Reply] = []
        while not ended:
            ended = self._lane.run_once(_POLL_S)
            if not ended and self.stopping.is_set():
                ended = self.close()
        return ended[0]

    def close(self) -> list[Reply]:
        """Close the connection."""
        lane, self._lane = self._lane, None
        return [] if lane is None else lane.close()


class SinkLane:
    """Gathers calls and puts them together."""

    def __init__(self, sink: Sink, limits: SinkLimits, carrier: RowCarrier) -> None:
        self._sink = sink
        self._limits = limits
        self._carrier = carrier
        self._most = limits.rows
        self._new: list[Call] = []
        self._ended: list[Reply] = []
        self._going: Future[Sequence[Reply]] | None = None
        self._rows: list[SinkRow] = []
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sink")

    @property
    def free_slots(self) -> int:
        """How many rows the next call has room for; none while one is in the air."""
        return 0 if self._going is not None else max(0, self._most - len(self._new))

    @property
    def in_flight(self) -> int:
        """How many rows have not been replied to."""
        return len(self._new) + len(self._ended) + len(self._rows)

    def submit(self, call: Call) -> None:
        """Take a row for the next call.

        Raises:
            LaneFullError: The call is full, or one is in the air.
        """
        if self.free_slots <= 0:
            raise LaneFullError("The call of rows is full.")
        self._new.append(call)

    def run_once(self, timeout: float) -> list[Reply]:
        """Begin the call, and return its rows when it ended; wait up to ``timeout`` seconds."""
        if self._going is None and self._new:
            self._begin()
        if self._going is not None:
            wait([self._going], timeout)
            if self._going.done():
                self._finish(self._going)
        ended, self._ended = self._ended, []
        return ended

    def resize(self, slots: int) -> None:
        """Do nothing: there is one connection, and who may have none closes the lane."""

    def close(self) -> list[Reply]:
        """End the call and return what was in flight."""
        self._carrier.stopping.set()
        if self._going is not None:
            wait([self._going])
            self._finish(self._going)
        self._thread.submit(self._carrier.close).result()
        self._thread.shutdown()
        closed = [
            Reply(call.key, ReplyKind.NOT_SENT, trouble=Trouble.LANE_CLOSED) for call in self._new
        ]
        self._new.clear()
        ended, self._ended = self._ended, []
        return ended + closed

    def _begin(self) -> None:
        """Put what fits into one call; the rest has to wait for the next permit."""
        size, going = 0, list[Call]()
        for call in self._new:
            size += len(call.body)
            if going and size > self._limits.call_bytes:
                full = Reply(call.key, ReplyKind.NOT_SENT, trouble=Trouble.CALL_FULL)
                self._ended.append(full)
            else:
                going.append(call)
        self._new.clear()
        self._rows = [_row(call) for call in going]
        self._carrier.begin(going)
        self._going = self._thread.submit(self._sink.put, self._rows, self._carrier)

    def _finish(self, going: Future[Sequence[Reply]]) -> None:
        rows, self._rows, self._going = self._rows, [], None
        try:
            replies = going.result()
        except Exception as error:  # noqa: BLE001 - an odd answer must not end the lane
            _LOG.error("sink_failed", error=type(error).__name__)
            called = self._carrier.has_called
            kind = ReplyKind.UNKNOWN if called else ReplyKind.NOT_SENT
            trouble = Trouble.RESET if called else Trouble.MALFORMED
            replies = [Reply(row.key, kind, trouble=trouble) for row in rows]
        if any(reply.trouble is Trouble.CALL_FULL for reply in replies):
            self._most = max(1, len(rows) // 2)
        else:
            self._most = min(self._limits.rows, self._most * 2)
        self._ended += replies


def _row(call: Call) -> SinkRow:
    parts = CallParts(call.method, call.url, call.headers, call.body)
    return SinkRow(call.key, parts)
