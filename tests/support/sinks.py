"""A third party on loopback that does what it is told, byte by byte, and remembers what it got."""

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 12\r\n\r\n{"id":"m-1"}'
_PATIENCE_S = 10


@dataclass(frozen=True, slots=True)
class Received:
    """One whole request."""

    connection: int
    head: str
    body: bytes

    def header(self, name: str) -> str | None:
        """Return a header's value."""
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None


@dataclass(slots=True)
class Exchange:
    """What a behaviour can do once a request has been read."""

    sock: socket.socket
    request: Received
    sink: "Sink"

    def send(self, data: bytes) -> None:
        """Write bytes as they are."""
        self.sock.sendall(data)

    def close(self) -> None:
        """End the connection in good order."""
        self.sock.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """End the connection with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behaviour = Callable[[Exchange], None]


def answer(data: bytes = OK) -> Behaviour:
    """Answer and keep the connection."""
    return lambda exchange: exchange.send(data)


def close_unanswered(exchange: Exchange) -> None:
    """Read everything, then close."""
    exchange.close()


def reset_unanswered(exchange: Exchange) -> None:
    """Read everything, then reset."""
    exchange.reset()


def drip(exchange: Exchange) -> None:
    """Promise a body and send a byte of it now and then, until the caller has had enough."""
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n")
    try:
        while not exchange.sink.ended.wait(0.02):
            exchange.send(b"x")
    except OSError:
        return


def drip_head(exchange: Exchange) -> None:
    """Send a header that never ends, a byte now and then."""
    exchange.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    try:
        while not exchange.sink.ended.wait(0.02):
            exchange.send(b"x")
    except OSError:
        return


def hold(exchange: Exchange) -> None:
    """Answer when the test says so."""
    exchange.sink.released.wait(_PATIENCE_S)
    exchange.send(OK)


@dataclass(slots=True)
class Sink:
    """The listening side: each request takes the next behaviour, the last one stays.

    Attributes:
        received: Every whole request, in order of arrival.
        most_open: The most connections that were open at one time.
        connections: Connections accepted so far.
    """

    behaviours: list[Behaviour]
    received: list[Received] = field(default_factory=list)
    most_open: int = 0
    connections: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    tls: ssl.SSLContext | None = None
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _arrived: threading.Condition = field(default_factory=threading.Condition)
    _sockets: list[socket.socket] = field(default_factory=list)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        """Return an address of this sink."""
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{host}:{self.port}{path}"

    def wait_for(self, count: int) -> bool:
        """Wait until so many requests have arrived."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.received) >= count, _PATIENCE_S)

    def listen(self, listener: socket.socket) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open += 1
                self.most_open = max(self.most_open, self._open)
                self._sockets.append(sock)
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def cut(self) -> None:
        """Close every connection."""
        self.ended.set()
        self.released.set()
        with self._lock:
            for sock in self._sockets:
                sock.close()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
            buffered = b""
            while (read := _read_request(sock, buffered)) is not None:
                head, body, buffered = read
                self._take(sock, Received(number, head, body))
        except OSError:
            pass
        finally:
            with self._lock:
                self._open -= 1
            sock.close()

    def _take(self, sock: socket.socket, request: Received) -> None:
        with self._arrived:
            self.received.append(request)
            behaviour = self.behaviours[0] if len(self.behaviours) == 1 else self.behaviours.pop(0)
            self._arrived.notify_all()
        behaviour(Exchange(sock, request, self))


@contextmanager
def running_sink(*behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> Iterator[Sink]:
    """Run a sink on a free port of 127.0.0.1."""
    sink = Sink(list(behaviours) or [answer()], tls=tls)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sink.port = listener.getsockname()[1]
        acceptor = threading.Thread(target=sink.listen, args=(listener,), daemon=True)
        acceptor.start()
        try:
            yield sink
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join(_PATIENCE_S)
            sink.cut()


@contextmanager
def closed_port() -> Iterator[int]:
    """Hold a port of 127.0.0.1 on which nothing listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def _read_request(sock: socket.socket, buffered: bytes) -> tuple[str, bytes, bytes] | None:
    while b"\r\n\r\n" not in buffered:
        chunk = sock.recv(65536)
        if not chunk:
            return None
        buffered += chunk
    head, _, rest = buffered.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    length = int(Received(0, text, b"").header("content-length") or 0)
    while len(rest) < length:
        chunk = sock.recv(65536)
        if not chunk:
            return None
        rest += chunk
    return text, rest[:length], rest[length:]
