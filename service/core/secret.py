"""Secrets: never shown by accident, encrypted at rest under named keys."""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Self

from cryptography.fernet import Fernet, InvalidToken

from service.core.errors import EdgepostError

_ID_LENGTH = 8


class SecretKeyError(EdgepostError):
    """A key is malformed, or the key that a ciphertext names is not configured."""


class Secret:
    """A value that logs, errors and reprs never show; only ``reveal`` does."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value, at the one place that uses it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Keyring:
    """The configured keys: the first encrypts, all decrypt.

    A ciphertext is ``<key id>:<Fernet token>``, so what still needs an old key can be counted
    without trying to decrypt it.

    Source: service/decisions/0007-secrets.md.
    """

    def __init__(self, keys: Mapping[str, Fernet], current: str, mac_key: bytes) -> None:
        self._keys = keys
        self._mac_key = mac_key
        self.current_id = current

    @classmethod
    def of(cls, keys: Sequence[str]) -> Self:
        """Build the ring from Fernet keys, newest first.

        Raises:
            SecretKeyError: There is no key, or one is not 32 url-safe base64 bytes.
        """
        if not keys:
            raise SecretKeyError("EDGEPOST_SECRET_KEYS is empty: set at least one key.")
        ring: dict[str, Fernet] = {}
        for key in keys:
            try:
                ring[key_id(key)] = Fernet(key)
            except ValueError as error:
                raise SecretKeyError(
                    "EDGEPOST_SECRET_KEYS holds a malformed key: make one with "
                    "`edgepost secrets new-key`.",
                ) from error
        mac_key = hashlib.sha256(b"edgepost fingerprint\0" + keys[0].encode()).digest()
        return cls(ring, key_id(keys[0]), mac_key)

    @property
    def ids(self) -> frozenset[str]:
        """Ids of every configured key."""
        return frozenset(self._keys)

    def encrypt(self, secret: Secret) -> str:
        """Return the ciphertext under the newest key."""
        token = self._keys[self.current_id].encrypt(secret.reveal().encode())
        return f"{self.current_id}:{token.decode()}"

    def decrypt(self, ciphertext: str) -> Secret:
        """Return the secret.

        Raises:
            SecretKeyError: The key it names is not configured, or the text was altered.
        """
        named, _, token = ciphertext.partition(":")
        if named not in self._keys:
            raise SecretKeyError(
                f"A stored secret needs key {named}, which EDGEPOST_SECRET_KEYS does not hold.",
            )
        try:
            return Secret(self._keys[named].decrypt(token.encode()).decode())
        except InvalidToken as error:
            raise SecretKeyError("A stored secret was altered and cannot be read.") from error

    def fingerprint(self, secret: Secret) -> str:
        """Return what tells a secret from others without the key saying anything about it.

        Another newest key gives other fingerprints, so nothing may rely on them for long.
        """
        return hmac.new(self._mac_key, secret.reveal().encode(), hashlib.sha256).hexdigest()

    def is_current(self, ciphertext: str) -> bool:
        """Tell whether the newest key made this ciphertext."""
        return ciphertext.startswith(f"{self.current_id}:")


def new_secret_key() -> str:
    """Return a fresh key for ``EDGEPOST_SECRET_KEYS``."""
    return Fernet.generate_key().decode()


def key_id(key: str) -> str:
    """Return the short public name of a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:_ID_LENGTH]


def mask_token(token: str) -> str:
    """Return a push token as logs may show it: its last six characters."""
    return f"…{token[-6:]}"
