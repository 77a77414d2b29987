"""Request bodies of the hot paths: read once, bounded, decoded into typed values.

Sizes, JSON, nesting and NUL characters are checked here, before anything touches the store.
PostgreSQL can hold no NUL in text, so one that slipped through would spoil its whole batch.
"""

import re
from enum import StrEnum
from typing import Any, TypeVar
from wsgiref.types import WSGIEnvironment

import msgspec

from service.web.unreadable import fault_of

MAX_DEPTH = 64
_NUL = b"\\u0000"
_PLACE = re.compile(r"(?P<problem>.*) - at `\$(?P<path>.*)`", re.DOTALL)
_ANY = msgspec.json.Decoder()
_Path = tuple["_Path", str | int] | None
T = TypeVar("T")


class BodyFault(StrEnum):
    """What is wrong with a body."""

    EMPTY = "empty"
    TOO_LARGE = "tooLarge"
    NOT_JSON = "notJson"
    WRONG_FIELD = "wrongField"


class BodyError(Exception):
    """A body that cannot be accepted.

    Attributes:
        path: The field, as a JSONPath, for ``BodyFault.WRONG_FIELD``.
        problem: What is wrong, for the caller; logs take the fault and the path.
    """

    def __init__(self, fault: BodyFault, problem: str, path: str = "$") -> None:
        super().__init__(f"{path}: {problem}")
        self.fault = fault
        self.problem = problem
        self.path = path


def wrong_field(path: str, problem: str) -> BodyError:
    """Return the error for one field."""
    return BodyError(BodyFault.WRONG_FIELD, problem, path)


def read(environ: WSGIEnvironment, limit: int) -> bytes:
    """Return the body, of at most ``limit`` bytes.

    Raises:
        BodyError: It is too large, or its length is no number.
    """
    length = environ.get("CONTENT_LENGTH")
    try:
        size = int(length) if length else limit + 1
    except ValueError as error:
        raise BodyError(BodyFault.NOT_JSON, "Content-Length is not a number") from error
    if length and size > limit:
        raise _too_large(limit)
    body: bytes = environ["wsgi.input"].read(size) if size > 0 else b""
    if len(body) > limit:
        raise _too_large(limit)
    return body


def decode(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the typed value that ``body`` spells.

    Raises:
        BodyError: It is empty, no JSON, nested too deeply, or a field has the wrong type.
    """
    if not body or body.isspace():
        raise BodyError(BodyFault.EMPTY, "the body is empty")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _misfit(error, "$") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        fault = fault_of(body, error)
        raise BodyError(BodyFault.NOT_JSON, f"the body is not valid JSON: {fault}") from error
    except RecursionError as error:
        raise wrong_field("$", f"nested more than {MAX_DEPTH} levels deep") from error


def convert(value: Any, kind: type[T], path: str) -> T:
    """Return an already decoded value as ``kind``; ``path`` says where it stands.

    Raises:
        BodyError: A field has the wrong type.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _misfit(error, path) from error


def check_text(body: bytes, *, allowed_nuls: int = 0) -> None:
    r"""Refuse NUL characters in keys and strings, and nesting beyond ``MAX_DEPTH``.

    A NUL can stand in JSON as ``\u0000`` only, so counting that text settles nearly every body
    without walking it. ``allowed_nuls`` are those of ``konductorConfig.streaming``.

    Raises:
        BodyError: Names the field.
    """
    has_nuls = body.count(_NUL) > allowed_nuls
    if not has_nuls and body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    pending: list[tuple[Any, int, _Path]] = [(_ANY.decode(body), 0, None)]
    while pending:
        value, depth, path = pending.pop()
        if isinstance(value, str):
            if "\x00" in value and not _is_separator(path):
                raise wrong_field(_spelled(path), "holds a NUL character")
        elif isinstance(value, dict | list):
            if depth >= MAX_DEPTH:
                raise wrong_field(_spelled(path), f"nested more than {MAX_DEPTH} levels deep")
            pending.extend(_children(value, depth, path))


def _children(
    value: dict[str, Any] | list[Any], depth: int, path: _Path
) -> list[tuple[Any, int, _Path]]:
    if isinstance(value, list):
        return [(item, depth + 1, (path, index)) for index, item in enumerate(value)]
    for key in value:
        if "\x00" in key:
            raise wrong_field(_spelled(path), "has a key with a NUL character")
    return [(item, depth + 1, (path, key)) for key, item in value.items()]


def _is_separator(path: _Path) -> bool:
    return _spelled(path) in {
        "$.meta.konductorConfig.streaming.recordSeparator",
        "$.meta.konductorConfig.streaming.lineFeed",
    }


def _spelled(path: _Path) -> str:
    parts: list[str] = []
    while path is not None:
        path, key = path
        parts.append(f"[{key}]" if isinstance(key, int) else f".{key}")
    return "$" + "".join(reversed(parts))


def _misfit(error: msgspec.ValidationError, path: str) -> BodyError:
    message = str(error)
    found = _PLACE.fullmatch(message)
    if found is None:
        return wrong_field(path, message)
    return wrong_field(path + found["path"], found["problem"])


def _too_large(limit: int) -> BodyError:
    return BodyError(BodyFault.TOO_LARGE, f"the body is larger than {limit} bytes")
