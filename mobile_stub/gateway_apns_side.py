"""APNs as a listener of its own: HTTP/2 over TLS beside the gateway's other vendors."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from mobile_stub.gateway_apns import (
    APNS,
    STATUSES,
    ApnsPush,
    ApnsRefusalError,
    check,
    check_headers,
    check_path,
    error_body,
)
from mobile_stub.gateway_apns_key import ApnsAuthError, ApnsKey
from mobile_stub.gateway_certificates import self_signed
from mobile_stub.gateway_desk import Desk
from mobile_stub.gateway_faults import Fault, FaultKind, Route
from mobile_stub.gateway_http import Ending
from mobile_stub.gateway_http2 import GoAway, Http2Reply, Http2Request, Http2Server
from mobile_stub.gateway_vendors import timing
from mobile_stub.gateway_wire import Request

_BAD_REQUEST = 400
_MS = 1000


class ApnsSide:
    """APNs. A connection may open one stream until a provider token of it was good."""

    first_streams = 1

    def __init__(
        self, desk: Desk, streams: int, topics: tuple[str, ...], *, known_tokens_only: bool
    ) -> None:
        self._desk = desk
        self._streams = streams
        self._topics = topics
        self._known_tokens_only = known_tokens_only
        self._key = ApnsKey()

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[None]:
        """Listen while the context is open; ``/_vendors`` then shows how to be called."""
        certificate, tls = self_signed(host)
        tls.set_alpn_protocols(["h2"])
        server = Http2Server(self)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(server.connection, host, port, ssl=tls, backlog=1024)
        bound = listener.sockets[0].getsockname()[1]
        self._desk.connections = server.report
        self._desk.vendors["apns"] = {
            "url": f"https://{host}:{bound}",
            **self._key.document(),
            "certificate": certificate,
        }
        try:
            yield
        finally:
            listener.close()
            server.cut()
            await asyncio.sleep(0)  # the transports close in the loop's next turn
            await listener.wait_closed()

    def handle(self, asked: Http2Request) -> Http2Reply:
        """Answer a push as APNs would, or as the script says."""
        request = asked.request
        fault = self._desk.script.pick_early(Route.APNS)
        if fault is not None:
            return self._refused(request, None, Http2Reply(0, ending=Ending.RESET))
        streams = None
        try:
            check_headers(request, is_doubled=asked.is_doubled)
            check_path(request)
            streams = self._admit(asked)
            push = self._check(request)
        except (ApnsRefusalError, ApnsAuthError) as error:
            reason = str(error)
            status = STATUSES.get(reason, _BAD_REQUEST)
            refused = _reply(status, _id(request), error_body(reason), streams)
            return self._refused(request, None, refused)
        return self._settle(request, push, streams)

    def _admit(self, asked: Http2Request) -> int | None:
        """Take the provider token; return the connection's new limit when it is the first."""
        authorization = asked.request.headers.get(b"authorization", b"")
        is_first = asked.link.token is None
        asked.link.token = self._key.admit(authorization, asked.link.token)
        return self._streams if is_first else None

    def _check(self, request: Request) -> ApnsPush:
        push = check(request, self._topics)
        if self._known_tokens_only and not self._desk.phones.is_registered(push.token):
            raise ApnsRefusalError("BadDeviceToken")
        return push

    def _settle(self, request: Request, push: ApnsPush, streams: int | None) -> Http2Reply:
        apns_id = _id(request)
        usual = _reply(200, apns_id, b"", streams)
        fault = self._desk.script.pick(Route.APNS, push.token)
        reply = usual if fault is None else _faulty(fault, apns_id, usual)
        kept_id = self._desk.take(fault, push.token, push.message, apns_id)
        is_answered = reply.ending is Ending.ANSWERED and reply.go_away is not GoAway.BEFORE_IT
        status = reply.status if is_answered else 0
        key = request.headers.get(b"apns-id")
        self._desk.note(request, Route.APNS, push.token, status, kept_id, key)
        return reply

    def _refused(self, request: Request, token: str | None, reply: Http2Reply) -> Http2Reply:
        key = request.headers.get(b"apns-id")
        self._desk.note(request, Route.APNS, token, reply.status, None, key)
        return reply


def _id(request: Request) -> str:
    """Return the caller's id as it is spelled, or a new one in APNs' own spelling."""
    given = request.headers.get(b"apns-id", b"").decode("latin-1")
    return given or str(uuid4()).upper()


def _reply(status: int, apns_id: str, body: bytes, streams: int | None) -> Http2Reply:
    return Http2Reply(status, (("apns-id", apns_id),), body, streams=streams)


def _faulty(fault: Fault, apns_id: str, usual: Http2Reply) -> Http2Reply:
    reply = usual
    refusal = APNS.refusal(fault)
    if refusal is not None:
        named = tuple((name.lower(), value) for name, value in refusal.headers)
        reply = _reply(refusal.status, apns_id, refusal.body, usual.streams)
        reply = reply._replace(headers=(*reply.headers, *named))
    elif fault.kind is FaultKind.GO_AWAY:
        when = GoAway.AFTER_IT if fault.accepted else GoAway.BEFORE_IT
        why = json.dumps({"reason": fault.code or "Shutdown"}).encode()
        reply = reply._replace(go_away=when, go_away_data=why)
    elif fault.kind is FaultKind.STREAMS:
        reply = reply._replace(streams=fault.streams)
    ending, drip_s = timing(fault)
    return reply._replace(delay_s=fault.latency_ms / _MS, drip_s=drip_s, ending=ending)
