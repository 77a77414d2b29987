"""What the Mobile SDKs make of an app's call: a changed device, a hit, and the bytes on the wire.

Everything here is pure. An app's call gives the device as it is afterwards and, if the SDK would
queue a request, that hit; ``render`` gives the body of one attempt.

Source: the Edge, EdgeIdentity and Messaging extensions for Android 3.x and iOS 5.x
(https://github.com/adobe/aepsdk-edge-android, .../aepsdk-edge-ios, and their siblings).
"""

import json
import random
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mobile_stub.device import (
    NO,
    AuthenticatedState,
    Device,
    Hit,
    Identity,
    Kind,
    LocationHint,
    collect_of,
    draw,
    new_ecid,
    random_for,
    spelled_uuid,
)

INTERACT = "/v1/interact"
SET_CONSENT = "/v1/privacy/set-consent"
HINT_LIFE = timedelta(minutes=30)
_OWN_PATH = re.compile(r"/[/.a-zA-Z0-9~_-]+")
_VERSIONS = {Kind.ANDROID: "3.8.0+3.0.2", Kind.IOS: "5.11.0+5.0.3"}
_RESERVED_NAMESPACES = frozenset({"ECID", "GAID", "IDFA"})
_STREAMING = {"enabled": True, "recordSeparator": "\u0000", "lineFeed": "\n"}


@dataclass(frozen=True, slots=True)
class Route:
    """Where an app wants one event to go, if not the usual way.

    Attributes:
        dataset: ``datasetIdentifier``.
        datastream: Another datastream than the configured one.
        overrides: ``meta.configOverrides``, never checked here.
        path: What stands in place of ``/v1/interact``, as Media asks; one of another form does not.
    """

    dataset: str = ""
    datastream: str = ""
    overrides: dict[str, Any] | None = None
    path: str = INTERACT


_USUAL = Route()


def install(device: Device, token: str | None, now: datetime) -> tuple[Device, Hit | None]:
    """Give the SDK a push token, as ``MobileCore.setPushIdentifier`` does.

    The token counts as synced before any answer. An empty token, or the one already synced,
    queues nothing.

    Source: Messaging ``InternalMessagingUtils`` / ``Messaging.swift``, push-token sync; config
    ``messaging.optimizePushSync`` at its default, true.
    """
    if not token or token == device.token:
        return device, None
    details = {
        "appID": device.app_id,
        "token": token,
        "platform": device.platform.value,
        "denylisted": False,
        "identity": {"namespace": {"code": "ECID"}, "id": device.ecid},
    }
    event = {"data": {"pushNotificationDetails": [details]}}
    return queued(replace(device, token=token), event, now)


rotate_token = install
"""A new token is announced like the first one; the old one is never mentioned again."""


def event(
    device: Device,
    event_type: str | None,
    now: datetime,
    *,
    xdm: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
    route: Route = _USUAL,
) -> tuple[Device, Hit | None]:
    """Send an experience event, as ``Edge.sendEvent`` does. An empty XDM queues nothing.

    Source: Edge ``ExperienceEvent``, ``EdgeDataEntity`` and ``RequestBuilder``.
    """
    root = dict(xdm or {}) | ({"eventType": event_type} if event_type else {})
    if not root:
        return device, None
    body = {"xdm": root} | ({"data": data} if data else {})
    if route.dataset:
        body["meta"] = {"collect": {"datasetId": route.dataset}}
    device, hit = queued(device, body, now)
    if hit is None:
        return device, None
    changed = replace(
        hit,
        path=route.path if _is_path(route.path) else INTERACT,
        datastream=route.datastream or None,
        overrides=route.overrides or None,
    )
    return replace(device, queue=(*device.queue[:-1], changed)), changed


def login(
    device: Device, person_id: str, namespace: str = "CRMID", *, primary: bool = False
) -> Device:
    """Say who holds the device (``Identity.updateIdentities``); no request, later events carry it.

    An identity of another id in the same namespace stays: an app that switches people removes
    the old one first (``switch_login``). ``ECID``, ``GAID`` and ``IDFA`` are refused silently.

    """
    state = AuthenticatedState.AUTHENTICATED
    return update_identity(device, Identity(namespace, person_id, state, primary=primary))


def logged_out(device: Device, person_id: str, namespace: str = "CRMID") -> Device:
    """Keep the identity but as ``loggedOut``, so that later events say so; no request."""
    return update_identity(device, Identity(namespace, person_id, AuthenticatedState.LOGGED_OUT))


def update_identity(device: Device, item: Identity) -> Device:
    """Put one item into the identity map (``Identity.updateIdentities``), or change the one there.

    An item without an id or of a namespace that is not the app's to set is left out.

    Source: EdgeIdentity ``IdentityMap`` (merge by namespace and id; Android ignores case).
    """
    if item.namespace.upper() in _RESERVED_NAMESPACES or not (item.namespace and item.id):
        return device
    others = tuple(each for each in device.identities if not _same(device.kind, each, item))
    return replace(device, identities=(*others, item))


def logout(device: Device, namespace: str = "CRMID") -> Device:
    """Remove the namespace's identities (``Identity.removeIdentity``); later events lack them."""
    kept = tuple(item for item in device.identities if item.namespace != namespace)
    return replace(device, identities=kept)


