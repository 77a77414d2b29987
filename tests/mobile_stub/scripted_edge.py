"""An Edge Network whose every answer a test decides."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from mobile_stub.gateway_http import Reply, answer
from mobile_stub.gateway_wire import Request


def framed(*envelopes: dict[str, Any]) -> Reply:
    text = "".join(f"\0{json.dumps(envelope)}\n" for envelope in envelopes)
    return answer(200, text.encode())


@dataclass
class ScriptedEdge:
    """An Edge Network that gives its replies one after another, then empty successes."""

    replies: list[Reply] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    url: str = ""

    def early(self, head: Request) -> Reply | None:
        """Never interfere."""

    def handle(self, request: Request) -> Reply | asyncio.Future[Reply]:
        self.requests.append(request)
        if self.replies:
            return self.replies.pop(0)
        return framed({"requestId": "r", "handle": []})

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(request.body) for request in self.requests]
