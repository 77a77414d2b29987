"""OAuth 2.0: what each grant asks for, how answers are read, and that no secret shows."""

from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.auth import NoAuth, authenticate, refused
from service.outbound.auth_fields import Fields
from service.outbound.auth_oauth import OAuth2Auth, read
from service.outbound.connection_spec import ConnectionSpec
from service.outbound.shared_tokens import TokenUnavailableError
from service.outbound.token_answers import oauth_answer
from service.outbound.transport import CallParts
from service.outbound.transport_form import FormError
from service.sandboxes.scope import Scope
from tests.support.clocks import START, FixedClock
from tests.support.vendor_tokens import MemoryTokenStore, TokenEndpoint, form_of, tokens_of

SCOPE = Scope(1, "prod")
URL = "https://idp.example/token"
PARTS = CallParts("POST", "https://api.example.com/push", (), b"{}")
KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
CLIENT = {"tokenUrl": URL, "clientId": "shop", "clientSecret": "s3cret:1"}
PASSWORD = {**CLIENT, "grant": "password", "username": "jo", "password": "pw-s3cret"}
REFRESH = {**CLIENT, "grant": "refresh_token", "refreshToken": "refresh-s3cret"}
ASSERTION: dict[str, Any] = {
    "tokenUrl": URL,
    "grant": "jwt_bearer",
    "jwt": {
        "issuer": "shop",
        "subject": "jo",
        "audience": "https://idp.example",
        "algorithm": "ES256",
        "key": PEM,
        "keyId": "kid-1",
        "claims": {"box_sub_type": "enterprise"},
    },
}


def spec(written: Mapping[str, Any]) -> OAuth2Auth:
    return read(Fields({"type": "oauth2", **written}, "auth"))


def asked_with(written: Mapping[str, Any]) -> CallParts:
    endpoint = TokenEndpoint()

    parts = authenticate(PARTS, spec(written), tokens_of(endpoint, FixedClock()), SCOPE)

    assert parts.headers == (("Authorization", "Bearer token-1"),)
    ((request, _),) = endpoint.asked
    return request


def test_client_credentials_travel_in_the_header_that_the_standard_says() -> None:
    request = asked_with({**CLIENT, "scope": "push send", "audience": "api", "params": {"a": "b"}})

    header = dict(request.headers)["Authorization"].removeprefix("Basic ")
    assert (request.method, request.url) == ("POST", URL)
    assert b64decode(header) == b"shop:s3cret%3A1"
    assert form_of(request) == {
        "grant_type": "client_credentials",
        "scope": "push send",
        "audience": "api",
        "a": "b",
    }


def test_client_credentials_may_travel_in_the_form() -> None:
    request = asked_with({**CLIENT, "clientAuth": "body"})

    assert "Authorization" not in dict(request.headers)
    assert form_of(request) == {
        "grant_type": "client_credentials",
        "client_id": "shop",
        "client_secret": "s3cret:1",
    }


def test_a_password_is_asked_for_with_a_password() -> None:
    assert form_of(asked_with(PASSWORD)) == {
        "grant_type": "password",
        "username": "jo",
        "password": "pw-s3cret",
    }


def test_a_client_without_a_secret_names_itself_in_the_form() -> None:
    form = form_of(asked_with({key: PASSWORD[key] for key in PASSWORD if key != "clientSecret"}))

    assert form["client_id"] == "shop"


def test_an_assertion_says_who_asks_and_lives_for_a_minute() -> None:
    form = form_of(asked_with(ASSERTION))

    whole = jwt.decode_complete(
        form["assertion"],
        KEY.public_key(),
        algorithms=["ES256"],
        audience="https://idp.example",
        options={"verify_exp": False, "verify_iat": False},
    )
    claims = whole["payload"]
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert whole["header"]["kid"] == "kid-1"
    assert (claims["iss"], claims["sub"], claims["box_sub_type"]) == ("shop", "jo", "enterprise")
    assert (claims["iat"], claims["exp"] - claims["iat"]) == (int(START.timestamp()), 60)
    assert claims["jti"]


def test_a_refresh_token_is_used_until_the_vendor_gives_another() -> None:
    endpoint, clock = TokenEndpoint(), FixedClock()
    store = MemoryTokenStore(clock)
    endpoint.answer = {"refresh_token": "refresh-2"}
    tokens = tokens_of(endpoint, clock, store)
    tokens.bearer(spec(REFRESH), SCOPE)
    clock.advance(3600)
    endpoint.answer = None
    tokens.bearer(spec(REFRESH), SCOPE)
    clock.advance(3600)
    tokens.bearer(spec(REFRESH), SCOPE)

    sent = [form["refresh_token"] for _, form in endpoint.forms]
    assert sent == ["refresh-s3cret", "refresh-2", "refresh-2"]


def test_a_changed_secret_is_another_token() -> None:
    endpoint = TokenEndpoint()
    tokens = tokens_of(endpoint, FixedClock())
    asked = [CLIENT, {**CLIENT, "clientSecret": "new"}, {**CLIENT, "scope": "other"}, CLIENT]

    got = [tokens.bearer(spec(each), SCOPE).reveal() for each in asked]

    assert got == ["token-1", "token-2", "token-3", "token-1"]


