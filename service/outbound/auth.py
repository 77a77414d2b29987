"""How a call proves who sends it: nothing, a constant, or a token that is got or signed for it.

Source: Journey Optimizer, custom action authentication; service/decisions/0022-vendor-tokens.md.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import parse_qs, quote, urlsplit
from uuid import UUID

from service.core import json
from service.core.clock import Clock
from service.core.ids import derived_key
from service.core.secret import Secret
from service.outbound import auth_account, auth_apns, auth_custom, auth_oauth, auth_vapid
from service.outbound.auth_account import ServiceAccountAuth
from service.outbound.auth_apns import ApnsKeyAuth
from service.outbound.auth_aws import AwsKeyAuth
from service.outbound.auth_custom import CustomAuth, Placement
from service.outbound.auth_oauth import OAuth2Auth
from service.outbound.auth_vapid import VapidAuth
from service.outbound.connection_spec import DIRECT, ConnectionSpec
from service.outbound.egress import AddressGuard, Resolver
from service.outbound.shared_tokens import Minted, SharedTokens
from service.outbound.transport import CallParts
from service.outbound.transport_form import AskToken
from service.sandboxes.scope import Scope

_MOST_KEYS = 4096
_BEARER = "Bearer "


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


FetchedAuth: TypeAlias = ServiceAccountAuth | OAuth2Auth | CustomAuth
"""What is asked for at a token endpoint; a vendor's 401 is worth one fresh token."""

AuthSpec: TypeAlias = (
    NoAuth | BasicAuth | ApiKeyAuth | ApnsKeyAuth | VapidAuth | AwsKeyAuth | FetchedAuth
)

Fingerprint: TypeAlias = Callable[[Secret], str]
"""Tells secrets apart without saying anything about them."""


class VendorTokens:
    """The tokens that proofs are made with, by sandbox and credential.

    Attributes:
        shared: Where they are kept; also for what is signed here instead of fetched.
        clock: What tokens are signed by.
    """

    def __init__(
        self, shared: SharedTokens, ask: AskToken, clock: Clock, fingerprint: Fingerprint
    ) -> None:
        self.shared = shared
        self.clock = clock
        self._ask = ask
        self._fingerprint = fingerprint
        self._keys: dict[FetchedAuth, UUID] = {}

    def bearer(
        self,
        spec: FetchedAuth,
        scope: Scope,
        connection: ConnectionSpec = DIRECT,
        *,
        afresh: bool = False,
    ) -> Secret:
        """Return a token that lives; blocks only when one must be got.

        Raises:
            TokenUnavailableError: No token could be had.
        """
        key = self._key_of(spec)
        mint = partial(self._mint, spec, scope, key, connection)
        return self.shared.bearer(scope, key, mint, afresh=afresh)

    def refuse(self, spec: FetchedAuth, scope: Scope, token: Secret) -> None:
        """Take note that the vendor refused a token, so that the next call gets another."""
        self.shared.refuse(scope, self._key_of(spec), token)

    def _key_of(self, spec: FetchedAuth) -> UUID:
        key = self._keys.get(spec)
        if key is None:
            spelled = Secret(json.encode_text(_spelled(spec)))
            key = derived_key("vendor-token", self._fingerprint(spelled))
            self._keys = {**self._keys, spec: key} if len(self._keys) < _MOST_KEYS else {spec: key}
        return key

    def _mint(
        self, spec: FetchedAuth, scope: Scope, key: UUID, connection: ConnectionSpec
    ) -> Minted:
        now = self.clock.now()
        match spec:
            case ServiceAccountAuth():
                return auth_account.mint(spec, self._ask, connection, now=now)
            case OAuth2Auth():
                is_refreshed = spec.refresh_token is not None
                successor = self.shared.successor(scope, key) if is_refreshed else None
                return auth_oauth.mint(spec, self._ask, connection, now=now, successor=successor)
            case CustomAuth():
                return auth_custom.mint(spec, self._ask, connection)


