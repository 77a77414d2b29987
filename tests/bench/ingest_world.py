"""What the ingest bench writes: devices, tokens, logins, segments and a journey that they enter."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from service.core.ids import minted_event_id
from service.core.json import encode
from tests.bench.load import post
from tests.support.admin_client import AdminClient

ORIGIN = "https://www.example.com"
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
    """The ids that a run needs; a datastream for each kind of client."""

    datastreams: dict[str, str]
    segments: dict[str, str]
    journey: str


@dataclass(frozen=True, slots=True)
class Sent:
    """One request and what must be found of it when it was acknowledged.

    A page announces no ``token`` and leaves its ECID to the server.
    """

    event_id: str
    token: str | None
    request: bytes


def prepare(admin: AdminClient) -> World:
    """Create two datastreams, three streaming segments and a live journey."""
    datastreams = {
        client: str(admin.post("/datastreams", {"name": client, "platform": client})["id"])
        for client in CLIENTS
    }
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
    return World(datastreams, segments, journey)


def requests_to(url: str, world: World, client: str, count: int, run: str) -> list[Sent]:
    """Return ``count`` requests, each of a device never seen before."""
    datastream, made = world.datastreams[client], _MAKERS[client]
    return [made(url, datastream, f"{run}-{number}") for number in range(count)]


def _of_phone(url: str, datastream: str, name: str) -> Sent:
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
    return Sent(event_id, token, post(target, encode(body)))


def _of_page(url: str, datastream: str, name: str) -> Sent:
    """Return what the Web SDK sends for a visitor without cookies who is logged in."""
    request_id = str(uuid4())
    person = {"id": f"C-{name}", "authenticatedState": "authenticated", "primary": True}
    body = {
        "meta": {"state": {"domain": "example.com", "cookiesEnabled": True}},
        "query": {"identity": {"fetch": ["ECID"]}},
        "events": [
            {
                "xdm": {
                    "eventType": "commerce.productListAdds",
                    "timestamp": datetime.now(UTC).isoformat(),
                    "web": {
                        "webPageDetails": {"URL": "https://www.example.com/cart"},
                        "webReferrer": {"URL": ""},
                    },
                    "device": {"screenHeight": 1080, "screenWidth": 1920},
                    "environment": {"type": "browser"},
                    "implementationDetails": {
                        "name": "https://ns.adobe.com/experience/alloy",
                        "version": "2.29.0",
                        "environment": "browser",
                    },
                    "identityMap": {"CRMID": [person]},
                },
            },
        ],
    }
    target = f"{url}/ee/v1/interact?configId={datastream}&requestId={request_id}"
    sent = post(target, encode(body), content_type="text/plain; charset=UTF-8", origin=ORIGIN)
    return Sent(minted_event_id(UUID(datastream), request_id, 0), None, sent)


_MAKERS = {"mobile": _of_phone, "web": _of_page}
CLIENTS = tuple(_MAKERS)


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
