"""The authentication of a stored action: a document that may be shown, its secrets apart.

Every kind is one entry of ``KINDS``: where its secrets stand, and what it makes of its fields. A
secret is kept as ciphertext, or as ``env:NAME`` when the operator keeps it in the process's
environment; the name must begin with ``ACTION_SECRET_``, so that an action cannot be made to send
our own secrets away.

Source: Journey Optimizer, custom action authentication; service/decisions/0007-secrets.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.core.secret import Keyring
from service.outbound import auth_apns, auth_aws, auth_custom, auth_oauth, auth_vapid
from service.outbound.auth import ApiKeyAuth, AuthSpec, BasicAuth, KeyLocation, NoAuth
from service.outbound.auth_account import ServiceAccountAuth, parse_service_account
from service.outbound.auth_fields import Fields
from service.outbound.auth_oauth import Grant
from service.outbound.auth_vapid import VapidAuth
from service.outbound.sealed import HIDDEN, Path, Sealed, Sealer

_AT = "auth"


@dataclass(frozen=True, slots=True)
class StoredAuth:
    """Authentication as a row holds it.

    ``reference`` is set in rows of before there were kinds with several secrets only.
    """

    auth: JsonObject
    ciphertext: str | None
    reference: str | None


@dataclass(frozen=True, slots=True)
class Kind:
    """One way of authenticating.

    Attributes:
        make: Turns a document with its secrets in clear into what a call uses.
        secrets: Where secrets may stand in a document.
        kept: Where a left out secret stays the stored one.
        first: The field of the one secret in rows of before; empty when there were none.
    """

    make: Callable[[Fields], AuthSpec]
    secrets: Callable[[Mapping[str, Any]], list[Path]]
    kept: Callable[[Mapping[str, Any]], list[Path]]
    first: str = ""


def _none(fields: Fields) -> AuthSpec:
    fields.only("type")
    return NoAuth()


def _basic(fields: Fields) -> AuthSpec:
    fields.only("type", "username", "password")
    return BasicAuth(fields.text("username"), fields.secret("password"))


def _api_key(fields: Fields) -> AuthSpec:
    fields.only("type", "name", "value", "location")
    location = fields.choice("location", KeyLocation, KeyLocation.HEADER)
    return ApiKeyAuth(fields.text("name"), fields.secret("value"), location)


def _service_account(fields: Fields) -> AuthSpec:
    fields.only("type", "credentials")
    return ServiceAccountAuth(parse_service_account(fields.secret("credentials")))


def _at(*paths: Path) -> Callable[[Mapping[str, Any]], list[Path]]:
    return lambda _: list(paths)


def _one_secret(name: str, make: Callable[[Fields], AuthSpec], *, first: bool = False) -> Kind:
    return Kind(make, _at((name,)), _at((name,)), name if first else "")


def _oauth_kept(document: Mapping[str, Any]) -> list[Path]:
    grant = document.get("grant")
    found: list[Path] = [("clientSecret",)]
    if grant == Grant.PASSWORD:
        found.append(("password",))
    if grant == Grant.REFRESH_TOKEN:
        found.append(("refreshToken",))
    if isinstance(document.get("jwt"), Mapping):
        found.append(("jwt", "key"))
    return found


_OAUTH: tuple[Path, ...] = (("clientSecret",), ("password",), ("refreshToken",), ("jwt", "key"))

KINDS: Mapping[str, Kind] = {
    "none": Kind(_none, _at(), _at()),
    "basic": _one_secret("password", _basic, first=True),
    "apiKey": _one_secret("value", _api_key, first=True),
    "serviceAccount": _one_secret("credentials", _service_account, first=True),
    "apnsKey": _one_secret("privateKey", auth_apns.read),
    "vapid": _one_secret("privateKey", auth_vapid.read),
    "awsKey": _one_secret("secretAccessKey", auth_aws.read),
    "oauth2": Kind(auth_oauth.read, _at(*_OAUTH), _oauth_kept),
    "customAuthorization": Kind(auth_custom.read, auth_custom.secret_paths, _at()),
}


class ActionSecrets:
    """Turns secrets into stored ones and back.

    Attributes:
        sealer: For the other secrets of an action, those of its connection.
    """

    def __init__(self, keyring: Keyring, environment: Mapping[str, str]) -> None:
        self._keyring = keyring
        self.sealer = Sealer(keyring, environment)

    def store(self, written: Any, kept: StoredAuth | None = None) -> StoredAuth:
        """Return what to keep of an authentication; an absent secret keeps the one there was.

        So does ``***``, as answers show it. ``None`` takes a secret away.

        Raises:
            InvalidInputError: The type, a field or the reference is not known.
        """
        name = written.get("type") if isinstance(written, Mapping) else None
        if not isinstance(name, str) or name not in KINDS:
            raise InvalidInputError(f"auth.type is one of {', '.join(KINDS)}.", at="auth.type")
        kind = KINDS[name]
        is_same = kept is not None and kept.auth.get("type") == name
        old = self._sealed(kept) if kept is not None and is_same else None
        document = _normal(written)
        for path in kind.kept(written):
            _fill(document, path, written, old)
        stands = [path for path in kind.secrets(document) if _stands(document, path)]
        sealed = self.sealer.seal(document, stands, old, at=_AT)
        made = self._made(sealed)
        # Pages subscribe with it, and only the private key tells it.
        derived = {"publicKey": made.public_key} if isinstance(made, VapidAuth) else {}
        return StoredAuth({**sealed.shown, **derived}, sealed.ciphertext, None)

    def reveal(self, stored: StoredAuth) -> AuthSpec:
        """Return the authentication that a call uses.

        Raises:
            InvalidInputError: The environment lacks the secret, or it is not of its kind.
            SecretKeyError: The ciphertext needs a key that is not configured.
        """
        return self._made(self._sealed(stored))

    def _made(self, sealed: Sealed) -> AuthSpec:
        kind = KINDS[sealed.shown["type"]]
        stands = [path for path in kind.secrets(sealed.shown) if _stands(sealed.shown, path)]
        return kind.make(Fields(self.sealer.unseal(sealed, stands), _AT))

    def _sealed(self, stored: StoredAuth) -> Sealed:
        """Return what is stored in today's form."""
        first = KINDS[stored.auth["type"]].first
        if not first or first in stored.auth:
            return Sealed(stored.auth, stored.ciphertext)
        shown = shown_auth(stored)
        if stored.ciphertext is None:
            return Sealed(shown, None)
        secret = self._keyring.decrypt(stored.ciphertext).reveal()
        return self.sealer.seal({**stored.auth, first: secret}, [(first,)], None, at=_AT)


