"""Service accounts: bearers for Google's APIs, got with an assertion that the account signs.

Source: Google, OAuth 2.0 for server-to-server applications (JWT bearer, RFC 7523).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
import msgspec

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.connection_spec import ConnectionSpec
from service.outbound.shared_tokens import Minted, TokenUnavailableError
from service.outbound.token_answers import asked, decoded, form, minted
from service.outbound.transport_form import AskToken

FCM_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_LIFE_S = 3600


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What a Google service-account file says."""

    client_email: str
    private_key_id: str
    private_key: Secret
    token_uri: str
    project_id: str


@dataclass(frozen=True, slots=True)
class ServiceAccountAuth:
    """A bearer got for a service account, good for about an hour."""

    account: ServiceAccount
    scope: str = FCM_SCOPE


def parse_service_account(document: Secret) -> ServiceAccount:
    """Return the account that a service-account file describes.

    Raises:
        InvalidInputError: It is not such a file, or its key is not an RSA private key.
    """
    try:
        content = json.decode(document.reveal())
    except msgspec.DecodeError:
        # What the decoder says may quote the file.
        raise InvalidInputError("The service account is not JSON.") from None
    account = ServiceAccount(
        client_email=_text(content, "client_email"),
        private_key_id=_text(content, "private_key_id"),
        private_key=Secret(_text(content, "private_key")),
        token_uri=_text(content, "token_uri"),
        project_id=_text(content, "project_id"),
    )
    try:
        jwt.encode({}, account.private_key.reveal(), algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        # What the library says may quote the key.
        raise InvalidInputError("The service account's private_key is not an RSA key.") from None
    return account


def mint(
    spec: ServiceAccountAuth, ask: AskToken, connection: ConnectionSpec, *, now: datetime
) -> Minted:
    """Get a bearer for an account.

    Raises:
        TokenUnavailableError: There is none.
    """
    account = spec.account
    fields = {"grant_type": JWT_BEARER, "assertion": _assertion(account, spec.scope, now)}
    answer = decoded(asked(ask, form(account.token_uri, fields), connection))
    if not isinstance(answer, dict) or not {"access_token", "expires_in"} <= answer.keys():
        raise TokenUnavailableError(
            "The token endpoint's answer holds no access_token with its expires_in.", may_retry=True
        )
    return minted(answer["access_token"], answer["expires_in"])


def _assertion(account: ServiceAccount, scope: str, now: datetime) -> str:
    issued_at = int(now.timestamp())
    claims = {
        "iss": account.client_email,
        "scope": scope,
        "aud": account.token_uri,
        "iat": issued_at,
        "exp": issued_at + _ASSERTION_LIFE_S,
    }
    key = account.private_key.reveal()
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": account.private_key_id})


def _text(content: Any, name: str) -> str:
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f"The service account has no {name}.", missing=name)
    return value
