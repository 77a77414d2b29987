"""Browsers' push subscriptions, spelled as alloy spells them."""

import base64
import json

ENDPOINT = "https://fcm.googleapis.com/fcm/send/dQw4w9:APA91bH-abc123"


def spelled(size: int, first: int = 4) -> str:
    """Return that many bytes in url-safe base64 without padding."""
    data = bytes([first]) + bytes(range(1, size))
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def subscription(endpoint: str = ENDPOINT, **keys: str) -> str:
    """Return a token of platform ``web``.

    Source: alloy ``sendPushSubscription`` (keys sorted, no spaces).
    """
    whole = {"auth": spelled(16), "p256dh": spelled(65), **keys}
    document = {"endpoint": endpoint, "keys": whole}
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
