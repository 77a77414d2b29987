"""What a browser gives a page to be pushed to: an endpoint, and the keys that encrypt for it.

Whether the endpoint's host may be called is decided when it is called.
Source: alloy ``sendPushSubscription`` (the token is this, as JSON); RFC 8030; RFC 8291, section 2.
"""

import re
from urllib.parse import urlsplit

import msgspec

PLATFORM = "web"
_SHOWN = 6
# 16 and 65 bytes in url-safe base64, padded or not
_AUTH = re.compile(r"[A-Za-z0-9_-]{22}(==)?")
_P256DH = re.compile(r"[A-Za-z0-9_-]{87}=?")
_PRINTABLE = re.compile(r"[!-~]+")


class SubscriptionKeys(msgspec.Struct, frozen=True):
    """``keys``: what a message to the browser is encrypted with."""

    auth: str
    p256dh: str

    def __repr__(self) -> str:
        return "SubscriptionKeys(***)"


class Subscription(msgspec.Struct, frozen=True):
    """A push subscription; whoever knows the endpoint may push to it."""

    endpoint: str
    keys: SubscriptionKeys

    def __repr__(self) -> str:
        return f"Subscription({self.masked()!r})"

    def masked(self) -> str:
        """Return the push service and the end of the endpoint."""
        host = urlsplit(self.endpoint).netloc
        return f"https://{host}/…{self.endpoint[-_SHOWN:]}"


_SUBSCRIPTIONS = msgspec.json.Decoder(Subscription)


def read_subscription(token: str) -> Subscription | None:
    """Return the subscription that a token spells, ``None`` when it spells none that can be used.

    The endpoint is kept as it is.
    """
    try:
        found = _SUBSCRIPTIONS.decode(token)
    except (msgspec.DecodeError, RecursionError):
        return None
    is_whole = (
        _is_address(found.endpoint)
        and _AUTH.fullmatch(found.keys.auth)
        and _P256DH.fullmatch(found.keys.p256dh)
    )
    return found if is_whole else None


def _is_address(endpoint: str) -> bool:
    if not _PRINTABLE.fullmatch(endpoint):
        return False
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError:
        return False
    has_host = bool(parts.hostname) and "@" not in parts.netloc
    return parts.scheme == "https" and has_host and port != 0
