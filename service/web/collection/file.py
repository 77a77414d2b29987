"""A file of streamed messages, one per line; a bare XDM entity is put into an envelope."""

from collections.abc import Iterable, Iterator
from itertools import islice

_ENVELOPE = (
    b'{"header":{"schemaRef":{"id":"https://ns.adobe.com/xdm/context/profile"}},'
    b'"body":{"xdmMeta":{"schemaRef":{"id":"https://ns.adobe.com/xdm/context/profile"}},'
    b'"xdmEntity":%s}}'
)
_MESSAGE_MARK = b'"xdmEntity"'


def read_lines(
    lines: Iterable[bytes],
    at_once: int,
) -> Iterator[tuple[int, int, list[bytes]]]:
    """Yield pieces of at most ``at_once`` messages: number of the first line, bytes, messages."""
    numbered = enumerate(lines, start=1)
    while piece := list(islice(numbered, at_once)):
        yield (
            piece[0][0],
            sum(len(line) for _, line in piece),
            [_message(line) for _, line in piece],
        )


def _message(line: bytes) -> bytes:
    stripped = line.strip()
    return stripped if _MESSAGE_MARK in stripped else _ENVELOPE % stripped
