"""A token says what was signed, and nothing else is believed."""

from dataclasses import replace
from datetime import timedelta

import jwt
import pytest

from service.access import tokens
from service.access.permissions import Permission
from service.access.signing_keys import TokenKey
from service.access.tokens import AccessToken
from service.core.errors import UnauthorizedError
from service.core.secret import Secret
from tests.support.clocks import START

ORG = "EDGEPOST@AdobeOrg"
KEY = TokenKey("k1", Secret("s" * 64))
OTHER = TokenKey("k1", Secret("t" * 64))
TOKEN = AccessToken(
    "client",
    ORG,
    frozenset({Permission.SEGMENTS_READ, Permission.COLLECT}),
    frozenset({"prod"}),
    START + timedelta(hours=1),
)


def test_a_token_is_read_as_it_was_issued() -> None:
    text = tokens.issue(TOKEN, KEY, now=START)

    assert tokens.read(text, {"k1": KEY}, org_id=ORG, now=START) == TOKEN
    assert TOKEN.may_enter("prod")
    assert not TOKEN.may_enter("dev")


def test_a_token_ends_at_its_second() -> None:
    text = tokens.issue(TOKEN, KEY, now=START)
    last = TOKEN.expires_at - timedelta(seconds=1)

    assert tokens.read(text, {"k1": KEY}, org_id=ORG, now=last) == TOKEN
    with pytest.raises(UnauthorizedError, match="expired"):
        tokens.read(text, {"k1": KEY}, org_id=ORG, now=TOKEN.expires_at)


def test_a_token_of_another_key_of_the_same_name_is_refused() -> None:
    text = tokens.issue(TOKEN, OTHER, now=START)

    with pytest.raises(UnauthorizedError):
        tokens.read(text, {"k1": KEY}, org_id=ORG, now=START)


def test_a_token_of_an_unknown_key_is_refused() -> None:
    text = tokens.issue(TOKEN, replace(KEY, kid="k2"), now=START)

    with pytest.raises(UnauthorizedError):
        tokens.read(text, {"k1": KEY}, org_id=ORG, now=START)


def test_a_token_of_another_organisation_is_refused() -> None:
    text = tokens.issue(replace(TOKEN, org_id="OTHER@AdobeOrg"), KEY, now=START)

    with pytest.raises(UnauthorizedError):
        tokens.read(text, {"k1": KEY}, org_id=ORG, now=START)


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "....", "é.é.é"])
def test_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(UnauthorizedError):
        tokens.read(text, {"k1": KEY}, org_id=ORG, now=START)


def test_an_unsigned_token_is_refused() -> None:
    claims = jwt.decode(
        tokens.issue(TOKEN, KEY, now=START),
        options={"verify_signature": False},
    )
    text = jwt.encode(claims, "", algorithm="none", headers={"kid": "k1"})

    with pytest.raises(UnauthorizedError):
        tokens.read(text, {"k1": KEY}, org_id=ORG, now=START)


@pytest.mark.parametrize("claim", ["exp", "sub", "aud", "iss", "scope", "sandboxes"])
def test_a_token_that_lacks_a_claim_is_refused(claim: str) -> None:
    claims = jwt.decode(
        tokens.issue(TOKEN, KEY, now=START),
        options={"verify_signature": False},
    )
    del claims[claim]
    text = jwt.encode(claims, KEY.secret.reveal(), algorithm="HS256", headers={"kid": "k1"})

    with pytest.raises(UnauthorizedError):
        tokens.read(text, {"k1": KEY}, org_id=ORG, now=START)
