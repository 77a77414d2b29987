"""A port in front of a server that keeps everybody waiting until it is opened.

A listener whose queue is full answers no SYN, so callers hang in ``connect`` and are let in at one
of their own repetitions, a second and three seconds after the first.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit

_CHUNK = 65536


class Door:
    """A closed port; what comes through after ``open`` reaches the server behind it."""

    def __init__(self, behind: str) -> None:
        parts = urlsplit(behind)
        self._behind = (parts.hostname or "", parts.port or 80)
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self._sockets = [socket.create_connection(self._listener.getsockname())]
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def open(self) -> None:
        """Let in who waits, and everybody after."""
        self._sockets.pop().close()
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        while True:
            try:
                outer, _ = self._listener.accept()
            except OSError:
                return
            inner = socket.create_connection(self._behind)
            self._sockets += [outer, inner]
            for source, target in ((outer, inner), (inner, outer)):
                Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Pass on what one side says until it has said everything."""
    with suppress(OSError):
        while chunk := source.recv(_CHUNK):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def closed_door(behind: str) -> Iterator[Door]:
    """Yield a closed door and tear it down."""
    door = Door(behind)
    try:
        yield door
    finally:
        door.close()
