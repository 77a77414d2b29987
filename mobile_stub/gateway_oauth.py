"""The OAuth 2.0 side of FCM: a service account and its token endpoint.

Source: https://developers.google.com/identity/protocols/oauth2/service-account (JWT bearer flow).
"""

import secrets
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES = frozenset(
    {
        "https://www.googleapis.com/auth/firebase.messaging",
        "https://www.googleapis.com/auth/cloud-platform",
    }
)
_GOOGLE_AUDIENCE = "https://oauth2.googleapis.com/token"
_LONGEST_ASSERTION_S = 3600
_CLOCK_SKEW_S = 60


class OAuthError(Exception):
    """A refused assertion: ``code`` is OAuth's error word, the text says what is wrong."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code


@dataclass(frozen=True, slots=True)
class Grant:
    """One access token; ``expires_in_s`` counts from now."""

    access_token: str
    expires_in_s: int


class ServiceAccount:
    """A service account whose key lives as long as the gateway, and the access tokens it got."""

    def __init__(self, project_id: str, url: str, token_lifetime_s: int) -> None:
        self._key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        self._key_id = secrets.token_hex(20)
        self._project_id = project_id
        self._email = f"edge-stub@{project_id}.iam.gserviceaccount.com"
        self._token_uri = f"{url}/token"
        self._lifetime_s = token_lifetime_s
        self._valid_until: dict[bytes, float] = {}

    def document(self) -> dict[str, Any]:
        """Return the service-account file, private key included; ``token_uri`` is this gateway."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        certs = "https://www.googleapis.com"
        return {
            "type": "service_account",
            "project_id": self._project_id,
            "private_key_id": self._key_id,
            "private_key": pem.decode(),
            "client_email": self._email,
            "client_id": "100000000000000000001",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": self._token_uri,
            "auth_provider_x509_cert_url": f"{certs}/oauth2/v1/certs",
            "client_x509_cert_url": f"{certs}/robot/v1/metadata/x509/{self._email}",
            "universe_domain": "googleapis.com",
        }

    def grant(self, form: bytes) -> Grant:
        """Exchange a signed assertion for an access token.

        Google's own token address is a good audience too: google-auth always names that one.

        Raises:
            OAuthError: wrong grant type, signature, key, issuer, audience, scope or life.
        """
        fields = parse_qs(form.decode("latin-1"))
        if fields.get("grant_type") != [GRANT_TYPE]:
            raise OAuthError("unsupported_grant_type", "grant_type must be jwt-bearer")
        claims = self._verified(fields.get("assertion", [""])[0])
        if not SCOPES.intersection(str(claims.get("scope", "")).split()):
            raise OAuthError("invalid_scope", "no scope that allows messaging")
        token = f"ya29.{secrets.token_urlsafe(48)}"
        self._valid_until[f"Bearer {token}".encode()] = time.monotonic() + self._lifetime_s
        return Grant(token, self._lifetime_s)

    def admits(self, authorization: bytes) -> bool:
        """Say whether the ``Authorization`` header carries a token of ours that is still valid."""
        return self._valid_until.get(authorization, 0.0) > time.monotonic()

    def forget_tokens(self) -> None:
        """Make every access token invalid at once."""
        self._valid_until.clear()

    def _verified(self, assertion: str) -> dict[str, Any]:
        try:
            if jwt.get_unverified_header(assertion).get("kid", self._key_id) != self._key_id:
                raise OAuthError("invalid_grant", "unknown key id")
            claims = jwt.decode(
                assertion,
                self._key.public_key(),
                algorithms=["RS256"],
                audience=[self._token_uri, _GOOGLE_AUDIENCE],
                issuer=self._email,
                leeway=_CLOCK_SKEW_S,
                options={"require": ["iss", "aud", "iat", "exp"]},
            )
        except jwt.PyJWTError as error:
            raise OAuthError("invalid_grant", f"Invalid JWT: {error}") from error
        if claims["exp"] - claims["iat"] > _LONGEST_ASSERTION_S:
            raise OAuthError("invalid_grant", "the assertion lives longer than an hour")
        return claims
