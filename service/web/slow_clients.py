"""Ends connections whose request does not come to an end.

A body that trickles in, or whose sender has vanished, holds a thread and a connection for ever, and
nothing in WSGI can stop the read that waits for it. The process can end the connection under it:
the kernel says of each of its sockets when something last came and last went.

Source: Linux, tcp(7), ``TCP_INFO``; service/decisions/0018-slow-clients.md. Elsewhere than on Linux
nothing is ended.
"""

import os
import socket
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread

import structlog

from service.core.clock import Clock

PATIENCE_S = 30.0
_SWEEP_EVERY_S = 5.0
_FILES = Path("/proc/self/fd")
_TCP_INFO_BYTES = 160
# struct tcp_info: milliseconds since something was sent and received, and segments of data sent
_SENT_AGO = struct.Struct("=44xI")
_RECEIVED_AGO = struct.Struct("=52xI")
_SEGMENTS_SENT = struct.Struct("=156xI")
_LOG = structlog.get_logger("service.web")


class SlowClients:
    """Watches the connections of one server process.

    ``late`` names the addresses whose bodies have been arriving since before a monotonic second:
    without any, no socket is looked at.
    """

    def __init__(
        self,
        port: int,
        late: Callable[[float], frozenset[str]],
        clock: Clock,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        self._port = port
        self._late = late
        self._clock = clock
        self._patience_s = patience_s
        self._suspects: frozenset[int] = frozenset()

    def start(self) -> None:
        """Watch from now on, for as long as the process lives."""
        Thread(target=self._watch, name="slow-clients", daemon=True).start()

    def sweep(self) -> int:
        """End what was late at the last sweep and still is; return how many that were.

        Between two sweeps every request that arrived whole has been answered, so a connection that
        was quiet for long and carries a new request at the moment of the first is spared.
        """
        suspects = set()
        ended = 0
        addresses = self._late(self._clock.monotonic() - self._patience_s)
        for number in _open_files() if addresses else ():
            with suppress(OSError), _connection(number, self._port) as connection:
                if connection is None or connection.getpeername()[0] not in addresses:
                    continue
                if not _is_unanswered(connection, self._patience_s * 1000):
                    continue
                name = os.fstat(number).st_ino
                if name in self._suspects:
                    connection.shutdown(socket.SHUT_RDWR)
                    ended += 1
                else:
                    suspects.add(name)
        self._suspects = frozenset(suspects)
        if ended:
            _LOG.warning("slow_clients_ended", connections=ended)
        return ended

    def _watch(self) -> None:
        pause = Event()
        while not pause.wait(_SWEEP_EVERY_S):
            self.sweep()


def _open_files() -> list[int]:
    try:
        return [int(each.name) for each in _FILES.iterdir()]
    except OSError:
        return []


@contextmanager
def _connection(number: int, port: int) -> Iterator[socket.socket | None]:
    """Yield the TCP connection to our port that a file number stands for, if it is one."""
    if not stat.S_ISSOCK(os.fstat(number).st_mode):
        yield None
        return
    with socket.socket(fileno=os.dup(number)) as connection:
        is_tcp = connection.family in {socket.AF_INET, socket.AF_INET6}
        is_ours = is_tcp and connection.getsockname()[1] == port
        yield connection if is_ours else None


def _is_unanswered(connection: socket.socket, patience_ms: float) -> bool:
    """Tell whether something came, and nothing has gone out for longer than that."""
    facts = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    if len(facts) < _TCP_INFO_BYTES:
        return False
    (sent_ago,) = _SENT_AGO.unpack_from(facts)
    (received_ago,) = _RECEIVED_AGO.unpack_from(facts)
    (segments_sent,) = _SEGMENTS_SENT.unpack_from(facts)
    return bool(sent_ago > patience_ms and (received_ago < sent_ago or not segments_sent))
