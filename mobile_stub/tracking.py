"""What the Messaging extension reports about a push: received, opened, a button, dismissed.

Source: Messaging ``MessagingExtension.java`` (Android 3.10) and ``Messaging+PushTracking.swift``
(iOS 5.14): https://developer.adobe.com/client-sdks/edge/adobe-journey-optimizer/push-notification/.
"""

import json
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mobile_stub.device import Device, Hit, Kind, Platform, draw, spelled_uuid
from mobile_stub.sdk import queued

RECEIVED = "pushTracking.receive"
OPENED = "pushTracking.applicationOpened"
CUSTOM_ACTION = "pushTracking.customAction"
DISMISS = "Dismiss"
_PUSH_CHANNEL = "https://ns.adobe.com/xdm/channels/push"


@dataclass(frozen=True, slots=True)
class Push:
    """A message on the phone: the provider's id of it and the ``_xdm`` it carried."""

    message_id: str
    xdm: dict[str, Any] | None


def read_push(item: dict[str, Any]) -> Push:
    """Read one message of the gateway's inbox as the SDK reads a push.

    FCM carries ``_xdm`` as a string of JSON in ``data``; elsewhere it is an object, in the body
    or in its ``data``. A missing, empty or unreadable ``_xdm`` gives ``xdm=None``: such a push
    is shown but never tracked.
    """
    message = item["message"]
    data = message.get("data")
    found = data.get("_xdm") if isinstance(data, dict) else None
    found = message.get("_xdm") if found is None else found
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except ValueError:
            found = None
    xdm = found if isinstance(found, dict) and found else None
    return Push(str(item["id"]).rpartition("/")[2], xdm)


def received(device: Device, push: Push, now: datetime) -> tuple[Device, Hit | None]:
    """Report that the message has come; only Android's Messaging, since 3.10, does so."""
    if device.kind is not Kind.ANDROID:
        return device, None
    return _track(device, push, now, event_type=RECEIVED, action=None, opens_app=False)


def opened(device: Device, push: Push, now: datetime) -> tuple[Device, Hit | None]:
    """Report a tap on the message's body."""
    return _track(device, push, now, event_type=OPENED, action=None, opens_app=True)


def acted(
    device: Device, push: Push, action_id: str, now: datetime, *, opens_app: bool = True
) -> tuple[Device, Hit | None]:
    """Report a button: its label on Android, its identifier on iOS."""
    return _track(
        device, push, now, event_type=CUSTOM_ACTION, action=action_id, opens_app=opens_app
    )


def dismissed(device: Device, push: Push, now: datetime) -> tuple[Device, Hit | None]:
    """Report that the message was cleared away."""
    return acted(device, push, DISMISS, now, opens_app=False)


def _track(
    device: Device,
    push: Push,
    now: datetime,
    *,
    event_type: str,
    action: str | None,
    opens_app: bool,
) -> tuple[Device, Hit | None]:
    if not (device.event_dataset and push.xdm and push.message_id):
        return device, None
    message_id = push.message_id
    if device.kind is Kind.IOS:
        # The identifier of a remote notification on iOS is made by the system, not by APNs.
        device, source = draw(device)
        message_id = spelled_uuid(device.kind, source)
    tracking: dict[str, Any] = {
        "pushProvider": device.platform.value,
        "pushProviderMessageID": message_id,
    }
    if action is not None:
        tracking["customAction"] = {"actionID": action}
    xdm = {
        "eventType": event_type,
        "pushNotificationTracking": tracking,
        "application": {"launches": {"value": int(opens_app)}},
    } | _carried(device, push.xdm, action=action, opens_app=opens_app)
    body = {"xdm": xdm, "meta": {"collect": {"datasetId": device.event_dataset}}}
    return queued(device, body, now)


def _carried(
    device: Device, blob: dict[str, Any], *, action: str | None, opens_app: bool
) -> dict[str, Any]:
    """Return what ``_xdm`` adds to the event's root: ``mixins`` wins over ``cjm``."""
    fragment = blob.get("mixins", blob.get("cjm"))
    if not isinstance(fragment, dict):
        return {}
    root = deepcopy(fragment)
    experience = root.get("_experience")
    if not isinstance(experience, dict):
        return root
    decisioning = experience.get("decisioning")
    if isinstance(decisioning, dict):
        if decisioning.get("exdRequestID"):
            dismissal = action == DISMISS if device.kind is Kind.IOS else not opens_app
            decisioning["propositionEventType"] = {"dismiss" if dismissal else "interact": 1}
        elif device.kind is Kind.IOS:
            return root
    journey = experience.get("customerJourneyManagement")
    if isinstance(journey, dict):
        provider = Platform.FCM if device.platform is Platform.FCM else Platform.APNS
        journey["messageProfile"] = {"channel": {"_id": _PUSH_CHANNEL}}
        journey["pushChannelContext"] = {"platform": provider.value}
    return root
