"""The authentication of a stored action: its JSON without the secret, the secret apart.

A secret is kept as ciphertext, or as ``env:NAME`` when the operator keeps it in the process's
environment; the name must begin with ``ACTION_SECRET_``, so that an action cannot be made to send
our own secrets away.

Source: Journey Optimizer, custom action authentication; service/decisions/0007-secrets.md.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.core.secret import Keyring, Secret
from service.outbound.auth import (
    ApiKeyAuth,
    AuthSpec,
    BasicAuth,
    KeyLocation,
    NoAuth,
    ServiceAccountAuth,
    parse_service_account,
)

_REFERENCE = re.compile(r"env:(ACTION_SECRET_[A-Z0-9_]+)")
_SECRET_FIELDS = {"basic": "password", "apiKey": "value", "serviceAccount": "credentials"}
_OTHER_FIELDS = {
    "none": frozenset[str](),
    "basic": frozenset({"username"}),
    "apiKey": frozenset({"name", "location"}),
    "serviceAccount": frozenset[str](),
}


@dataclass(frozen=True, slots=True)
class StoredAuth:
    """Authentication as a row holds it: one of the two secrets, or none for ``none``."""

    auth: JsonObject
    ciphertext: str | None
    reference: str | None


class ActionSecrets:
    """Turns secrets into stored ones and back."""

    def __init__(self, keyring: Keyring, environment: Mapping[str, str]) -> None:
        self._keyring = keyring
        self._environment = environment

    def store(self, written: Any, kept: StoredAuth | None = None) -> StoredAuth:
        """Return what to keep of an authentication; an absent secret keeps the one there was.

        Raises:
            InvalidInputError: The type, a field or the reference is not known.
        """
        kind, fields, secret = _parsed(written)
        auth = {"type": kind, **fields}
        if kind == "none":
            return StoredAuth(auth, None, None)
        if secret is None:
            if kept is None or kept.auth.get("type") != kind:
                raise InvalidInputError(
                    f"The authentication {kind} needs {_SECRET_FIELDS[kind]}.",
                    at=f"auth.{_SECRET_FIELDS[kind]}",
                )
            return StoredAuth(auth, kept.ciphertext, kept.reference)
        if secret.startswith("env:"):
            if not _REFERENCE.fullmatch(secret):
                raise InvalidInputError(
                    "A secret in the environment is named env:ACTION_SECRET_ and capitals.",
                    at=f"auth.{_SECRET_FIELDS[kind]}",
                )
            return StoredAuth(auth, None, secret)
        return StoredAuth(auth, self._keyring.encrypt(Secret(secret)), None)

    def reveal(self, stored: StoredAuth) -> AuthSpec:
        """Return the authentication that a call uses.

        Raises:
            InvalidInputError: The environment lacks the secret, or it is not of its kind.
            SecretKeyError: The ciphertext needs a key that is not configured.
        """
        fields = stored.auth
        if fields["type"] == "none":
            return NoAuth()
        secret = self._secret(stored)
        match fields["type"]:
            case "basic":
                return BasicAuth(fields["username"], secret)
            case "apiKey":
                return ApiKeyAuth(fields["name"], secret, KeyLocation(fields["location"]))
            case _:
                return ServiceAccountAuth(parse_service_account(secret))

    def _secret(self, stored: StoredAuth) -> Secret:
        if stored.ciphertext is not None:
            return self._keyring.decrypt(stored.ciphertext)
        named = _REFERENCE.fullmatch(stored.reference or "")
        value = self._environment.get(named[1]) if named else None
        if value is None:
            raise InvalidInputError(
                f"The environment of this process does not hold {stored.reference}.",
                reference=stored.reference,
            )
        return Secret(value)


def _parsed(written: Any) -> tuple[str, JsonObject, str | None]:
    """Return the kind, its public fields and the secret as text, ``None`` when it is absent."""
    if not isinstance(written, Mapping) or written.get("type") not in _OTHER_FIELDS:
        raise InvalidInputError(f"auth.type is one of {', '.join(_OTHER_FIELDS)}.", at="auth.type")
    kind = str(written["type"])
    secret_field = _SECRET_FIELDS.get(kind, "")
    unknown = sorted(written.keys() - _OTHER_FIELDS[kind] - {"type", secret_field})
    if unknown:
        raise InvalidInputError(f"auth.{unknown[0]} is not known.", at=f"auth.{unknown[0]}")
    fields = {name: written.get(name) for name in sorted(_OTHER_FIELDS[kind])}
    if kind == "apiKey":
        fields["location"] = _location(fields["location"])
    for name, value in fields.items():
        if not isinstance(value, str) or not value:
            raise InvalidInputError(f"auth.{name} is missing.", at=f"auth.{name}")
    return kind, fields, _secret_text(written.get(secret_field), secret_field)


def _location(value: Any) -> str:
    try:
        return KeyLocation(KeyLocation.HEADER if value is None else value).value
    except ValueError as error:
        raise InvalidInputError("auth.location is header or query.", at="auth.location") from error


def _secret_text(value: Any, name: str) -> str | None:
    if value is None or not name:
        return None
    if name == "credentials" and isinstance(value, Mapping):
        return json.encode_text(value)
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f"auth.{name} must be a text.", at=f"auth.{name}")
    return value
