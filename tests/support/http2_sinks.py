"""A third party on loopback that speaks HTTP/2 over TLS, stream by stream as it is told."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from ssl import SSLContext, SSLError

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from tests.support.certificates import loopback_certificate

_PATIENCE_S = 10


@dataclass(slots=True)
class Http2Request:
    """One whole request; ``open_streams`` counts those that were open when it began."""

    connection: int
    stream: int
    headers: dict[str, str]
    open_streams: int
    body: bytes = b""

    @property
    def path(self) -> str:
        """What is asked for."""
        return self.headers[":path"]


@dataclass(slots=True)
class Http2Exchange:
    """What a behaviour can do once a request has been read; nothing leaves before it returns."""

    request: Http2Request
    sink: "Http2Sink"
    h2: H2Connection
    sock: socket.socket

    def answer(
        self, status: int = 200, headers: tuple[tuple[str, str], ...] = (), body: bytes = b""
    ) -> None:
        """Answer the stream."""
        head = [(":status", str(status)), *headers]
        self.h2.send_headers(self.request.stream, head, end_stream=not body)
        if body:
            self.h2.send_data(self.request.stream, body, end_stream=True)

    def refuse(self, code: ErrorCodes = ErrorCodes.REFUSED_STREAM) -> None:
        """Reset the stream."""
        self.h2.reset_stream(self.request.stream, code)

    def go_away(self, last_stream: int) -> None:
        """Say that the connection ends, and after which stream."""
        self.h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=last_stream)

    def allow(self, streams: int) -> None:
        """Change how many streams may be open."""
        self.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: streams})

    def flush(self) -> None:
        """Write what was said so far."""
        self.sock.sendall(self.h2.data_to_send())

    def reset(self) -> None:
        """End the connection with a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Http2Behaviour = Callable[[Http2Exchange], None]


def answer_ok(exchange: Http2Exchange) -> None:
    """Answer 200 with the id that was sent, as APNs does."""
    exchange.answer(200, (("apns-id", exchange.request.headers.get("apns-id", "")),))


def say_nothing(_: Http2Exchange) -> None:
    """Leave the stream open."""


@dataclass(slots=True)
class Http2Sink:
    """The listening side: ``behaviour`` decides on each request.

    Attributes:
        received: Every whole request, in order of arrival.
        connections: Connections accepted so far.
        ca_file: The certificate to trust.
    """

    behaviour: Http2Behaviour
    ca_file: Path
    tls: SSLContext
    streams: int | None
    port: int = 0
    connections: int = 0
    received: list[Http2Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _arrived: threading.Condition = field(default_factory=threading.Condition)
    _sockets: list[socket.socket] = field(default_factory=list)

    def url(self, path: str = "/3/device/ab") -> str:
        """Return an address of this sink."""
        return f"https://127.0.0.1:{self.port}{path}"

    def wait_for(self, count: int) -> bool:
        """Wait until so many requests have arrived."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self.received) >= count, _PATIENCE_S)

    def listen(self, listener: socket.socket) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(plain, number), daemon=True).start()

    def cut(self) -> None:
        """Close every connection."""
        with self._lock:
            for sock in self._sockets:
                sock.close()

    def _serve(self, plain: socket.socket, number: int) -> None:
        try:
            sock = self.tls.wrap_socket(plain, server_side=True)
        except (OSError, SSLError):
            plain.close()
            return
        with self._lock:
            self._sockets.append(sock)
        h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        h2.initiate_connection()
        if self.streams is not None:
            h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: self.streams})
        try:
            sock.sendall(h2.data_to_send())
            self._talk(sock, h2, number)
        except (OSError, SSLError, ProtocolError):
            pass
        finally:
            sock.close()

    def _talk(self, sock: socket.socket, h2: H2Connection, number: int) -> None:
        begun: dict[int, Http2Request] = {}
        while data := sock.recv(65536):
            for event in h2.receive_data(data):
                request = self._read(event, h2, number, begun)
                if request is not None:
                    self.behaviour(Http2Exchange(request, self, h2, sock))
            sock.sendall(h2.data_to_send())

    def _read(
        self, event: Event, h2: H2Connection, number: int, begun: dict[int, Http2Request]
    ) -> Http2Request | None:
        match event:
            case RequestReceived():
                headers = {str(name): str(value) for name, value in event.headers}
                begun[event.stream_id] = Http2Request(
                    number, event.stream_id, headers, h2.open_inbound_streams
                )
            case DataReceived():
                begun[event.stream_id].body += event.data
                h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case StreamEnded():
                request = begun.pop(event.stream_id)
                with self._arrived:
                    self.received.append(request)
                    self._arrived.notify_all()
                return request
        return None


@contextmanager
def running_http2_sink(
    folder: Path, behaviour: Http2Behaviour = answer_ok, streams: int | None = None
) -> Iterator[Http2Sink]:
    """Listen on loopback; ``streams`` is the limit of the first SETTINGS."""
    ca_file, tls = loopback_certificate(folder)
    tls.set_alpn_protocols(["h2"])
    sink = Http2Sink(behaviour, ca_file, tls, streams)
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