def authenticate(
    parts: CallParts,
    spec: AuthSpec,
    tokens: VendorTokens,
    scope: Scope,
    connection: ConnectionSpec = DIRECT,
) -> CallParts:
    """Return the parts with the proof added; blocks only when a token must be got.

    Args:
        parts: The request as the adapter rendered it.
        spec: The action's authentication.
        tokens: This process's tokens.
        scope: The sandbox, which has tokens of its own.
        connection: How the action connects; its token endpoint is reached the same way.

    Raises:
        TokenUnavailableError: No token could be had.
    """
    match spec:
        case NoAuth() | AwsKeyAuth():  # a key of AWS signs the whole call of a sink
            return parts
        case BasicAuth(username, password):
            pair = b64encode(f"{username}:{password.reveal()}".encode()).decode()
            return parts.with_headers((("Authorization", f"Basic {pair}"),))
        case ApiKeyAuth():
            return _with_key(parts, spec)
        case ApnsKeyAuth():
            return parts.with_headers(auth_apns.headers(spec, tokens.shared, scope, tokens.clock))
        case VapidAuth():
            proof = auth_vapid.headers(spec, parts.url, tokens.shared, scope, tokens.clock)
            return parts.with_headers(proof)
        case CustomAuth():
            return spec.applied(parts, tokens.bearer(spec, scope, connection))
        case ServiceAccountAuth() | OAuth2Auth():
            token = tokens.bearer(spec, scope, connection).reveal()
            return parts.with_headers((("Authorization", f"{_BEARER}{token}"),))


def make_ready(
    spec: AuthSpec, tokens: VendorTokens, scope: Scope, connection: ConnectionSpec = DIRECT
) -> None:
    """Get the token that calls will need, if they need one, before anything waits for it.

    Raises:
        TokenUnavailableError: No token could be had.
    """
    if isinstance(spec, FetchedAuth):
        tokens.bearer(spec, scope, connection)
    elif isinstance(spec, ApnsKeyAuth):
        auth_apns.headers(spec, tokens.shared, scope, tokens.clock)


def renew(
    spec: AuthSpec, tokens: VendorTokens, scope: Scope, connection: ConnectionSpec = DIRECT
) -> str:
    """Get a token whatever there is, and say that it came; empty for what needs none.

    Raises:
        TokenUnavailableError: No token could be had.
    """
    if isinstance(spec, FetchedAuth):
        tokens.bearer(spec, scope, connection, afresh=True)
        return "The token endpoint gave a token, which is kept for the calls that follow."
    if is_constant(spec):
        return ""
    # How often a vendor bears a newly signed token is the vendor's to say.
    make_ready(spec, tokens, scope, connection)
    return "The key signs; whether the vendor takes it, the first call tells."


def is_constant(spec: AuthSpec) -> bool:
    """Tell whether a proof is sent as it is stored, and no token is needed."""
    return isinstance(spec, NoAuth | BasicAuth | ApiKeyAuth)


def refused(parts: CallParts, spec: AuthSpec, tokens: VendorTokens, scope: Scope) -> bool:
    """Take note that a vendor refused a request's proof; tell whether another can be had."""
    if isinstance(spec, ApnsKeyAuth):
        auth_apns.refused(parts, spec, tokens.shared, scope)
        return True
    if isinstance(spec, VapidAuth):
        auth_vapid.refused(parts, spec, tokens.shared, scope)
        return True
    if not isinstance(spec, FetchedAuth):
        return False
    token = _token_in(parts, spec)
    if token is not None:
        tokens.refuse(spec, scope, token)
    return True


def check_urls(spec: AuthSpec, guard: AddressGuard, resolve: Resolver | None = None) -> None:
    """Refuse at save time a token endpoint that may not be called.

    Raises:
        InvalidInputError: As ``AddressGuard.check_url``.
    """
    match spec:
        case ServiceAccountAuth(account):
            guard.check_url(account.token_uri, resolve)
        case OAuth2Auth():
            guard.check_url(spec.token_url, resolve)
        case CustomAuth():
            guard.check_url(spec.endpoint, resolve)
        case _:
            pass


def _with_key(parts: CallParts, spec: ApiKeyAuth) -> CallParts:
    value = spec.value.reveal()
    if spec.location is KeyLocation.HEADER:
        return parts.with_headers(((spec.name, value),))
    mark = "&" if "?" in parts.url else "?"
    query = f"{quote(spec.name, safe='')}={quote(value, safe='')}"
    return replace(parts, url=f"{parts.url}{mark}{query}")


def _token_in(parts: CallParts, spec: FetchedAuth) -> Secret | None:
    """Return the token that a request was sent with."""
    name = spec.target if isinstance(spec, CustomAuth) else "Authorization"
    if isinstance(spec, CustomAuth) and spec.placement is Placement.QUERY:
        values = parse_qs(urlsplit(parts.url).query).get(name)
    else:
        values = [value for key, value in parts.headers if key == name]
    return Secret(values[-1].removeprefix(_BEARER)) if values else None


def _spelled(value: Any) -> Any:
    """Return everything that makes a credential what it is, as JSON."""
    if isinstance(value, Secret):
        return value.reveal()
    if is_dataclass(value):
        inside = [_spelled(getattr(value, each.name)) for each in fields(value)]
        return [type(value).__name__, *inside]
    if isinstance(value, tuple):
        return [_spelled(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _spelled(item) for key, item in value.items()}
    return value
