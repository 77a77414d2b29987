"""What the ingest bench writes: devices, tokens, logins, segments and a journey that they enter."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from service.core.json import encode
from tests.bench.load import post
from tests.support.admin_client import AdminClient

APP_ID = "com.example.shop"
SEGMENTS = {
    "viewed a page today": "CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "
    '"web.webpagedetails.pageViews") WHEN(<= 24 hours before now)])',
    "added to a cart": "CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "
    '"commerce.productListAdds") WHEN(<= 24 hours before now)])',
    "from Germany": 'homeAddress.country = "DE"',
}
ENTRY = "added to a cart"


@dataclass(frozen=True, slots=True)
class World:
    """The ids that a run needs."""

    datastream: str
    segments: dict[str, str]
    journey: str


@dataclass(frozen=True, slots=True)
class Sent:
    """One request and what must be found of it when it was acknowledged."""

    event_id: str
    ecid: str
    crm_id: str
    token: str
    request: bytes


def prepare(admin: AdminClient) -> World:
    """Create a mobile datastream, three streaming segments and a live journey."""
    datastream = admin.post("/datastreams", {"name": "bench", "platform": "mobile"})["id"]
    segments = {
        name: admin.post(
            "/data/core/ups/segment/definitions",
            {
                "name": name,
                "expression": {"type": "PQL", "format": "pql/text", "value": expression},
                "evaluationInfo": {"continuous": {"enabled": True}},
                "schema": {"name": "_xdm.context.profile"},
            },
        )["id"]
        for name, expression in SEGMENTS.items()
    }
    journey = admin.post("/journeys", _journey(segments[ENTRY]))["id"]
    admin.post(f"/journeys/{journey}/publish")
    return World(datastream, segments, journey)


def requests_to(url: str, datastream: str, count: int, run: str) -> list[Sent]:
    """Return ``count`` requests, each of a device never seen before."""
    return [_sent(url, datastream, f"{run}-{number}") for number in range(count)]


def _sent(url: str, datastream: str, name: str) -> Sent:
    event_id, token = str(uuid4()), f"token-{name}-{uuid4().hex}"
    ecid = f"{uuid4().int % 10**38:038d}"
    crm_id = f"C-{name}"
    body = {
        "meta": {
            "konductorConfig": {
                "streaming": {"enabled": True, "recordSeparator": "\0", "lineFeed": "\n"},
            },
        },
        "xdm": {
            "identityMap": {
                "ECID": [{"id": ecid, "authenticatedState": "ambiguous", "primary": False}],
                "CRMID": [{"id": crm_id, "authenticatedState": "authenticated", "primary": True}],
            },
            "implementationDetails": {
                "environment": "app",
                "name": "https://ns.adobe.com/experience/mobilesdk/android",
                "version": "3.8.0+3.0.2",
            },
        },
        "events": [
            {
                "xdm": {
                    "_id": event_id,
                    "timestamp": datetime.now(UTC).isoformat(),
                    "eventType": "commerce.productListAdds",
                },
                "data": {
                    "pushNotificationDetails": [
                        {
                            "appID": APP_ID,
                            "token": token,
                            "platform": "fcm",
                            "denylisted": False,
                            "identity": {"namespace": {"code": "ECID"}, "id": ecid},
                        },
                    ],
                },
            },
        ],
    }
    target = f"{url}/ee/v1/interact?configId={datastream}&requestId={uuid4()}"
    return Sent(event_id, ecid, crm_id, token, post(target, encode(body)))


def _journey(segment_id: str) -> dict[str, object]:
    return {
        "name": "bench",
        "type": "audience_qualification",
        "startNodeId": "start",
        "nodes": [
            {
                "id": "start",
                "type": "audience_qualification",
                "name": "Added to a cart",
                "segmentId": segment_id,
                "status": "realized",
                "identityNamespace": "CRMID",
                "transitions": [{"targetNodeId": "rest"}],
            },
            {
                "id": "rest",
                "type": "wait",
                "name": "Rest",
                "delay": "P1D",
                "transitions": [{"targetNodeId": "done"}],
            },
            {"id": "done", "type": "end"},
        ],
    }
