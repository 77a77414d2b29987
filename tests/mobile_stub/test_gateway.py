import json

import pytest
import requests

from mobile_stub.gateway import GatewaySettings, make_app
from mobile_stub.gateway_http import ServerThread
from tests.mobile_stub.vendor_caller import Vendor

MESSAGE = {"token": "t-1", "data": {"adb_title": "Hi"}}
XDM = json.dumps({"cjm": {"a": 1}})


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_the_generic_push_takes_a_message_with_the_key(vendor: Vendor, method: str) -> None:
    headers = {"X-API-Key": "stub-api-key", "Idempotency-Key": "d-1"}

    response = vendor.http.request(
        method, f"{vendor.url}/push", json={"to": "AB12"}, headers=headers, timeout=5
    )

    (row,) = vendor.get("/_received")
    assert response.status_code == 200
    assert row["id"] == response.json()["id"]
    assert (row["address"], row["idempotencyKey"]) == ("AB12", "d-1")


def test_the_generic_push_refuses_a_wrong_key_a_wrong_method_and_no_address(
    vendor: Vendor,
) -> None:
    headers = {"X-API-Key": "stub-api-key"}

    refused = [
        vendor.push({"to": "x"}, **{"X-API-Key": "wrong"}),
        vendor.http.patch(f"{vendor.url}/push", headers=headers, timeout=5),
        vendor.push({"text": "hello"}),
        vendor.http.post(f"{vendor.url}/push", data=b"{", headers=headers, timeout=5),
    ]

    assert [response.status_code for response in refused] == [401, 405, 400, 400]
    assert vendor.get("/_received/count")["accepted"] == 0


def test_counts_arrivals_and_rows_agree_and_can_be_forgotten(vendor: Vendor) -> None:
    vendor.fcm(MESSAGE)
    vendor.push({"to": "x"})
    vendor.push({})

    count = vendor.get("/_received/count")
    arrivals = vendor.get("/_received/arrivals")["ns"]
    rows = vendor.get("/_received")
    vendor.http.delete(f"{vendor.url}/_received", timeout=5)

    assert count == {
        "total": 3,
        "accepted": 2,
        "byRoute": {"fcm": 1, "push": 2},
        "acceptedByRoute": {"fcm": 1, "push": 1},
        "duplicatesByRoute": {},
        "byStatus": {"200": 2, "400": 1},
    }
    assert arrivals == sorted(arrivals) == [row["arrivedNs"] for row in rows]
    assert vendor.get("/_received/count")["total"] == 0


def test_only_the_last_requests_are_kept_when_bounded_but_all_are_counted() -> None:
    settings = GatewaySettings(keep=2, api_key="k")
    with ServerThread(make_app(settings)) as server, requests.Session() as http:
        caller = Vendor(server.url, http, {})
        for name in "abc":
            caller.push({"to": name}, **{"X-API-Key": "k"})

        rows, count = caller.get("/_received"), caller.get("/_received/count")

    assert [row["address"] for row in rows] == ["b", "c"]
    assert count["total"] == 3


def test_a_bare_sink_takes_everything_and_counts_it() -> None:
    with (
        ServerThread(make_app(GatewaySettings(bare=True))) as server,
        requests.Session() as http,
    ):
        account = http.get(f"{server.url}/service-account.json", timeout=5).json()
        caller = Vendor(server.url, http, account)

        granted = caller.grant(caller.assertion())
        answers = [caller.fcm({}), caller.push(None)]
        arrivals = caller.get("/_received/arrivals")["ns"]

    assert granted.status_code == 200
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len(arrivals) == 2


def test_a_registered_phone_finds_its_messages_and_nobody_elses(vendor: Vendor) -> None:
    phone = "phone-a"
    registered = vendor.http.post(f"{vendor.url}/_phones", json={"token": phone}, timeout=5)
    vendor.fcm({"token": phone, "data": {"_xdm": XDM}})
    vendor.push({"to": "somebody else"})
    vendor.push({"to": phone, "_xdm": {"mixins": {}}})

    first, second = vendor.get(f"/_inbox/{phone}")["messages"]
    later = vendor.get(f"/_inbox/{phone}", after=first["seq"])["messages"]

    assert registered.status_code == 201
    assert first["message"]["data"]["_xdm"] == XDM
    assert second["message"] == {"to": phone, "_xdm": {"mixins": {}}}
    assert later == [second]


def test_a_refused_message_reaches_no_phone(vendor: Vendor) -> None:
    phone = "phone-b"
    vendor.http.post(f"{vendor.url}/_phones", json={"token": phone}, timeout=5)
    vendor.script({"kind": "unavailable"})

    vendor.push({"to": phone})

    assert vendor.get(f"/_inbox/{phone}")["messages"] == []


def test_a_phone_can_wait_for_its_message(vendor: Vendor) -> None:
    phone = "AA:bb/c"
    vendor.http.post(f"{vendor.url}/_phones", json={"token": phone}, timeout=5)
    vendor.script({"kind": "slow", "latencyMs": 50})
    inbox = "/_inbox/AA%3Abb%2Fc"

    nothing = vendor.get(inbox, waitMs=20)["messages"]
    vendor.push({"to": phone})
    (item,) = vendor.get(inbox, waitMs=5000)["messages"]

    assert nothing == []
    assert item["message"] == {"to": phone}


def test_an_unknown_path_inbox_or_bad_number_is_said(vendor: Vendor) -> None:
    vendor.http.post(f"{vendor.url}/_phones", json={"token": "p"}, timeout=5)

    statuses = [
        vendor.http.get(f"{vendor.url}{path}", timeout=5).status_code
        for path in ("/nowhere", "/_inbox/nobody", "/_inbox/p?after=x", "/_inbox/p?after=-1")
    ]

    assert statuses == [404, 404, 400, 400]


@pytest.mark.parametrize("body", [b"{", b"{}", b'{"token":"x","callback":"ftp://a"}'])
def test_a_bad_registration_is_refused(vendor: Vendor, body: bytes) -> None:
    response = vendor.http.post(f"{vendor.url}/_phones", data=body, timeout=5)

    assert response.status_code == 400
