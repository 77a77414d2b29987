"""Explain, and the live gauge, over HTTP."""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from service.db.session import SessionFactory, unit_of_work
from service.outbound import capping, connections
from service.outbound.capping import Cap
from service.sandboxes.scope import Scope
from tests.support.admin import AdminClient, AdminServices
from tests.support.clocks import FixedClock

BASE = "/journey/orchestration/endpointConfigs"
THROTTLES = "/journey/orchestration/throttlingConfigs"
URL = "https://push.example/v3/messages/42/send"
JOURNEY = str(uuid4())


def _deployed(client: AdminClient, document: dict[str, Any]) -> str:
    base = THROTTLES if "urlPattern" in document else BASE
    uid: str = client.post(base, json=document).get_json()["uid"]
    assert client.post(f"{base}/{uid}/deploy").status_code == 204
    return uid


def _cap(url: str, count: int, **service: Any) -> dict[str, Any]:
    rating = {"maxCallsCount": count, "periodInMs": 60_000}
    return {"url": url, "methods": ["POST"], "services": {"action": {"rating": rating, **service}}}


def _explained(client: AdminClient, **asked: str) -> Any:
    answer = client.get(f"{BASE}/explain?{urlencode({'url': URL, **asked})}")
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def _use(client: AdminClient, store: SessionFactory, scope: Scope, permits: int) -> None:
    """Take permits under every rate of the URL, and lease two of its connections."""
    services: AdminServices = client.app.extensions["services"]
    clock = FixedClock()
    with unit_of_work(store) as session:
        found = services.endpoints.limits(session, scope, method="POST", url=URL)
        for rate in found.rates:
            capping.take_permits(session, scope, rate.cap, wanted=permits, clock=clock)
        for limit in found.connections:
            connections.lease(session, scope, limit, "w1", wanted=2, ttl_s=60, clock=clock)


def test_without_a_config_the_built_in_cap_explains_itself(client: AdminClient) -> None:
    found = _explained(client)

    [rate] = found.pop("rates")
    assert found == {
        "url": URL,
        "method": "POST",
        "service": "action",
        "matches": [],
        "connections": [],
    }
    assert rate == {
        "kind": "builtIn",
        "maxCallsCount": 300_000,
        "periodInMs": 60_000,
        "onExceed": "drop",
        "permitsCounted": 0,
    }


def test_explain_names_who_decides_and_why(client: AdminClient) -> None:
    wide = _deployed(client, _cap("https://push.example/*", 900, maxHttpConnections=9))
    narrow = _deployed(client, _cap("https://push.example/v3/*", 700, maxHttpConnections=7))
    own = {"expireAfterMs": 5000, "weights": {JOURNEY: 4}}
    throttle = {"urlPattern": URL, "methods": ["POST"], "maxThroughput": 10, "_edgepost": own}
    throttled = _deployed(client, throttle)
    client.post(BASE, json=_cap(URL, 1))

    found = _explained(client)

    matches = {each["uid"]: each for each in found["matches"]}
    assert {uid: each["decidesRate"] for uid, each in matches.items()} == {
        throttled: True,
        narrow: True,
        wide: False,
    }
    assert "more specific capping pattern" in matches[wide]["reason"]
    assert "most specific throttling pattern" in matches[throttled]["reason"]
    assert matches[wide]["urlPattern"] == "https://push.example/*"
    rates = {each["kind"]: each for each in found["rates"]}
    assert set(rates) == {"capping", "throttling"}
    assert (rates["capping"]["uid"], rates["capping"]["maxCallsCount"]) == (narrow, 700)
    queue = rates["throttling"]
    assert (queue["onExceed"], queue["expireAfterMs"]) == ("queue", 5000)
    assert queue["weights"] == {JOURNEY: 4}
    limits = {each["uid"]: each["maxHttpConnections"] for each in found["connections"]}
    assert limits == {wide: 9, narrow: 7}


