"""Where a request waits until it has arrived whole, before it takes one of the few turns.

Granian hands a request to a thread when its headers are there, and reading its body then holds
that thread for as long as the sender likes. So there is a thread for each open connection, and only
requests that are complete share the turns that the application works with.

Source: granian, issue 728 ("No slow body read timeout"); service/decisions/0018-slow-clients.md.
"""

from collections.abc import Iterable
from io import BytesIO
from threading import BoundedSemaphore, get_ident
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from service.core.clock import Clock
from service.web.app import MAX_BODY_BYTES

_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class WaitingRoom:
    """A WSGI application in front of another, which never waits for a sender."""

    def __init__(self, application: WSGIApplication, clock: Clock, *, turns: int) -> None:
        self._application = application
        self._clock = clock
        self._turns = BoundedSemaphore(turns)
        self._arriving: dict[int, tuple[float, str]] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request when its body is there.

        A body that ends too early has lost its sender: nobody acts on it or reads the answer. One
        that says itself that it is too large is not read: the application refuses it unread.
        """
        length = environ.get("CONTENT_LENGTH") or ""
        if length.isdecimal():
            size = int(length)
            if 0 < size <= MAX_BODY_BYTES and not self._take_in(environ, size):
                start_response("400 Bad Request", [("Content-Length", "0")])
                return [b""]
        elif not length and environ["REQUEST_METHOD"] in _WITH_BODY:
            self._take_in(environ, MAX_BODY_BYTES + 1)
        with self._turns:
            return self._application(environ, start_response)

    def late(self, since: float) -> frozenset[str]:
        """Return the addresses whose bodies have been arriving since before a monotonic second."""
        return frozenset(who for began, who in list(self._arriving.values()) if began < since)

    def _take_in(self, environ: WSGIEnvironment, size: int) -> bool:
        """Read the body; tell whether all of it came."""
        me = get_ident()
        self._arriving[me] = (self._clock.monotonic(), environ.get("REMOTE_ADDR", ""))
        try:
            body = environ["wsgi.input"].read(size)
        finally:
            del self._arriving[me]
        environ["wsgi.input"] = BytesIO(body)
        return len(body) == size
