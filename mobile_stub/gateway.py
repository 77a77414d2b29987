"""The vendors as one server: FCM v1 with its OAuth endpoint, APNs, Twilio, a generic JSON push.

A request is checked as the vendor would, then the script may spoil it, then it is remembered and
delivered to the phone that has registered the address. ``BareSink`` answers and counts only.
"""

import asyncio
import contextlib
import json
import re
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mobile_stub.gateway_admin import serve_admin
from mobile_stub.gateway_desk import Desk
from mobile_stub.gateway_faults import Fault, Route
from mobile_stub.gateway_fcm import FcmRefusalError, check
from mobile_stub.gateway_http import App, HttpServer, Reply, answer
from mobile_stub.gateway_memory import Memory
from mobile_stub.gateway_oauth import OAuthError, ServiceAccount
from mobile_stub.gateway_script import Script
from mobile_stub.gateway_twilio import Twilio
from mobile_stub.gateway_vendors import (
    FCM,
    GENERIC,
    VendorAnswer,
    faulty,
    fcm_error,
    generic_error,
    success,
)
from mobile_stub.gateway_wire import Request

_SEND_PATH = re.compile(r"/v1/projects/([^/]+)/messages:send")
_ADDRESS_FIELDS = ("token", "to", "address")
_PUSH_METHODS = frozenset({"POST", "PUT"})
_BARE = answer(200, b'{"name":"projects/bare/messages/0"}')


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """How a gateway is set up. ``keep`` bounds the requests remembered; ``None`` keeps all.

    APNs is there with an ``apns_port`` only, 0 for a free one; its certificate goes to ``ca_file``.
    A connection to it may hold ``apns_streams``, its key sends to ``apns_topics`` (empty: to any),
    and with ``known_tokens_only`` a token that no phone has registered is a bad one.
    """

    project_id: str = "stub-project"
    api_key: str = "stub-api-key"
    token_lifetime_s: int = 3599
    keep: int | None = None
    script: tuple[Fault, ...] = ()
    bare: bool = False
    apns_port: int | None = None
    apns_streams: int = 500
    apns_topics: tuple[str, ...] = ()
    known_tokens_only: bool = False
    ca_file: Path | None = None


class Gateway:
    """The vendors' side. See ``gateway_admin`` for the paths a test uses to steer and look."""

    def __init__(self, url: str, settings: GatewaySettings) -> None:
        self._settings = settings
        self._desk = _desk(url, settings)
        self._twilio = Twilio(self._desk, url)

    def early(self, head: Request) -> Reply | None:
        """Reset the connection before the body is read, if the script says so."""
        route = _route_of(head.path)
        fault = self._desk.script.pick_early(route) if route else None
        if fault is None or route is None:
            return None
        none = faulty(fault, GENERIC, VendorAnswer(0, _BARE))
        return self._desk.remember(head, route, None, none, accepted_id=None)

    def handle(self, request: Request) -> Reply | asyncio.Future[Reply]:
        """Answer as the vendor whose path it is; other paths belong to the test."""
        match _route_of(request.path):
            case Route.FCM:
                return self._send_fcm(request)
            case Route.PUSH:
                return self._push(request)
            case Route.OAUTH:
                return self._grant(request)
            case Route.TWILIO:
                return self._twilio.send(request)
        return serve_admin(self._desk, request)

    @asynccontextmanager
    async def listening(self, host: str) -> AsyncIterator[None]:
        """Listen as APNs too, if the settings ask for it."""
        settings = self._settings
        if settings.apns_port is None:
            yield
            return
        from mobile_stub.gateway_apns_side import ApnsSide  # noqa: PLC0415 - only this needs h2

        side = ApnsSide(
            self._desk,
            settings.apns_streams,
            settings.apns_topics,
            known_tokens_only=settings.known_tokens_only,
        )
        async with side.listening(host, settings.apns_port):
            if settings.ca_file is not None:
                certificate = self._desk.vendors["apns"]["certificate"]
                settings.ca_file.write_text(certificate)
            yield

    def addresses(self) -> dict[str, str]:
        """Return what an action needs to know of APNs and Twilio; keys are at ``/_vendors``."""
        vendors = self._desk.vendors
        told = {"twilioUrl": vendors["twilio"]["url"]}
        if "apns" in vendors:
            told["apnsUrl"] = vendors["apns"]["url"]
        if self._settings.ca_file is not None:
            told["EDGEPOST_CA_FILE"] = str(self._settings.ca_file)
        return told

    def _send_fcm(self, request: Request) -> Reply:
        path = _SEND_PATH.fullmatch(request.path)
        if request.method != "POST" or not path or path[1] != self._settings.project_id:
            refused = fcm_error(404, "NOT_FOUND", "Requested entity was not found.")
            return self._desk.remember(request, Route.FCM, None, refused, accepted_id=None)
        if not self._desk.account.admits(request.headers.get(b"authorization", b"")):
            refused = fcm_error(401, "UNAUTHENTICATED", "Invalid authentication credentials.")
            return self._desk.remember(request, Route.FCM, None, refused, accepted_id=None)
        try:
            accepted = check(request.body)
        except FcmRefusalError as error:
            status, text = "INVALID_ARGUMENT", str(error)
            refused = fcm_error(400, status, text, error_code=status, field=error.field)
            return self._desk.remember(request, Route.FCM, None, refused, accepted_id=None)
        prefix = f"projects/{self._settings.project_id}/messages/"
        if accepted.validate_only:
            dry = success({"name": f"{prefix}fake_message_id"})
            return self._desk.remember(request, Route.FCM, accepted.address, dry, accepted_id=None)
        serial = self._desk.next_serial()
        name = f"{prefix}0:{request.arrived_ns // 1000}%{serial:016x}"
        usual = success({"name": name})
        message = accepted.message
        return self._desk.settle(request, Route.FCM, FCM, accepted.address, message, name, usual)

    def _push(self, request: Request) -> Reply:
        key = request.headers.get(b"x-api-key", b"").decode("latin-1")
        if key != self._settings.api_key:
            refused = generic_error(401, "unauthorized")
            return self._desk.remember(request, Route.PUSH, None, refused, accepted_id=None)
        if request.method not in _PUSH_METHODS:
            refused = generic_error(405, "method_not_allowed")
            return self._desk.remember(request, Route.PUSH, None, refused, accepted_id=None)
        message = None
        with contextlib.suppress(ValueError):
            message = json.loads(request.body)
        fields = message if isinstance(message, dict) else {}
        named = (fields[name] for name in _ADDRESS_FIELDS if name in fields)
        address = next(named, None)
        if not isinstance(address, str) or not address:
            refused = generic_error(400, "address_missing")
            return self._desk.remember(request, Route.PUSH, None, refused, accepted_id=None)
        push_id = f"push-{self._desk.next_serial()}"
        usual = success({"id": push_id})
        return self._desk.settle(request, Route.PUSH, GENERIC, address, fields, push_id, usual)

    def _grant(self, request: Request) -> Reply:
        unread = request._replace(body=b"")  # the assertion is a credential: it is never kept
        fault = self._desk.script.pick(Route.OAUTH, None)
        usual = _granted(self._desk.account, request)
        given = faulty(fault, GENERIC, usual) if fault else usual
        return self._desk.remember(unread, Route.OAUTH, None, given, accepted_id=None)