def test_explain_says_where_unknown_parts_leave_it_open(client: AdminClient) -> None:
    exact = _deployed(client, _cap(URL, 1))

    found = _explained(client, url="https://push.example/v3/messages/*/send")

    [match] = found["matches"]
    assert (match["uid"], match["decidesRate"]) == (exact, True)
    assert "unknown parts" in match["reason"]
    assert {each["kind"] for each in found["rates"]} == {"capping", "builtIn"}


def test_explain_shows_what_is_in_use(
    client: AdminClient, store: SessionFactory, scope: Scope
) -> None:
    _deployed(client, _cap(URL, 100, maxHttpConnections=5))
    _use(client, store, scope, 30)

    found = _explained(client)

    [rate], [limit] = found["rates"], found["connections"]
    assert rate["permitsCounted"] == 30
    assert rate["firstEndAt"]
    assert limit["connectionsLeased"] == 2


def test_explain_tells_methods_and_services_apart(client: AdminClient) -> None:
    _deployed(client, _cap(URL, 100))

    assert _explained(client, method="PUT")["matches"] == []
    source = _explained(client, service="dataSource")
    assert (source["matches"], source["rates"][0]["maxCallsCount"]) == ([], 15)


def test_explain_refuses_what_no_call_can_be(client: AdminClient) -> None:
    for asked in ("", "?url=push.example", "?url=", f"?url={URL}&method=FETCH", "?url=http://a:x/"):
        assert client.get(f"{BASE}/explain{asked}").status_code == 422


def test_the_gauge_shows_permits_and_leases(
    client: AdminClient, store: SessionFactory, scope: Scope
) -> None:
    uid = _deployed(client, _cap(URL, 100, maxHttpConnections=5))
    _use(client, store, scope, 30)

    usage = client.get(f"{BASE}/{uid}/usage").get_json()

    [service] = usage.pop("services")
    [lease] = service.pop("leases")
    assert usage.pop("readAt")
    assert usage == {"uid": uid, "kind": "capping"}
    assert service.pop("firstEndAt")
    assert service == {
        "service": "action",
        "maxCallsCount": 100,
        "periodInMs": 60_000,
        "permitsCounted": 30,
        "maxHttpConnections": 5,
        "connectionsLeased": 2,
    }
    assert (lease["worker"], lease["connections"]) == ("w1", 2)


def test_the_gauge_of_a_throttle_shows_permits(
    client: AdminClient, store: SessionFactory, scope: Scope
) -> None:
    document = {"urlPattern": URL, "methods": ["POST"], "maxThroughput": 50}
    uid = _deployed(client, document)
    lasting = Cap(UUID(uid), 50, 60_000)  # its own permits count for a second only
    with unit_of_work(store) as session:
        capping.take_permits(session, scope, lasting, wanted=30, clock=FixedClock())

    usage = client.get(f"{THROTTLES}/{uid}/usage").get_json()

    [service] = usage["services"]
    assert usage["kind"] == "throttling"
    assert (service["maxCallsCount"], service["periodInMs"]) == (50, 1000)
    assert service["permitsCounted"] == 30
    assert (service["connectionsLeased"], service["leases"]) == (0, [])


def test_the_gauge_of_a_config_that_does_not_hold_is_empty(client: AdminClient) -> None:
    uid = client.post(BASE, json=_cap(URL, 100)).get_json()["uid"]

    assert client.get(f"{BASE}/{uid}/usage").get_json()["services"] == []
    assert client.get(f"{BASE}/{uuid4()}/usage").status_code == 404


def test_another_sandbox_sees_nothing_of_it(client: AdminClient) -> None:
    dev = {"name": "dev", "title": "Dev", "type": "development"}
    client.post("/sandbox-management/sandboxes", json=dev)
    uid = _deployed(client, _cap(URL, 100))
    other = client.having(x_sandbox_name="dev")

    assert other.get(f"{BASE}/{uid}/usage").status_code == 404
    assert _explained(other)["matches"] == []
