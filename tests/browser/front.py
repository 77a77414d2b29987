"""What stands on port 443: TLS, the sites' pages, and the way to edgepost.

Hosts that begin with ``www.`` are sites; hosts that begin with ``edge.`` are passed on to edgepost,
as a TLS terminator does. What passed is remembered.
"""

import json
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.client import HTTPConnection, HTTPMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_BACKLOG = 64
_TIMEOUT_S = 20
_OF_ONE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "te"})
_PAGE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>A site</title>
<script>
!function(n,o){o.forEach(function(o){n[o]||((n.__alloyNS=n.__alloyNS||[]).push(o),n[o]=function()
{var u=arguments;return new Promise(function(i,l){n.setTimeout(function(){n[o].q.push([i,l,u])})})}
,n[o].q=[])})}(window,["alloy"]);
</script>
<script src="/alloy.min.js"></script>
</head>
<body><h1>A site</h1><p><a href="/next">Next</a></p></body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request to edgepost and its answer; times are monotonic seconds.

    ``headers`` have lower-case names; ``set_cookies`` are the answer's headers, as they are.
    """

    host: str
    path: str
    parameters: dict[str, str]
    headers: dict[str, str]
    body: Any
    status: int
    set_cookies: tuple[str, ...]
    answer: Any
    asked_at: float
    answered_at: float

    @property
    def action(self) -> str:
        """Return what is asked for: the path after the base path."""
        return self.path.partition("/ee/")[2]

    @property
    def events(self) -> list[Any]:
        """Return the events of the request."""
        found: list[Any] = self.body.get("events", [])
        return found

    @property
    def cookies(self) -> dict[str, str]:
        """Return the cookies that travelled in the header."""
        pairs = (each.partition("=") for each in self.headers.get("cookie", "").split("; "))
        return {name: value for name, _, value in pairs if name}

    @property
    def entries(self) -> dict[str, str]:
        """Return the cookies that travelled in ``meta.state.entries``."""
        state = self.body.get("meta", {}).get("state", {})
        return {each["key"]: each["value"] for each in state.get("entries", [])}

    def handles(self, name: str) -> list[Any]:
        """Return the payload of every handle of one type."""
        handles = self.answer["handle"]
        return [each for handle in handles if handle["type"] == name for each in handle["payload"]]

    def __str__(self) -> str:
        """Say what a reader of a failed test wants to see."""
        return (
            f"{self.host} {self.path} {self.parameters} cookies={sorted(self.cookies)}\n"
            f"  > {json.dumps(self.body)[:1500]}\n"
            f"  < {self.status} {json.dumps(self.answer)[:1500]} {list(self.set_cookies)}"
        )


class Front(ThreadingHTTPServer):
    """The server behind every host of the tests."""

    daemon_threads = True
    request_queue_size = _BACKLOG

    def __init__(self, context: ssl.SSLContext, web_url: str, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.context = context
        self.web = urlsplit(web_url).netloc
        self.files = files
        self.exchanges: list[Exchange] = []

    @property
    def port(self) -> int:
        """Return where the server listens."""
        return int(self.server_address[1])

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(_TIMEOUT_S)
        with self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over what a browser does when it loses interest; report the rest."""
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Front

    def do_GET(self) -> None:
        """Serve a site, or pass on."""
        if self._is_edge():
            self._pass_on()
            return
        name = urlsplit(self.path).path.lstrip("/")
        if name in self.server.files:
            self._send(200, [("Content-Type", "text/javascript")], self.server.files[name])
        elif name == "favicon.ico":
            self._send(204, [], b"")
        else:
            self._send(200, [("Content-Type", "text/html; charset=utf-8")], _PAGE)

    def do_POST(self) -> None:
        """Pass on."""
        self.do_GET()

    def do_OPTIONS(self) -> None:
        """Pass on."""
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _is_edge(self) -> bool:
        return self.headers.get("Host", "").startswith("edge.")

    def _pass_on(self) -> None:
        asked_at = monotonic()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        upstream = HTTPConnection(self.server.web, timeout=_TIMEOUT_S)
        try:
            headers = dict(_kept(self.headers))
            headers |= {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
        finally:
            upstream.close()
        self._remember(body, answer.status, answer.headers, content, asked_at)
        self._send(answer.status, _kept(answer.headers), content)

    def _remember(
        self, body: bytes, status: int, headers: HTTPMessage, content: bytes, asked_at: float
    ) -> None:
        url = urlsplit(self.path)
        exchange = Exchange(
            self.headers["Host"],
            url.path,
            dict(parse_qsl(url.query)),
            {name.lower(): value for name, value in self.headers.items()},
            json.loads(body) if body else None,
            status,
            tuple(headers.get_all("Set-Cookie", [])),
            json.loads(content) if content else None,
            asked_at,
            monotonic(),
        )
        self.server.exchanges.append(exchange)

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _kept(headers: Message) -> list[tuple[str, str]]:
    """Return the headers that travel from end to end."""
    return [(name, value) for name, value in headers.items() if name.lower() not in _OF_ONE_HOP]


@contextmanager
def serving(front: Front) -> Iterator[Front]:
    """Serve while the block runs."""
    thread = Thread(target=front.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield front
    finally:
        front.shutdown()
        front.server_close()
        thread.join()
