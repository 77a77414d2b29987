"""What a customer's backend does: it signs, for one device, that somebody has logged in."""

from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from service.core.json import encode
from tests.support.clocks import START

SECRET = "a-secret-of-the-shop-and-of-nobody-else"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
SIGNING: dict[str, Any] = {"HS256": SECRET, "RS256": RSA, "ES256": EC, "EdDSA": ED}


def pem_of(key: Any) -> str:
    """Return the public half of a key as PEM."""
    public = key.public_key()
    text: bytes = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


def private_pem_of(key: Any) -> str:
    """Return a whole key as PEM."""
    text: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return text.decode()


def jwk_of(key: Any, kid: str | None = None, **more: Any) -> dict[str, Any]:
    """Return the public half of a key as a member of a JWK set."""
    kinds = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    kind = next(each for base, each in kinds.items() if isinstance(key, base))
    named = {} if kid is None else {"kid": kid}
    return {**kind.to_jwk(key.public_key(), as_dict=True), **named, **more}  # type: ignore[attr-defined]


def key_set(*members: dict[str, Any]) -> bytes:
    """Return a JWK set."""
    return encode({"keys": members})


def proof(
    person: str,
    ecid: str | None,
    *,
    at: datetime = START,
    life_s: float = 300,
    key: Any = SECRET,
    algorithm: str = "HS256",
    kid: str | None = None,
    **claims: Any,
) -> str:
    """Return a proof as a backend makes it; a claim that is ``None`` is left out."""
    issued = int(at.timestamp())
    content = {"sub": person, "ecid": ecid, "iat": issued, "exp": issued + life_s, **claims}
    said = {name: value for name, value in content.items() if value is not None}
    return jwt.encode(said, key, algorithm=algorithm, headers=None if kid is None else {"kid": kid})
