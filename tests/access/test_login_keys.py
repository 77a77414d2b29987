"""A key is good for one algorithm; what is no strong public key is not taken."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from jwt.algorithms import RSAAlgorithm

from service.access.login_keys import (
    ProofAlgorithm,
    algorithm_of,
    as_pem,
    check_secret,
    read_key_set,
    read_public_key,
)
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from tests.support.login_proofs import EC, ED, RSA, jwk_of, key_set, pem_of, private_pem_of

WEAK = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
OTHER_CURVE = ec.generate_private_key(ec.SECP384R1())
OTHER_EDWARDS = ed448.Ed448PrivateKey.generate()


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA, ProofAlgorithm.RS256), (EC, ProofAlgorithm.ES256), (ED, ProofAlgorithm.EDDSA)],
)
def test_a_public_key_is_good_for_its_own_algorithm(key: object, algorithm: str) -> None:
    assert algorithm_of(read_public_key(pem_of(key))) == algorithm


@pytest.mark.parametrize("key", [WEAK, OTHER_CURVE, OTHER_EDWARDS])
def test_weak_and_other_keys_are_refused(key: object) -> None:
    with pytest.raises(InvalidInputError, match="2048 to 8192 bits"):
        read_public_key(pem_of(key))


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN PUBLIC KEY-----", "ü" * 100])
def test_what_is_no_pem_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError, match="not a PEM public key"):
        read_public_key(text)


def test_a_private_key_is_refused_and_stays_out_of_the_message() -> None:
    secret = private_pem_of(EC)

    with pytest.raises(InvalidInputError) as caught:
        read_public_key(secret)

    assert secret.splitlines()[1] not in str(caught.value)


def test_what_stands_beside_a_public_key_is_not_kept() -> None:
    kept = as_pem(read_public_key(f"{pem_of(EC)}{private_pem_of(EC)}"))

    assert kept == pem_of(EC)


@pytest.mark.parametrize("secret", ["x" * 31, "é" * 15, ""])
def test_a_short_secret_is_refused(secret: str) -> None:
    with pytest.raises(InvalidInputError, match="at least 32"):
        check_secret(Secret(secret))


@pytest.mark.parametrize("secret", ["x" * 32, "é" * 16])
def test_a_secret_of_32_bytes_is_taken(secret: str) -> None:
    check_secret(Secret(secret))


@pytest.mark.parametrize("secret", [pem_of(RSA), private_pem_of(RSA), "ssh-rsa " + "A" * 64])
def test_a_key_file_is_no_secret(secret: str) -> None:
    with pytest.raises(InvalidInputError, match="looks like a key file") as caught:
        check_secret(Secret(secret))

    assert secret not in repr(caught.value)
    assert caught.value.__cause__ is None


def test_a_key_set_is_read_without_what_cannot_check_a_login() -> None:
    private = RSAAlgorithm.to_jwk(RSA, as_dict=True)
    document = key_set(
        jwk_of(RSA, "rsa", alg="RS256", use="sig"),
        jwk_of(EC, "ec"),
        jwk_of(ED, "ed"),
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA", "kid": "shared"},
        {**private, "kid": "private"},
        jwk_of(RSA, "encryption", use="enc"),
        jwk_of(RSA, "other", alg="RS512"),
        jwk_of(WEAK, "weak"),
        jwk_of(OTHER_CURVE, "curve"),
        {"kty": "RSA", "n": "!", "e": "AQAB", "kid": "broken"},
        {"kid": "empty"},
    )

    keys = read_key_set(document)

    assert [(each.kid, each.algorithm) for each in keys] == [
        ("rsa", "RS256"),
        ("ec", "ES256"),
        ("ed", "EdDSA"),
    ]


def test_members_of_a_key_set_that_are_no_objects_are_left_out() -> None:
    assert read_key_set(b'{"keys":[1,null,"x",[]]}') == ()


@pytest.mark.parametrize(
    "document", [b"", b"{", b"\xff", b"[]", b"{}", b'{"keys":{}}', b"[" * 5000, b"null"]
)
def test_what_is_no_key_set_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidInputError, match="not a JWK set"):
        read_key_set(document)
