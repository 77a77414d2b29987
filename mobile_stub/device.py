"""What a phone keeps: ids, tokens, consent, the server's client-side state, and unsent hits.

Source: the Edge, EdgeIdentity, EdgeConsent and Messaging extensions of the Adobe Mobile SDKs
(https://developer.adobe.com/client-sdks/edge/).
"""

import json
import random
import uuid
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

_SIGN_BIT = 1 << 63
_HALF = 1 << 64
_FCM_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
YES = "y"
NO = "n"


class Kind(StrEnum):
    """The operating system; it decides the spelling on the wire."""

    ANDROID = "android"
    IOS = "ios"


class Platform(StrEnum):
    """The push provider a token belongs to."""

    FCM = "fcm"
    APNS = "apns"
    APNS_SANDBOX = "apnsSandbox"


class AuthenticatedState(StrEnum):
    """What the app says about an identity."""

    AMBIGUOUS = "ambiguous"
    AUTHENTICATED = "authenticated"
    LOGGED_OUT = "loggedOut"


@dataclass(frozen=True, slots=True)
class Identity:
    """One item of the identity map that the app itself has set."""

    namespace: str
    id: str
    authenticated_state: AuthenticatedState
    primary: bool = False


@dataclass(frozen=True, slots=True)
class StateEntry:
    """One ``state:store`` entry; ``max_age`` in seconds, echoed as the server gave it."""

    key: str
    value: str
    max_age: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class LocationHint:
    """The path segment the Edge Network asked for, until it expires."""

    hint: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Hit:
    """One queued request. ``event`` and ``identity_map`` are as they were when it was queued.

    Attributes:
        event: The event, or what a set-consent request says.
        resets: How many identity resets came before it: an answer to a hit from before the last
            reset stores nothing.
        datastream: The datastream of an override, in place of the configured one.
        overrides: ``meta.configOverrides``, as the app gave it.
    """

    id: str
    path: str
    event: dict[str, Any]
    identity_map: dict[str, list[dict[str, Any]]]
    resets: int
    datastream: str | None = None
    overrides: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """One installed app. Changes by replacement only; ``seed`` and ``draws`` fix every random part.

    Attributes:
        ecid: Empty while EdgeIdentity has not made one yet.
        event_dataset: The SDK's ``messaging.eventDataset``; empty means pushes are not tracked.
        queue: The SDK's persistent first-in-first-out queue of hits.
        consents: The preferences that the Consent extension holds; ``None`` without it.
        consent_update: What the app said last, and when: Android forgets the same said again.
        start_tokens: On iOS, the push-to-start token of each live activity's attribute type.
    """

    kind: Kind
    ecid: str
    app_id: str
    platform: Platform
    seed: str
    token: str | None = None
    identities: tuple[Identity, ...] = ()
    state: tuple[StateEntry, ...] = ()
    hint: LocationHint | None = None
    event_dataset: str = "push-tracking"
    queue: tuple[Hit, ...] = ()
    resets: int = 0
    draws: int = 0
    consents: dict[str, Any] | None = None
    consent_update: str = ""
    consent_updated_at: datetime | None = None
    start_tokens: tuple[tuple[str, str], ...] = ()


def collect_of(device: Device) -> str:
    """Return the collect consent: ``y`` sends, ``n`` drops, anything else holds the queue.

    It is ``y`` without the Consent extension, and pending while that knows nothing of collecting.

    Source: Edge ``EdgeState`` and ``ConsentStatus`` (Android, iOS).
    """
    if device.consents is None:
        return YES
    collect = device.consents.get("collect")
    value = collect.get("val") if isinstance(collect, dict) else None
    return value if isinstance(value, str) else "p"


def random_for(seed: str, purpose: object) -> random.Random:
    """Return the random source of one purpose: the same seed and purpose give the same draws."""
    return random.Random(f"{seed}/{purpose}")  # noqa: S311 - replays of a phone, never secrets


def draw(device: Device) -> tuple[Device, random.Random]:
    """Return a fresh random source, and the device that will not hand it out again."""
    source = random_for(device.seed, device.draws)
    return replace(device, draws=device.draws + 1), source


def spelled_uuid(kind: Kind, source: random.Random) -> str:
    """Return a random UUIDv4 as the platform writes it: upper case on iOS, lower on Android."""
    text = str(uuid.UUID(int=source.getrandbits(128), version=4))
    return text.upper() if kind is Kind.IOS else text


def new_ecid(source: random.Random) -> str:
    """Return 38 digits: the two signed halves of a UUIDv4 without sign, 19 digits each.

    Source: ``ECID`` of EdgeIdentity (Android ``ECID.java``, iOS ``ECID.swift``).
    """
    whole = uuid.UUID(int=source.getrandbits(128), version=4).int
    high, low = divmod(whole, _HALF)
    return f"{_magnitude(high):019d}{_magnitude(low):019d}"


def new_token(platform: Platform, source: random.Random) -> str:
    """Return a token as the provider's SDK hands it out: FCM registration, or APNs upper hex."""
    if platform is Platform.FCM:
        letters = "".join(source.choices(_FCM_LETTERS, k=156))
        return f"{letters[:22]}:APA91b{letters[22:]}"
    return f"{source.getrandbits(256):064X}"


def new_device(kind: Kind, app_id: str, platform: Platform, seed: int | str) -> Device:
    """Return a phone on its first launch: it has an ECID, and no token and no person yet."""
    text = str(seed)
    ecid = new_ecid(random_for(text, "ecid"))
    return Device(kind=kind, ecid=ecid, app_id=app_id, platform=platform, seed=text)


def save(device: Device, path: Path) -> None:
    """Write the device to one JSON file, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(asdict(device), default=datetime.isoformat, indent=2) + "\n")
    beside.replace(path)


def load(path: Path) -> Device:
    """Read a device that ``save`` wrote.

    Raises:
        FileNotFoundError: nothing was saved there; the app is not installed.
    """
    raw = json.loads(path.read_text())
    hint, updated_at = raw["hint"], raw.get("consent_updated_at")
    return Device(
        **raw
        | {
            "kind": Kind(raw["kind"]),
            "platform": Platform(raw["platform"]),
            "identities": tuple(_identity(item) for item in raw["identities"]),
            "state": tuple(
                StateEntry(**item | {"expires_at": datetime.fromisoformat(item["expires_at"])})
                for item in raw["state"]
            ),
            "hint": hint and LocationHint(hint["hint"], datetime.fromisoformat(hint["expires_at"])),
            "queue": tuple(Hit(**item) for item in raw["queue"]),
            "consent_updated_at": updated_at and datetime.fromisoformat(updated_at),
            "start_tokens": tuple((kind, token) for kind, token in raw.get("start_tokens", ())),
        }
    )


def _identity(item: dict[str, Any]) -> Identity:
    state = AuthenticatedState(item["authenticated_state"])
    return Identity(item["namespace"], item["id"], state, item["primary"])


def _magnitude(half: int) -> int:
    return _HALF - half if half >= _SIGN_BIT else half
