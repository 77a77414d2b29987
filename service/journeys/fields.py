"""One JSON object being read: what is wrong is collected, so an author sees all of it at once."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any, TypeVar

from service.journeys.problems import Problem, ProblemCode

_Choice = TypeVar("_Choice", bound=StrEnum)


class Fields:
    """The keys of one object at ``path``; each is asked for once, the rest is refused.

    A key that is present with ``null`` counts as absent. Texts are never ``None`` here: what is
    missing or of the wrong type adds a problem and reads as the default.
    """

    def __init__(self, value: object, path: str, problems: list[Problem]) -> None:
        self.path = path
        self._problems = problems
        self._asked: set[str] = set()
        self._value: dict[str, Any] = {}
        self._is_object = isinstance(value, dict)
        if isinstance(value, dict):
            self._value = {key: item for key, item in value.items() if item is not None}
        else:
            self.add("", ProblemCode.WRONG_TYPE, "expected an object")

    def add(self, key: str, code: ProblemCode, message: str) -> None:
        """Note a problem at a key of this object, or at the object itself."""
        self._problems.append(Problem(f"{self.path}/{key}" if key else self.path, code, message))

    def require(self, key: str) -> None:
        """Note that a key is missing, when it is; what is no object was refused as a whole."""
        if self._is_object and key not in self._value:
            self.add(key, ProblemCode.MISSING, f"{key} is missing")

    def take(self, key: str) -> Any:
        """Return the value as it is, ``None`` when absent."""
        self._asked.add(key)
        return self._value.get(key)

    def text(self, key: str, *, default: str = "", is_required: bool = False) -> str:
        """Return a text."""
        if is_required:
            self.require(key)
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.add(key, ProblemCode.WRONG_TYPE, "expected a text")
            return default
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a text, or ``None`` when it is absent or empty."""
        return self.text(key) or None

    def choice(self, key: str, choices: type[_Choice], default: _Choice | None) -> _Choice | None:
        """Return one of the known words."""
        text = self.text(key)
        if not text:
            return default
        try:
            return choices(text)
        except ValueError:
            known = ", ".join(choice.value for choice in choices)
            self.add(key, ProblemCode.UNKNOWN_VALUE, f"expected one of {known}")
            return default

    def integer(self, key: str, default: int) -> int:
        """Return a whole number."""
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int):
            self.add(key, ProblemCode.WRONG_TYPE, "expected a whole number")
            return default
        return value

    def boolean(self, key: str) -> bool | None:
        """Return true or false, ``None`` when absent."""
        value = self.take(key)
        if value is not None and not isinstance(value, bool):
            self.add(key, ProblemCode.WRONG_TYPE, "expected true or false")
            return None
        return value

    def object(self, key: str) -> "Fields":
        """Return the object at a key; an absent one reads as empty."""
        value = self.take(key)
        return Fields({} if value is None else value, f"{self.path}/{key}", self._problems)

    def objects(self, key: str) -> Iterator["Fields"]:
        """Yield the objects of a list; an absent one reads as empty."""
        value = self.take(key)
        if value is not None and not isinstance(value, list):
            self.add(key, ProblemCode.WRONG_TYPE, "expected a list")
            return
        for index, item in enumerate(value or ()):
            yield Fields(item, f"{self.path}/{key}/{index}", self._problems)

    def refuse_rest(self, known_to_adobe: frozenset[str] = frozenset()) -> None:
        """Note every key nobody asked for; a key ignored in silence would mislead its author."""
        for key in self._value:
            if key in self._asked:
                continue
            if key in known_to_adobe:
                self.add(key, ProblemCode.NOT_SUPPORTED, f"{key} is not supported yet")
            else:
                self.add(_escaped(key), ProblemCode.UNKNOWN_KEY, "this key is not known here")


def _escaped(key: str) -> str:
    """Return a key as one token of a JSON pointer, shortened.

    Source: RFC 6901 section 3.
    """
    shown = key[:60].encode("ascii", "backslashreplace").decode()
    return shown.replace("~", "~0").replace("/", "~1")
