"""A file of streamed messages, one per line; a bare XDM entity is put into an envelope."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec

_ENVELOPE = (
    b'{"header":{"schemaRef":{"id":"https://ns.adobe.com/xdm/context/profile"}},'
    b'"body":{"xdmMeta":{"schemaRef":{"id":"https://ns.adobe.com/xdm/context/profile"}},'
    b'"xdmEntity":%s}}'
)
_OF_MESSAGES = frozenset({"header", "body"})
# Both kinds of records may have an _id; only events have these.
_OF_EVENTS = frozenset({"eventType", "commerce", "productListItems", "web", "application"})
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_OBJECTS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, slots=True)
class FileLine:
    """A line that is not blank: a message, or what is wrong with it.

    Attributes:
        number: Counted from 1, blank lines too.
        message: ``None`` when the line is no JSON object.
    """

    number: int
    message: bytes | None = field(repr=False)
    problem: str = ""


def read_lines(lines: Iterable[bytes], at_once: int) -> Iterator[tuple[int, list[FileLine]]]:
    """Yield pieces of at most ``at_once`` lines: their bytes, and those that are not blank."""
    numbered = enumerate(lines, start=1)
    while piece := list(islice(numbered, at_once)):
        yield (
            sum(len(line) for _, line in piece),
            [_read(number, text) for number, line in piece if (text := _text(number, line))],
        )


def _text(number: int, line: bytes) -> bytes:
    return (line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line).strip()


def _read(number: int, text: bytes) -> FileLine:
    if b"\x00" in text:
        return FileLine(number, None, f"holds a NUL character (byte {text.index(0)})")
    try:
        text.decode()
        document = _OBJECTS.decode(text)
    except UnicodeDecodeError as error:
        return FileLine(number, None, f"is not UTF-8 (byte {error.start})")
    except msgspec.ValidationError as error:
        return FileLine(number, None, f"is not a JSON object: {error}")
    except msgspec.DecodeError as error:
        return FileLine(number, None, f"is not JSON: {error}")
    except RecursionError:
        return FileLine(number, None, "is nested too deeply")
    if not _OF_MESSAGES.isdisjoint(document):
        return FileLine(number, text)
    problem = _unlike_event(document)
    return FileLine(number, None, problem) if problem else FileLine(number, _ENVELOPE % text)


def _unlike_event(document: dict[str, msgspec.Raw]) -> str:
    """Return what an event lacks to be told from a profile; empty for what is either of them."""
    lacking = [name for name in ("_id", "timestamp") if name not in document]
    telling = sorted(_OF_EVENTS & document.keys())
    if not lacking or not ("eventType" in telling or (telling and "_id" in document)):
        return ""
    return (
        f"has {telling[0]}, as an event, and no {' and no '.join(lacking)}: give an event an _id "
        'and a timestamp such as "2026-07-01T10:00:00Z", and a profile none of an event\'s fields'
    )
