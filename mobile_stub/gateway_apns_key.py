"""The provider tokens of APNs: the key that this gateway hands out, and what it takes of it.

Source: Apple, Establishing a token-based connection to APNs.
"""

import time
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

TEAM_ID = "STUBTEAM01"
KEY_ID = "STUBKEY001"
_LIFE_S = 3600
_LEAST_AGE_S = 20 * 60
_SKEW_S = 60
_KEPT = 1000
_SCHEME = "bearer "


class ProviderToken(NamedTuple):
    """A token that was once verified, and when it was signed."""

    text: str
    issued_at: float

    def is_too_soon_after(self, before: "ProviderToken") -> bool:
        """Say whether this is another token, and not signed long enough after the one before."""
        return self.text != before.text and abs(self.issued_at - before.issued_at) < _LEAST_AGE_S


class ApnsAuthError(Exception):
    """A refused provider token; the text is the reason that APNs gives."""


class ApnsKey:
    """A team's key. It lives as long as the gateway."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._verified: dict[str, float] = {}

    def document(self) -> dict[str, Any]:
        """Return team, key id and the ``.p8`` file."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return {"teamId": TEAM_ID, "keyId": KEY_ID, "privateKey": pem.decode()}

    def admit(self, authorization: bytes, before: object) -> ProviderToken:
        """Return the token of a request; ``before`` is the last one on its connection.

        Raises:
            ApnsAuthError: it is missing, wrong, over an hour old, or signed too soon after another.
        """
        header = authorization.decode("latin-1")
        if header[: len(_SCHEME)].lower() != _SCHEME:
            raise ApnsAuthError("MissingProviderToken")
        text = header[len(_SCHEME) :].strip()
        issued_at = self._verified.get(text)
        if issued_at is None:
            issued_at = self._verify(text)
        age_s = time.time() - issued_at
        if age_s > _LIFE_S:
            raise ApnsAuthError("ExpiredProviderToken")
        if age_s < -_SKEW_S:
            raise ApnsAuthError("InvalidProviderToken")
        token = ProviderToken(text, issued_at)
        if isinstance(before, ProviderToken) and token.is_too_soon_after(before):
            raise ApnsAuthError("TooManyProviderTokenUpdates")
        return token

    def _verify(self, text: str) -> float:
        try:
            if jwt.get_unverified_header(text).get("kid") != KEY_ID:
                raise ApnsAuthError("InvalidProviderToken")
            claims = jwt.decode(
                text,
                self._key.public_key(),
                algorithms=["ES256"],
                issuer=TEAM_ID,
                options={"require": ["iss", "iat"], "verify_iat": False},
            )
        except jwt.PyJWTError as error:
            raise ApnsAuthError("InvalidProviderToken") from error
        if len(self._verified) >= _KEPT:
            self._verified.clear()
        issued_at = self._verified[text] = float(claims["iat"])
        return issued_at
