"""Whether a receipt comes from the vendor: its signature, checked before anything is read.

Source: Twilio, Webhooks security; SendGrid, Event Webhook security features; Standard Webhooks
1.0.0. OneSignal documents no signature: its webhook is given a bearer secret of ours to send.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from service.core.errors import InvalidInputError

TOLERANCE_S: Final = 300
_SHORTEST_SECRET = 8
_WEBHOOK_KEY_BYTES = range(24, 65)
_PREFIX = "whsec_"
_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class ReceiptRequest:
    """What was posted; names of headers are in lower case.

    Attributes:
        url: As the vendor called it, query included.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        """Return a header's value, empty when it was not sent."""
        return self.headers.get(name, "")

    @property
    def query(self) -> Mapping[str, Sequence[str]]:
        """What the URL's query says."""
        return parse_qs(urlsplit(self.url).query, keep_blank_values=True)


def is_twilio(request: ReceiptRequest, secret: str, _now: datetime) -> bool:
    """Check ``X-Twilio-Signature``, SHA-1 or as its settings say SHA-256.

    The signed URL may name its port or not. A body that is no form is signed by ``bodySHA256``.
    """
    settings = request.header("x-twilio-webhooks-signature-settings").replace(" ", "").split(",")
    digest = "sha256" if "algorithm=HMAC_SHA256" in settings else "sha1"
    hashed = request.query.get("bodySHA256")
    signed = "" if hashed else _form_text(request.body)
    if hashed:
        own = hashlib.sha256(request.body).hexdigest()
        if not hmac.compare_digest(own.encode(), hashed[0].lower().encode()):
            return False
    given = request.header("x-twilio-signature").encode()
    right = False
    for url in _with_and_without_port(request.url):
        made = hmac.new(secret.encode(), (url + signed).encode(), digest).digest()
        right |= hmac.compare_digest(base64.b64encode(made), given)
    return right


def is_sendgrid(request: ReceiptRequest, secret: str, now: datetime) -> bool:
    """Check the ECDSA signature of the event webhook over its timestamp and body."""
    moment = request.header("x-twilio-email-event-webhook-timestamp")
    signature = request.header("x-twilio-email-event-webhook-signature")
    if not _is_recent(moment, now):
        return False
    try:
        sealed = base64.b64decode(signature, validate=True)
        key = _public_key(secret)
        key.verify(sealed, moment.encode() + request.body, ec.ECDSA(hashes.SHA256()))
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


def is_standard(request: ReceiptRequest, secret: str, now: datetime) -> bool:
    """Check ``webhook-signature``: any of its ``v1`` parts may fit, others are passed over."""
    name, moment = request.header("webhook-id"), request.header("webhook-timestamp")
    if not name or not _is_recent(moment, now):
        return False
    signed = f"{name}.{moment}.".encode() + request.body
    own = base64.b64encode(hmac.new(_webhook_key(secret), signed, "sha256").digest())
    right = False
    for part in request.header("webhook-signature").split(" "):
        version, _, given = part.partition(",")
        right |= version == "v1" and hmac.compare_digest(own, given.encode())
    return right


def is_bearer(request: ReceiptRequest, secret: str, _now: datetime) -> bool:
    """Check the secret that the vendor was told to send: ``Authorization: Bearer``."""
    given = request.header("authorization").encode()
    return hmac.compare_digest(f"Bearer {secret}".encode(), given)


def check_secret(provider: str, secret: str) -> None:
    """Refuse a secret that no signature could be checked with.

    Raises:
        InvalidInputError: It is none of the provider's.
    """
    try:
        if provider == "sendgrid":
            _public_key(secret)
        elif provider == "generic":
            _webhook_key(secret)
    except ValueError as error:
        raise InvalidInputError(f"The secret cannot be used: {_EXPECTED[provider]}.") from error
    if len(secret) < _SHORTEST_SECRET:
        raise InvalidInputError(f"The secret needs at least {_SHORTEST_SECRET} characters.")


CHECKS: Final[Mapping[str, Callable[[ReceiptRequest, str, datetime], bool]]] = {
    "twilio": is_twilio,
    "sendgrid": is_sendgrid,
    "oneSignal": is_bearer,
    "generic": is_standard,
}
_EXPECTED = {
    "sendgrid": "expected the verification key of the event webhook, an EC public key in base64",
    "generic": "expected `whsec_` and 24 to 64 bytes in base64",
}


def _form_text(body: bytes) -> str:
    form = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    return "".join(f"{name}{value}" for name in sorted(form) for value in sorted(set(form[name])))


def _with_and_without_port(url: str) -> tuple[str, ...]:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    name, colon, port = host.rpartition(":")
    if not colon or not port.isdigit():
        name = host
    with_port = f"{name}:{port}" if colon and port.isdigit() else f"{name}:{_PORTS[parts.scheme]}"
    variants = (host, name, with_port) if parts.scheme in _PORTS else (host,)
    return tuple(dict.fromkeys(urlunsplit(parts._replace(netloc=each)) for each in variants))


def _is_recent(moment: str, now: datetime) -> bool:
    return moment.isdecimal() and abs(now.timestamp() - int(moment)) <= TOLERANCE_S


def _public_key(secret: str) -> ec.EllipticCurvePublicKey:
    key = load_der_public_key(base64.b64decode(secret, validate=True))
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise ValueError("no EC key")  # noqa: TRY004 - what the caller gave is a wrong value
    return key


def _webhook_key(secret: str) -> bytes:
    key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    if not secret.startswith(_PREFIX) or len(key) not in _WEBHOOK_KEY_BYTES:
        raise ValueError("no webhook secret")
    return key
