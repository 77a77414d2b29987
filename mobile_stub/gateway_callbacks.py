"""Calls that a vendor or a phone's push service makes to its customer, once each."""

import asyncio
from collections.abc import Coroutine
from urllib.parse import urlsplit

_TIMEOUT_S = 5.0


class Callbacks:
    """Calls under way. One that cannot be delivered is lost."""

    def __init__(self) -> None:
        self._calls: set[asyncio.Task[None]] = set()

    def post(self, url: str, body: bytes, content_type: str) -> None:
        """Begin to post ``body``."""
        self._begin(_post(url, body, content_type, ()))

    def post_in_order(self, url: str, forms: list[tuple[bytes, str]], content_type: str) -> None:
        """Begin to post bodies one after another, each with one header line."""
        self._begin(_post_all(url, forms, content_type))

    def _begin(self, calling: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(calling)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)


async def _post_all(url: str, forms: list[tuple[bytes, str]], content_type: str) -> None:
    for body, header in forms:
        await _post(url, body, content_type, (header,))


async def _post(url: str, body: bytes, content_type: str, headers: tuple[str, ...]) -> None:
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    lines = [
        f"POST {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *headers,
    ]
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
            writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            await reader.read()
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError):
        return
