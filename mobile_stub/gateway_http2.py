"""A small HTTP/2 server over TLS that can also misbehave, stream by stream or as a connection.

It needs ``h2``, and is imported only where HTTP/2 is spoken. The limit of open streams is kept here
and not by ``h2``, which ends the whole connection where a server refuses one stream.
"""

import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, Protocol, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RequestReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame, SettingsFrame

from mobile_stub.gateway_http import UNTIL_RESET_S, Ending, reset
from mobile_stub.gateway_wire import Request

_STREAMS = int(SettingCodes.MAX_CONCURRENT_STREAMS)


class GoAway(Enum):
    """Whether the request that makes the server leave is still answered."""

    AFTER_IT = "after"
    BEFORE_IT = "before"


class Http2Reply(NamedTuple):
    """What goes back on a stream, when, and how; ``streams`` is the connection's new limit."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    delay_s: float = 0.0
    drip_s: float = 0.0
    ending: Ending = Ending.ANSWERED
    go_away: GoAway | None = None
    go_away_data: bytes = b""
    streams: int | None = None


@dataclass(slots=True)
class Link:
    """One connection: what it may do, and what it did. ``token`` is for the app to keep."""

    streams: int
    requests: int = 0
    most_open: int = 0
    refused: int = 0
    token: object = None


class Http2Request(NamedTuple):
    """A whole request; ``is_doubled`` when one of its headers came twice."""

    request: Request
    link: Link
    is_doubled: bool


class Http2App(Protocol):
    """What a server serves.

    Attributes:
        first_streams: How many streams a new connection may open.
    """

    first_streams: int

    def handle(self, asked: Http2Request) -> Http2Reply:
        """Answer a whole request."""


class Http2Server:
    """The connections of one listening socket."""

    def __init__(self, app: Http2App) -> None:
        self.app = app
        self.links: list[Link] = []
        self.open: set[asyncio.Transport] = set()

    def connection(self) -> asyncio.Protocol:
        """Return the protocol of a new connection."""
        return _Connection(self)

    def report(self) -> list[dict[str, int]]:
        """Return what each connection did: its requests, and its streams at the most."""
        return [
            {
                "requests": link.requests,
                "streams": link.streams,
                "mostOpen": link.most_open,
                "refusedStreams": link.refused,
            }
            for link in self.links
        ]

    def cut(self) -> None:
        """Cut every connection off."""
        for transport in tuple(self.open):
            transport.abort()


class _Connection(asyncio.Protocol):
    def __init__(self, server: Http2Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._link = Link(server.app.first_streams)
        self._h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._begun: dict[int, tuple[Request, bool, bytearray]] = {}
        self._unanswered = 0
        self._limit: float = math.inf  # until the client has seen a limit
        self._announced = deque([server.app.first_streams])
        self._last_stream: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.links.append(self._link)
        self._server.open.add(self._transport)
        first = {SettingCodes.MAX_CONCURRENT_STREAMS: self._link.streams}
        self._h2.local_settings = Settings(client=False, initial_values=first)
        self._h2.initiate_connection()
        self._h2.local_settings = Settings(client=False)
        self._flush()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._server.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except ProtocolError:
            self._flush()  # h2 has written why
            self._transport.close()
            return
        self._flush()

    def _take(self, event: Event) -> None:
        match event:
            case RequestReceived():
                self._begin(event)
            case DataReceived():
                if event.stream_id in self._begun:
                    self._begun[event.stream_id][2].extend(event.data)
                length = event.flow_controlled_length
                self._h2.acknowledge_received_data(length, event.stream_id)
            case StreamEnded():
                if event.stream_id in self._begun:
                    self._ask(event.stream_id)
            case StreamReset():
                self._begun.pop(event.stream_id, None)
            case SettingsAcknowledged():
                if self._announced:
                    self._limit = self._announced.popleft()

    def _begin(self, event: RequestReceived) -> None:
        stream = event.stream_id
        if self._last_stream is not None and stream > self._last_stream:
            return
        now_open = self._h2.open_inbound_streams
        self._link.most_open = max(self._link.most_open, now_open)
        if now_open > self._limit:
            self._link.refused += 1
            self._h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            return
        fields = event.headers
        headers = dict(fields)
        path, _, query = headers[b":path"].decode("latin-1").partition("?")
        method = headers[b":method"].decode("latin-1")
        request = Request(method, path, query, headers, b"", time.monotonic_ns())
        self._begun[stream] = (request, len(headers) < len(fields), bytearray())

    def _ask(self, stream: int) -> None:
        request, is_doubled, body = self._begun.pop(stream)
        self._link.requests += 1
        whole = Http2Request(request._replace(body=bytes(body)), self._link, is_doubled)
        reply = self._server.app.handle(whole)
        if reply.streams is not None:
            self._limit_streams(reply.streams)
        if reply.go_away is not None:
            self._leave(stream, reply)
        if reply.go_away is GoAway.BEFORE_IT:
            self._close_when_done()
            return
        self._unanswered += 1
        if reply.delay_s:
            self._loop.call_later(reply.delay_s, self._answer, stream, reply)
        else:
            self._answer(stream, reply)

    def _limit_streams(self, streams: int) -> None:
        self._link.streams = streams
        self._announced.append(streams)
        self._write(SettingsFrame(0, settings={_STREAMS: streams}).serialize())

    def _leave(self, stream: int, reply: Http2Reply) -> None:
        kept = stream if reply.go_away is GoAway.AFTER_IT else stream - 2
        self._last_stream = max(kept, 0)
        frame = GoAwayFrame(0, last_stream_id=self._last_stream, additional_data=reply.go_away_data)
        self._write(frame.serialize())

    def _answer(self, stream: int, reply: Http2Reply) -> None:
        if self._transport.is_closing():
            return
        match reply.ending:
            case Ending.RESET:
                reset(self._transport)
            case Ending.CLOSED:
                self._transport.close()
            case Ending.RESET_IN_BODY:
                self._say(stream, reply, reply.body[: len(reply.body) // 2])
                self._loop.call_later(UNTIL_RESET_S, reset, self._transport)
            case Ending.SILENT:
                pass  # the stream stays open
            case Ending.ANSWERED if reply.drip_s:
                self._say(stream, reply, b"")
                self._loop.call_later(reply.drip_s, self._drip, stream, reply, 0)
            case Ending.ANSWERED:
                self._say(stream, reply, reply.body, is_whole=True)
                self._done()

    def _say(self, stream: int, reply: Http2Reply, body: bytes, *, is_whole: bool = False) -> None:
        head = [(":status", str(reply.status)), *reply.headers]
        try:
            self._h2.send_headers(stream, head, end_stream=is_whole and not body)
            if body:
                self._h2.send_data(stream, body, end_stream=is_whole)
        except ProtocolError:
            return  # the caller has given the stream up
        self._flush()

    def _drip(self, stream: int, reply: Http2Reply, sent: int) -> None:
        if self._transport.is_closing():
            return
        is_last = sent + 1 >= len(reply.body)
        try:
            self._h2.send_data(stream, reply.body[sent : sent + 1], end_stream=is_last)
        except ProtocolError:
            self._done()
            return
        self._flush()
        if is_last:
            self._done()
        else:
            self._loop.call_later(reply.drip_s, self._drip, stream, reply, sent + 1)

    def _done(self) -> None:
        self._unanswered -= 1
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self._last_stream is not None and not self._unanswered:
            self._flush()
            self._transport.close()

    def _flush(self) -> None:
        self._write(self._h2.data_to_send())

    def _write(self, data: bytes) -> None:
        if data and not self._transport.is_closing():
            self._transport.write(data)
