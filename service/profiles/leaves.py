"""Attribute documents as leaves: how sayings of several fragments become one view.

Source: merge policy ``timestampOrdered``: the value ingested last wins, field by field.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from service.core.json import encode

Stamps = Mapping[str, int]


def leaves(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each leaf with its JSON pointer; lists and empty objects are leaves."""
    for name, value in document.items():
        pointer = f"{prefix}/{name.replace('~', '~0').replace('/', '~1')}"
        if isinstance(value, dict) and value:
            yield from leaves(value, pointer)
        else:
            yield pointer, value


def said(
    attributes: Mapping[str, Any],
    stamps: Stamps,
    record: Mapping[str, Any],
    at: int,
    replaces: str | None = None,
) -> tuple[dict[str, Any], dict[str, int]]:
    """Return a fragment's attributes and stamps after a record said something at ``at``.

    A leaf that was said later than the record stays as it is. Of the field ``replaces`` nothing
    stays that is not newer than the record. When it was replaced is stamped under its bare name,
    which is no pointer: what was said before comes to nothing also when it arrives afterwards.
    """
    told = [(stamps.get(pointer, 0), pointer, value) for pointer, value in leaves(attributes)]
    told = [each for each in told if each[0] > at or not _is_of(each[1], replaces)]
    replaced = {name: stamp for name, stamp in stamps.items() if not name.startswith("/")}
    told += [
        (at, pointer, value)
        for pointer, value in leaves(record)
        if at >= replaced.get(pointer.split("/")[1], at)
    ]
    if replaces is not None:
        replaced[replaces] = max(at, replaced.get(replaces, at))
    document = merged(told)
    newest: dict[str, int] = {}
    for stamp, pointer, _ in told:
        newest[pointer] = max(stamp, newest.get(pointer, stamp))
    # A branch that lost its last leaf is a leaf itself, said by whoever removed it.
    return document, replaced | {
        pointer: newest.get(pointer, at) for pointer, _ in leaves(document)
    }


def size(record: Mapping[str, Any]) -> int:
    """Return how many bytes the leaves of a document and their pointers take."""
    return sum(len(pointer.encode()) + len(encode(value)) for pointer, value in leaves(record))


def _is_of(pointer: str, field: str | None) -> bool:
    return field is not None and pointer.split("/")[1] == field


def merged(told: Iterable[tuple[int, str, Any]]) -> dict[str, Any]:
    """Build one document; a later saying replaces an earlier one, and ``null`` removes the leaf."""
    document: dict[str, Any] = {}
    for _, pointer, value in sorted(told, key=lambda each: each[:2]):
        *path, last = (_name(part) for part in pointer.split("/")[1:])
        here = document
        for name in path:
            below = here.get(name)
            if not isinstance(below, dict):
                below = here[name] = {}
            here = below
        if value is None:
            here.pop(last, None)
        else:
            here[last] = {} if value == {} else value
    return document


def _name(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
