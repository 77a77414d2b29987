"""The last mile: accepted messages wait in the inbox of the phone that has registered its token."""

import asyncio
import json
from collections import deque
from typing import Any
from urllib.parse import urlsplit

from mobile_stub.gateway_callbacks import Callbacks
from mobile_stub.gateway_http import JSON

_KEPT_PER_PHONE = 1000


class CallbackError(ValueError):
    """A callback address this gateway cannot call."""


class _Inbox:
    def __init__(self, callback: str | None) -> None:
        self.callback = callback
        self.items: deque[dict[str, Any]] = deque(maxlen=_KEPT_PER_PHONE)
        self.waiting: list[asyncio.Future[None]] = []


class Phones:
    """Registered phones with their inboxes. A message to an unknown token is lost, as in life."""

    def __init__(self) -> None:
        self._inboxes: dict[str, _Inbox] = {}
        self._serial = 0
        self._calls = Callbacks()

    def register(self, token: str, callback: str | None) -> None:
        """Open an inbox for a token; one that is open keeps its messages.

        Raises:
            CallbackError: the callback is not an ``http://`` URL.
        """
        if callback is not None and urlsplit(callback).scheme != "http":
            raise CallbackError("callback must be an http:// URL")
        inbox = self._inboxes.setdefault(token, _Inbox(callback))
        inbox.callback = callback

    def is_registered(self, token: str) -> bool:
        """Say whether the token has an inbox."""
        return token in self._inboxes

    def deliver(self, token: str, message_id: str, message: dict[str, Any]) -> None:
        """Put an accepted message into the token's inbox, and wake or call its phone."""
        inbox = self._inboxes.get(token)
        if inbox is None:
            return
        self._serial += 1
        item = {"seq": self._serial, "id": message_id, "message": message}
        inbox.items.append(item)
        for waiting in inbox.waiting:
            if not waiting.done():
                waiting.set_result(None)
        inbox.waiting.clear()
        if inbox.callback:
            self._calls.post(inbox.callback, json.dumps(item).encode(), JSON)

    def read(self, token: str, after: int) -> list[dict[str, Any]]:
        """Return the messages of a token with ``seq`` above ``after``; reading removes nothing."""
        inbox = self._inboxes.get(token)
        return [item for item in inbox.items if item["seq"] > after] if inbox else []

    async def wait(self, token: str, wait_s: float) -> None:
        """Return when the next message for the token comes, or the time is up."""
        inbox = self._inboxes.setdefault(token, _Inbox(None))
        arrival = asyncio.get_running_loop().create_future()
        inbox.waiting.append(arrival)
        await asyncio.wait([arrival], timeout=wait_s)
        if not arrival.done():
            inbox.waiting.remove(arrival)
