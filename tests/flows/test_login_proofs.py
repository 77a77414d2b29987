"""A login counts only for whom and where a backend signed it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access.login_keys import PublicKey, PublishedKey, read_key_set
from service.catalog.datastream_settings import DatastreamSettings, LoginProof, LoginProofMode
from service.core.secret import Secret
from service.flows.login_proofs import MAX_PROOFS, LoginProofs
from service.flows.sources import DatastreamSource
from service.identity.identity_map import AuthenticatedState, ClaimedIdentity
from service.outbound.key_sets import KeysUnavailableError
from tests.support.builders import ecid, person, source
from tests.support.clocks import START
from tests.support.login_proofs import EC, ED, RSA, SECRET, jwk_of, key_set, pem_of, proof
from tests.support.wire import JSON_VALUES

URL = "https://login.shop.test/keys"
SHARED = LoginProof(LoginProofMode.REQUIRED, ("HS256",), secret=Secret(SECRET))
PUBLISHED = LoginProof(LoginProofMode.REQUIRED, ("RS256", "ES256", "EdDSA"), jwks_url=URL)
DEVICE = ecid(1)
ADA, BOB = person("ada"), person("bob")
MAIL = person("ada@shop.test", namespace="Email")
GUESS = AuthenticatedState.AMBIGUOUS


class Published:
    """Keys as a process remembers them; ``None`` stands for a place that is away."""

    def __init__(self, document: bytes | None = key_set()) -> None:
        self._keys: tuple[PublishedKey, ...] | None = (
            None if document is None else read_key_set(document)
        )

    def find(self, url: str, kid: str | None, algorithm: str) -> PublicKey | None:
        """Return a key by its name."""
        assert url == URL
        if self._keys is None:
            raise KeysUnavailableError("away")
        named = (each.key for each in self._keys if (each.kid, each.algorithm) == (kid, algorithm))
        return next(named, None)


def datastream(proofs: LoginProof = SHARED) -> DatastreamSource:
    plain = source()
    known = {name: getattr(plain, name) for name in plain.__dataclass_fields__}
    return DatastreamSource(
        **known,
        settings=DatastreamSettings(login_proof=proofs),
        device_namespaces=frozenset({"ECID", "GAID", "FPID"}),
    )


def judged(
    *identities: ClaimedIdentity,
    proofs: Any = None,
    by: LoginProof = SHARED,
    device: str | None = DEVICE.value,
    after_s: float = 0,
    published: bytes | None = key_set(),
) -> Mapping[str, str]:
    """Return the state that each identity may have, or why a login was refused."""
    data = None if proofs is None else {"loginProof": proofs}
    kept, refused = LoginProofs(Published(published)).judge(
        datastream(by), identities, data, device, now=START + timedelta(seconds=after_s)
    )
    assert [(each.namespace, each.value) for each in kept] == [
        (each.namespace, each.value) for each in identities
    ]
    reasons = {(each.namespace, each.value): each.reason for each in refused}
    for each in kept:
        if (each.namespace, each.value) in reasons:
            assert each.state is GUESS
    return {
        each.namespace: reasons.get((each.namespace, each.value), each.state.value) for each in kept
    }


def test_a_proved_login_counts() -> None:
    assert judged(DEVICE, ADA, proofs=proof("ada", DEVICE.value)) == {
        "ECID": "ambiguous",
        "CRMID": "authenticated",
    }


@pytest.mark.parametrize(
    ("by", "key", "algorithm"),
    [
        (SHARED, SECRET, "HS256"),
        (replace(SHARED, algorithms=("RS256",), public_key=pem_of(RSA)), RSA, "RS256"),
        (replace(SHARED, algorithms=("ES256",), public_key=pem_of(EC)), EC, "ES256"),
        (replace(SHARED, algorithms=("EdDSA",), public_key=pem_of(ED)), ED, "EdDSA"),
        (PUBLISHED, RSA, "RS256"),
        (PUBLISHED, EC, "ES256"),
        (PUBLISHED, ED, "EdDSA"),
    ],
)
def test_each_algorithm_is_checked_with_its_own_key(
    by: LoginProof, key: Any, algorithm: str
) -> None:
    keys = key_set(jwk_of(RSA, "RS256"), jwk_of(EC, "ES256"), jwk_of(ED, "EdDSA"))
    text = proof("ada", DEVICE.value, key=key, algorithm=algorithm, kid=algorithm)

    found = judged(DEVICE, ADA, proofs=text, by=by, published=keys)

    assert found["CRMID"] == "authenticated"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "loginProofMissing"),
        ("", "loginProofMalformed"),
        ("a.b.c", "loginProofMalformed"),
        (7, "loginProofMalformed"),
        ({"jwt": "x"}, "loginProofMalformed"),
        ([], "loginProofMissing"),
        ([None], "loginProofMalformed"),
        (proof("ada", DEVICE.value, life_s=601), "loginProofTooLong"),
        (proof("ada", None), "loginProofMalformed"),
        (proof("ada", DEVICE.value, key="x" * 32), "loginProofBadSignature"),
        (proof("ada", DEVICE.value, key=RSA, algorithm="RS256"), "loginProofBadSignature"),
        (proof("ada", DEVICE.value, key="x" * 64, algorithm="HS512"), "loginProofBadSignature"),
        (proof("ada", DEVICE.value, at=START - timedelta(hours=1)), "loginProofExpired"),
        (proof("ada", DEVICE.value, at=START + timedelta(hours=1)), "loginProofExpired"),
        (proof("ada", ecid(2).value), "loginProofWrongDevice"),
        (proof("bob", DEVICE.value), "loginProofWrongPerson"),
        (proof("ADA", DEVICE.value), "loginProofWrongPerson"),
        (proof("ada", DEVICE.value, ns="Email"), "loginProofMissing"),
    ],
)
def test_a_login_without_a_valid_proof_is_ambiguous_and_the_reason_is_said(
    text: Any, reason: str
) -> None:
    assert judged(DEVICE, ADA, proofs=text)["CRMID"] == reason


def test_what_was_signed_by_no_published_key_is_refused() -> None:
    text = proof("ada", DEVICE.value, key=EC, algorithm="ES256", kid="b")

    found = judged(DEVICE, ADA, proofs=text, by=PUBLISHED, published=key_set(jwk_of(EC, "a")))

    assert found["CRMID"] == "loginProofBadSignature"


@pytest.mark.parametrize(
    ("by", "text"),
    [
        (PUBLISHED, proof("ada", DEVICE.value, key=EC, algorithm="ES256", kid="a")),
        (replace(SHARED, secret=None), proof("ada", DEVICE.value)),
        (
            LoginProof(LoginProofMode.REQUIRED, ("ES256",)),
            proof("ada", DEVICE.value, key=EC, algorithm="ES256"),
        ),
    ],
)
@pytest.mark.parametrize("mode", [LoginProofMode.REQUIRED, LoginProofMode.OPTIONAL])
def test_without_its_key_no_proof_is_right(by: LoginProof, text: str, mode: LoginProofMode) -> None:
    found = judged(DEVICE, ADA, proofs=text, by=replace(by, mode=mode), published=None)

    assert found["CRMID"] == "loginProofKeyUnavailable"


def test_an_audience_is_asked_for_where_one_is_set() -> None:
    by = replace(SHARED, audience="shop")
    right, wrong = (proof("ada", DEVICE.value, aud=name) for name in ("shop", "bank"))

    assert judged(DEVICE, ADA, proofs=right, by=by)["CRMID"] == "authenticated"
    assert judged(DEVICE, ADA, proofs=wrong, by=by)["CRMID"] == "loginProofWrongAudience"
    assert judged(DEVICE, ADA, proofs=wrong)["CRMID"] == "authenticated"


def test_an_event_without_a_device_proves_nobody() -> None:
    text = proof("ada", DEVICE.value)

    assert judged(ADA, proofs=text, device=None)["CRMID"] == "loginProofWrongDevice"


def test_several_logins_are_proved_by_a_list() -> None:
    texts = [
        proof("ada", DEVICE.value, ns="CRMID"),
        proof("ada@shop.test", DEVICE.value, ns="Email"),
    ]

    assert judged(DEVICE, ADA, MAIL, proofs=texts) == {
        "ECID": "ambiguous",
        "CRMID": "authenticated",
        "Email": "authenticated",
    }


def test_a_proof_of_one_login_is_none_of_another() -> None:
    named = judged(DEVICE, ADA, MAIL, proofs=proof("ada", DEVICE.value, ns="CRMID"))
    unnamed = judged(DEVICE, ADA, MAIL, proofs=proof("ada", DEVICE.value))

    assert named["CRMID"] == unnamed["CRMID"] == "authenticated"
    assert named["Email"] == unnamed["Email"] == "loginProofMissing"


def test_a_list_is_read_to_a_fixed_length() -> None:
    texts = ["x"] * MAX_PROOFS + [proof("ada", DEVICE.value)]

    assert judged(DEVICE, ADA, proofs=texts)["CRMID"] == "loginProofMalformed"
    assert judged(DEVICE, ADA, proofs=texts[1:])["CRMID"] == "authenticated"


def test_what_claims_no_login_needs_no_proof() -> None:
    device = replace(DEVICE, state=AuthenticatedState.AUTHENTICATED)
    gone = person("ada", AuthenticatedState.LOGGED_OUT)
    guess = person("ada@shop.test", GUESS, "Email")

    assert judged(device, gone, guess) == {
        "ECID": "authenticated",
        "CRMID": "loggedOut",
        "Email": "ambiguous",
    }


def test_a_namespace_that_is_not_known_is_taken_for_a_persons() -> None:
    found = judged(DEVICE, person("m-1", namespace="Member"))

    assert found["Member"] == "loginProofMissing"


def test_where_proofs_are_optional_their_absence_is_no_flaw() -> None:
    by = replace(SHARED, mode=LoginProofMode.OPTIONAL)
    right = proof("ada", DEVICE.value, ns="CRMID")
    stolen = proof("ada", ecid(2).value, ns="CRMID")

    assert judged(DEVICE, ADA, by=by)["CRMID"] == "authenticated"
    assert judged(DEVICE, ADA, proofs=[], by=by)["CRMID"] == "authenticated"
    assert judged(DEVICE, ADA, MAIL, proofs=right, by=by)["Email"] == "authenticated"
    assert judged(DEVICE, ADA, MAIL, proofs=stolen, by=by) == {
        "ECID": "ambiguous",
        "CRMID": "loginProofWrongDevice",
        "Email": "authenticated",
    }
    assert judged(DEVICE, BOB, proofs=right, by=by)["CRMID"] == "loginProofWrongPerson"


def test_the_proof_is_taken_out_of_the_data_and_the_rest_stays() -> None:
    for identities in ((DEVICE, ADA), (DEVICE,)):
        data = {"loginProof": proof("ada", DEVICE.value), "basket": 3}

        LoginProofs(Published()).judge(datastream(), identities, data, DEVICE.value, now=START)

        assert data == {"basket": 3}


def test_while_the_mode_is_off_nothing_is_touched() -> None:
    data = {"loginProof": "the shop's own"}
    identities = (DEVICE, ADA)

    kept, refused = LoginProofs(Published(None)).judge(
        datastream(LoginProof()), identities, data, DEVICE.value, now=START
    )

    assert kept is identities
    assert refused == ()
    assert data == {"loginProof": "the shop's own"}


@given(written=JSON_VALUES)
def test_whatever_is_attached_an_answer_is_found(written: Any) -> None:
    reason = judged(DEVICE, ADA, proofs=written)["CRMID"]

    assert reason in {"loginProofMissing", "loginProofMalformed"}


@given(
    claims=st.fixed_dictionaries(
        {},
        optional={
            "sub": st.sampled_from(["ada", "bob"]),
            "ecid": st.sampled_from([DEVICE.value, ecid(2).value]),
            "ns": st.sampled_from(["CRMID", "Email", ""]),
            "exp": st.integers(-1000, 1000).map(lambda s: int(START.timestamp()) + s),
            "iat": st.integers(-1000, 1000).map(lambda s: int(START.timestamp()) + s),
        },
    ),
    secret=st.sampled_from([SECRET, "x" * 32]),
)
def test_only_a_proof_that_is_right_in_every_way_counts(
    claims: dict[str, Any], secret: str
) -> None:
    begins = int(START.timestamp())
    said = {"sub": "ada", "ecid": DEVICE.value, "iat": begins, "exp": begins + 300, **claims}
    is_right = (
        secret == SECRET
        and (said["sub"], said["ecid"]) == ("ada", DEVICE.value)
        and said.get("ns", "CRMID") == "CRMID"
        and 0 < said["exp"] - said["iat"] <= 600
        and said["iat"] - 60 <= begins < said["exp"] + 60
    )
    text = proof(said.pop("sub"), said.pop("ecid"), key=secret, **said)

    found = judged(DEVICE, ADA, proofs=text)["CRMID"]

    assert (found == "authenticated") == is_right


def test_a_key_is_no_part_of_what_is_kept() -> None:
    assert SECRET not in repr(datastream())
    assert isinstance(datastream().id, UUID)
