"""How many calls an HTTP/2 lane may have in the air, and which connections take more than one.

A server says how many streams it takes in its first SETTINGS, which libcurl obeys once it has read
them. APNs takes one until it has seen a valid token, and counts more as misbehaviour. So a new
connection carries one call until that is answered; others that libcurl would put on it are held.
libcurl also keeps a connection that broke for up to a second and would use it again, so that a call
which need not be is doubtful; a call that it puts there is held too, and one opens another.

Source: Apple, Sending notification requests to APNs; RFC 9113, 5.1.2.
"""

from enum import Enum, auto
from typing import TypeAlias

Connection: TypeAlias = tuple[str, int]
"""Our end of a connection: its address and port."""

_KEPT = 1024


class Entry(Enum):
    """What a call may do on a connection."""

    START = auto()
    WAIT = auto()
    GO_ELSEWHERE = auto()


class Streams:
    """What is known of a lane's connections and of the calls they bear; used by one thread.

    Attributes:
        width: How many calls may be in the air now.
    """

    def __init__(self, slots: int, streams: int) -> None:
        self._slots = slots
        self._streams = streams
        self.width = slots
        self._tried: set[Connection] = set()
        self._proven: set[Connection] = set()
        self._broken: set[Connection] = set()
        self._has_freed = False

    def resize(self, slots: int) -> None:
        """Go on with another number of connections."""
        self._slots = slots
        self.width = min(max(self.width, slots), slots * self._streams)

    def entry(self, connection: Connection, *, is_new: bool) -> Entry:
        """Return what a call may do on a connection; ``is_new`` if it was opened for the call."""
        if is_new:
            self._proven.discard(connection)
            self._broken.discard(connection)
        if connection in self._broken:
            return Entry.GO_ELSEWHERE
        is_taken = connection in self._tried and connection not in self._proven
        return Entry.WAIT if is_taken else Entry.START

    def enter(self, connection: Connection) -> None:
        """Take note that a call starts."""
        if connection not in self._proven:
            self._tried.add(connection)

    def answered(self, connection: Connection) -> None:
        """Take note of an answer: its connection takes more calls from now on."""
        if connection in self._proven:
            return
        if len(self._proven) >= _KEPT:
            self._proven.clear()
        self._proven.add(connection)
        self._leave(connection)

    def lost(self, connection: Connection, *, is_broken: bool) -> None:
        """Take note of a call without an answer: its connection has to prove itself once more."""
        if len(self._broken) >= _KEPT:
            self._broken.clear()
        if is_broken:
            self._broken.add(connection)
        self._proven.discard(connection)
        self._leave(connection)

    def free(self) -> None:
        """Let held calls try again."""
        self._has_freed = True

    def take_freed(self) -> bool:
        """Tell whether held calls may try again, once for each reason there is."""
        freed, self._has_freed = self._has_freed, False
        return freed

    def may_grow(self, in_flight: int) -> bool:
        """Tell whether more calls could be wanted than may be in the air."""
        is_wanted = 2 * in_flight > self.width and self.width < self._slots * self._streams
        return is_wanted and bool(self._proven)

    def grow(self) -> None:
        """Take note that every call found a stream: twice as many may."""
        self.width = min(2 * self.width, self._slots * self._streams)

    def shrink(self, started: int) -> None:
        """Take note that a call found no stream in time while ``started`` others had one."""
        self.width = max(self._slots, min(self.width, started))

    def _leave(self, connection: Connection) -> None:
        self._has_freed = self._has_freed or connection in self._tried
        self._tried.discard(connection)
