"""Waitress in this process, with a stop that loses no answer and an end to slow requests.

Waitress by itself dies on SIGTERM with requests in hand. Here the loop ends first, the listening
socket closes, what was begun is answered, and only then does the server go.

Waitress reads headers and bodies without a thread, and waits for the next byte only; here the whole
request has a limit of time. Source: service/decisions/0018-slow-clients.md.
"""

import math
from collections.abc import Callable
from threading import Event
from typing import Any
from wsgiref.types import WSGIApplication

from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from service.core.clock import Clock
from service.settings import Settings

_TURN_S = 0.1
_DRAIN_S = 8.0
_THREADS_S = 2.0
_CONNECTIONS = 1000
_PATIENCE_S = 30.0
_LOOK_EVERY_S = 1.0


class _Task(WSGITask):  # type: ignore[misc]  # waitress has no types
    """Keeps the connection after an answer that has no body by its status.

    Waitress 3.0 closes it, although 204 and 304 need no length to be understood (RFC 9112, 6.3).
    """

    def set_close_on_finish(self) -> None:
        """Close after this answer, unless only its missing length asks for that."""
        asked = self.request.headers.get("CONNECTION", "").lower()
        is_understood = not self.has_body and self.version == "1.1" and asked != "close"
        if self.wrote_header or not is_understood:
            super().set_close_on_finish()


class _Channel(HTTPChannel):  # type: ignore[misc]  # as above
    task_class = _Task


class Listener:
    """Serves one WSGI application on one port."""

    def __init__(
        self,
        application: WSGIApplication,
        settings: Settings,
        *,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._patience_s = patience_s
        self._looked_at = -math.inf
        self._arriving: dict[Any, float] = {}
        self._server: Any = create_server(
            application,
            host=settings.host,
            port=settings.port,
            threads=settings.request_threads,
            connection_limit=_CONNECTIONS,
            clear_untrusted_proxy_headers=True,
            ident=None,
        )
        self._server.channel_class = _Channel

    @property
    def port(self) -> int:
        """The port that is listened on, also when the settings asked for any."""
        return int(self._server.effective_port)

    def serve(self, stopping: Event, clock: Clock, *, on_stop: Callable[[], None]) -> None:
        """Serve until ``stopping`` is set, then finish what was begun.

        ``on_stop`` runs when nothing new is accepted and before the last answers leave.
        """
        while not stopping.is_set():
            self._turn()
            self._end_slow(clock.monotonic())
        self._server.accepting = False
        self._server.del_channel()
        self._server.socket.close()
        deadline = clock.monotonic() + _DRAIN_S
        while self._is_busy() and clock.monotonic() < deadline:
            self._turn()
        on_stop()
        # Closed first: a thread that writes to a client that no longer reads would wait for ever.
        wasyncore.close_all(self._server._map)  # noqa: SLF001 - waitress has no public stop
        self._server.task_dispatcher.shutdown(timeout=_THREADS_S)

    def _turn(self) -> None:
        # select() would fail for good at the first file number from 1024 on
        ours = self._server._map  # noqa: SLF001 - as above
        wasyncore.loop(timeout=_TURN_S, use_poll=True, map=ours, count=1)

    def _end_slow(self, now: float) -> None:
        """Close connections whose request has been arriving for too long."""
        if now - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = now
        before, self._arriving = self._arriving, {}
        for channel in list(self._server.active_channels.values()):
            if channel.request is None:
                continue
            began = before.get(channel.request, now)
            if now - began > self._patience_s:
                channel.handle_close()
            else:
                self._arriving[channel.request] = began

    def _is_busy(self) -> bool:
        return any(
            channel.requests or channel.total_outbufs_len
            for channel in list(self._server.active_channels.values())
        )
