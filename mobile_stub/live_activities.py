"""Live activities of an iPhone: the tokens that start and update them.

Their tokens are lower-case hex, unlike the device token.

Source: Messaging ``Messaging+LiveActivity.swift`` (iOS 5.14)
(https://developer.adobe.com/client-sdks/edge/adobe-journey-optimizer/live-activities/).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from mobile_stub import sdk
from mobile_stub.device import Device, Hit, Kind

PUSH_TO_START = "liveActivity.pushToStart"
UPDATE_TOKEN = "liveActivity.updateToken"  # noqa: S105 - the name of an event
START = "liveActivity.start"
_CHANNEL = "https://ns.adobe.com/xdm/channels/liveactivity"


def push_to_start(
    device: Device, tokens: Mapping[str, str], now: datetime
) -> tuple[Device, Hit | None]:
    """Announce push-to-start tokens by attribute type; every known one is announced with them."""
    known = dict(device.start_tokens)
    if device.kind is not Kind.IOS or tokens.items() <= known.items():
        return device, None
    merged = {**known, **tokens}
    return announced(replace(device, start_tokens=tuple(sorted(merged.items()))), now)


def announced(device: Device, now: datetime) -> tuple[Device, Hit | None]:
    """Announce every push-to-start token that the phone has, for the ECID that it has now."""
    if not device.start_tokens:
        return device, None
    details = [
        {
            "appID": device.app_id,
            "denylisted": False,
            "platform": device.platform.value,
            "token": token,
            "attributeType": attribute_type,
            "identity": {"namespace": {"code": "ECID"}, "id": device.ecid},
        }
        for attribute_type, token in device.start_tokens
    ]
    data = {"liveActivityPushNotificationDetails": details}
    return sdk.queued(device, {"xdm": {"eventType": PUSH_TO_START}, "data": data}, now)


def update_token(
    device: Device, activity_id: str, token: str, now: datetime
) -> tuple[Device, Hit | None]:
    """Announce by which token a running activity is updated; whose it is, the request says."""
    data = {"liveActivityID": activity_id, "token": token}
    return sdk.queued(device, {"xdm": {"eventType": UPDATE_TOKEN}, "data": data}, now)


def started(device: Device, activity_id: str, now: datetime) -> tuple[Device, Hit | None]:
    """Report an activity that the app itself started; without an event dataset nothing is."""
    if not device.event_dataset:
        return device, None
    context = {
        "platform": "apns",
        "liveActivity": {"event": "localstart", "liveActivityID": activity_id},
    }
    journey: dict[str, Any] = {
        "messageProfile": {"channel": {"_id": _CHANNEL}},
        "pushChannelContext": context,
    }
    xdm = {"eventType": START, "_experience": {"customerJourneyManagement": journey}}
    body = {"xdm": xdm, "meta": {"collect": {"datasetId": device.event_dataset}}}
    return sdk.queued(device, body, now)


def reset_identities(device: Device, now: datetime) -> tuple[Device, Hit | None]:
    """Forget everyone; the push-to-start tokens stay and are announced under the new ECID."""
    return announced(sdk.reset_identities(device), now)
