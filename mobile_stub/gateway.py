"""The vendors as one server: FCM HTTP v1 with its OAuth endpoint, and a generic JSON push API.

A request is checked as the vendor would, then the script may spoil it, then it is remembered and
delivered to the phone that has registered the address. ``BareSink`` answers and counts only.
"""

import asyncio
import contextlib
import json
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass

from mobile_stub.gateway_admin import Desk, serve_admin
from mobile_stub.gateway_faults import Fault, Route, Script
from mobile_stub.gateway_fcm import FcmRefusalError, check
from mobile_stub.gateway_http import App, HttpServer, Reply, answer
from mobile_stub.gateway_memory import Memory, Received
from mobile_stub.gateway_oauth import OAuthError, ServiceAccount
from mobile_stub.gateway_phones import Phones
from mobile_stub.gateway_vendors import (
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
    """How a gateway is set up. ``keep`` bounds the requests remembered; ``None`` keeps all."""

    project_id: str = "stub-project"
    api_key: str = "stub-api-key"
    token_lifetime_s: int = 3599
    keep: int | None = None
    script: tuple[Fault, ...] = ()
    bare: bool = False


class Gateway:
    """The vendors' side. See ``gateway_admin`` for the paths a test uses to steer and look."""

    def __init__(self, url: str, settings: GatewaySettings) -> None:
        self._settings = settings
        self._desk = _desk(url, settings)
        self._serial = 0

    def early(self, head: Request) -> Reply | None:
        """Reset the connection before the body is read, if the script says so."""
        route = _route_of(head.path)
        fault = self._desk.script.pick_early(route) if route else None
        if fault is None or route is None:
            return None
        none = faulty(fault, route, VendorAnswer(0, _BARE))
        return self._remember(head, route, None, none, accepted_id=None)

    def handle(self, request: Request) -> Reply | asyncio.Future[Reply]:
        """Answer as the vendor whose path it is; other paths belong to the test."""
        match _route_of(request.path):
            case Route.FCM:
                return self._send_fcm(request)
            case Route.PUSH:
                return self._push(request)
            case Route.OAUTH:
                return self._grant(request)
        return serve_admin(self._desk, request)

    def _send_fcm(self, request: Request) -> Reply:
        path = _SEND_PATH.fullmatch(request.path)
        if request.method != "POST" or not path or path[1] != self._settings.project_id:
            refused = fcm_error(404, "NOT_FOUND", "Requested entity was not found.")
            return self._remember(request, Route.FCM, None, refused, accepted_id=None)
        if not self._desk.account.admits(request.headers.get(b"authorization", b"")):
            refused = fcm_error(401, "UNAUTHENTICATED", "Invalid authentication credentials.")
            return self._remember(request, Route.FCM, None, refused, accepted_id=None)
        try:
            accepted = check(request.body)
        except FcmRefusalError as error:
            status, text = "INVALID_ARGUMENT", str(error)
            refused = fcm_error(400, status, text, error_code=status, field=error.field)
            return self._remember(request, Route.FCM, None, refused, accepted_id=None)
        prefix = f"projects/{self._settings.project_id}/messages/"
        if accepted.validate_only:
            dry = success({"name": f"{prefix}fake_message_id"})
            return self._remember(request, Route.FCM, accepted.address, dry, accepted_id=None)
        self._serial += 1
        name = f"{prefix}0:{request.arrived_ns // 1000}%{self._serial:016x}"
        usual = success({"name": name})
        message = accepted.message
        return self._settle(request, Route.FCM, accepted.address, message, name, usual)

    def _push(self, request: Request) -> Reply:
        key = request.headers.get(b"x-api-key", b"").decode("latin-1")
        if key != self._settings.api_key:
            refused = generic_error(401, "unauthorized")
            return self._remember(request, Route.PUSH, None, refused, accepted_id=None)
        if request.method not in _PUSH_METHODS:
            refused = generic_error(405, "method_not_allowed")
            return self._remember(request, Route.PUSH, None, refused, accepted_id=None)
        message = None
        with contextlib.suppress(ValueError):
            message = json.loads(request.body)
        fields = message if isinstance(message, dict) else {}
        named = (fields[name] for name in _ADDRESS_FIELDS if name in fields)
        address = next(named, None)
        if not isinstance(address, str) or not address:
            refused = generic_error(400, "address_missing")
            return self._remember(request, Route.PUSH, None, refused, accepted_id=None)
        self._serial += 1
        push_id = f"push-{self._serial}"
        usual = success({"id": push_id})
        return self._settle(request, Route.PUSH, address, fields, push_id, usual)

    def _grant(self, request: Request) -> Reply:
        unread = request._replace(body=b"")  # the assertion is a credential: it is never kept
        fault = self._desk.script.pick(Route.OAUTH, None)
        usual = _granted(self._desk.account, request)
        given = faulty(fault, Route.OAUTH, usual) if fault else usual
        return self._remember(unread, Route.OAUTH, None, given, accepted_id=None)

    def _settle(
        self,
        request: Request,
        route: Route,
        address: str,
        message: dict[str, object],
        message_id: str,
        usual: VendorAnswer,
    ) -> Reply:
        """Let the script decide, remember the request, and deliver what was accepted."""
        fault = self._desk.script.pick(route, address)
        given = usual if fault is None else faulty(fault, route, usual)
        accepted = fault is None or fault.accepted
        if accepted:
            self._desk.phones.deliver(address, message_id, message)
        kept_id = message_id if accepted else None
        return self._remember(request, route, address, given, accepted_id=kept_id)

    def _remember(
        self,
        request: Request,
        route: Route,
        address: str | None,
        given: VendorAnswer,
        *,
        accepted_id: str | None,
    ) -> Reply:
        key = request.headers.get(b"idempotency-key")
        self._desk.memory.add(
            Received(
                request.arrived_ns,
                route,
                address,
                key.decode("latin-1") if key is not None else None,
                request.body,
                given.status,
                accepted_id is not None,
                accepted_id,
            )
        )
        return given.reply


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
    """Serve until SIGTERM or SIGINT; the URL is printed as one JSON line when it is ready."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await HttpServer().serve(make_app(settings), host, port, _announce, stop)


def _announce(url: str) -> None:
    print(json.dumps({"url": url}), flush=True)


def _desk(url: str, settings: GatewaySettings) -> Desk:
    account = ServiceAccount(settings.project_id, url, settings.token_lifetime_s)
    return Desk(account, Memory(settings.keep), Script(settings.script), Phones())


def _route_of(path: str) -> Route | None:
    if path.startswith("/v1/projects/"):
        return Route.FCM
    if path == "/push" or path.startswith("/push/"):
        return Route.PUSH
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
