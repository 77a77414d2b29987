"""The types of an action's parameters, and of the fields that are read from its answers.

Source: Journey Optimizer, configure a custom action (types of payload parameters).
"""

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Any

_MAX_TEXT = 64 * 1024
_LIST = "list"
_DATE = r"\d{4}-\d{2}-\d{2}"
_TIME = r"T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?"
_DATE_TIME = re.compile(rf"{_DATE}{_TIME}(?:Z|[+-]\d{{2}}:\d{{2}})", re.ASCII)
_DATE_TIME_ONLY = re.compile(_DATE + _TIME, re.ASCII)
_DATE_ONLY = re.compile(_DATE, re.ASCII)


class ParameterType(StrEnum):
    """What a value must be; ``list…`` are lists of it, ``listAny`` of anything but lists."""

    STRING = "string"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    DATE_TIME = "dateTime"
    DATE_TIME_ONLY = "dateTimeOnly"
    DATE_ONLY = "dateOnly"
    LIST_STRING = "listString"
    LIST_INTEGER = "listInteger"
    LIST_DECIMAL = "listDecimal"
    LIST_BOOLEAN = "listBoolean"
    LIST_DATE_TIME = "listDateTime"
    LIST_DATE_TIME_ONLY = "listDateTimeOnly"
    LIST_DATE_ONLY = "listDateOnly"
    LIST_ANY = "listAny"

    @property
    def of_items(self) -> "ParameterType | None":
        """What the items of a list must be; ``None`` for what is no list, and for ``listAny``."""
        if not self.is_list or self is ParameterType.LIST_ANY:
            return None
        name = self.value.removeprefix(_LIST)
        return ParameterType(name[0].lower() + name[1:])

    @property
    def is_list(self) -> bool:
        """Whether it is a list."""
        return self.value.startswith(_LIST)


def typed(wanted: ParameterType, value: Any) -> Any:
    """Return a value as its type is sent; null stays null, and as a list is an empty one.

    Raises:
        ValueError: It is of another type; the message quotes nothing of it.
    """
    if wanted.is_list:
        if value is None:
            return []
        if not isinstance(value, list | tuple):
            raise ValueError(f"expected {wanted.value}, got {_kind_of(value)}")
        items = [item for item in value if item is not None]
        of_items = wanted.of_items
        if of_items is not None:
            return [typed(of_items, item) for item in items]
        if any(isinstance(item, list | tuple | Mapping) for item in items):
            raise ValueError("expected a list of texts, numbers, true and false")
        return items
    if value is None:
        return None
    found = _scalar(wanted, value)
    if found is None:
        raise ValueError(f"expected {wanted.value}, got {_kind_of(value)}")
    return found


def _scalar(wanted: ParameterType, value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    match wanted:
        case ParameterType.STRING:
            return value if isinstance(value, str) and len(value) <= _MAX_TEXT else None
        case ParameterType.BOOLEAN:
            return value if isinstance(value, bool) else None
        case ParameterType.INTEGER:
            return int(value) if is_number and math.isfinite(value) and value % 1 == 0 else None
        case ParameterType.DECIMAL:
            return value if is_number and math.isfinite(value) else None
        case _:
            return value if isinstance(value, str) and _is_moment(wanted, value) else None


def _is_moment(wanted: ParameterType, text: str) -> bool:
    pattern = {
        ParameterType.DATE_TIME: _DATE_TIME,
        ParameterType.DATE_TIME_ONLY: _DATE_TIME_ONLY,
        ParameterType.DATE_ONLY: _DATE_ONLY,
    }[wanted]
    if not pattern.fullmatch(text):
        return False
    try:
        if wanted is ParameterType.DATE_ONLY:
            date.fromisoformat(text)
        else:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _kind_of(value: Any) -> str:
    """Return what a value is, in JSON's words and without the value."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list | tuple) else "an object"
