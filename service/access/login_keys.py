"""The keys that login proofs are checked with: a shared secret, a public key, a published set.

A key is good for exactly one algorithm, so that no proof can choose how it is checked.

Source: RFC 7517 (JWK sets), RFC 8037 (Ed25519), RFC 8725 section 3 (algorithm verification).
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import jwt
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Secret

MIN_SECRET_BYTES = 32
_RSA_BITS = range(2048, 8193)
_MOST_KEYS = 100

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey


class ProofAlgorithm(StrEnum):
    """How a proof may be signed; there is no unsigned one."""

    HS256 = "HS256"
    RS256 = "RS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """One key of a JWK set."""

    kid: str | None
    algorithm: ProofAlgorithm
    key: PublicKey


class _KeySet(msgspec.Struct):
    keys: list[Any]


def check_secret(secret: Secret) -> None:
    """Refuse a shared secret that is too short, or that is a key of another kind.

    Raises:
        InvalidInputError: It cannot be used; the secret is not in the message.
    """
    text = secret.reveal()
    if len(text.encode()) < MIN_SECRET_BYTES:
        raise InvalidInputError(
            f"loginProof.secret is too short for HS256: use at least {MIN_SECRET_BYTES} random "
            "bytes, such as the output of `openssl rand -hex 32`.",
            at="loginProof.secret",
        )
    try:
        jwt.encode({}, text, algorithm=ProofAlgorithm.HS256)
    except (jwt.PyJWTError, ValueError, TypeError):
        # What the library says may quote the secret.
        raise InvalidInputError(
            "loginProof.secret looks like a key file: put a public key into loginProof.publicKey, "
            "and never send a private one.",
            at="loginProof.secret",
        ) from None


def read_public_key(pem: str) -> PublicKey:
    """Return the key of a PEM text.

    Raises:
        InvalidInputError: It is no PEM public key, or of a kind or strength that is not taken.
    """
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInputError(
            "loginProof.publicKey is not a PEM public key: send the text from `-----BEGIN PUBLIC "
            "KEY-----` on, as `openssl pkey -in key.pem -pubout` prints it.",
            at="loginProof.publicKey",
        ) from error
    if algorithm_of(key) is None:
        raise InvalidInputError(
            "loginProof.publicKey is not taken: use RSA of 2048 to 8192 bits (RS256), an elliptic "
            "curve key on P-256 (ES256) or Ed25519 (EdDSA).",
            at="loginProof.publicKey",
        )
    return key  # type: ignore[return-value]  # a key with an algorithm is one of the three


def as_pem(key: PublicKey) -> str:
    """Return a public key as PEM, and nothing that stood beside it in the text it came from."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def algorithm_of(key: object) -> ProofAlgorithm | None:
    """Return the one algorithm a key is good for, ``None`` when it is not taken."""
    match key:
        case RSAPublicKey() if key.key_size in _RSA_BITS:
            return ProofAlgorithm.RS256
        case EllipticCurvePublicKey() if isinstance(key.curve, SECP256R1):
            return ProofAlgorithm.ES256
        case Ed25519PublicKey():
            return ProofAlgorithm.EDDSA
        case _:
            return None


def read_key_set(document: bytes) -> tuple[PublishedKey, ...]:
    """Return the usable keys of a JWK set; keys for encryption, secrets and odd ones are left out.

    Raises:
        InvalidInputError: It is not a JWK set.
    """
    try:
        members = msgspec.convert(json.decode(document), _KeySet).keys
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidInputError("The document is not a JWK set.") from error
    read = (_published(each) for each in members[:_MOST_KEYS])
    return tuple(each for each in read if each is not None)


def _published(member: Any) -> PublishedKey | None:
    if not isinstance(member, dict) or member.get("use", "sig") != "sig":
        return None
    try:
        key = jwt.PyJWK.from_dict({**member, "alg": None}).key
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError):
        return None
    algorithm = algorithm_of(key)
    kid = member.get("kid")
    if algorithm is None or member.get("alg", algorithm) != algorithm:
        return None
    return PublishedKey(kid if isinstance(kid, str) else None, algorithm, key)
