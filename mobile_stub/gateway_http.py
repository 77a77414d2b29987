"""A small HTTP/1.1 server that can also misbehave: slow, dripping, closing and resetting answers.

It keeps connections alive, reads ``Content-Length`` and chunked bodies, and answers one request of
a connection after another. It is built for rate, not for the open internet.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from enum import Enum
from http import HTTPStatus
from types import TracebackType
from typing import NamedTuple, Protocol, Self, cast, runtime_checkable

from mobile_stub.gateway_wire import (
    CHUNKED,
    BadRequestError,
    Request,
    body_length,
    decode_chunks,
    parse_head,
)

JSON = "application/json; charset=UTF-8"
_MAX_HEAD_BYTES = 65_536
_END_OF_HEAD = b"\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
UNTIL_RESET_S = 0.05
"""How long what was written has to arrive before a reset overtakes it."""
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class Ending(Enum):
    """How an exchange ends on the wire."""

    ANSWERED = "answered"
    CLOSED = "closed"
    RESET = "reset"
    RESET_IN_BODY = "resetInBody"
    SILENT = "silent"


class Reply(NamedTuple):
    """What goes back: the whole message, when, and how. ``drip_s`` is the pause after each byte."""

    payload: bytes
    delay_s: float = 0.0
    drip_s: float = 0.0
    ending: Ending = Ending.ANSWERED


class App(Protocol):
    """What a server serves."""

    def early(self, head: Request) -> Reply | None:
        """Decide on the head alone; a reply ends the exchange before the body is read."""

    def handle(self, request: Request) -> Reply | asyncio.Future[Reply]:
        """Answer a whole request, now or when the future is done."""


@runtime_checkable
class ListeningApp(Protocol):
    """An app that listens on more ports than the one that it is served on."""

    def listening(self, host: str) -> AbstractAsyncContextManager[None]:
        """Return a context inside which the other ports are open."""


def answer(
    status: int, body: bytes = b"", content_type: str = JSON, headers: tuple[str, ...] = ()
) -> Reply:
    """Return a plain reply; ``headers`` are whole lines without their line end."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}"]
    if body:
        lines.append(f"Content-Type: {content_type}")
    lines.append(f"Content-Length: {len(body)}")
    lines += headers
    return Reply("\r\n".join(lines).encode() + _END_OF_HEAD + body)


def reset(transport: asyncio.Transport) -> None:
    """End a connection with a TCP reset."""
    raw = transport.get_extra_info("socket")
    if raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()


class _Connection(asyncio.Protocol):
    """One client connection: reads, asks the app, answers, and starts over."""

    def __init__(self, server: "HttpServer") -> None:
        self._server = server
        self._buffer = bytearray()
        self._head: Request | None = None
        self._length = 0
        self._busy = False
        self._close_after = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self._transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._server.connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._busy:
            self._advance()

    def _advance(self) -> None:
        try:
            while self._buffer and not self._busy and not self._transport.is_closing():
                if self._head is None and not self._read_head():
                    return
                if self._busy or not self._read_body():
                    return
        except BadRequestError as problem:
            self._transport.write(answer(400, f'{{"error":"{problem}"}}'.encode()).payload)
            self._transport.close()

    def _read_head(self) -> bool:
        end = self._buffer.find(_END_OF_HEAD)
        if end < 0:
            if len(self._buffer) > _MAX_HEAD_BYTES:
                raise BadRequestError("head too long")
            return False
        self._head = head = parse_head(bytes(self._buffer[:end]))
        del self._buffer[: end + len(_END_OF_HEAD)]
        self._length = body_length(head.headers)
        self._close_after = head.headers.get(b"connection", b"").lower() == b"close"
        early = self._server.app.early(head)
        if early is not None:
            self._close_after = True
            self._start(early)
        elif b"expect" in head.headers:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def _read_body(self) -> bool:
        if self._length == CHUNKED:
            decoded = decode_chunks(self._buffer)
            if decoded is None:
                return False
            body, used = decoded
        else:
            used = self._length
            if len(self._buffer) < used:
                return False
            body = bytes(self._buffer[:used])
        del self._buffer[:used]
        head = cast("Request", self._head)
        reply = self._server.app.handle(head._replace(body=body) if body else head)
        if isinstance(reply, Reply):
            self._start(reply)
        else:
            self._busy = True
            reply.add_done_callback(self._finish_waited)
        return True

    def _finish_waited(self, done: asyncio.Future[Reply]) -> None:
        if not done.cancelled():  # as the server ends, it is
            self._finish(done.result())

    def _start(self, reply: Reply) -> None:
        if reply.delay_s:
            self._busy = True
            self._server.loop.call_later(reply.delay_s, self._finish, reply)
        elif reply.drip_s or reply.ending is not Ending.ANSWERED:
            self._busy = True
            self._finish(reply)
        else:
            self._transport.write(reply.payload)
            self._ready_for_next()

    def _finish(self, reply: Reply) -> None:
        if self._transport.is_closing():
            return
        if reply.ending is Ending.RESET:
            reset(self._transport)
        elif reply.ending is Ending.RESET_IN_BODY:
            head, end, body = reply.payload.partition(_END_OF_HEAD)
            self._transport.write(head + end + body[: len(body) // 2])
            self._server.loop.call_later(UNTIL_RESET_S, reset, self._transport)
        elif reply.ending is Ending.SILENT:
            return  # nothing more is read from this connection, nothing is written to it
        elif reply.ending is Ending.CLOSED:
            self._transport.close()
        elif reply.drip_s:
            self._drip(reply.payload, reply.drip_s, 0)
        else:
            self._transport.write(reply.payload)
            self._busy = False
            self._ready_for_next()
            self._advance()

    def _drip(self, payload: bytes, pause_s: float, sent: int) -> None:
        if self._transport.is_closing():
            return
        if sent == len(payload):
            self._busy = False
            self._ready_for_next()
            self._advance()
            return
        self._transport.write(payload[sent : sent + 1])
        self._server.loop.call_later(pause_s, self._drip, payload, pause_s, sent + 1)

    def _ready_for_next(self) -> None:
        self._head = None
        if self._close_after:
            self._transport.close()


class HttpServer:
    """The listening socket with its connections, inside a running event loop."""

    app: App

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.connections: set[asyncio.Transport] = set()

    async def serve(
        self,
        make_app: Callable[[str], App],
        host: str,
        port: int,
        ready: Callable[[str], None],
        stop: asyncio.Event,
    ) -> None:
        """Serve until ``stop``; ``ready`` gets the URL. At the end connections are cut off."""
        server = await self.loop.create_server(
            lambda: _Connection(self), host, port, backlog=1024, start_serving=False
        )
        bound: int = server.sockets[0].getsockname()[1]
        url = f"http://{host}:{bound}"
        self.app = make_app(url)
        async with AsyncExitStack() as others:
            if isinstance(self.app, ListeningApp):
                await others.enter_async_context(self.app.listening(host))
            await server.start_serving()
            ready(url)
            await stop.wait()
        server.close()
        for transport in tuple(self.connections):
            transport.abort()
        await asyncio.sleep(0)  # the transports close in the loop's next turn
        await server.wait_closed()


class ServerThread:
    """A server in a thread of this process: ``with ServerThread(make_app) as server``."""

    def __init__(
        self, make_app: Callable[[str], App], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.url = ""
        self._make_app = make_app
        self._address = (host, port)
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="stub-server", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for it
            self._failure = error
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        await HttpServer().serve(self._make_app, *self._address, self._announce, self._stop)

    def _announce(self, url: str) -> None:
        self.url = url
        self._ready.set()
