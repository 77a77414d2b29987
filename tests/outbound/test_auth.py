import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache, partial

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.auth import (
    ApiKeyAuth,
    BasicAuth,
    KeyLocation,
    NoAuth,
    VendorTokens,
    authenticate,
)
from service.outbound.auth_account import FCM_SCOPE, ServiceAccountAuth, parse_service_account
from service.outbound.egress import AddressGuard
from service.outbound.shared_tokens import TokenUnavailableError
from service.outbound.transport import CallParts
from service.outbound.transport_form import FormError, ask_token
from service.sandboxes.scope import Scope
from tests.support.clocks import START, FixedClock
from tests.support.sinks import answer, running_sink
from tests.support.vendor_tokens import TokenEndpoint, nobodys_tokens, tokens_of

TOKEN_URI = "https://oauth2.googleapis.com/token"
SCOPE = Scope(1, "prod")
PARTS = CallParts("POST", "https://api.example.com/push", (("X-A", "1"),), b"{}")


@cache
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def account_file(**changed: str) -> Secret:
    pem = rsa_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    content = {
        "type": "service_account",
        "project_id": "shop-1",
        "private_key_id": "kid-1",
        "private_key": pem.decode(),
        "client_email": "sender@shop-1.iam.gserviceaccount.com",
        "token_uri": TOKEN_URI,
    }
    return Secret(json.encode_text(content | changed))


def spec(**changed: str) -> ServiceAccountAuth:
    return ServiceAccountAuth(parse_service_account(account_file(**changed)))


def bearer(tokens: VendorTokens, asked: ServiceAccountAuth) -> str:
    return tokens.bearer(asked, SCOPE).reveal()


def test_no_authentication_adds_nothing() -> None:
    assert authenticate(PARTS, NoAuth(), nobodys_tokens(), SCOPE) == PARTS


def test_basic_is_base64_of_user_and_password_in_utf8() -> None:
    parts = authenticate(
        PARTS, BasicAuth("Aladdin", Secret("open sesamé")), nobodys_tokens(), SCOPE
    )

    assert parts.headers[-1] == ("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2Ftw6k=")
    assert parts.headers[0] == ("X-A", "1")


def test_an_api_key_travels_in_its_header() -> None:
    parts = authenticate(PARTS, ApiKeyAuth("X-API-Key", Secret("k")), nobodys_tokens(), SCOPE)

    assert parts.headers == (("X-A", "1"), ("X-API-Key", "k"))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/p", "https://a.example/p?api%20key=a%26b"),
        ("https://a.example/p?x=1", "https://a.example/p?x=1&api%20key=a%26b"),
    ],
)
def test_an_api_key_travels_escaped_in_the_query(url: str, expected: str) -> None:
    key = ApiKeyAuth("api key", Secret("a&b"), KeyLocation.QUERY)

    assert (
        authenticate(CallParts("POST", url, (), b""), key, nobodys_tokens(), SCOPE).url == expected
    )


def test_the_assertion_says_who_asks_for_what_and_for_how_long() -> None:
    endpoint = TokenEndpoint()
    clock = FixedClock()
    asked = spec()

    parts = authenticate(PARTS, asked, tokens_of(endpoint, clock), SCOPE)

    ((url, fields),) = endpoint.forms
    public = rsa_key().public_key()
    whole = jwt.decode_complete(
        fields["assertion"],
        public,
        algorithms=["RS256"],
        audience=TOKEN_URI,
        options={"verify_exp": False, "verify_iat": False},
    )
    assert (url, fields["grant_type"]) == (
        TOKEN_URI,
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
    )
    assert whole["header"]["kid"] == "kid-1"
    assert whole["payload"] == {
        "iss": "sender@shop-1.iam.gserviceaccount.com",
        "scope": FCM_SCOPE,
        "aud": TOKEN_URI,
        "iat": int(START.timestamp()),
        "exp": int((START + timedelta(hours=1)).timestamp()),
    }
    assert parts.headers[-1] == ("Authorization", "Bearer token-1")


def test_a_bearer_is_got_over_http_by_the_same_road_as_every_call() -> None:
    body = b'{"access_token":"t","expires_in":3599,"token_type":"Bearer"}'
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with running_sink(answer(reply)) as sink:
        guard = AddressGuard.of("127.0.0.0/8")
        tokens = tokens_of(partial(ask_token, timeout=3, guard=guard), FixedClock())

        assert bearer(tokens, spec(token_uri=sink.url("/token"))) == "t"


@pytest.mark.parametrize(("life_s", "fresh_s"), [(3600, 3299), (3600, 0), (60, 47), (400, 319)])
def test_a_bearer_is_kept_while_it_is_fresh(life_s: int, fresh_s: int) -> None:
    clock = FixedClock()
    tokens = tokens_of(TokenEndpoint(life_s=life_s), clock)
    bearer(tokens, spec())

    clock.advance(fresh_s)

    assert bearer(tokens, spec()) == "token-1"


