"""A journey that sends one push to whoever fills a cart, and the vendor that it calls."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import requests

from mobile_stub import sdk
from mobile_stub.device import new_token, random_for
from mobile_stub.gateway import GatewaySettings, make_app
from mobile_stub.gateway_faults import Fault
from mobile_stub.gateway_http import ServerThread
from tests.e2e.fleet import APP_ID, RememberingPhone
from tests.e2e.patience import eventually
from tests.e2e.worlds import World

CART_ADD = "commerce.productListAdds"
_RULE = (
    f'CHAIN(xEvent, timestamp, [C0: WHAT(eventType = "{CART_ADD}") WHEN(<= 24 hours before now)])'
)
_KEY = "stub-api-key"
_LEDGER_WITHIN_S = 30


@dataclass(frozen=True, slots=True)
class Vendor:
    """The push provider, and what it says it got."""

    url: str

    def received(self) -> list[dict[str, Any]]:
        """Return every message that the vendor took, oldest first."""
        rows = self._get("/_received")
        return [row for row in rows if row["route"] != "token" and row["accepted"]]

    def has(self, count: int) -> bool:
        """Tell whether so many messages have come."""
        return len(self.received()) >= count

    def addresses(self) -> Counter[str]:
        """Return how many messages each push token got."""
        return Counter(row["address"] for row in self.received())

    def count(self, route: str) -> int:
        """Return how many requests came on one route."""
        return int(self._get("/_received/count")["byRoute"].get(route, 0))

    def account(self) -> dict[str, Any]:
        """Return the service account that the vendor knows."""
        account: dict[str, Any] = self._get("/service-account.json")
        return account

    def _get(self, path: str) -> Any:
        return requests.get(f"{self.url}{path}", timeout=10).json()


@contextmanager
def playing_vendor(*script: Fault) -> Iterator[Vendor]:
    """Run a vendor in a thread of this process."""
    with ServerThread(make_app(GatewaySettings(api_key=_KEY, script=script))) as server:
        yield Vendor(server.url)


def push_action(vendor: Vendor) -> dict[str, Any]:
    """Return an action that posts to the vendor's generic API."""
    return {
        "name": "push",
        "adapter": "push",
        "url": f"{vendor.url}/push",
        "payload": {"to": "{{ token }}", "_xdm": "{{ tracking }}"},
        "auth": {"type": "apiKey", "name": "X-API-Key", "value": _KEY},
        "settings": {"appId": APP_ID},
    }


def fcm_action(vendor: Vendor, endpoint: str) -> dict[str, Any]:
    """Return an action that sends over FCM at an endpoint; bearers come from the vendor itself."""
    return {
        "name": "fcm",
        "adapter": "fcm",
        "payload": {"adb_title": "Your cart"},
        "auth": {"type": "serviceAccount", "credentials": vendor.account()},
        "settings": {"endpoint": endpoint, "appId": APP_ID, "platform": "fcm"},
    }


def open_campaign(world: World, action: dict[str, Any]) -> None:
    """Publish the journey; the people of its segment enter from now on."""
    segment = world.create_segment("full carts", _RULE, evaluation="continuous")
    action_id = world.admin.post("/actions", action)["id"]
    journey = world.admin.post("/journeys", _journey(segment, action_id))["id"]
    world.admin.post(f"/journeys/{journey}/publish")


def limit_connections(world: World, vendor: Vendor, count: int) -> None:
    """Let all workers together hold no more than ``count`` connections to the vendor."""
    base = "/journey/orchestration/endpointConfigs"
    rating = {"maxCallsCount": 100_000, "periodInMs": 60_000}
    services = {"action": {"maxHttpConnections": count, "rating": rating}}
    document = {"url": f"{vendor.url}/*", "methods": ["POST"], "services": services}
    uid = world.admin.post(base, document)["uid"]
    world.admin.post(f"{base}/{uid}/deploy")


def fill_carts(phones: Sequence[RememberingPhone]) -> dict[str, str]:
    """Let everybody install, log in and fill a cart; return whose person each token is of."""
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(_fill_cart, phones))
    return {str(phone.device.token): person_of(phone) for phone in phones}


def person_of(phone: RememberingPhone) -> str:
    """Return who is logged in on a phone."""
    (identity,) = phone.device.identities
    return identity.id


def sent_on(phone: RememberingPhone, event_type: str) -> None:
    """Send one event and wait until it is acknowledged."""
    phone.act(lambda held, now: sdk.event(held, event_type, now))
    assert phone.drain(), "the phone is off"


def ended_deliveries(database: str, count: int) -> Counter[str]:
    """Wait until ``count`` deliveries have ended and everybody has left; return their states."""

    def found() -> Counter[str] | None:
        with psycopg.connect(database) as connection:
            states = connection.execute("SELECT state FROM delivery").fetchall()
            inside = connection.execute(
                "SELECT 1 FROM journey_instance WHERE ended_at IS NULL LIMIT 1",
            ).fetchone()
        states_count = Counter(state for (state,) in states)
        is_over = inside is None and not states_count["waiting"] and states_count.total() == count
        return states_count if is_over else None

    states = eventually(found, within_s=_LEDGER_WITHIN_S, what=f"the end of {count} deliveries")
    assert states is not None
    return states


def _fill_cart(phone: RememberingPhone) -> None:
    device = phone.device
    token = new_token(device.platform, random_for(device.seed, "token"))
    phone.act(lambda held, now: sdk.install(held, token, now))
    phone.change(lambda held: sdk.login(held, f"C-{held.ecid[-12:]}"))
    sent_on(phone, CART_ADD)


def _journey(segment: str, action_id: str) -> dict[str, Any]:
    return {
        "name": "carts",
        "type": "audience_qualification",
        "startNodeId": "start",
        "nodes": [
            {
                "id": "start",
                "type": "audience_qualification",
                "name": "Cart is full",
                "segmentId": segment,
                "status": "realized",
                "identityNamespace": "CRMID",
                "transitions": [{"targetNodeId": "push"}],
            },
            {
                "id": "push",
                "type": "custom_action",
                "name": "Push",
                "actionId": action_id,
                "transitions": [
                    {"targetNodeId": "reached"},
                    {"targetNodeId": "missed", "conditionType": "timeoutOrError"},
                ],
            },
            {"id": "reached", "type": "end"},
            {"id": "missed", "type": "end"},
        ],
    }
