"""OAuth 2.0: bearers from a token endpoint, by client credentials, password, refresh or assertion.

Source: RFC 6749, sections 2.3.1, 4.3, 4.4 and 6; RFC 7523, section 2.1.
"""

from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote_plus

import jwt

from service.core import json
from service.core.errors import InvalidInputError
from service.core.ids import new_key
from service.core.secret import Secret
from service.outbound.auth_fields import Fields
from service.outbound.connection_spec import ConnectionSpec
from service.outbound.shared_tokens import Minted, TokenUnavailableError
from service.outbound.token_answers import asked, form, oauth_answer
from service.outbound.transport import Headers
from service.outbound.transport_form import AskToken

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_LIFE_S = 60
"""Box takes no assertion that lives longer."""

_FIELDS = frozenset({"grant_type", "client_id", "client_secret", "assertion", "scope", "audience"})
_CLAIMS = frozenset({"iss", "sub", "aud", "iat", "exp", "jti"})


class Grant(StrEnum):
    """How a bearer is asked for."""

    CLIENT_CREDENTIALS = "client_credentials"
    PASSWORD = "password"  # noqa: S105 - the grant's name
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the grant's name
    JWT_BEARER = "jwt_bearer"


class ClientAuth(StrEnum):
    """Where the client's own credentials travel."""

    BASIC = "basic"
    BODY = "body"


class Algorithm(StrEnum):
    """What signs an assertion."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    ES256 = "ES256"
    ES384 = "ES384"
    HS256 = "HS256"


@dataclass(frozen=True, slots=True)
class Assertion:
    """What a client says of itself, signed anew for each token.

    Attributes:
        claims: More claims than those that have fields here, as JSON text.
    """

    issuer: str
    subject: str
    audience: str
    algorithm: Algorithm
    key: Secret
    key_id: str | None
    claims: str


@dataclass(frozen=True, slots=True)
class OAuth2Auth:
    """A bearer from a token endpoint.

    Attributes:
        params: Further fields of the form.
    """

    grant: Grant
    token_url: str
    client_id: str | None
    client_secret: Secret | None
    client_auth: ClientAuth
    username: str | None = None
    password: Secret | None = None
    refresh_token: Secret | None = None
    scope: str | None = None
    audience: str | None = None
    params: tuple[tuple[str, str], ...] = ()
    assertion: Assertion | None = None


def read(fields: Fields) -> OAuth2Auth:
    """Return the authentication that an author wrote, with its secrets in clear.

    Raises:
        InvalidInputError: A field is missing, unknown or wrong, or the key cannot sign.
    """
    fields.only(
        *("type", "grant", "tokenUrl", "clientId", "clientSecret", "clientAuth", "scope"),
        *("username", "password", "refreshToken", "audience", "params", "jwt"),
    )
    grant = fields.choice("grant", Grant, Grant.CLIENT_CREDENTIALS)
    _refuse_foreign(fields, grant)
    secret = fields.optional("clientSecret")
    assertion = fields.nested("jwt")
    is_assertion = grant is Grant.JWT_BEARER
    if is_assertion and assertion is None:
        raise fields.wrong("jwt", "is missing")
    spec = OAuth2Auth(
        grant=grant,
        token_url=fields.text("tokenUrl"),
        client_id=fields.optional("clientId") if is_assertion else fields.text("clientId"),
        client_secret=None if secret is None else Secret(secret),
        client_auth=fields.choice("clientAuth", ClientAuth, ClientAuth.BASIC),
        username=fields.text("username") if grant is Grant.PASSWORD else None,
        password=fields.secret("password") if grant is Grant.PASSWORD else None,
        refresh_token=fields.secret("refreshToken") if grant is Grant.REFRESH_TOKEN else None,
        scope=fields.optional("scope"),
        audience=fields.optional("audience"),
        params=fields.texts("params"),
        assertion=None if assertion is None else _assertion(assertion, fields),
    )
    if secret is None and grant is Grant.CLIENT_CREDENTIALS:
        raise fields.wrong("clientSecret", "is missing")
    for name, _ in spec.params:
        if name in _FIELDS:
            raise fields.wrong(f"params.{name}", "has a field of its own")
    return spec


def mint(
    spec: OAuth2Auth,
    ask: AskToken,
    connection: ConnectionSpec,
    *,
    now: datetime,
    successor: Secret | None = None,
) -> Minted:
    """Get a bearer; ``successor`` is the refresh token of the last answer, which replaces ours.

    Raises:
        TokenUnavailableError: There is none.
    """
    fields = _grant_fields(spec, now, successor)
    fields |= {
        name: value
        for name, value in (("scope", spec.scope), ("audience", spec.audience), *spec.params)
        if value is not None
    }
    headers = _client(spec, fields)
    got = oauth_answer(asked(ask, form(spec.token_url, fields, headers), connection))
    if spec.grant is Grant.REFRESH_TOKEN:
        return got
    return Minted(got.token, got.life_s, got.refresh_after_s)


def _grant_fields(spec: OAuth2Auth, now: datetime, successor: Secret | None) -> dict[str, str]:
    match spec.grant:
        case Grant.PASSWORD if spec.username is not None and spec.password is not None:
            pair = {"username": spec.username, "password": spec.password.reveal()}
            return {"grant_type": "password", **pair}
        case Grant.REFRESH_TOKEN if spec.refresh_token is not None:
            token = successor or spec.refresh_token
            return {"grant_type": "refresh_token", "refresh_token": token.reveal()}
        case Grant.JWT_BEARER if spec.assertion is not None:
            return {"grant_type": JWT_BEARER, "assertion": _signed(spec.assertion, now)}
        case _:
            return {"grant_type": "client_credentials"}


def _client(spec: OAuth2Auth, fields: dict[str, str]) -> Headers:
    """Add the client's credentials to the form, or return the header that holds them."""
    if spec.client_id is None:
        return ()
    if spec.client_secret is None or spec.client_auth is ClientAuth.BODY:
        fields["client_id"] = spec.client_id
        if spec.client_secret is not None:
            fields["client_secret"] = spec.client_secret.reveal()
        return ()
    pair = f"{quote_plus(spec.client_id)}:{quote_plus(spec.client_secret.reveal())}"
    return (("Authorization", f"Basic {b64encode(pair.encode()).decode()}"),)


