"""Secrets of stored actions: apart from what is shown, kept when left out, readable after years."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Keyring, Secret, new_secret_key
from service.outbound.action_auth import ActionSecrets, StoredAuth, shown_auth
from service.outbound.auth import ApiKeyAuth, BasicAuth, NoAuth
from service.outbound.auth_custom import CustomAuth
from service.outbound.auth_oauth import OAuth2Auth
from tests.outbound.test_auth_custom import ADOBES
from tests.outbound.test_auth_oauth import ASSERTION, PASSWORD, REFRESH

RING = Keyring.of([new_secret_key()])
SECRETS = ActionSecrets(RING, {"ACTION_SECRET_A": "from-outside", "ACTION_SECRET_B": "b-outside"})
OAUTH = {"type": "oauth2", **PASSWORD}
KINDS: list[dict[str, Any]] = [
    {"type": "none"},
    {"type": "basic", "username": "jo", "password": "s3cret"},
    {"type": "apiKey", "name": "X-Key", "value": "s3cret", "location": "query"},
    OAUTH,
    {"type": "oauth2", **REFRESH},
    {"type": "oauth2", **ASSERTION},
    ADOBES,
]


def nested(depth: int) -> dict[str, Any]:
    tree: dict[str, Any] = {"a": "s3cret"}
    for _ in range(depth):
        tree = {"a": tree}
    return tree


@pytest.mark.parametrize("written", KINDS, ids=lambda each: each["type"])
def test_what_is_kept_shows_no_secret_and_gives_it_back(written: dict[str, Any]) -> None:
    stored = SECRETS.store(written)

    again = SECRETS.store(shown_auth(stored), stored)

    for held in (stored, again):
        text = json.encode_text(held.auth) + repr(held)
        assert "s3cret" not in text
        assert "PRIVATE KEY" not in text
    assert SECRETS.reveal(again) == SECRETS.reveal(stored) == SECRETS.reveal(SECRETS.store(written))


def test_each_secret_is_shown_as_stored_here_or_by_its_name() -> None:
    stored = SECRETS.store({**OAUTH, "clientSecret": "env:ACTION_SECRET_A"})

    spec = SECRETS.reveal(stored)

    assert (stored.auth["clientSecret"], stored.auth["password"]) == ("env:ACTION_SECRET_A", "***")
    assert isinstance(spec, OAuth2Auth)
    assert (spec.client_secret, spec.password) == (Secret("from-outside"), Secret("pw-s3cret"))


def test_a_reference_holds_nothing_of_the_secret() -> None:
    stored = SECRETS.store({"type": "basic", "username": "jo", "password": "env:ACTION_SECRET_A"})

    assert stored.ciphertext is None


def test_one_secret_of_several_may_be_replaced() -> None:
    stored = SECRETS.store(OAUTH)
    changed = {**stored.auth, "password": "new"}
    del changed["clientSecret"]

    spec = SECRETS.reveal(SECRETS.store(changed, stored))

    assert isinstance(spec, OAuth2Auth)
    assert (spec.client_secret, spec.password) == (Secret("s3cret:1"), Secret("new"))


def test_null_takes_a_secret_away() -> None:
    stored = SECRETS.store(OAUTH)

    spec = SECRETS.reveal(SECRETS.store({**stored.auth, "clientSecret": None}, stored))

    assert isinstance(spec, OAuth2Auth)
    assert spec.client_secret is None


def test_another_grant_takes_along_only_what_it_sends() -> None:
    stored = SECRETS.store(OAUTH)
    changed = {key: OAUTH[key] for key in ("type", "tokenUrl", "clientId")}

    spec = SECRETS.reveal(SECRETS.store({**changed, "grant": "client_credentials"}, stored))

    assert isinstance(spec, OAuth2Auth)
    assert (spec.client_secret, spec.password) == (Secret("s3cret:1"), None)


def test_a_part_of_a_custom_document_may_be_replaced() -> None:
    stored = SECRETS.store(ADOBES)
    shown = json.decode(json.encode(shown_auth(stored)))
    shown["body"]["bodyParams"]["password"] = "env:ACTION_SECRET_B"

    again = SECRETS.store(shown, stored)
    spec = SECRETS.reveal(again)

    assert isinstance(spec, CustomAuth)
    assert spec.body is not None
    assert spec.headers[0] == SECRETS.reveal(stored).headers[0]  # type: ignore[union-attr]
    assert "password=b-outside" in spec.body.reveal()
    assert again.auth["headers"] == {"Authorization": "***"}


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ({"type": "basic", "username": "jo", "password": "***"}, "auth.password"),
        ({"type": "basic", "username": "jo"}, "auth.password"),
        ({"type": "basic", "username": "jo", "password": "env:HOME"}, "auth.password"),
        ({"type": "basic", "username": "jo", "password": {"a": "s3cret"}}, "auth.password"),
        ({"type": "basic", "username": "jo", "password": "x", "token": "s3cret"}, "auth.token"),
        ({**ADOBES, "headers": {"Authorization": "***"}}, "auth.headers.Authorization"),
        ({**ADOBES, "headers": {"A": "env:DATABASE_URL"}}, "auth.headers.A"),
        ({"type": "digest"}, "auth.type"),
        ({"type": {}}, "auth.type"),
        (
            {**ADOBES, "body": {"bodyType": "json", "bodyParams": nested(500)}},
            "auth.body.bodyParams",
        ),
        ("basic", "auth.type"),
    ],
)
def test_what_cannot_be_kept_is_refused_where_it_is_wrong(written: Any, at: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        SECRETS.store(written)

    assert caught.value.fields["at"] == at
    assert "s3cret" not in str(caught.value)


def test_a_secret_that_the_environment_lacks_is_refused_at_once() -> None:
    written = {"type": "basic", "username": "jo", "password": "env:ACTION_SECRET_ABSENT"}

    with pytest.raises(InvalidInputError, match="ACTION_SECRET_ABSENT"):
        SECRETS.store(written)


OLD_ROWS = [
    (
        StoredAuth({"type": "basic", "username": "jo"}, RING.encrypt(Secret("old")), None),
        BasicAuth("jo", Secret("old")),
        {"type": "basic", "username": "jo", "password": "***"},
    ),
    (
        StoredAuth({"type": "basic", "username": "jo"}, None, "env:ACTION_SECRET_A"),
        BasicAuth("jo", Secret("from-outside")),
        {"type": "basic", "username": "jo", "password": "env:ACTION_SECRET_A"},
    ),
    (
        StoredAuth(
            {"type": "apiKey", "name": "X", "location": "header"},
            RING.encrypt(Secret("old")),
            None,
        ),
        ApiKeyAuth("X", Secret("old")),
        {"type": "apiKey", "name": "X", "location": "header", "value": "***"},
    ),
    (StoredAuth({"type": "none"}, None, None), NoAuth(), {"type": "none"}),
]


@pytest.mark.parametrize(("stored", "spec", "shown"), OLD_ROWS)
def test_rows_of_before_are_read_shown_and_kept(
    stored: StoredAuth, spec: object, shown: Mapping[str, Any]
) -> None:
    again = SECRETS.store(shown_auth(stored), stored)

    assert shown_auth(stored) == shown
    assert SECRETS.reveal(stored) == SECRETS.reveal(again) == spec


TEXTS = st.text(st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1)
TREES = st.recursive(
    TEXTS | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, TREES, max_size=4))
def test_any_body_comes_back_whole_and_shows_none_of_its_texts(params: dict[str, Any]) -> None:
    params = {key: _marked(value) for key, value in params.items()}
    written = {**ADOBES, "body": {"bodyType": "json", "bodyParams": params}}

    stored = SECRETS.store(written)
    spec = SECRETS.reveal(SECRETS.store(shown_auth(stored), stored))

    assert "s3cret-" not in json.encode_text(stored.auth["body"])
    assert isinstance(spec, CustomAuth)
    assert spec.body is not None
    assert json.decode(spec.body.reveal()) == params


def _marked(value: Any) -> Any:
    if isinstance(value, str):
        return f"s3cret-{value}"
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    return [_marked(item) for item in value] if isinstance(value, list) else value
