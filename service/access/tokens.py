"""Access tokens: signed, short-lived, naming what their client may do and where."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from service.access.permissions import ALL_SANDBOXES, Permission, known
from service.access.signing_keys import TokenKey
from service.core.errors import UnauthorizedError
from service.core.ids import new_key

_ALGORITHM = "HS256"
_ISSUER = "edgepost"
_REQUIRED = ["iss", "aud", "sub", "scope", "sandboxes", "iat", "exp"]


class MalformedTokenError(UnauthorizedError):
    """The text is no access token at all."""


class ExpiredTokenError(UnauthorizedError):
    """The token was good, and its time is over."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a verified token says.

    Attributes:
        client_id: The credential it was given to; ``x-api-key`` repeats it.
        org_id: The organisation it is good for.
    """

    client_id: str
    org_id: str
    permissions: frozenset[Permission]
    sandboxes: frozenset[str]
    expires_at: datetime

    @property
    def is_for_all_sandboxes(self) -> bool:
        """Whether no sandbox is closed to it."""
        return ALL_SANDBOXES in self.sandboxes

    def may_enter(self, sandbox: str) -> bool:
        """Tell whether it is good for one sandbox."""
        return self.is_for_all_sandboxes or sandbox in self.sandboxes


def issue(token: AccessToken, key: TokenKey, *, now: datetime) -> str:
    """Return the token as a client carries it: a JWT signed with ``key`` and naming it."""
    claims: dict[str, Any] = {
        "iss": _ISSUER,
        "aud": token.org_id,
        "sub": token.client_id,
        "scope": " ".join(sorted(token.permissions)),
        "sandboxes": sorted(token.sandboxes),
        "iat": int(now.timestamp()),
        "exp": int(token.expires_at.timestamp()),
        "jti": new_key().hex,
    }
    headers = {"kid": key.kid}
    return jwt.encode(claims, key.secret.reveal(), algorithm=_ALGORITHM, headers=headers)


def kid_of(text: str) -> str:
    """Return which key a token claims to be signed with; nothing is verified yet.

    Raises:
        MalformedTokenError: The text is not a JWT or names no key.
    """
    try:
        kid = jwt.get_unverified_header(text).get("kid")
    except jwt.InvalidTokenError:
        kid = None
    if not isinstance(kid, str):
        raise MalformedTokenError("The access token is malformed.")
    return kid


def read(text: str, keys: Mapping[str, TokenKey], *, org_id: str, now: datetime) -> AccessToken:
    """Return what a token says, once its signature, organisation and end are verified.

    Raises:
        UnauthorizedError: It is malformed, altered, expired, or signed by no key of ``keys``.
    """
    key = keys.get(kid_of(text))
    if key is None:
        raise UnauthorizedError("The access token is signed by an unknown key.")
    try:
        claims = jwt.decode(
            text,
            key.secret.reveal(),
            algorithms=[_ALGORITHM],
            audience=org_id,
            issuer=_ISSUER,
            # the injected clock decides below
            options={"require": _REQUIRED, "verify_exp": False, "verify_iat": False},
        )
    except jwt.InvalidTokenError as error:
        raise UnauthorizedError("The access token is not valid.") from error
    expires_at = datetime.fromtimestamp(claims["exp"], UTC)
    if expires_at <= now:
        raise ExpiredTokenError("The access token has expired; ask for a new one.")
    return AccessToken(
        claims["sub"],
        claims["aud"],
        frozenset(known(claims["scope"].split())),
        frozenset(claims["sandboxes"]),
        expires_at,
    )


def end_of(now: datetime, life_s: int) -> datetime:
    """Return when a token that is issued now ends, in whole seconds as a JWT spells it."""
    return (now + timedelta(seconds=life_s)).replace(microsecond=0)
