"""Reading HTTP/1.1 requests out of a buffer: heads, lengths and chunks."""

import time
from typing import NamedTuple

CHUNKED = -1
_MAX_BODY_BYTES = 16 * 1024 * 1024


class BadRequestError(Exception):
    """The bytes are not a request this server understands."""


class Request(NamedTuple):
    """One request. Header names are lower case; ``arrived_ns`` is CLOCK_MONOTONIC at its head."""

    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes
    arrived_ns: int


def parse_head(raw: bytes) -> Request:
    """Return the request of a head, which arrives now; its body is still empty.

    Raises:
        BadRequestError: the first line is not a request line.
    """
    line, *rest = raw.split(b"\r\n")
    try:
        method, target, _version = line.decode("latin-1").split(" ")
    except ValueError:
        raise BadRequestError("bad request line") from None
    headers = {}
    for item in rest:
        name, _, value = item.partition(b":")
        headers[name.lower()] = value.strip()
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, b"", time.monotonic_ns())


def body_length(headers: dict[bytes, bytes]) -> int:
    """Return the bytes of body that follow, or ``CHUNKED``.

    Raises:
        BadRequestError: a length that is none or too great, or an unknown encoding.
    """
    if b"transfer-encoding" in headers:
        if headers[b"transfer-encoding"].lower() != b"chunked":
            raise BadRequestError("unknown transfer encoding")
        return CHUNKED
    text = headers.get(b"content-length", b"0")
    if not text.isdigit() or int(text) > _MAX_BODY_BYTES:
        raise BadRequestError("bad content length")
    return int(text)


def decode_chunks(buffer: bytearray) -> tuple[bytes, int] | None:
    """Return the body and the bytes it took, or ``None`` while it is not complete."""
    pieces: list[bytes] = []
    at = 0
    while (line_end := buffer.find(b"\r\n", at)) >= 0:
        try:
            size = int(bytes(buffer[at:line_end]).partition(b";")[0], 16)
        except ValueError:
            raise BadRequestError("bad chunk size") from None
        start = line_end + 2
        if size == 0:
            return _after_trailers(buffer, start, b"".join(pieces))
        if start + size > _MAX_BODY_BYTES:
            raise BadRequestError("body too long")
        if len(buffer) < start + size + 2:
            return None
        pieces.append(bytes(buffer[start : start + size]))
        at = start + size + 2
    return None


def _after_trailers(buffer: bytearray, start: int, body: bytes) -> tuple[bytes, int] | None:
    while (line_end := buffer.find(b"\r\n", start)) >= 0:
        if line_end == start:
            return body, line_end + 2
        start = line_end + 2
    return None
