"""One kept-alive connection of a load, and the answers that come over it."""

import asyncio
import ssl
from contextlib import suppress
from urllib.parse import urlsplit

from mobile_stub.load_clients import Answer

_NO_CONTENT = 204


class Connection:
    """A connection to one origin; it opens again by itself after a failure."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def exchange(self, request: bytes, timeout_s: float) -> Answer | None:
        """Send a request and return its answer; ``None`` when no whole one came in time."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(request)
        except (OSError, ValueError, asyncio.IncompleteReadError, TimeoutError):
            await self.close()
            return None

    async def close(self) -> None:
        """Close the connection if it is open."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _exchange(self, request: bytes) -> Answer:
        if self._writer is None or self._reader is None or self._reader.at_eof():
            await self.close()
            self._reader, self._writer = await asyncio.open_connection(
                self._host, self._port, ssl=self._tls
            )
        self._writer.write(request)
        await self._writer.drain()
        head = await self._reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ")[1])
        pairs = (line.partition(":") for line in lines[1:])
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = b"" if status == _NO_CONTENT else await _read_body(self._reader, headers)
        if headers.get("connection", "").lower() == "close":
            await self.close()
        return Answer(status, body)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    pieces = []
    while size := int((await reader.readline()).partition(b";")[0], 16):
        pieces.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readline()
    return b"".join(pieces)
