"""Reading what an author wrote, field by field; every refusal names the field and no value."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from service.core.errors import InvalidInputError
from service.core.secret import Secret

Chosen = TypeVar("Chosen", bound=StrEnum)


class Fields:
    """One JSON object under a name such as ``auth`` or ``auth.jwt``."""

    def __init__(self, document: Any, at: str) -> None:
        if not isinstance(document, Mapping):
            raise InvalidInputError(f"{at} must be an object.", at=at)
        self._document: Mapping[str, Any] = document
        self.at = at

    def only(self, *names: str) -> None:
        """Refuse every other field.

        Raises:
            InvalidInputError: There is one.
        """
        for name in sorted(self._document.keys() - set(names)):
            raise self.wrong(name, "is not known")

    def text(self, name: str) -> str:
        """Return a text that must be there.

        Raises:
            InvalidInputError: It is absent, empty or no text.
        """
        found = self.optional(name)
        if found is None:
            raise self.wrong(name, "is missing")
        return found

    def optional(self, name: str) -> str | None:
        """Return a text that may be absent.

        Raises:
            InvalidInputError: It is empty or no text.
        """
        value = self._document.get(name)
        if value is not None and (not isinstance(value, str) or not value):
            raise self.wrong(name, "must be a text")
        return value

    def secret(self, name: str) -> Secret:
        """Return a secret that must be there.

        Raises:
            InvalidInputError: It is absent, empty or no text.
        """
        return Secret(self.text(name))

    def choice(self, name: str, choices: type[Chosen], default: Chosen | None = None) -> Chosen:
        """Return one of some values.

        Raises:
            InvalidInputError: It is another, or absent without a default.
        """
        value: Any = self._document.get(name)
        if value is None and default is not None:
            return default
        try:
            return choices(value)
        except ValueError:
            known = ", ".join(each.value for each in choices)
            raise self.wrong(name, f"is one of {known}") from None

    def nested(self, name: str) -> "Fields | None":
        """Return an object inside, ``None`` when it is absent.

        Raises:
            InvalidInputError: It is no object.
        """
        value = self._document.get(name)
        return None if value is None else Fields(value, f"{self.at}.{name}")

    def texts(self, name: str) -> tuple[tuple[str, str], ...]:
        """Return an object of texts in its order, empty when it is absent.

        Raises:
            InvalidInputError: It is no object, or holds something else than texts.
        """
        inside = self.nested(name)
        if inside is None:
            return ()
        return tuple((key, inside.text(key)) for key in inside.document)

    @property
    def document(self) -> Mapping[str, Any]:
        """The object itself."""
        return self._document

    def wrong(self, name: str, what: str) -> InvalidInputError:
        """Return the error that names a field."""
        return InvalidInputError(f"{self.at}.{name} {what}.", at=f"{self.at}.{name}")
