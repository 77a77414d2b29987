"""Actions and message contexts that are complete, so a test names only what it is about."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from service.core.secret import Secret
from service.outbound.adapters.contract import ActionSpec, MessageContext
from service.outbound.auth import ApiKeyAuth, ServiceAccount, ServiceAccountAuth

NOW = datetime(2026, 7, 1, 10, 0, tzinfo=UTC)
TOKEN = "dL3f:APA91bH-token"
_PAYLOADS: Mapping[str, Any] = {
    "fcm": {"adb_title": "Hi {{ profile.name }}", "adb_n_count": "{{ profile.orders }}"},
    "webhook": {"text": "Hi {{ profile.name }}", "n": "{{ profile.orders }}"},
    "push": {"to": "{{ token }}", "text": "Hi {{ profile.name }}", "tracking": "{{ tracking }}"},
}


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


def action_for(adapter: str, **changed: Any) -> ActionSpec:
    """Return a sound action of an adapter."""
    is_fcm = adapter == "fcm"
    action = ActionSpec(
        name="greet",
        adapter=adapter,
        method="POST",
        url="" if is_fcm else "https://api.example.com/push",
        headers=(),
        payload=_PAYLOADS[adapter],
        auth=ServiceAccountAuth(service_account())
        if is_fcm
        else ApiKeyAuth("X-API-Key", Secret("s3cret-key")),
        timeout_ms=5000,
        settings={},
    )
    return replace(action, **changed)


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