def shown_auth(stored: StoredAuth) -> JsonObject:
    """Return an authentication as answers may show it: how, never with what."""
    first = KINDS[stored.auth["type"]].first
    if not first or first in stored.auth:
        return stored.auth
    return {**stored.auth, first: stored.reference or HIDDEN}


def _normal(written: Mapping[str, Any]) -> JsonObject:
    """Return what was written without what is null, and with what is left out spelled."""
    document: JsonObject = {name: value for name, value in written.items() if value is not None}
    if document["type"] == "apiKey":
        document.setdefault("location", KeyLocation.HEADER.value)
    if document["type"] == "oauth2":
        document.setdefault("grant", Grant.CLIENT_CREDENTIALS.value)
    if isinstance(document.get("credentials"), Mapping):
        document["credentials"] = json.encode_text(document["credentials"])
    return document


def _fill(document: JsonObject, path: Path, written: Mapping[str, Any], old: Sealed | None) -> None:
    """Mark a secret that was left out as the one that is stored."""
    *way, last = path
    inside: Any = document
    for step in way:
        inside = document[str(step)] = dict(inside[step])
    is_out = last not in inside and not (not way and last in written)
    if old is not None and is_out and _stands(old.shown, path):
        inside[last] = HIDDEN


def _stands(document: Any, path: Path) -> bool:
    for step in path:
        if isinstance(document, Mapping):
            if step not in document:
                return False
        elif not isinstance(document, list):
            return False
        document = document[step]
    return True
