"""Journey Optimizer's custom authentication: its document, its request, its answer, its secrets."""

from base64 import b64encode
from typing import Any

import pytest

from service.core import json
from service.core.errors import InvalidInputError
from service.outbound.auth import authenticate, refused
from service.outbound.auth_custom import CustomAuth, read, secret_paths
from service.outbound.auth_fields import Fields
from service.outbound.shared_tokens import TokenUnavailableError
from service.outbound.transport import CallParts
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.vendor_tokens import TokenEndpoint, form_of, tokens_of

SCOPE = Scope(1, "prod")
PARTS = CallParts("POST", "https://api.example.com/push?x=1", (("X-A", "1"),), b"{}")
# The example of Adobe's page, whole.
ADOBES: dict[str, Any] = {
    "type": "customAuthorization",
    "authorizationType": "Bearer",
    "endpoint": "https://localhost.example/epsilon/oauth2/access_token",
    "method": "POST",
    "headers": {"Authorization": "Basic EncodeBase64(epsilon-id:s3cret)"},
    "body": {
        "bodyType": "form",
        "bodyParams": {
            "scope": "cn mail givenname uid employeeNumber",
            "grant_type": "password",
            "username": "epsilon user",
            "password": "pw-s3cret",
        },
    },
    "tokenInResponse": "json://access_token",
    "cacheDuration": {"expiryInResponse": "json://expires_in", "timeUnit": "seconds"},
}


def spec(**changed: Any) -> CustomAuth:
    document = {**ADOBES, **changed}
    return read(Fields({k: v for k, v in document.items() if v is not None}, "auth"))


def test_the_published_example_asks_as_its_page_says() -> None:
    endpoint = TokenEndpoint(life_s=100)

    parts = authenticate(PARTS, spec(), tokens_of(endpoint, FixedClock()), SCOPE)

    ((request, _),) = endpoint.asked
    pair = b64encode(b"epsilon-id:s3cret").decode()
    assert (request.method, request.url) == ("POST", ADOBES["endpoint"])
    assert request.headers == (
        ("Authorization", f"Basic {pair}"),
        ("Content-Type", "application/x-www-form-urlencoded"),
    )
    assert form_of(request) == ADOBES["body"]["bodyParams"]
    assert parts.headers[-1] == ("Authorization", "Bearer token-1")


def test_a_json_body_may_be_nested() -> None:
    params = {"client": {"id": "a", "secrets": ["x", "EncodeBase64(y)"]}, "days": 3, "on": True}
    endpoint = TokenEndpoint()

    asked = spec(body={"bodyType": "json", "bodyParams": params})
    tokens_of(endpoint, FixedClock()).bearer(asked, SCOPE)

    ((request, _),) = endpoint.asked
    assert dict(request.headers)["Content-Type"] == "application/json"
    assert json.decode(request.body) == {
        "client": {"id": "a", "secrets": ["x", "eQ=="]},
        "days": 3,
        "on": True,
    }


@pytest.mark.parametrize(
    ("placement", "target", "url", "header"),
    [
        ("bearer", None, PARTS.url, ("Authorization", "Bearer a b+c")),
        ("header", "x-auth-token", PARTS.url, ("x-auth-token", "a b+c")),
        ("queryParam", "access token", f"{PARTS.url}&access%20token=a%20b%2Bc", ("X-A", "1")),
    ],
)
def test_the_token_travels_where_the_document_says(
    placement: str, target: str | None, url: str, header: tuple[str, str]
) -> None:
    endpoint = TokenEndpoint()
    endpoint.answer = b" a b+c\n"
    asked = spec(
        authorizationType=placement,
        tokenTarget=target,
        tokenInResponse="response",
        cacheDuration=None,
    )
    tokens = tokens_of(endpoint, FixedClock())

    parts = authenticate(PARTS, asked, tokens, SCOPE)
    refused(parts, asked, tokens, SCOPE)
    authenticate(PARTS, asked, tokens, SCOPE)

    assert (parts.url, parts.headers[-1]) == (url, header)
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("json://token", b'{"token":"t"}'),
        ("json://a.b.c", b'{"a":{"b":{"c":"t"}}}'),
        ("json://a[1].b[0]", b'{"a":[{},{"b":["t"]}]}'),
        ("json://with-dash.x_y", b'{"with-dash":{"x_y":"t"}}'),
    ],
)
def test_a_token_is_found_by_its_path(path: str, answer: bytes) -> None:
    endpoint = TokenEndpoint()
    endpoint.answer = answer
    asked = spec(tokenInResponse=path, cacheDuration=None)

    assert tokens_of(endpoint, FixedClock()).bearer(asked, SCOPE).reveal() == "t"


