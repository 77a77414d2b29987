"""The test's side of a gateway: scripts, what was received, phones and their inboxes."""

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote

from mobile_stub.gateway_desk import Desk
from mobile_stub.gateway_faults import ScriptError, parse_script
from mobile_stub.gateway_http import Reply, answer
from mobile_stub.gateway_phones import CallbackError
from mobile_stub.gateway_script import Script
from mobile_stub.gateway_wire import Request

_INBOX = "/_inbox/"
_LONGEST_WAIT_MS = 60_000


def serve_admin(desk: Desk, request: Request) -> Reply | asyncio.Future[Reply]:
    """Answer one admin request; 404 for a path or method that is none, 400 for bad input."""
    if request.path.startswith(_INBOX) and request.method == "GET":
        return _inbox(desk, request)
    route = _ROUTES.get((request.method, request.path))
    if route is None:
        return _json(404, {"error": f"no {request.method} {request.path} here"})
    try:
        return route(desk, request)
    except (ScriptError, CallbackError, json.JSONDecodeError) as error:
        return _json(400, {"error": str(error)})


def _json(status: int, value: Any) -> Reply:
    return answer(status, json.dumps(value).encode())


def _put_script(desk: Desk, request: Request) -> Reply:
    desk.script = Script(parse_script(json.loads(request.body)))
    return _get_script(desk, request)


def _get_script(desk: Desk, _request: Request) -> Reply:
    return _json(200, {"faults": desk.script.report()})


def _clear_script(desk: Desk, request: Request) -> Reply:
    desk.script = Script()
    return _get_script(desk, request)


def _received(desk: Desk, _request: Request) -> Reply:
    return _json(200, desk.memory.listing())


def _count(desk: Desk, _request: Request) -> Reply:
    return _json(200, desk.memory.counts())


def _arrivals(desk: Desk, _request: Request) -> Reply:
    return _json(200, {"ns": list(desk.memory.arrivals_ns())})


def _forget(desk: Desk, _request: Request) -> Reply:
    desk.memory.clear()
    return answer(204)


def _account(desk: Desk, _request: Request) -> Reply:
    return _json(200, desk.account.document())


def _vendors(desk: Desk, _request: Request) -> Reply:
    return _json(200, desk.vendors)


def _connections(desk: Desk, _request: Request) -> Reply:
    return _json(200, desk.connections())


def _revoke(desk: Desk, _request: Request) -> Reply:
    desk.account.forget_tokens()
    return answer(204)


def _register(desk: Desk, request: Request) -> Reply:
    wanted = json.loads(request.body)
    token = wanted.get("token") if isinstance(wanted, dict) else None
    if not isinstance(token, str) or not token:
        return _json(400, {"error": "token must be a string"})
    desk.phones.register(token, wanted.get("callback"))
    return _json(201, {"token": token})


def _inbox(desk: Desk, request: Request) -> Reply | asyncio.Future[Reply]:
    token = unquote(request.path[len(_INBOX) :])
    query = parse_qs(request.query)
    numbers = [query.get(name, ["0"])[0] for name in ("after", "waitMs")]
    if not all(number.isdecimal() for number in numbers):
        return _json(400, {"error": "after and waitMs must be whole numbers"})
    after, wait_ms = (int(number) for number in numbers)
    if not desk.phones.is_registered(token):
        return _json(404, {"error": "no phone has registered this token"})
    if desk.phones.read(token, after) or not wait_ms:
        return _messages(desk, token, after)
    task = asyncio.get_running_loop().create_task(
        _next_messages(desk, token, after, min(wait_ms, _LONGEST_WAIT_MS))
    )
    desk.waits.add(task)
    task.add_done_callback(desk.waits.discard)
    return task


async def _next_messages(desk: Desk, token: str, after: int, wait_ms: int) -> Reply:
    await desk.phones.wait(token, wait_ms / 1000)
    return _messages(desk, token, after)


def _messages(desk: Desk, token: str, after: int) -> Reply:
    return _json(200, {"messages": desk.phones.read(token, after)})


_ROUTES: dict[tuple[str, str], Callable[[Desk, Request], Reply]] = {
    ("PUT", "/_script"): _put_script,
    ("GET", "/_script"): _get_script,
    ("DELETE", "/_script"): _clear_script,
    ("GET", "/_received"): _received,
    ("GET", "/_received/count"): _count,
    ("GET", "/_received/arrivals"): _arrivals,
    ("DELETE", "/_received"): _forget,
    ("GET", "/service-account.json"): _account,
    ("GET", "/_vendors"): _vendors,
    ("GET", "/_connections"): _connections,
    ("DELETE", "/_tokens"): _revoke,
    ("POST", "/_phones"): _register,
}
