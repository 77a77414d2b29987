"""Actions and message contexts that are complete, so a test names only what it is about."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from service.core.secret import Secret
from service.outbound.adapters.contract import ActionSpec, MessageContext
from service.outbound.auth import ApiKeyAuth, AuthSpec, BasicAuth
from service.outbound.auth_account import ServiceAccount, ServiceAccountAuth
from service.outbound.auth_apns import ApnsKeyAuth
from service.outbound.auth_aws import AwsKeyAuth
from service.outbound.auth_fields import Fields
from service.outbound.auth_vapid import VapidAuth
from service.outbound.auth_vapid import read as read_vapid
from tests.support.push_browsers import PushBrowser

NOW = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
TOKEN = "dL3f:APA91bH-token"
_GREETING = "Hi {{ profile.name }}"
_PAYLOADS: Mapping[str, Any] = {
    "fcm": {"adb_title": "Hi {{ profile.name }}", "adb_n_count": "{{ profile.orders }}"},
    "webhook": {"text": "Hi {{ profile.name }}", "n": "{{ profile.orders }}"},
    **{name: {"text": _GREETING} for name in ("batchPost", "kinesis", "eventGrid", "file")},
    "push": {"to": "{{ token }}", "text": "Hi {{ profile.name }}", "tracking": "{{ tracking }}"},
    "webPush": {"title": _GREETING, "body": "{{ profile.orders }} orders"},
    "apns": {"aps": {"alert": {"body": _GREETING}, "badge": "{{ profile.orders }}"}},
    "twilio": {"Body": _GREETING},
    "sendgrid": {
        "from": {"email": "shop@example.com"},
        "subject": _GREETING,
        "content": [{"type": "text/plain", "value": _GREETING}],
    },
    "oneSignal": {"contents": {"en": _GREETING}},
    "airship": {"notification": {"alert": _GREETING}},
    "braze": {"messages": {"android_push": {"title": "Shop", "alert": _GREETING}}},
}
_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "apns": {"topic": "com.example.shop"},
    "twilio": {
        "accountSid": "AC" + 32 * "0",
        "from": "+15005550006",
        "address": "+15005550009",
    },
    "sendgrid": {"address": "ann@example.com"},
    "kinesis": {"stream": "messages"},
    "eventGrid": {"endpoint": "https://shop.westeurope-1.eventgrid.azure.net/api/events"},
    "file": {"bucket": "messages"},
    "oneSignal": {"oneSignalAppId": "00000000-0000-4000-8000-000000000009", "address": "c-1"},
    "airship": {"address": "c-1"},
    "braze": {"endpoint": "https://rest.iad-01.braze.com", "address": "c-1"},
}
_AWS = AwsKeyAuth("AKIA0000000000000009", Secret("s3cret-key"), "eu-central-1")
_AUTHS: Mapping[str, AuthSpec] = {
    "kinesis": _AWS,
    "file": _AWS,
    "eventGrid": ApiKeyAuth("aeg-sas-key", Secret("s3cret-key")),
    "twilio": BasicAuth("AC" + 32 * "0", Secret("s3cret-key")),
    "sendgrid": ApiKeyAuth("Authorization", Secret("Bearer s3cret-key")),
    "oneSignal": ApiKeyAuth("Authorization", Secret("Key s3cret-key")),
    "airship": BasicAuth(22 * "a", Secret("s3cret-key")),
    "braze": ApiKeyAuth("Authorization", Secret("Bearer s3cret-key")),
}
_WITH_URL = ("webhook", "push", "batchPost")


@cache
def service_account() -> ServiceAccount:
    """Return an account whose key nobody else has."""
    pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return ServiceAccount(
        client_email="sender@shop-1.iam.gserviceaccount.com",
        private_key_id="kid-1",
        private_key=Secret(pem.decode()),
        token_uri="https://oauth2.googleapis.com/token",
        project_id="shop-1",
    )


@cache
def apns_key() -> Secret:
    """Return a key such as a ``.p8`` file of Apple holds."""
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Secret(pem.decode())


@cache
def browser() -> PushBrowser:
    """Return Ann's browser."""
    return PushBrowser()


@cache
def vapid() -> VapidAuth:
    """Return a site's key pair."""
    document = {"subject": "mailto:push@example.com", "privateKey": apns_key().reveal()}
    return read_vapid(Fields(document, "auth"))


def action_for(adapter: str, **changed: Any) -> ActionSpec:
    """Return a sound action of an adapter."""
    action = ActionSpec(
        name="greet",
        adapter=adapter,
        method="POST",
        url="https://api.example.com/push" if adapter in _WITH_URL else "",
        headers=(),
        payload=_PAYLOADS[adapter],
        auth=_auth_of(adapter),
        timeout_ms=5000,
        settings=_SETTINGS.get(adapter, {}),
    )
    return replace(action, **changed)


def texted(adapter: str, text: Any) -> dict[str, Any]:
    """Return a sound payload of an adapter that holds a text besides, in the field ``text``."""
    return {**_PAYLOADS[adapter], "text": text}


def aimed_at(adapter: str, url: str) -> ActionSpec:
    """Return a sound action that calls an address of the test's choosing."""
    if adapter in _WITH_URL:
        return action_for(adapter, url=url)
    if adapter == "webPush":
        return action_for(adapter, settings={"pushHosts": [urlsplit(url).netloc]})
    return action_for(adapter, settings={**_SETTINGS.get(adapter, {}), "endpoint": url})


def _auth_of(adapter: str) -> AuthSpec:
    if adapter == "fcm":
        return ServiceAccountAuth(service_account())
    if adapter == "apns":
        return ApnsKeyAuth("TEAM000001", "KEY0000001", apns_key())
    if adapter == "webPush":
        return vapid()
    return _AUTHS.get(adapter, ApiKeyAuth("X-API-Key", Secret("s3cret-key")))


def message(**changed: Any) -> MessageContext:
    """Return a message to Ann that expires in an hour."""
    context = MessageContext(
        delivery_id=UUID(int=1),
        idempotency_key="idem-1",
        token=Secret(TOKEN),
        profile={"name": "Ann", "orders": 3, "nothing": None},
        event={"eventType": "commerce.purchases"},
        parameters={"offer": "-10%"},
        journey_version_id=UUID(int=2),
        instance_id=UUID(int=3),
        node_id="node-1",
        expires_at=NOW + timedelta(hours=1),
    )
    return replace(context, **changed)


def message_by(adapter: str, **changed: Any) -> MessageContext:
    """Return the same message with a token that the adapter can send to."""
    token = Secret(browser().subscription() if adapter == "webPush" else TOKEN)
    return message(**{"token": token, **changed})
