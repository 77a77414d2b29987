"""A transport without a network: scripted replies, and every start it made."""

from collections.abc import Callable
from dataclasses import dataclass, field

from service.outbound.transport import (
    Call,
    Lane,
    LaneFullError,
    LaneOptions,
    OnStart,
    Reply,
    ReplyKind,
    Trouble,
)

Script = Callable[[Call], Reply | None]
"""What the vendor does with a call; ``None`` leaves it in the air for now."""


def answered(call: Call, status: int = 200, body: bytes = b'{"id":"m-1"}') -> Reply:
    """Return a whole answer that took five milliseconds."""
    return Reply(call.key, ReplyKind.ANSWERED, status, (), body, 1_000_000, 6_000_000)


def unanswered(call: Call, trouble: Trouble = Trouble.RESET) -> Reply:
    """Return the end of a call that went out and got no whole answer."""
    return Reply(
        call.key, ReplyKind.UNKNOWN, started_ns=1_000_000, ended_ns=6_000_000, trouble=trouble
    )


def not_sent(call: Call, trouble: Trouble = Trouble.CONNECT) -> Reply:
    """Return the end of a call of which no byte left."""
    return Reply(call.key, ReplyKind.NOT_SENT, trouble=trouble)


def silent(_call: Call) -> None:
    """Leave a call in the air."""


@dataclass
class FakeTransport:
    """Opens lanes whose calls end as ``script`` says; ``started`` holds what went on the wire."""

    script: Script = answered
    started: list[Call] = field(default_factory=list)
    most_slots: int = 0
    before_start: Callable[[], None] = lambda: None

    def open_lane(self, options: LaneOptions, on_start: OnStart) -> Lane:
        """Return a lane without connections."""
        self.most_slots = max(self.most_slots, options.slots)
        return FakeLane(self, options.slots, on_start, options.streams)


class FakeLane:
    """One lane of a ``FakeTransport``."""

    def __init__(
        self, transport: FakeTransport, slots: int, on_start: OnStart, streams: int = 1
    ) -> None:
        self._transport = transport
        self._slots = slots
        self._streams = streams
        self._on_start = on_start
        self._new: list[Call] = []
        self._flying: list[Call] = []

    @property
    def free_slots(self) -> int:
        """How many calls may be submitted now."""
        return self._slots * self._streams - self.in_flight

    @property
    def in_flight(self) -> int:
        """How many submitted calls have not been replied to."""
        return len(self._new) + len(self._flying)

    def submit(self, call: Call) -> None:
        """Take a call; it starts in ``run_once``."""
        if self.free_slots <= 0:
            raise LaneFullError("full")
        self._new.append(call)

    def run_once(self, timeout: float) -> list[Reply]:  # noqa: ARG002 - nobody waits here
        """Start what was submitted, and return what the script has ended."""
        replies: list[Reply] = []
        self._transport.before_start()
        for call in self._new:
            if self._on_start(call):
                self._transport.started.append(call)
                self._flying.append(call)
            else:
                replies.append(not_sent(call, Trouble.PERMIT_REFUSED))
        self._new.clear()
        for call in tuple(self._flying):
            reply = self._transport.script(call)
            if reply is not None:
                self._flying.remove(call)
                replies.append(reply)
        return replies

    def resize(self, slots: int) -> None:
        """Change the number of connections."""
        self._slots = slots

    def close(self) -> list[Reply]:
        """End what is in the air as unknown, and what has not started as not sent."""
        replies = [not_sent(call, Trouble.LANE_CLOSED) for call in self._new]
        replies += [unanswered(call, Trouble.LANE_CLOSED) for call in self._flying]
        self._new.clear()
        self._flying.clear()
        return replies
