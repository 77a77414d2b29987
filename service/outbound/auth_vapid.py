"""Who sends web pushes: tokens signed with the key that the subscriptions were made with.

Each push service is shown a token of its own, good for twelve hours and kept for all processes. A
subscription belongs to one key for life: pages subscribe with ``public_key``, and whoever changes
the key must let every browser subscribe again.

Source: RFC 8292; Apple, Sending web push notifications in web apps and browsers (``sub``).
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64Error
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit
from uuid import UUID

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from service.core.clock import Clock
from service.core.errors import InvalidInputError
from service.core.ids import derived_key
from service.core.secret import Secret
from service.outbound.auth_fields import Fields
from service.outbound.shared_tokens import Minted, SharedTokens
from service.outbound.transport import CallParts, Headers
from service.sandboxes.scope import Scope

LIFE: Final = timedelta(hours=12)
_SPARE_S: Final = 600
_RENEW_AFTER_S: Final = LIFE.total_seconds() - 3600
_LEAST_AGE_S: Final = 600
_HEADER: Final = "Authorization"
_KEY_BYTES: Final = 32
_HOST: Final = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]*"
_CONTACT: Final = re.compile(rf"mailto:[^\s<>@,:]+@({_HOST})|https://({_HOST})(?:/[^\s<>]*)?")
_NOWHERE: Final = ("local", "localhost", "localdomain", "internal", "invalid", "test")
_TOKEN: Final = re.compile(r"vapid t=([^,]+),")


@dataclass(frozen=True, slots=True)
class VapidAuth:
    """A key pair for web pushes, and whom a push service may ask about them.

    Attributes:
        subject: ``mailto:`` or ``https:``.
        private_key: In PEM, or its 32 bytes in url-safe base64.
        public_key: What pages give to ``PushManager.subscribe``.
    """

    subject: str
    private_key: Secret
    public_key: str


def read(fields: Fields) -> VapidAuth:
    """Return what an author wrote: ``subject`` and ``privateKey``; ``publicKey`` follows from it.

    Raises:
        InvalidInputError: The subject is none that every push service takes, the key is no P-256
            key, or ``publicKey`` belongs to another one.
    """
    fields.only("type", "subject", "privateKey", "publicKey")
    subject = fields.text("subject")
    contact = _CONTACT.fullmatch(subject)
    host = (contact[1] or contact[2]) if contact is not None else ""
    if host.rpartition(".")[2].lower() in ("", *_NOWHERE):
        raise fields.wrong(
            "subject",
            "must be mailto: with a bare address, or https:, of a public domain: Apple refuses "
            "every message with another",
        )
    private_key = fields.secret("privateKey")
    public_key = _public(_loaded(fields, private_key))
    if fields.optional("publicKey") not in {None, public_key}:
        raise fields.wrong(
            "publicKey", "belongs to another key: leave it out, and subscribe browsers anew"
        )
    return VapidAuth(subject, private_key, public_key)


def headers(spec: VapidAuth, url: str, tokens: SharedTokens, scope: Scope, clock: Clock) -> Headers:
    """Return the ``Authorization`` header for the push service that a URL is of.

    Signs only when no token is left that will do.

    Raises:
        TokenUnavailableError: The store cannot be reached, and this process has no token yet.
    """
    origin = _origin(url)
    key = _key_of(spec, origin)
    token = tokens.bearer(scope, key, lambda: _mint(spec, origin, clock)).reveal()
    return ((_HEADER, f"vapid t={token}, k={spec.public_key}"),)


def refused(parts: CallParts, spec: VapidAuth, tokens: SharedTokens, scope: Scope) -> None:
    """Take note that a push service refused a request's token; one just signed stays."""
    for name, value in parts.headers:
        found = _TOKEN.match(value) if name == _HEADER else None
        if found is not None:
            key = _key_of(spec, _origin(parts.url))
            tokens.refuse(scope, key, Secret(found[1]), min_age_s=_LEAST_AGE_S)


def _mint(spec: VapidAuth, origin: str, clock: Clock) -> Minted:
    ends_at = clock.now() + LIFE
    claims = {"aud": origin, "exp": int(ends_at.timestamp()), "sub": spec.subject}
    token = jwt.encode(claims, _key(spec.private_key.reveal()), algorithm="ES256")
    return Minted(Secret(token), LIFE.total_seconds() - _SPARE_S, _RENEW_AFTER_S)


def _key_of(spec: VapidAuth, origin: str) -> UUID:
    return derived_key("vapid-token", spec.subject, spec.public_key, origin)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port not in {None, 443} else ""
    name = parts.hostname or ""
    host = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{host}{port}"


def _loaded(fields: Fields, private_key: Secret) -> ec.EllipticCurvePrivateKey:
    try:
        return _key(private_key.reveal())
    except (ValueError, TypeError, NotBase64Error, UnsupportedAlgorithm):
        # What the library says may quote the key.
        raise _wrong_key(fields) from None


def _key(text: str) -> ec.EllipticCurvePrivateKey:
    if "-----BEGIN" not in text:
        data = urlsafe_b64decode(text.strip() + "=" * (-len(text.strip()) % 4))
        if len(data) != _KEY_BYTES:
            raise ValueError("not the bytes of a P-256 key")
        return ec.derive_private_key(int.from_bytes(data), ec.SECP256R1())
    match load_pem_private_key(text.encode(), password=None):
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()) as key:
            return key
    raise ValueError("not a P-256 key")


def _public(key: ec.EllipticCurvePrivateKey) -> str:
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return urlsafe_b64encode(point).decode().rstrip("=")


def _wrong_key(fields: Fields) -> InvalidInputError:
    return fields.wrong(
        "privateKey", "must be a P-256 key: in PEM, or its 32 bytes in url-safe base64"
    )
