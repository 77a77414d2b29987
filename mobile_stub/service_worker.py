"""The Web SDK's service worker: shows web pushes and reports clicks, without cookies.

Source: alloy ``serviceWorkerPushListener``, ``serviceWorkerNotificationClickListener`` and
``makeSendServiceWorkerTrackingData`` (https://github.com/adobe/alloy).
"""

import json
import uuid
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

import requests

from mobile_stub.edge_client import EXCHANGE_TIMEOUT_S, Edge
from mobile_stub.fetch import TEXT
from mobile_stub.notifications import Button, Notification
from mobile_stub.sdk import wire_time

OPENED = "pushTracking.applicationOpened"
CUSTOM_ACTION = "pushTracking.customAction"
_FOLLOWED = frozenset({"DEEPLINK", "WEBURL"})
_CHANNEL = "https://ns.adobe.com/xdm/channels/push"


@dataclass(frozen=True, slots=True)
class Worker:
    """What a page has stored in IndexedDB for its service worker; without all of it none tracks."""

    ecid: str = ""
    edge: Edge | None = None
    dataset_id: str = ""
    origin: str = ""
    browser: str = "Chrome"


@dataclass(frozen=True, slots=True)
class WebPush:
    """A web push on the screen, and what it carried."""

    notification: Notification
    data: dict[str, Any]


def show(worker: Worker, payload: bytes) -> WebPush | None:
    """Return what is shown of a decrypted payload: nothing without a title.

    A push that names an ECID is shown to that visitor only.
    """
    try:
        data = json.loads(payload).get("web")
    except (ValueError, AttributeError):
        return None
    if not isinstance(data, dict) or not data.get("title"):
        return None
    identity = data.get("identity") or {}
    if identity.get("namespace") == "ECID" and identity.get("id") != worker.ecid:
        return None
    buttons = (data.get("actions") or {}).get("buttons") or ()
    notification = Notification(
        title=data["title"],
        body=data.get("body", ""),
        uri=_followed(data.get("interaction") or {}),
        media=data.get("media", ""),
        buttons=tuple(Button(each["label"], each["type"], each.get("uri", "")) for each in buttons),
    )
    return WebPush(notification, data)


def tracking_body(
    worker: Worker, push: WebPush, label: str | None, message_id: str, now: datetime
) -> bytes:
    """Return the report of a click, on the body or on the button of a label.

    Of the fragment only ``mixins._experience`` is reported, and it must be there.
    """
    experience = push.data["_xdm"]["mixins"]["_experience"]
    journey = experience.get("customerJourneyManagement") or {}
    tracking: dict[str, Any] = {"customAction": {"actionID": label}} if label else {}
    tracking |= {
        "pushProviderMessageID": message_id,
        "pushProvider": worker.browser.lower(),
    }
    xdm = {
        "identityMap": {"ECID": [{"id": worker.ecid}]},
        "timestamp": wire_time(now),
        "pushNotificationTracking": tracking,
        "application": {"launches": {"value": 1}},
        "eventType": CUSTOM_ACTION if label else OPENED,
        "_experience": {
            **experience,
            "customerJourneyManagement": {
                **journey,
                "pushChannelContext": {"platform": "web"},
                "messageProfile": {"channel": {"_id": _CHANNEL}},
            },
        },
    }
    event = {"xdm": xdm, "meta": {"collect": {"datasetId": worker.dataset_id}}}
    return json.dumps({"events": [event]}, ensure_ascii=False, separators=(",", ":")).encode()


def click(
    worker: Worker, push: WebPush, source: Random, now: datetime, button: int | None = None
) -> bool:
    """Report a click on the body, or on a button; true when the service took it.

    Nothing is sent when the page has stored too little, or the push carries nothing to report.
    There is one try, without credentials, and the location hint is never used.
    """
    label = push.notification.buttons[button].label if button is not None else None
    edge = worker.edge
    if edge is None or not (worker.ecid and worker.dataset_id and edge.datastream_id):
        return False
    message_id, request_id = (
        str(uuid.UUID(int=source.getrandbits(128), version=4)) for _ in range(2)
    )
    try:
        body = tracking_body(worker, push, label, message_id, now)
    except (KeyError, TypeError):
        return False
    headers = {"Content-Type": TEXT, "Origin": worker.origin}
    if edge.domain:
        headers["Host"] = edge.domain
    query = f"configId={edge.datastream_id}&requestId={request_id}"
    try:
        with requests.Session() as http:
            http.trust_env = False
            answer = http.post(
                f"{edge.url.rstrip('/')}/{edge.base_path}/v1/interact?{query}",
                data=body,
                headers=headers,
                timeout=EXCHANGE_TIMEOUT_S,
            )
    except requests.RequestException:
        return False
    return answer.ok and answer.headers.get("Access-Control-Allow-Origin") in {worker.origin, "*"}


def _followed(interaction: dict[str, Any]) -> str:
    """Return where a click leads, if anywhere."""
    return str(interaction.get("uri", "")) if interaction.get("type") in _FOLLOWED else ""