def switch_login(device: Device, person_id: str, namespace: str = "CRMID") -> Device:
    """Log the present person out and another one in, as an app on a shared phone does."""
    return login(logout(device, namespace), person_id, namespace)


def reset_identities(device: Device) -> Device:
    """Forget everyone (``MobileCore.resetIdentities``): new ECID, no token, no stored state.

    No request is sent. Hits already queued still leave with the old ids.
    """
    device, source = draw(device)
    return replace(
        device,
        ecid=new_ecid(source),
        token=None,
        identities=(),
        state=(),
        resets=device.resets + 1,
    )


def set_location_hint(device: Device, hint: str | None, now: datetime) -> Device:
    """Set or, with none, clear the path segment (``Edge.setLocationHint``), for half an hour."""
    return replace(device, hint=LocationHint(hint, now + HINT_LIFE) if hint else None)


def queued(device: Device, body: dict[str, Any], now: datetime) -> tuple[Device, Hit | None]:
    """Put one event behind the others, with the identities of this moment, ``_id`` and time.

    An app's own ``timestamp`` is kept, its ``_id`` never is. Nothing is queued while collecting is
    refused.

    Source: Edge ``RequestBuilder.extractExperienceEvents``, Core ``PersistentHitQueue``.
    """
    if collect_of(device) == NO:
        return device, None
    device, source = draw(device)
    hit_id = spelled_uuid(device.kind, source)
    xdm = {"timestamp": wire_time(now)} | body.get("xdm", {}) | {"_id": hit_id}
    hit = Hit(hit_id, INTERACT, body | {"xdm": xdm}, identity_map(device), device.resets)
    return replace(device, queue=(*device.queue, hit)), hit


def identity_map(device: Device) -> dict[str, list[dict[str, Any]]]:
    """Return the device's ``identityMap``: the ECID first, then what the app has set."""
    ecid = Identity("ECID", device.ecid, AuthenticatedState.AMBIGUOUS)
    items: dict[str, list[dict[str, Any]]] = {}
    for item in (*((ecid,) if device.ecid else ()), *device.identities):
        items.setdefault(item.namespace, []).append(
            {
                "id": item.id,
                "authenticatedState": item.authenticated_state.value,
                "primary": item.primary,
            }
        )
    return items


def request_document(
    hit: Hit, device: Device, now: datetime, datastream: str = ""
) -> dict[str, Any]:
    """Return the request of one attempt: the hit as queued, the stored state as it is now.

    ``datastream`` is the configured one, which an override reports.

    Source: Edge ``RequestBuilder.getPayloadWithExperienceEvents`` and ``getConsentPayload``.
    """
    meta: dict[str, Any] = {"konductorConfig": {"streaming": _STREAMING}}
    if hit.path == SET_CONSENT:
        known = {"identityMap": hit.identity_map} if hit.identity_map else {}
        return {"meta": meta} | known | hit.event
    if hit.datastream:
        meta["sdkConfig"] = {"datastream": {"original": datastream}}
    if hit.overrides:
        meta["configOverrides"] = hit.overrides
    entries = [
        {"key": entry.key, "value": entry.value, "maxAge": entry.max_age}
        for entry in device.state
        if entry.expires_at > now
    ]
    if entries:
        meta["state"] = {"entries": entries}
    xdm: dict[str, Any] = {"identityMap": hit.identity_map} if hit.identity_map else {}
    xdm["implementationDetails"] = {
        "environment": "app",
        "name": f"https://ns.adobe.com/experience/mobilesdk/{device.kind.value}",
        "version": _VERSIONS[device.kind],
    }
    return {"meta": meta, "xdm": xdm, "events": [hit.event]}


def render(hit: Hit, device: Device, now: datetime, datastream: str = "") -> bytes:
    """Return the body of one attempt, byte for byte in the platform's own manner.

    Android writes compact JSON with keys in no order; iOS pretty-prints. Both escape slashes
    (``org.json.JSONStringer``, Foundation's ``JSONEncoder``).
    """
    document = request_document(hit, device, now, datastream)
    if device.kind is Kind.IOS:
        text = json.dumps(document, ensure_ascii=False, indent=2, separators=(",", " : "))
    else:
        shuffled = _shuffled(document, random_for(device.seed, hit.id))
        text = json.dumps(shuffled, ensure_ascii=False, separators=(",", ":"))
    return text.replace("/", "\\/").encode()


def wire_time(moment: datetime) -> str:
    """Return a moment as the SDKs write it: UTC, milliseconds, ``Z``."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def _is_path(text: str) -> bool:
    return _OWN_PATH.fullmatch(text) is not None and "//" not in text


def _same(kind: Kind, one: Identity, other: Identity) -> bool:
    if kind is Kind.ANDROID:
        same_id = one.id.casefold() == other.id.casefold()
    else:
        same_id = one.id == other.id
    return same_id and one.namespace == other.namespace


def _shuffled(value: Any, source: random.Random) -> Any:
    if isinstance(value, list):
        return [_shuffled(item, source) for item in value]
    if not isinstance(value, dict):
        return value
    keys = list(value)
    source.shuffle(keys)
    return {key: _shuffled(value[key], source) for key in keys}