@pytest.mark.parametrize(
    "answer", [b"", b"t", b"[]", b'{"access_token":null}', b'{"access_token":{"a":"b"}}']
)
def test_an_answer_without_the_token_is_an_error_that_quotes_nothing(answer: bytes) -> None:
    endpoint = TokenEndpoint()
    endpoint.answer = answer

    with pytest.raises(TokenUnavailableError, match="no text at access_token"):
        tokens_of(endpoint, FixedClock()).bearer(spec(), SCOPE)


@pytest.mark.parametrize(
    ("cache", "life_s"),
    [
        (None, 3540),
        ({"duration": 5, "timeUnit": "minutes"}, 300),
        ({"duration": 1500, "timeUnit": "milliseconds"}, 1.5),
        ({"duration": 2, "timeUnit": "hours"}, 7200),
        ({"duration": 1, "timeUnit": "months"}, 2_592_000),
        ({"expiryInResponse": "json://life", "timeUnit": "minutes"}, 180),
    ],
)
def test_a_token_is_kept_as_long_as_the_document_says(
    cache: dict[str, Any] | None, life_s: float
) -> None:
    endpoint, clock = TokenEndpoint(), FixedClock()
    endpoint.answer = {"life": 3}
    tokens = tokens_of(endpoint, clock)
    asked = spec(cacheDuration=cache)
    tokens.bearer(asked, SCOPE)

    clock.advance(max(0.8 * life_s, life_s - 300) - 0.01)
    kept = tokens.bearer(asked, SCOPE).reveal()
    clock.advance(0.02)

    assert (kept, tokens.bearer(asked, SCOPE).reveal()) == ("token-1", "token-2")


@pytest.mark.parametrize(
    ("changed", "at"),
    [
        ({"endpoint": None}, "auth.endpoint"),
        ({"method": "PUT"}, "auth.method"),
        ({"body": None}, "auth.body"),
        ({"method": "GET"}, "auth.body"),
        ({"headers": {"X A": "s3cret"}}, "auth.headers.'X A'"),
        ({"headers": {"X-A": "s3cret\r\nX-B: y"}}, "auth.headers.'X-A'"),
        ({"headers": ["s3cret"]}, "auth.headers"),
        ({"body": {"bodyType": "xml", "bodyParams": {}}}, "auth.body.bodyType"),
        ({"body": {"bodyType": "form"}}, "auth.body.bodyParams"),
        ({"body": {"bodyType": "form", "bodyParams": {"a": {"b": "c"}}}}, "auth.body.bodyParams.a"),
        ({"tokenInResponse": "access_token"}, "auth.tokenInResponse"),
        ({"tokenInResponse": "json://"}, "auth.tokenInResponse"),
        ({"tokenInResponse": "json://a..b"}, "auth.tokenInResponse"),
        ({"cacheDuration": {"timeUnit": "hours"}}, "auth.cacheDuration"),
        ({"cacheDuration": {"duration": 5}}, "auth.cacheDuration.timeUnit"),
        ({"cacheDuration": {"duration": -1, "timeUnit": "hours"}}, "auth.cacheDuration.duration"),
        ({"cacheDuration": {"duration": 1, "timeUnit": "weeks"}}, "auth.cacheDuration.timeUnit"),
        ({"authorizationType": "cookie"}, "auth.authorizationType"),
        ({"authorizationType": "header"}, "auth.tokenTarget"),
        ({"authorizationType": "header", "tokenTarget": "a b"}, "auth.tokenTarget"),
        ({"tokenTarget": "x"}, "auth.tokenTarget"),
        ({"colour": "red"}, "auth.colour"),
    ],
)
def test_a_document_that_could_not_work_is_refused_where_it_is_wrong(
    changed: dict[str, Any], at: str
) -> None:
    with pytest.raises(InvalidInputError) as caught:
        spec(**changed)

    assert caught.value.fields["at"] == at
    assert "s3cret" not in str(caught.value)


def test_every_header_and_every_text_of_the_body_is_a_secret() -> None:
    params = {"a": "x", "b": [{"c": "y"}, 1], "d": 2}
    document = {**ADOBES, "body": {"bodyType": "json", "bodyParams": params}}

    assert secret_paths(document) == [
        ("headers", "Authorization"),
        ("body", "bodyParams", "a"),
        ("body", "bodyParams", "b", 0, "c"),
    ]


def test_no_secret_shows_in_a_repr() -> None:
    assert "s3cret" not in repr(spec())
    assert b64encode(b"epsilon-id:s3cret").decode() not in repr(spec())