def _signed(assertion: Assertion, now: datetime) -> str:
    issued_at = int(now.timestamp())
    claims = {
        **json.decode(assertion.claims),
        "iss": assertion.issuer,
        "sub": assertion.subject,
        "aud": assertion.audience,
        "iat": issued_at,
        "exp": issued_at + _ASSERTION_LIFE_S,
        "jti": str(new_key()),
    }
    headers = {"kid": assertion.key_id} if assertion.key_id is not None else None
    try:
        return jwt.encode(
            claims, assertion.key.reveal(), algorithm=assertion.algorithm.value, headers=headers
        )
    except (ValueError, TypeError, jwt.PyJWTError):
        # What the library says may quote the key.
        raise TokenUnavailableError(
            "The assertion cannot be signed with its key.", may_retry=False
        ) from None


def _assertion(fields: Fields, outer: Fields) -> Assertion:
    fields.only("issuer", "subject", "audience", "algorithm", "key", "keyId", "claims")
    more = fields.nested("claims")
    claims = {} if more is None else dict(more.document)
    for name in sorted(claims.keys() & _CLAIMS):
        raise fields.wrong(f"claims.{name}", "has a field of its own")
    issuer = fields.optional("issuer") or outer.text("clientId")
    found = Assertion(
        issuer=issuer,
        subject=fields.optional("subject") or issuer,
        audience=fields.optional("audience") or outer.text("tokenUrl"),
        algorithm=fields.choice("algorithm", Algorithm, Algorithm.RS256),
        key=fields.secret("key"),
        key_id=fields.optional("keyId"),
        claims=json.encode_text(claims),
    )
    try:
        jwt.encode({}, found.key.reveal(), algorithm=found.algorithm.value)
    except (ValueError, TypeError, jwt.PyJWTError):
        raise InvalidInputError(
            f"{fields.at}.key is not a private key in PEM that signs with {found.algorithm}.",
            at=f"{fields.at}.key",
        ) from None
    return found


def _refuse_foreign(fields: Fields, grant: Grant) -> None:
    """Refuse what another grant would send: its author believes that it is used."""
    own = {"password": Grant.PASSWORD, "username": Grant.PASSWORD}
    own |= {"refreshToken": Grant.REFRESH_TOKEN, "jwt": Grant.JWT_BEARER}
    for name, owner in own.items():
        if fields.document.get(name) is not None and owner is not grant:
            raise fields.wrong(name, f"belongs to the grant {owner}")
