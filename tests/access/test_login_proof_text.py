"""A proof counts for its device and its moment, and only as its one key signed it."""

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.login_proofs import (
    LEEWAY_S,
    MAX_LENGTH,
    MAX_LIFE_S,
    Flaw,
    FlawedProofError,
    LoginClaims,
    flaw_of,
    read_claims,
    read_header,
)
from service.core.secret import Secret
from tests.support.clocks import START
from tests.support.login_proofs import EC, ED, RSA, SECRET, SIGNING, pem_of, proof

ECID = "41861666193140161934276845651148876988"
OTHER = "51861666193140161934276845651148876989"
CHECKING: dict[str, Any] = {
    "HS256": Secret(SECRET),
    "RS256": RSA.public_key(),
    "ES256": EC.public_key(),
    "EdDSA": ED.public_key(),
}


def claims(**changes: Any) -> LoginClaims:
    begins = START.timestamp()
    said = {"sub": "c-1", "ecid": ECID, "iat": begins, "exp": begins + 300, **changes}
    return LoginClaims(**said)


def flaw(said: LoginClaims, *, after_s: float = 0, **changes: Any) -> Flaw | None:
    asked = {"audience": None, "ecid": ECID, "now": START + timedelta(seconds=after_s), **changes}
    return flaw_of(said, **asked)


def flaw_of_text(text: str, key: Any = CHECKING["HS256"], algorithm: str = "HS256") -> Flaw:
    with pytest.raises(FlawedProofError) as caught:
        read_claims(text, key, algorithm)
    return caught.value.flaw


def outcome(text: str) -> Flaw | None:
    try:
        read_header(text)
        read_claims(text, CHECKING["HS256"], "HS256")
    except FlawedProofError as error:
        return error.flaw
    return None


@pytest.mark.parametrize("algorithm", list(SIGNING))
def test_a_proof_is_read_as_it_was_signed(algorithm: str) -> None:
    text = proof("c-1", ECID, key=SIGNING[algorithm], algorithm=algorithm, kid="k", ns="CRMID")

    assert read_header(text).algorithm == algorithm
    assert read_header(text).kid == "k"
    assert read_claims(text, CHECKING[algorithm], algorithm) == claims(ns="CRMID")


@pytest.mark.parametrize("algorithm", list(SIGNING))
def test_a_changed_proof_is_not_signed(algorithm: str) -> None:
    head, _, signature = proof("c-1", ECID, key=SIGNING[algorithm], algorithm=algorithm).split(".")
    _, other, _ = proof("c-2", ECID).split(".")

    text = f"{head}.{other}.{signature}"

    assert flaw_of_text(text, CHECKING[algorithm], algorithm) is Flaw.BAD_SIGNATURE


def test_a_public_key_is_never_taken_for_a_shared_secret() -> None:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256"}').rstrip(b"=").decode()
    body = proof("c-1", ECID).split(".")[1]
    signed = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(
        f"{head}.{body}".encode(), pem_of(RSA).encode()
    )
    text = f"{head}.{body}.{base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"

    assert flaw_of_text(text, CHECKING["RS256"], "RS256") is Flaw.MALFORMED


def test_an_unsigned_proof_is_never_read() -> None:
    text = jwt.encode({"sub": "c-1"}, "", algorithm="none")

    with pytest.raises(FlawedProofError, match="Malformed"):
        read_header(text)
    assert flaw_of_text(f"{text}AAAA") is Flaw.MALFORMED


@pytest.mark.parametrize(
    "changes",
    [
        {"ecid": None},
        {"sub": None},
        {"sub": 1},
        {"ecid": 1},
        {"iat": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"iat": -1},
        {"exp": 10**60},
        {"ns": 1},
        {"aud": {}},
        {"nbf": "x"},
    ],
)
def test_claims_that_are_missing_or_odd_make_a_proof_malformed(changes: dict[str, Any]) -> None:
    text = proof(**{"person": "c-1", "ecid": ECID, **changes})

    assert flaw_of_text(text) is Flaw.MALFORMED


def test_claims_that_are_nobodys_business_are_passed_over() -> None:
    text = proof("c-1", ECID, jti=7, iss=None, admin=True)

    assert read_claims(text, CHECKING["HS256"], "HS256") == claims()


@given(text=st.text() | st.from_regex(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert outcome(text) in {Flaw.MALFORMED, Flaw.BAD_SIGNATURE}


@given(
    header=st.dictionaries(
        st.sampled_from(["alg", "kid", "crit", "b64", "typ", "jwk"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.sampled_from(["HS256", "none", "k"])
        | st.lists(st.text(max_size=3), max_size=2),
    ),
)
def test_any_header_is_read_or_refused(header: dict[str, Any]) -> None:
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    text = f"{head}.{proof('c-1', ECID).split('.', 1)[1]}"

    assert outcome(text) in {None, Flaw.MALFORMED, Flaw.BAD_SIGNATURE}


def test_a_proof_that_is_nested_too_deep_is_malformed() -> None:
    deep = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 2900).rstrip(b"=").decode()

    with pytest.raises(FlawedProofError, match="Malformed"):
        read_header(f"{deep}.e30.AAAA")


def test_a_proof_that_is_too_long_is_malformed() -> None:
    with pytest.raises(FlawedProofError, match="Malformed"):
        read_header(proof("c-1" * MAX_LENGTH, ECID))


def test_a_proof_counts_from_a_minute_before_to_a_minute_after_its_life() -> None:
    said = claims(exp=START.timestamp() + 300)

    found = {
        after: flaw(said, after_s=after)
        for after in (-LEEWAY_S - 1, -LEEWAY_S, 0, 300 + LEEWAY_S - 1, 300 + LEEWAY_S)
    }

    assert list(found.values()) == [Flaw.EXPIRED, None, None, None, Flaw.EXPIRED]


def test_a_proof_does_not_count_before_its_own_beginning() -> None:
    said = claims(nbf=START.timestamp() + 120)

    assert flaw(said) is Flaw.EXPIRED
    assert flaw(said, after_s=60) is None


@pytest.mark.parametrize(
    ("life_s", "expected"),
    [(MAX_LIFE_S, None), (MAX_LIFE_S + 1, Flaw.TOO_LONG), (0, Flaw.MALFORMED)],
)
def test_a_proof_lives_for_ten_minutes_at_most(life_s: int, expected: Flaw | None) -> None:
    assert flaw(claims(exp=START.timestamp() + life_s)) is expected


@pytest.mark.parametrize("shown_by", [OTHER, None, ""])
def test_a_proof_counts_on_its_own_device_only(shown_by: str | None) -> None:
    assert flaw(claims(), ecid=shown_by) is Flaw.WRONG_DEVICE


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ("shop", None),
        (["x", "shop"], None),
        ("x", Flaw.WRONG_AUDIENCE),
        ([], Flaw.WRONG_AUDIENCE),
        (None, Flaw.WRONG_AUDIENCE),
    ],
)
def test_an_audience_that_is_asked_for_must_be_named(named: Any, expected: Flaw | None) -> None:
    assert flaw(claims(aud=named), audience="shop") is expected
    assert flaw(claims(aud=named)) is None
