"""A browser that has subscribed to web pushes, and can read them."""

import base64
from dataclasses import dataclass, field
from typing import Any

import http_ece  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.core import json
from tests.support.subscriptions import ENDPOINT, subscription

_AUTH = bytes(range(16))


@dataclass(frozen=True, slots=True)
class PushBrowser:
    """A browser's own key pair and secret."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def subscription(self, endpoint: str = ENDPOINT) -> str:
        """Return its push token."""
        form = (Encoding.X962, PublicFormat.UncompressedPoint)
        point = self.key.public_key().public_bytes(*form)
        return subscription(endpoint, auth=unpadded(_AUTH), p256dh=unpadded(point))

    def opened(self, body: bytes) -> bytes:
        """Return what was encrypted for it."""
        opened: bytes = http_ece.decrypt(
            body, private_key=self.key, auth_secret=_AUTH, version="aes128gcm"
        )
        return opened

    def read(self, body: bytes) -> Any:
        """Return the JSON that was encrypted for it."""
        return json.decode(self.opened(body))


def unpadded(data: bytes) -> str:
    """Return bytes as browsers spell them."""
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
