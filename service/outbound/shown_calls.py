"""A call as people may see it: what was sent with its proof masked, what came back without secrets.

Masked is what authentication added, wherever it shows up again: an endpoint may well answer with
what it was sent.
"""

import re
from base64 import b64decode
from binascii import Error as NotBase64Error
from collections.abc import Collection
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from service.core.secret import Secret, mask_token
from service.outbound.transport import CallParts, Headers, Reply

MASK = "***"
LONGEST_BODY = 4096
_HIDDEN_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization", "set-cookie"})
_QUERY_VALUE = re.compile(r"=([^&]*)")
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class ShownRequest:
    """What was or would be sent."""

    method: str
    url: str = field(repr=False)
    headers: Headers = field(repr=False)
    body: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ShownReply:
    """What came back: ``body`` is its first 4 KiB."""

    status: int
    headers: Headers = field(repr=False)
    body: str = field(repr=False)
    is_body_cut: bool


def shown_request(parts: CallParts, signed: CallParts, token: Secret | None = None) -> ShownRequest:
    """Return a request with its proof masked, and a push token but for its end.

    Args:
        parts: As the adapter rendered it.
        signed: The same with its proof.
        token: A push token that is nobody's business.
    """
    hidden = proofs(parts, signed)
    added = signed.headers[len(parts.headers) :]
    headers = (*parts.headers, *((name, MASK) for name, _ in added))
    url = parts.url + _QUERY_VALUE.sub(f"={MASK}", _added_query(parts, signed))
    try:
        body = parts.body.decode()
    except UnicodeDecodeError:
        body = f"({len(parts.body)} bytes that are no text)"
    return ShownRequest(
        parts.method,
        _masked(url, hidden, token),
        tuple((name, _masked(value, hidden, token)) for name, value in headers),
        _masked(body, hidden, token),
    )


def shown_reply(reply: Reply, hidden: Collection[str], token: Secret | None = None) -> ShownReply:
    """Return an answer without the proofs it may repeat."""
    text = _masked(reply.body.decode(errors="replace"), hidden, token)
    return ShownReply(
        reply.status,
        tuple(_headers(reply, hidden, token)),
        text[:LONGEST_BODY],
        len(text) > LONGEST_BODY,
    )


def proofs(parts: CallParts, signed: CallParts) -> frozenset[str]:
    """Return what authentication added to a request, in every spelling it may come back in."""
    found = {value for _, value in signed.headers[len(parts.headers) :]}
    found |= {unquote(value) for value in _QUERY_VALUE.findall(_added_query(parts, signed))}
    found |= {value.partition(" ")[2] for value in found if " " in value}
    for value in tuple(found):
        try:
            pair = b64decode(value, validate=True).decode()
        except (NotBase64Error, UnicodeDecodeError, ValueError):
            continue
        found |= {pair, pair.partition(":")[2]}
    found |= {quote(value, safe="") for value in found}
    return frozenset(value for value in found if len(value) >= _SHORTEST_SECRET)


def _added_query(parts: CallParts, signed: CallParts) -> str:
    return signed.url[len(parts.url) :] if signed.url.startswith(parts.url) else f"?={signed.url}"


def _headers(reply: Reply, hidden: Collection[str], token: Secret | None) -> Headers:
    """Return the final answer's headers."""
    found: list[tuple[str, str]] = []
    for line in reply.headers:
        text = line.decode("latin-1").strip()
        if text.startswith("HTTP/"):
            found.clear()
        elif ":" in text:
            name, _, value = text.partition(":")
            is_hidden = name.lower() in _HIDDEN_HEADERS
            found.append((name, MASK if is_hidden else _masked(value.strip(), hidden, token)))
    return tuple(found)


def _masked(text: str, hidden: Collection[str], token: Secret | None) -> str:
    for secret in sorted(hidden, key=len, reverse=True):
        text = text.replace(secret, MASK)
    if token is not None and token.reveal():
        spelled = token.reveal()
        for each in (spelled, quote(spelled, safe="")):
            text = text.replace(each, mask_token(spelled))
    return text