def test_the_token_endpoint_is_reached_as_the_action_is() -> None:
    endpoint = TokenEndpoint()
    connection = ConnectionSpec(proxy=Secret("http://proxy.example:8080"))

    tokens_of(endpoint, FixedClock()).bearer(spec(CLIENT), SCOPE, connection)

    assert endpoint.asked[0][1] == connection


def test_a_refused_token_is_worth_one_more_and_a_constant_is_not() -> None:
    endpoint = TokenEndpoint()
    tokens = tokens_of(endpoint, FixedClock())
    sent = authenticate(PARTS, spec(CLIENT), tokens, SCOPE)

    is_worth = [refused(sent, spec(CLIENT), tokens, SCOPE), refused(PARTS, NoAuth(), tokens, SCOPE)]
    again = authenticate(PARTS, spec(CLIENT), tokens, SCOPE)

    assert is_worth == [True, False]
    assert again.headers == (("Authorization", "Bearer token-2"),)


@pytest.mark.parametrize(
    ("answer", "life_s"),
    [
        (b'{"access_token":"t"}', 3540),
        (b'{"access_token":"t","expires_in":60}', 60),
        (b'{"access_token":"t","expires_in":"3599"}', 3599),
        (b'{"access_token":"t","expires_in":null}', 3540),
        (b'{"access_token":"t","expires_in":1e12}', 366 * 86_400),
    ],
)
def test_a_token_lives_as_long_as_its_answer_says(answer: bytes, life_s: float) -> None:
    assert oauth_answer(answer).life_s == life_s


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"access_token":7}',
        b'{"access_token":""}',
        b'{"access_token":"a\\nb"}',
        b'{"access_token":"t","expires_in":0}',
        b'{"access_token":"t","expires_in":-5}',
        b'{"access_token":"t","expires_in":true}',
        b'{"access_token":"t","expires_in":"soon"}',
        b'{"access_token":"' + b"x" * 20_000 + b'"}',
    ],
)
def test_an_answer_without_a_usable_token_is_an_error(answer: bytes) -> None:
    with pytest.raises(TokenUnavailableError, match="access_token"):
        oauth_answer(answer)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"error":"invalid_client"}', "answered 401 with invalid_client."),
        (b'{"error":"s3cret:1"}', "answered 401."),
        (b"s3cret:1", "answered 401."),
    ],
)
def test_a_refusal_tells_the_standards_code_and_nothing_that_was_echoed(
    body: bytes, says: str
) -> None:
    endpoint = TokenEndpoint()
    endpoint.trouble = FormError(
        "The token endpoint answered 401.", status=401, may_retry=False, body=body
    )

    with pytest.raises(TokenUnavailableError) as caught:
        tokens_of(endpoint, FixedClock()).bearer(spec(CLIENT), SCOPE)

    assert caught.value.detail.endswith(says)
    assert "s3cret" not in repr(caught.value) + str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ({**CLIENT, "tokenUrl": None}, "auth.tokenUrl"),
        ({**CLIENT, "clientSecret": None}, "auth.clientSecret"),
        ({**CLIENT, "clientId": 7}, "auth.clientId"),
        ({**CLIENT, "grant": "implicit"}, "auth.grant"),
        ({**CLIENT, "clientAuth": "cookie"}, "auth.clientAuth"),
        ({**CLIENT, "colour": "red"}, "auth.colour"),
        ({**CLIENT, "params": {"client_id": "x"}}, "auth.params.client_id"),
        ({**CLIENT, "params": {"a": 1}}, "auth.params.a"),
        ({**CLIENT, "password": "x"}, "auth.password"),
        ({**CLIENT, "refreshToken": "x"}, "auth.refreshToken"),
        ({**CLIENT, "grant": "password", "password": "x"}, "auth.username"),
        ({**CLIENT, "grant": "refresh_token"}, "auth.refreshToken"),
        ({**CLIENT, "grant": "jwt_bearer"}, "auth.jwt"),
        ({**ASSERTION, "jwt": {**ASSERTION["jwt"], "key": "-----BEGIN s3cret"}}, "auth.jwt.key"),
        ({**ASSERTION, "jwt": {**ASSERTION["jwt"], "algorithm": "RS256"}}, "auth.jwt.key"),
        ({**ASSERTION, "jwt": {**ASSERTION["jwt"], "algorithm": "none"}}, "auth.jwt.algorithm"),
        ({**ASSERTION, "jwt": {**ASSERTION["jwt"], "claims": {"exp": 9}}}, "auth.jwt.claims.exp"),
    ],
)
def test_what_could_not_be_asked_for_is_refused_where_it_is_wrong(
    written: Mapping[str, Any], at: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        spec(written)

    assert caught.value.fields["at"] == at
    assert "s3cret" not in str(caught.value)


def test_no_secret_shows_in_a_repr() -> None:
    shown = repr([spec(each) for each in (CLIENT, PASSWORD, REFRESH, ASSERTION)])

    assert "s3cret" not in shown
    assert "PRIVATE" not in shown
