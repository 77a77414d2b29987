"""A receipt is read only when its signature is right, in every form that vendors sign."""

import base64
import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]

from service.core.errors import InvalidInputError
from service.outbound.receipt_signatures import (
    ReceiptRequest,
    check_secret,
    is_bearer,
    is_sendgrid,
    is_standard,
    is_twilio,
)

NOW = datetime.fromtimestamp(1763856000, UTC)
KEY = "secret-token"
URL = "https://hooks.example.test/tw/cb?m=42"
FORM = (
    b"MessageSid=SM00000000000000000000000000000001&MessageStatus=delivered"
    b"&To=%2B15005550006&AccountSid=AC00000000000000000000000000000001"
)
SHA1 = "dFsYvxID3epK2U9jT0Br5ewaypI="
SHA256 = "jUnhMbatY+LpOxoFWZapLBvyJe/cfYmG2cxgHvb2hBg="
SETTINGS = ("x-twilio-webhooks-signature-settings", "key=K1,algorithm=HMAC_SHA256")
WEBHOOK_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
WEBHOOK = ReceiptRequest(
    "https://hooks.example.test/r",
    {
        "webhook-id": "msg_test1",
        "webhook-timestamp": "1763856000",
        "webhook-signature": "v1,k7mPGMEb2GjCWvkyTotpQzYBW2HOIsev1vyQ3g0diN4=",
    },
    b'{"type":"message.failed","timestamp":"2026-11-23T00:00:00Z","data":{"id":"m1"}}',
)


def twilio(
    signature: str, *more: tuple[str, str], url: str = URL, body: bytes = FORM
) -> ReceiptRequest:
    return ReceiptRequest(url, {"x-twilio-signature": signature, **dict(more)}, body)


def test_twilios_two_hashes_are_taken() -> None:
    assert is_twilio(twilio(SHA1), KEY, NOW)
    assert is_twilio(twilio(SHA256, SETTINGS), KEY, NOW)


def test_twilios_hash_is_the_one_that_its_settings_name() -> None:
    assert not is_twilio(twilio(SHA256), KEY, NOW)
    assert not is_twilio(twilio(SHA1, SETTINGS), KEY, NOW)


@pytest.mark.parametrize("signed", [URL, URL.replace(".test/", ".test:443/")])
@pytest.mark.parametrize("called", [URL, URL.replace(".test/", ".test:443/")])
def test_twilio_may_sign_with_the_port_or_without(signed: str, called: str) -> None:
    pairs = [pair.split("=") for pair in FORM.decode().split("&")]
    form = {name: value.replace("%2B", "+") for name, value in pairs}
    signature = RequestValidator(KEY).compute_signature(signed, form)

    assert is_twilio(twilio(signature, url=called), KEY, NOW)


def test_twilio_signs_another_body_by_its_hash() -> None:
    body = b'{"a":1}'
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = RequestValidator(KEY).compute_signature(url, {})

    assert is_twilio(twilio(signature, url=url, body=body), KEY, NOW)
    assert not is_twilio(twilio(signature, url=url, body=b'{"a":2}'), KEY, NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        twilio(""),
        twilio("é"),
        twilio(SHA1[:-2] + "A="),
        twilio(SHA1, url=URL.replace("42", "43")),
        twilio(SHA1, body=FORM + b"&More=1"),
        ReceiptRequest(URL, {}, FORM),
    ],
)
def test_twilios_signature_is_about_url_and_form(wrong: ReceiptRequest) -> None:
    assert not is_twilio(wrong, KEY, NOW)
    assert not is_twilio(twilio(SHA1), KEY + "x", NOW)


def test_the_standard_webhook_vector_is_taken_while_it_is_young() -> None:
    assert is_standard(WEBHOOK, WEBHOOK_SECRET, NOW)
    assert is_standard(WEBHOOK, WEBHOOK_SECRET, NOW + timedelta(seconds=300))
    assert not is_standard(WEBHOOK, WEBHOOK_SECRET, NOW + timedelta(seconds=301))
    assert not is_standard(WEBHOOK, WEBHOOK_SECRET, NOW - timedelta(seconds=301))


@pytest.mark.parametrize(
    ("header", "value", "is_right"),
    [
        ("webhook-signature", "v1,AAAA v1,k7mPGMEb2GjCWvkyTotpQzYBW2HOIsev1vyQ3g0diN4=", True),
        ("webhook-signature", "v1a,k7mPGMEb2GjCWvkyTotpQzYBW2HOIsev1vyQ3g0diN4=", False),
        ("webhook-signature", "", False),
        ("webhook-id", "msg_test2", False),
        ("webhook-id", "", False),
        ("webhook-timestamp", "now", False),
    ],
)
def test_a_standard_webhook_may_be_signed_with_several_secrets(
    header: str,
    value: str,
    is_right: bool,  # noqa: FBT001 - a column of the table
) -> None:
    request = replace(WEBHOOK, headers={**WEBHOOK.headers, header: value})

    assert is_standard(request, WEBHOOK_SECRET, NOW) is is_right


def test_sendgrids_events_are_signed_with_its_own_key() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    other = ec.generate_private_key(ec.SECP256R1())
    body, moment = b'[{"event":"delivered"}]', "1763856000"

    def request(key: ec.EllipticCurvePrivateKey, at: str = moment) -> ReceiptRequest:
        sealed = key.sign(at.encode() + body, ec.ECDSA(hashes.SHA256()))
        return ReceiptRequest(
            URL,
            {
                "x-twilio-email-event-webhook-signature": base64.b64encode(sealed).decode(),
                "x-twilio-email-event-webhook-timestamp": at,
            },
            body,
        )

    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    public = base64.b64encode(der).decode()
    check_secret("sendgrid", public)

    assert is_sendgrid(request(private), public, NOW)
    assert not is_sendgrid(request(other), public, NOW)
    assert not is_sendgrid(request(private, "1763855000"), public, NOW)
    assert not is_sendgrid(replace(request(private), body=b"[]"), public, NOW)
    assert not is_sendgrid(ReceiptRequest(URL, {}, body), public, NOW)


def test_a_bearer_secret_is_compared_whole() -> None:
    request = ReceiptRequest(URL, {"authorization": "Bearer s3cret-s3cret"}, b"{}")

    assert is_bearer(request, "s3cret-s3cret", NOW)
    assert not is_bearer(request, "s3cret-s3cre", NOW)
    assert not is_bearer(ReceiptRequest(URL, {}, b"{}"), "", NOW)


@pytest.mark.parametrize(
    ("provider", "secret"),
    [
        ("sendgrid", "not base64!"),
        ("sendgrid", base64.b64encode(b"no key at all").decode()),
        ("generic", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("generic", "whsec_MDEy"),
        ("twilio", "short"),
    ],
)
def test_a_secret_that_checks_nothing_is_refused(provider: str, secret: str) -> None:
    with pytest.raises(InvalidInputError):
        check_secret(provider, secret)
