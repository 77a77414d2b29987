"""The demo's engineer: sets everything up over the admin API, as a script of a customer would."""

import re
from dataclasses import dataclass
from typing import Any

import requests

from mobile_stub.demo_people import Datastreams
from mobile_stub.demo_service import API_KEY_VARIABLE, DemoError, Vendors
from mobile_stub.scenarios import APP_ID, CART_ADD

CAP_CALLS = 12
CAP_PERIOD_MS = 60_000
CAP_NAME = "Both vendors"
SEGMENT_RULE = (
    'consents.marketing.push.val = "y" and CHAIN(xEvent, timestamp, '
    f'[C0: WHAT(eventType = "{CART_ADD}") WHEN(<= 24 hours before now)])'
)
PLATFORM_RULE = '_demo.platform = "android"'
_ORG = "EDGEPOST@AdobeOrg"
_TIMEOUT_S = 10.0
_TITLE = "Your cart is waiting"
_BODY = "{{ profile.person.name.firstName }}, it will be there until tonight."


class Admin:
    """A client of the admin API in the sandbox ``prod``."""

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self.url = url
        self._http = requests.Session()
        self._http.trust_env = False
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        token = self._read("POST", "/ims/token/v3", data=form)["access_token"]
        self._http.headers.update(
            {
                "Authorization": f"Bearer {token}",
                "x-api-key": client_id,
                "x-gw-ims-org-id": _ORG,
                "x-sandbox-name": "prod",
            }
        )

    def post(self, path: str, document: Any = None) -> Any:
        """Create or do something; the JSON of the answer, ``None`` when it has none.

        Raises:
            DemoError: The service refused; the text is its problem document.
        """
        return self._read("POST", path, json=document)

    def get(self, path: str, **query: str) -> Any:
        """Read something.

        Raises:
            DemoError: As ``post``.
        """
        return self._read("GET", path, params=query)

    def items(self, path: str, **query: str) -> list[dict[str, Any]]:
        """Read a list to its end, page by page.

        Raises:
            DemoError: As ``post``.
        """
        found: list[dict[str, Any]] = []
        while True:
            part = self.get(path, **query)
            found += part["items"]
            following = part["page"]["next"]
            if following is None:
                return found
            query["after"] = following

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _read(self, method: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(method, f"{self.url}{path}", timeout=_TIMEOUT_S, **options)
        except requests.RequestException as error:
            raise DemoError(f"{method} {path}: {type(error).__name__}") from error
        if not answer.ok:
            raise DemoError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer.json() if answer.content else None


@dataclass(frozen=True, slots=True)
class World:
    """What stands in the service before the first phone speaks; ids as its API gave them."""

    streams: Datastreams
    segment: str
    cap: str
    journey: str


def log_in(url: str, printed: str) -> Admin:
    """Return a client with the credential that ``edgepost credentials create`` printed.

    Raises:
        DemoError: It is not there, or the service does not take it.
    """
    shown = dict(re.findall(r"^(client_id|client_secret): *(\S+)$", printed, re.MULTILINE))
    try:
        return Admin(url, shown["client_id"], shown["client_secret"])
    except KeyError as error:
        raise DemoError(f"credentials create printed no {error}") from error


def make_sources(admin: Admin) -> tuple[Datastreams, str]:
    """Create a datastream for phones, one for pages, and the inlet that knows the people."""
    mobile = {"name": "Shop app", "platform": "mobile", "appIds": [APP_ID]}
    web = {"name": "Shop site", "platform": "web", "origins": ["https://www.example.com"]}
    streams = Datastreams(
        admin.url, admin.post("/datastreams", mobile)["id"], admin.post("/datastreams", web)["id"]
    )
    return streams, admin.post("/inlets", {"name": "CRM export"})["id"]


def make_segment(admin: Admin) -> str:
    """Create the streaming segment: agreed to pushes, and put something into the cart today."""
    document = {
        "name": "Full carts",
        "description": "Agreed to pushes and put something into the cart within a day",
        "expression": {"type": "PQL", "format": "pql/text", "value": SEGMENT_RULE},
        "evaluationInfo": {
            "batch": {"enabled": False},
            "continuous": {"enabled": True},
            "synchronous": {"enabled": False},
        },
        "schema": {"name": "_xdm.context.profile"},
    }
    segment: str = admin.post("/data/core/ups/segment/definitions", document)["id"]
    return segment


def make_cap(admin: Admin, vendors: Vendors) -> str:
    """Deploy one cap over everything on the vendors' host; return its ``uid``."""
    rating = {"maxCallsCount": CAP_CALLS, "periodInMs": CAP_PERIOD_MS}
    document = {
        "name": CAP_NAME,
        "url": f"{vendors.url}/*",
        "methods": ["POST"],
        "orgId": _ORG,
        "services": {"action": {"rating": rating}},
    }
    base = "/journey/orchestration/endpointConfigs"
    uid: str = admin.post(base, document)["uid"]
    admin.post(f"{base}/{uid}/deploy")
    return uid


def make_actions(admin: Admin, vendors: Vendors) -> tuple[str, str]:
    """Create the two custom actions: FCM by its service account, a push API by its key.

    The account is stored encrypted; the key stays in the service's environment.
    """
    account = vendors.get("/service-account.json")
    fcm = {
        "name": "fcm_cart",
        "adapter": "fcm",
        "payload": {
            "adb_title": _TITLE,
            "adb_body": _BODY,
            "adb_a_type": "DEEPLINK",
            "adb_uri": "shop://cart",
            "customer": "{{ parameters.customer }}",
        },
        "auth": {"type": "serviceAccount", "credentials": account},
        "settings": {"endpoint": vendors.url, "appId": APP_ID, "platform": "fcm"},
    }
    push = {
        "name": "push_cart",
        "adapter": "push",
        "url": f"{vendors.url}/push/messages",
        "method": "POST",
        "payload": {
            "to": "{{ token }}",
            "title": _TITLE,
            "body": _BODY,
            "customer": "{{ parameters.customer }}",
            "_xdm": "{{ tracking }}",
        },
        "auth": {"type": "apiKey", "name": "X-API-Key", "value": f"env:{API_KEY_VARIABLE}"},
        "settings": {"appId": APP_ID, "platform": "apns"},
    }
    return admin.post("/actions", fcm)["id"], admin.post("/actions", push)["id"]


def make_journey(admin: Admin, segment: str, fcm: str, push: str) -> str:
    """Create and publish the journey; return its id."""
    journey: str = admin.post("/journeys", journey_document(segment, fcm, push))["id"]
    admin.post(f"/journeys/{journey}/publish")
    return journey


def journey_document(segment: str, fcm: str, push: str) -> dict[str, Any]:
    """Return the journey: who qualifies is called over the vendor of their phone."""
    entry = {
        "id": "qualified",
        "type": "audience_qualification",
        "name": "Cart is full",
        "segmentId": segment,
        "status": "realized",
        "identityNamespace": "CRMID",
        "transitions": [{"targetNodeId": "platform"}],
    }
    condition = {
        "id": "platform",
        "type": "condition",
        "name": "Which phone",
        "transitions": [
            {"name": "Android", "expression": PLATFORM_RULE, "targetNodeId": "fcm"},
            {"name": "others", "conditionType": "otherwise", "targetNodeId": "push"},
        ],
    }
    return {
        "name": "Cart reminder",
        "type": "audience_qualification",
        "startNodeId": "qualified",
        "nodes": [
            entry,
            condition,
            _call("fcm", "Push over FCM", fcm),
            _call("push", "Push over the JSON API", push),
            {"id": "reached", "type": "end", "name": "Reached"},
            {"id": "missed", "type": "end", "name": "Not reached"},
        ],
    }


def _call(node_id: str, name: str, action: str) -> dict[str, Any]:
    return {
        "id": node_id,
        "type": "custom_action",
        "name": name,
        "actionId": action,
        "paramMappings": [{"paramPath": "customer", "expression": "_demo.customer"}],
        "transitions": [
            {"targetNodeId": "reached"},
            {"targetNodeId": "missed", "conditionType": "timeoutOrError"},
        ],
    }
