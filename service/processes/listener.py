"""Waitress in this process, with a stop that loses no answer.

Waitress by itself dies on SIGTERM with requests in hand. Here the loop ends first, the listening
socket closes, what was begun is answered, and only then does the server go.
"""

from collections.abc import Callable
from threading import Event
from typing import Any
from wsgiref.types import WSGIApplication

from waitress import create_server, wasyncore

from service.core.clock import Clock
from service.settings import Settings

_TURN_S = 0.1
_DRAIN_S = 8.0
_THREADS_S = 2.0
_CONNECTIONS = 1000


class Listener:
    """Serves one WSGI application on one port."""

    def __init__(self, application: WSGIApplication, settings: Settings) -> None:
        self._server: Any = create_server(
            application,
            host=settings.host,
            port=settings.port,
            threads=settings.request_threads,
            connection_limit=_CONNECTIONS,
            clear_untrusted_proxy_headers=True,
            ident=None,
        )

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
        wasyncore.loop(timeout=_TURN_S, map=self._server._map, count=1)  # noqa: SLF001 - as above

    def _is_busy(self) -> bool:
        return any(
            channel.requests or channel.total_outbufs_len
            for channel in list(self._server.active_channels.values())
        )
