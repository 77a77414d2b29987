"""Documents with secrets in them: what may be shown, and the secrets apart as ciphertext.

The shown document has ``***`` where a secret stands, or ``env:ACTION_SECRET_…`` where the operator
keeps it in the environment of the processes that send. An author who sends ``***`` back means the
secret that is stored at that place.

Source: service/decisions/0007-secrets.md.
"""

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, TypeAlias

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.core.secret import Keyring, Secret

HIDDEN = "***"
REFERENCE = re.compile(r"env:(ACTION_SECRET_[A-Z0-9_]+)")
Path: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """What is kept: the document as it may be shown, and its secrets."""

    shown: JsonObject
    ciphertext: str | None


class Sealer:
    """Takes secrets out of documents and puts them back."""

    def __init__(self, keyring: Keyring, environment: Mapping[str, str]) -> None:
        self._keyring = keyring
        self._environment = environment

    def seal(
        self, document: JsonObject, paths: Iterable[Path], kept: Sealed | None, *, at: str
    ) -> Sealed:
        """Return what to keep of a document whose secrets stand at ``paths``.

        Raises:
            InvalidInputError: A secret is no text, is named wrongly, or is ``***`` where none is
                stored.
        """
        shown = deepcopy(document)
        old = self._secrets(kept)
        secrets: dict[str, str] = {}
        for path in paths:
            where = ".".join((at, *map(str, path)))
            value = _get(document, path)
            if not isinstance(value, str) or not value:
                raise InvalidInputError(f"{where} must be a text.", at=where)
            if value == HIDDEN:
                value = old.get(_name(path)) or _reference(kept, path) or ""
            if not value:
                raise InvalidInputError(f"{where} is missing.", at=where)
            is_reference = value.startswith("env:")
            if is_reference and not REFERENCE.fullmatch(value):
                raise InvalidInputError(
                    "A secret in the environment is named env:ACTION_SECRET_ and capitals.",
                    at=where,
                )
            if not is_reference:
                secrets[_name(path)] = value
            _set(shown, path, value if is_reference else HIDDEN)
        text = Secret(json.encode_text(secrets))
        return Sealed(shown, self._keyring.encrypt(text) if secrets else None)

    def unseal(self, sealed: Sealed, paths: Iterable[Path]) -> JsonObject:
        """Return the document with its secrets in clear.

        Raises:
            InvalidInputError: The environment lacks a secret.
            SecretKeyError: The ciphertext needs a key that is not configured.
        """
        document = deepcopy(sealed.shown)
        secrets = self._secrets(sealed)
        for path in paths:
            value = _get(document, path)
            if value == HIDDEN:
                _set(document, path, secrets[_name(path)])
            elif isinstance(value, str):
                _set(document, path, self.resolve(value))
        return document

    def resolve(self, reference: str) -> str:
        """Return the secret that the environment holds under a reference.

        Raises:
            InvalidInputError: It holds none, or the text is no reference.
        """
        named = REFERENCE.fullmatch(reference)
        value = self._environment.get(named[1]) if named else None
        if value is None:
            raise InvalidInputError(
                f"The environment of this process does not hold {reference}.", reference=reference
            )
        return value

    def decrypt(self, ciphertext: str) -> Secret:
        """Return a secret that was encrypted by itself.

        Raises:
            SecretKeyError: It needs a key that is not configured.
        """
        return self._keyring.decrypt(ciphertext)

    def _secrets(self, sealed: Sealed | None) -> dict[str, str]:
        if sealed is None or sealed.ciphertext is None:
            return {}
        secrets: dict[str, str] = json.decode(self._keyring.decrypt(sealed.ciphertext).reveal())
        return secrets


def _reference(kept: Sealed | None, path: Path) -> str | None:
    value = None if kept is None else _get(kept.shown, path)
    return value if isinstance(value, str) and REFERENCE.fullmatch(value) else None


def _name(path: Path) -> str:
    return json.encode_text(list(path))


def _get(document: Any, path: Path) -> Any:
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def _set(document: Any, path: Path, value: str) -> None:
    *way, last = path
    for step in way:
        document = document[step]
    document[last] = value
