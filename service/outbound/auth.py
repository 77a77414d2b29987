"""How a call proves who sends it: nothing, basic, an API key, or a service account's bearer.

Source: Journey Optimizer, custom action authentication; Google, OAuth 2.0 for server-to-server
applications (JWT bearer, RFC 7523).
"""

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Lock
from typing import Any, TypeAlias
from urllib.parse import quote

import jwt
import msgspec

from service.core import json
from service.core.clock import Clock
from service.core.errors import EdgepostError, InvalidInputError
from service.core.secret import Secret
from service.outbound.transport import CallParts, Headers
from service.outbound.transport_form import FormError

FCM_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_LIFE_S = 3600
_SPARE_S = 300
_FRESH_SHARE = 0.8

PostForm: TypeAlias = Callable[[str, dict[str, str]], bytes]
"""Posts a form to a token endpoint and returns the answer's body; raises ``FormError``."""


class KeyLocation(StrEnum):
    """Where an API key travels."""

    HEADER = "header"
    QUERY = "query"


@dataclass(frozen=True, slots=True)
class NoAuth:
    """The endpoint asks for nothing."""


@dataclass(frozen=True, slots=True)
class BasicAuth:
    """RFC 7617, in UTF-8."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class ApiKeyAuth:
    """A constant under a name of the vendor's choosing."""

    name: str
    value: Secret
    location: KeyLocation = KeyLocation.HEADER


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


AuthSpec: TypeAlias = NoAuth | BasicAuth | ApiKeyAuth | ServiceAccountAuth


class TokenUnavailableError(EdgepostError):
    """No bearer could be had, so nothing was sent.

    Attributes:
        may_retry: Whether waiting can help; else an operator must correct the account.
    """

    def __init__(self, detail: str, *, may_retry: bool) -> None:
        super().__init__(detail)
        self.may_retry = may_retry


def parse_service_account(document: Secret) -> ServiceAccount:
    """Return the account that a service-account file describes.

    Raises:
        InvalidInputError: It is not such a file, or its key is not an RSA private key.
    """
    try:
        content = json.decode(document.reveal())
        account = ServiceAccount(
            client_email=_text(content, "client_email"),
            private_key_id=_text(content, "private_key_id"),
            private_key=Secret(_text(content, "private_key")),
            token_uri=_text(content, "token_uri"),
            project_id=_text(content, "project_id"),
        )
    except msgspec.DecodeError as error:
        raise InvalidInputError("The service account is not JSON.") from error
    try:
        jwt.encode({}, account.private_key.reveal(), algorithm="RS256")
    except (ValueError, TypeError, jwt.PyJWTError):
        # What the library says may quote the key.
        raise InvalidInputError("The service account's private_key is not an RSA key.") from None
    return account


@dataclass(frozen=True, slots=True)
class _Bearer:
    header: Headers = field(repr=False)
    refresh_at: float
    expires_at: float


class ServiceAccountTokens:
    """Bearers by service account and scope, kept in this process; safe between threads.

    One request at a time goes to the token endpoint for an account. While a bearer still has life
    in it, only one caller waits for its successor; the others go on with it.
    """

    def __init__(self, post_form: PostForm, clock: Clock) -> None:
        self._post_form = post_form
        self._clock = clock
        self._lock = Lock()
        self._asking: dict[ServiceAccountAuth, Lock] = {}
        self._bearers: dict[ServiceAccountAuth, _Bearer] = {}

    def header(self, spec: ServiceAccountAuth) -> Headers:
        """Return the ``Authorization`` header; may block for as long as a form may take.

        A bearer is renewed when five minutes of its life are left, a short-lived one when a fifth
        is. If that fails while it still lives, it is used on.

        Raises:
            TokenUnavailableError: There is no bearer.
        """
        held = self._bearers.get(spec)
        now = self._clock.monotonic()
        if held is not None and now < held.refresh_at:
            return held.header
        with self._lock:
            asking = self._asking.setdefault(spec, Lock())
        is_usable = held is not None and now < held.expires_at
        if not asking.acquire(blocking=not is_usable):
            return held.header if held is not None else ()
        try:
            return self._renewed(spec, held)
        finally:
            asking.release()

    def forget(self, spec: ServiceAccountAuth, header: Headers) -> None:
        """Drop a bearer that the vendor refused, so that the next call gets a new one.

        A newer bearer than the refused one stays, so a burst of refusals causes one renewal.
        """
        with self._lock:
            held = self._bearers.get(spec)
            if held is not None and held.header == header:
                del self._bearers[spec]

    def _renewed(self, spec: ServiceAccountAuth, seen: _Bearer | None) -> Headers:
        held = self._bearers.get(spec)
        if held is not None and held is not seen:
            return held.header
        try:
            bearer = self._ask(spec.account, spec.scope)
        except TokenUnavailableError:
            if held is not None and self._clock.monotonic() < held.expires_at:
                return held.header
            raise
        with self._lock:
            self._bearers[spec] = bearer
        return bearer.header

    def _ask(self, account: ServiceAccount, scope: str) -> _Bearer:
        asked_at = self._clock.monotonic()
        fields = {"grant_type": _GRANT_TYPE, "assertion": self._assertion(account, scope)}
        try:
            answer = json.decode(self._post_form(account.token_uri, fields))
            token, life_s = str(answer["access_token"]), float(answer["expires_in"])
        except FormError as error:
            raise TokenUnavailableError(error.detail, may_retry=error.may_retry) from error
        except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
            raise TokenUnavailableError(
                "The token endpoint's answer holds no access_token.", may_retry=True
            ) from error
        if not (token.isascii() and token.isprintable()):
            raise TokenUnavailableError(
                "The token endpoint's access_token cannot stand in a header.", may_retry=False
            )
        return _Bearer(
            header=(("Authorization", f"Bearer {token}"),),
            refresh_at=asked_at + max(_FRESH_SHARE * life_s, life_s - _SPARE_S),
            expires_at=asked_at + life_s,
        )

    def _assertion(self, account: ServiceAccount, scope: str) -> str:
        issued_at = int(self._clock.now().timestamp())
        claims = {
            "iss": account.client_email,
            "scope": scope,
            "aud": account.token_uri,
            "iat": issued_at,
            "exp": issued_at + _ASSERTION_LIFE_S,
        }
        key = account.private_key.reveal()
        return jwt.encode(claims, key, algorithm="RS256", headers={"kid": account.private_key_id})


def authenticate(parts: CallParts, spec: AuthSpec, tokens: ServiceAccountTokens) -> CallParts:
    """Return the parts with the proof added; blocks only when a bearer must be got.

    Raises:
        TokenUnavailableError: No bearer could be had.
    """
    match spec:
        case NoAuth():
            return parts
        case BasicAuth(username, password):
            pair = b64encode(f"{username}:{password.reveal()}".encode()).decode()
            return parts.with_headers((("Authorization", f"Basic {pair}"),))
        case ApiKeyAuth():
            return _with_key(parts, spec)
        case ServiceAccountAuth():
            return parts.with_headers(tokens.header(spec))


def _with_key(parts: CallParts, spec: ApiKeyAuth) -> CallParts:
    value = spec.value.reveal()
    if spec.location is KeyLocation.HEADER:
        return parts.with_headers(((spec.name, value),))
    mark = "&" if "?" in parts.url else "?"
    query = f"{quote(spec.name, safe='')}={quote(value, safe='')}"
    return replace(parts, url=f"{parts.url}{mark}{query}")


def _text(content: Any, name: str) -> str:
    value = content.get(name) if isinstance(content, dict) else None
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f"The service account has no {name}.", missing=name)
    return value
