"""An Edge Network whose every answer a test decides."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from mobile_stub.gateway_http import Reply, answer
from mobile_stub.gateway_wire import Request

PAGE = "https://www.example.com"


def for_pages(
    status: int = 200,
    *handles: dict[str, Any],
    origin: str = PAGE,
    headers: tuple[str, ...] = (),
    body: bytes | None = None,
) -> Reply:
    """Return a plain answer that a page may read."""
    shared = (
        f"Access-Control-Allow-Origin: {origin}",
        "Access-Control-Allow-Credentials: true",
        "Access-Control-Expose-Headers: x-adobe-edge, Retry-After",
    )
    if body is None:
        body = b"" if status == 204 else json.dumps({"requestId": "r", "handle": handles}).encode()
    return answer(status, body, headers=shared + headers)


def framed(*envelopes: dict[str, Any]) -> Reply:
    text = "".join(f"\0{json.dumps(envelope)}\n" for envelope in envelopes)
    return answer(200, text.encode())


@dataclass
class ScriptedEdge:
    """An Edge Network that gives its replies one after another, then empty successes."""

    replies: list[Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    url: str = ""
    usual: Reply = field(default_factory=lambda: framed({"requestId": "r", "handle": []}))

    def early(self, head: Request) -> Reply | None:
        """Never interfere."""

    def handle(self, request: Request) -> Reply | asyncio.Future[Reply]:
        self.requests.append(request)
        if self.replies:
            return self.replies.pop(0)
        return self.usual

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.body) for request in self.requests]
