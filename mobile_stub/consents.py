"""What the app and the server say of consent, and what the phone does with its queue then.

Source: EdgeConsent ``ConsentExtension`` and Edge ``EdgeState`` (Android 3.x, iOS 5.x)
(https://developer.adobe.com/client-sdks/edge/consent-for-edge-network/).
"""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from mobile_stub import sdk
from mobile_stub.device import NO, YES, Device, Hit, Kind, collect_of, draw, spelled_uuid
from mobile_stub.live_activities import announced

Preferences = dict[str, Any]
_UPDATE = {"consent": {"operation": "update"}}
_SAME_WITHIN = timedelta(seconds=1)


def with_default(device: Device, collect: str | None = None) -> Device:
    """Return the phone with the Consent extension and its ``consent.default``, if any."""
    known: Preferences = {} if collect is None else {"collect": {"val": collect}}
    return replace(device, consents=known | (device.consents or {}))


def update(device: Device, preferences: Preferences, now: datetime) -> tuple[Device, Hit | None]:
    """Say something of consent (``Consent.update``).

    It counts at once on the phone and is queued for the service, behind what already waits. With
    ``n`` for collecting, what waits is forgotten first. With another value than ``y`` or ``n`` the
    queue stands still, this request included. Without the extension nothing happens.

    Source: ``ConsentExtension.handleConsentUpdate``: the new state is shared, then the request is
    made.
    """
    if device.consents is None or not preferences or _is_echo(device, preferences, now):
        return device, None
    was = collect_of(device)
    said = preferences | {"metadata": {"time": sdk.wire_time(now)}}
    device = replace(
        device,
        consents=device.consents | said,
        consent_update=_spelled(preferences),
        consent_updated_at=now,
    )
    device = _without_refused(device)
    device, source = draw(device)
    value = {"standard": "Adobe", "version": "2.0", "value": said}
    hit = Hit(
        spelled_uuid(device.kind, source),
        sdk.SET_CONSENT,
        {"query": _UPDATE, "consent": [value]},
        sdk.identity_map(device),
        device.resets,
    )
    device = replace(device, queue=(*device.queue, hit))
    return _announced_again(device, was, now), hit


def collect(device: Device, value: str, now: datetime) -> tuple[Device, Hit | None]:
    """Say whether data may be collected: ``y``, ``n``, ``p`` or whatever an app says."""
    return update(device, {"collect": {"val": value}}, now)


def told(device: Device, handle: dict[str, Any], now: datetime) -> Device:
    """Take over what a ``consent:preferences`` handle says; one of another shape says nothing.

    Source: ``ConsentExtension.handleEdgeConsentPreference``: only the first item counts.
    """
    payload = handle.get("payload")
    first = payload[0] if isinstance(payload, list) and payload else None
    if device.consents is None or not isinstance(first, dict) or not first:
        return device
    was = collect_of(device)
    said = first | {"metadata": {"time": sdk.wire_time(now)}}
    device = _without_refused(replace(device, consents=device.consents | said))
    return _announced_again(device, was, now)


def _is_echo(device: Device, preferences: Preferences, now: datetime) -> bool:
    """Tell whether Android has just heard the same."""
    at = device.consent_updated_at
    is_same = device.consent_update == _spelled(preferences)
    return device.kind is Kind.ANDROID and is_same and at is not None and now - at < _SAME_WITHIN


def _spelled(preferences: Preferences) -> str:
    return json.dumps(preferences, sort_keys=True)


def _without_refused(device: Device) -> Device:
    return replace(device, queue=()) if collect_of(device) == NO else device


def _announced_again(device: Device, was: str, now: datetime) -> Device:
    """Let iOS announce its tokens again once it may: what was refused never left the phone.

    Source: ``Messaging.swift``, consent preferences updated; Android 3.10 waits for a mark that
    EdgeConsent 3.0.2 does not set.
    """
    if device.kind is not Kind.IOS or was == YES or collect_of(device) != YES:
        return device
    token = device.token
    device, _ = sdk.install(replace(device, token=None), token, now)
    return announced(device, now)[0]
