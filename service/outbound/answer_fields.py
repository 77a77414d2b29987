"""Which fields of an answer a journey gets to see, under which names, by which paths.

An action without this shows its whole answer while it is small; with it, these fields and no others
are kept: those of ``response`` after a call that went well, of ``errorResponse`` after one that did
not.

Source: Journey Optimizer, custom action responses and error responses.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.parameter_types import ParameterType, typed

MAX_FIELDS = 50
_LONGEST_PATH = 256
_LONGEST_KEPT = 8192
_GROUPS = ("response", "errorResponse")
_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
_PATH = re.compile(r"(?:[^.\[\]\s]+|\[\d{1,4}\])(?:\.[^.\[\]\s]+|\[\d{1,4}\])*")
_STEPS = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


@dataclass(frozen=True, slots=True)
class AnswerField:
    """One field: its name in the journey, its place in the answer, and what it must be."""

    name: str
    path: str
    type: ParameterType

    def find(self, body: Any) -> Any:
        """Return the field of an answer, ``None`` when it is not there or of another type."""
        found = body
        for index, name in _STEPS.findall(self.path):
            if index:
                place = int(index)
                found = found[place] if isinstance(found, list) and place < len(found) else None
            else:
                found = found.get(name) if isinstance(found, dict) else None
        try:
            return None if found is None else typed(self.type, found)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Answers:
    """How the answers of an action are read."""

    response: tuple[AnswerField, ...] = ()
    error_response: tuple[AnswerField, ...] = ()

    def read(self, body: bytes, *, is_error: bool) -> JsonObject:
        """Return what the journey gets: each mapped field, null where the answer has none.

        Values that would make it more than 8 KiB in all, or that no store can hold, are null.
        """
        fields = self.error_response if is_error else self.response
        try:
            answer = json.decode(body) if body else None
        except (msgspec.DecodeError, RecursionError):
            answer = None
        left = _LONGEST_KEPT
        kept: JsonObject = {}
        for each in fields:
            value = each.find(answer)
            text = json.encode(value)
            is_kept = len(text) <= left and rb"\u0000" not in text
            kept[each.name] = value if is_kept else None
            left -= len(text) if is_kept else 0
        return {"errorResponse" if is_error else "response": kept}


def parse_answers(written: Mapping[str, Any] | None) -> Answers | None:
    """Return how answers are read; ``None`` when the action does not say.

    Raises:
        InvalidInputError: A name, path or type cannot be used, or nothing is mapped.
    """
    if not written:
        return None
    unknown = sorted(written.keys() - set(_GROUPS))
    if unknown:
        raise InvalidInputError(
            f"answers.{unknown[0]} is not known: there are response and errorResponse.",
            at=f"answers.{unknown[0]}",
        )
    groups = [_parsed(written.get(name), f"answers.{name}") for name in _GROUPS]
    return Answers(*groups) if any(groups) else None


def _parsed(fields: Any, at: str) -> tuple[AnswerField, ...]:
    if fields is None:
        return ()
    if not isinstance(fields, Mapping):
        raise InvalidInputError(f"{at} is an object of fields by name.", at=at)
    if len(fields) > MAX_FIELDS:
        raise InvalidInputError(f"{at} maps at most {MAX_FIELDS} fields.", at=at)
    return tuple(_field(name, field, f"{at}.{name}") for name, field in fields.items())


def _field(name: str, field: Any, at: str) -> AnswerField:
    if not _NAME.fullmatch(name):
        raise InvalidInputError(f"{at}: a name is letters, digits and underscores.", at=at)
    if not isinstance(field, Mapping) or field.keys() - {"path", "type"}:
        raise InvalidInputError(f"{at} is an object with path and type.", at=at)
    path = field.get("path")
    if not isinstance(path, str) or len(path) > _LONGEST_PATH or not _PATH.fullmatch(path):
        raise InvalidInputError(
            f"{at}.path is names joined by dots, with places in lists: items[0].id.",
            at=f"{at}.path",
        )
    try:
        return AnswerField(name, path, ParameterType(field.get("type", "string")))
    except ValueError as error:
        known = ", ".join(ParameterType)
        raise InvalidInputError(f"{at}.type is one of {known}.", at=f"{at}.type") from error
