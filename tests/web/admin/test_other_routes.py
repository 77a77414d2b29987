"""Inlets, identity namespaces, sandboxes and the audit over HTTP."""

from uuid import uuid4

from flask import Flask

from service.access.permissions import Permission
from tests.support.admin import AdminClient, signed_in

DEV = {"name": "dev", "title": "Development", "type": "development"}
LOYALTY = {"name": "Loyalty", "code": "LoyaltyId", "idType": "Cross_device"}


def test_an_inlet_is_created_read_changed_and_listed(client: AdminClient) -> None:
    made = client.post("/inlets", json={"name": "crm"}).get_json()
    path = f"/inlets/{made['id']}"

    changed = client.patch(path, json={"authenticationRequired": True})

    assert changed.status_code == 200
    expected = {**made, "authenticationRequired": True}
    assert client.get(path).get_json() == expected
    assert client.get("/inlets").get_json()["items"] == [expected]


def test_wrong_inlets_are_refused(client: AdminClient) -> None:
    client.post("/inlets", json={"name": "crm"})

    assert client.post("/inlets", json={"name": "crm"}).status_code == 409
    assert client.post("/inlets", json={"name": ""}).status_code == 422
    assert client.post("/inlets", json={"name": "x", "imsOrgId": "no org"}).status_code == 422
    assert client.get(f"/inlets/{uuid4()}").status_code == 404


def test_an_inlet_is_unknown_in_another_sandbox(client: AdminClient) -> None:
    client.post("/sandbox-management/sandboxes", json=DEV)
    made = client.post("/inlets", json={"name": "crm"}).get_json()
    other = client.having(x_sandbox_name="dev")

    assert other.get("/inlets").get_json()["items"] == []
    assert other.patch(f"/inlets/{made['id']}", json={"enabled": False}).status_code == 404


def test_the_standard_namespaces_are_listed_most_important_first(client: AdminClient) -> None:
    listed = client.get("/idnamespace/identities").get_json()

    assert [each["code"] for each in listed[:3]] == ["CRMID", "Email", "Phone"]
    assert {each["custom"] for each in listed} == {False}
    ecid = next(each for each in listed if each["code"] == "ECID")
    assert (ecid["idType"], ecid["unique"]) == ("Cookie", False)


def test_a_namespace_is_created_read_and_changed(client: AdminClient) -> None:
    made = client.post("/idnamespace/identities", json=LOYALTY).get_json()

    answer = client.patch("/idnamespace/identities/LoyaltyId", json={"priority": 5})

    assert answer.status_code == 200
    assert (made["custom"], made["unique"]) == (True, True)
    shown = client.get("/idnamespace/identities/LoyaltyId").get_json()
    assert shown == {**made, "priority": 5}


def test_wrong_namespaces_are_refused(client: AdminClient) -> None:
    path = "/idnamespace/identities"
    kiosk = {"name": "K", "code": "Kiosk", "idType": "Device", "priority": 1}

    assert client.post(path, json={**LOYALTY, "code": "ECID"}).status_code == 409
    assert client.post(path, json={**LOYALTY, "idType": "Person"}).status_code == 422
    assert client.post(path, json={**LOYALTY, "code": "a b"}).status_code == 422
    assert client.post(path, json={**LOYALTY, "priority": 0}).status_code == 422
    assert client.post(path, json={**LOYALTY, "priority": 2.5}).status_code == 422
    assert client.post(path, json=kiosk).status_code == 422
    assert client.get(f"{path}/LoyaltyId").status_code == 404
    assert client.patch(f"{path}/LoyaltyId", json={}).status_code == 404


def test_a_namespace_belongs_to_its_sandbox(client: AdminClient) -> None:
    client.post("/sandbox-management/sandboxes", json=DEV)
    client.post("/idnamespace/identities", json=LOYALTY)
    other = client.having(x_sandbox_name="dev")

    assert other.get("/idnamespace/identities/LoyaltyId").status_code == 404
    assert other.get("/idnamespace/identities/ECID").status_code == 200


def test_a_sandbox_is_opened_and_can_be_entered_at_once(client: AdminClient) -> None:
    answer = client.post("/sandbox-management/sandboxes", json=DEV)

    assert answer.status_code == 201
    shown = client.get("/sandbox-management/sandboxes/dev").get_json()
    assert (shown["title"], shown["type"], shown["state"]) == (
        "Development",
        "development",
        "active",
    )
    inside = client.having(x_sandbox_name="dev")
    entries = inside.get("/audit/entries").get_json()["items"]
    assert [each["action"] for each in entries] == ["sandbox.create"]


def test_wrong_sandboxes_are_refused(client: AdminClient) -> None:
    path = "/sandbox-management/sandboxes"

    assert client.post(path, json={**DEV, "name": "prod"}).status_code == 409
    assert client.post(path, json={**DEV, "name": "Dev"}).status_code == 422
    assert client.post(path, json={**DEV, "type": "staging"}).status_code == 422
    assert client.post(path, json={**DEV, "title": ""}).status_code == 422
    assert client.get(f"{path}/nowhere").status_code == 404


def test_a_token_for_one_sandbox_sees_only_it_and_opens_none(app: Flask) -> None:
    everything = signed_in(app)
    everything.post("/sandbox-management/sandboxes", json=DEV)
    limited = signed_in(app, sandboxes=("dev",))
    path = "/sandbox-management/sandboxes"

    listed = limited.get(path).get_json()["sandboxes"]

    assert [each["name"] for each in listed] == ["dev"]
    assert limited.get(f"{path}/prod").status_code == 403
    assert limited.post(path, json={**DEV, "name": "third"}).status_code == 403


def test_the_audit_is_paged_and_belongs_to_its_sandbox(app: Flask, client: AdminClient) -> None:
    client.post("/sandbox-management/sandboxes", json=DEV)
    for name in ("a", "b", "c"):
        client.post("/inlets", json={"name": name})

    first = client.get("/audit/entries?limit=2").get_json()
    rest = client.get(f"/audit/entries?limit=2&after={first['page']['next']}").get_json()

    names = [each["facts"]["name"] for page in (first, rest) for each in page["items"]]
    assert names == ["c", "b", "a"]
    assert rest["page"]["next"] is None
    assert (
        client.having(x_sandbox_name="dev")
        .get("/audit/entries?action=inlet.create")
        .get_json()["items"]
        == []
    )
    blind = signed_in(app, Permission.SEGMENTS_READ)
    assert blind.get("/audit/entries").status_code == 403