class BareSink:
    """A vendor that takes everything: no checks, no memory but the arrivals' times."""

    def __init__(self, url: str, settings: GatewaySettings) -> None:
        self._desk = _desk(url, settings)

    def early(self, head: Request) -> Reply | None:
        """Never interfere."""

    def handle(self, request: Request) -> Reply | asyncio.Future[Reply]:
        """Count and accept; the token endpoint works as ever, and the admin paths but scripts."""
        if request.path == "/_script":
            return answer(404, b'{"error":"a bare sink plays no script"}')
        if request.path == "/token":
            return _granted(self._desk.account, request).reply
        if request.path.startswith("/_") or request.method == "GET":
            return serve_admin(self._desk, request)
        self._desk.memory.add_arrival(request.arrived_ns)
        return _BARE


def make_app(settings: GatewaySettings) -> Callable[[str], App]:
    """Return what ``HttpServer`` and ``ServerThread`` need to serve this gateway."""
    kind = BareSink if settings.bare else Gateway
    return lambda url: kind(url, settings)


async def run(settings: GatewaySettings, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT; the addresses are printed as one JSON line when ready."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = HttpServer()

    def announce(url: str) -> None:
        known = server.app.addresses() if isinstance(server.app, Gateway) else {}
        print(json.dumps({"url": url, **known}), flush=True)

    await server.serve(make_app(settings), host, port, announce, stop)


def _desk(url: str, settings: GatewaySettings) -> Desk:
    account = ServiceAccount(settings.project_id, url, settings.token_lifetime_s)
    return Desk(account, Memory(settings.keep), Script(settings.script))


def _route_of(path: str) -> Route | None:
    if path.startswith("/v1/projects/"):
        return Route.FCM
    if path == "/push" or path.startswith("/push/"):
        return Route.PUSH
    if path.startswith("/2010-04-01/"):
        return Route.TWILIO
    return Route.OAUTH if path == "/token" else None


def _granted(account: ServiceAccount, request: Request) -> VendorAnswer:
    try:
        grant = account.grant(request.body)
    except OAuthError as error:
        body = {"error": error.code, "error_description": str(error)}
        return VendorAnswer(400, answer(400, json.dumps(body).encode()))
    return success(
        {
            "access_token": grant.access_token,
            "expires_in": grant.expires_in_s,
            "token_type": "Bearer",
        }
    )