@pytest.mark.parametrize(("life_s", "stale_s"), [(3600, 3301), (60, 49), (400, 321)])
def test_a_bearer_is_renewed_before_it_ends(life_s: int, stale_s: int) -> None:
    clock = FixedClock()
    tokens = tokens_of(TokenEndpoint(life_s=life_s), clock)
    bearer(tokens, spec())

    clock.advance(stale_s)

    assert bearer(tokens, spec()) == "token-2"


def test_accounts_and_scopes_have_bearers_of_their_own() -> None:
    endpoint = TokenEndpoint()
    tokens = tokens_of(endpoint, FixedClock())
    other_scope = ServiceAccountAuth(spec().account, scope="other")
    asked = [spec(), spec(private_key_id="kid-2"), other_scope, spec()]

    assert [bearer(tokens, one) for one in asked] == ["token-1", "token-2", "token-3", "token-1"]


def test_many_threads_with_a_cold_cache_ask_once() -> None:
    go = threading.Event()
    endpoint = TokenEndpoint(waits_for=go)
    tokens = tokens_of(endpoint, FixedClock())
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(bearer, tokens, spec()) for _ in range(8)]
        go.set()

        assert {one.result(5) for one in asked} == {"token-1"}

    assert len(endpoint.forms) == 1


def test_while_one_renews_the_others_go_on_with_what_they_have() -> None:
    go = threading.Event()
    go.set()
    endpoint = TokenEndpoint(waits_for=go)
    clock = FixedClock()
    tokens = tokens_of(endpoint, clock)
    bearer(tokens, spec())
    clock.advance(3400)
    go.clear()
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(bearer, tokens, spec())
        until(lambda: len(endpoint.forms) == 2)

        meanwhile = bearer(tokens, spec())
        go.set()

        assert (meanwhile, renewing.result(5)) == ("token-1", "token-2")


def test_a_refused_bearer_is_forgotten_once_however_often_it_was_refused() -> None:
    endpoint = TokenEndpoint()
    tokens = tokens_of(endpoint, FixedClock())
    refused = tokens.bearer(spec(), SCOPE)

    tokens.refuse(spec(), SCOPE, refused)
    renewed = bearer(tokens, spec())
    tokens.refuse(spec(), SCOPE, refused)

    assert (renewed, bearer(tokens, spec())) == ("token-2", "token-2")


def test_a_failed_renewal_costs_nothing_while_the_old_bearer_lives() -> None:
    endpoint = TokenEndpoint()
    clock = FixedClock()
    tokens = tokens_of(endpoint, clock)
    bearer(tokens, spec())
    endpoint.trouble = FormError("away")
    clock.advance(3400)

    assert bearer(tokens, spec()) == "token-1"

    clock.advance(201)
    with pytest.raises(TokenUnavailableError) as caught:
        bearer(tokens, spec())
    assert caught.value.may_retry


def test_a_refused_account_is_not_worth_a_retry() -> None:
    endpoint = TokenEndpoint()
    endpoint.trouble = FormError("The token endpoint answered 400.", status=400, may_retry=False)

    with pytest.raises(TokenUnavailableError) as caught:
        bearer(tokens_of(endpoint, FixedClock()), spec())

    assert not caught.value.may_retry


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"access_token":"t"}', b'{"access_token":"a\\nb","expires_in":9}'],
)
def test_an_answer_without_a_usable_token_is_an_error(body: bytes) -> None:
    tokens = tokens_of(lambda _url, _fields: body, FixedClock())

    with pytest.raises(TokenUnavailableError, match="access_token"):
        bearer(tokens, spec())


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (Secret("no json"), "not JSON"),
        (Secret("[]"), "no client_email"),
        (account_file(token_uri=""), "no token_uri"),
        (account_file(private_key="-----BEGIN PRIVATE KEY-----\nzz"), "not an RSA key"),
    ],
)
def test_a_file_that_is_no_service_account_is_refused_without_showing_it(
    document: Secret, problem: str
) -> None:
    with pytest.raises(InvalidInputError, match=problem) as caught:
        parse_service_account(document)

    assert "PRIVATE" not in str(caught.value) + repr(caught.value.__cause__)


def test_no_secret_shows_in_a_repr() -> None:
    specs = [
        spec(),
        BasicAuth("u", Secret("s3cret")),
        ApiKeyAuth("X-Key", Secret("s3cret")),
        authenticate(PARTS, ApiKeyAuth("X-Key", Secret("s3cret")), nobodys_tokens(), SCOPE),
    ]

    assert "s3cret" not in repr(specs)
    assert "PRIVATE" not in repr(specs)


def until(holds: Callable[[], bool]) -> None:
    waiting = threading.Event()
    for _ in range(500):
        if holds():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not come true")
