"""How a success body leaves: framed for clients that stream, plain JSON for all others.

Source: Edge ``EdgeNetworkService`` (Android cuts the first character of each line, whatever it
is; iOS trims NULs), so a framed answer to a client that did not ask, or a plain one to a client
that did, loses its handles in silence.
"""

from dataclasses import dataclass

from service.core.json import JsonObject, encode

RECORD_SEPARATOR = "\x00"
LINE_FEED = "\n"


@dataclass(frozen=True, slots=True)
class Framing:
    """What ``meta.konductorConfig.streaming`` asks for; ``None`` of this means plain JSON."""

    record_separator: str = RECORD_SEPARATOR
    line_feed: str = LINE_FEED


MOBILE = Framing()


def render(document: JsonObject, framing: Framing | None) -> bytes:
    """Return one fragment that holds the whole envelope, on one line."""
    text = encode(document)
    if framing is None:
        return text
    if framing is MOBILE:
        return b"\x00" + text + b"\n"
    return framing.record_separator.encode() + text + framing.line_feed.encode()
