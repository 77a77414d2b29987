"""Datastreams over HTTP."""

from uuid import uuid4

import pytest

from tests.support.admin import AdminClient

NEW = {"name": "app", "platform": "mobile", "appIds": ["com.example.app"]}


def test_a_datastream_is_created_read_changed_and_listed(client: AdminClient) -> None:
    made = client.post("/datastreams", json=NEW).get_json()
    path = f"/datastreams/{made['id']}"

    changed = client.patch(path, json={"enabled": False, "logoutPolicy": "keepAnonymous"})

    assert changed.status_code == 200
    expected = {**made, "enabled": False, "logoutPolicy": "keepAnonymous"}
    assert client.get(path).get_json() == expected
    assert client.get("/datastreams").get_json() == {
        "items": [expected],
        "page": {"limit": 50, "next": None},
    }


def test_defaults_are_those_of_the_installation_and_the_platform(client: AdminClient) -> None:
    answer = client.post("/datastreams", json={"name": "site", "platform": "web"})

    made = answer.get_json()
    assert answer.status_code == 201
    assert (made["imsOrgId"], made["logoutOn"]) == ("EDGEPOST@AdobeOrg", "loggedOut")
    assert (made["defaultConsent"], made["logoutPolicy"]) == ("in", "detach")
    assert made["enabled"] is True


def test_an_empty_change_changes_nothing(client: AdminClient) -> None:
    made = client.post("/datastreams", json=NEW).get_json()

    assert client.patch(f"/datastreams/{made['id']}", json={}).get_json() == made


@pytest.mark.parametrize("name", ["platform", "id", "imsOrgId", "eventDatasetId", "createdAt"])
def test_what_cannot_be_changed_is_told_as_that(client: AdminClient, name: str) -> None:
    made = client.post("/datastreams", json=NEW).get_json()
    change = {name: "web", "name": "Other"}

    answer = client.patch(f"/datastreams/{made['id']}", json=change)

    assert answer.status_code == 422
    assert answer.get_json()["errors"] == [
        {"in": "json", "path": name, "detail": "Cannot be changed."}
    ]
    assert client.get(f"/datastreams/{made['id']}").get_json() == made


def test_a_name_is_taken_once(client: AdminClient) -> None:
    client.post("/datastreams", json=NEW)

    assert client.post("/datastreams", json=NEW).status_code == 409


def test_an_unknown_datastream_is_404(client: AdminClient) -> None:
    assert client.get(f"/datastreams/{uuid4()}").status_code == 404
    assert client.patch(f"/datastreams/{uuid4()}", json={}).status_code == 404


def test_another_sandbox_neither_sees_nor_changes_it(client: AdminClient) -> None:
    dev = {"name": "dev", "title": "Dev", "type": "development"}
    client.post("/sandbox-management/sandboxes", json=dev)
    made = client.post("/datastreams", json=NEW).get_json()
    other = client.having(x_sandbox_name="dev")

    assert other.get("/datastreams").get_json()["items"] == []
    assert other.get(f"/datastreams/{made['id']}").status_code == 404
    assert other.patch(f"/datastreams/{made['id']}", json={"name": "x"}).status_code == 404
    assert client.get(f"/datastreams/{made['id']}").get_json()["name"] == "app"


def test_pages_are_followed_by_their_own_cursor(client: AdminClient) -> None:
    names = [f"app {i}" for i in range(5)]
    for name in names:
        client.post("/datastreams", json={**NEW, "name": name})

    first = client.get("/datastreams?limit=2").get_json()
    second = client.get(f"/datastreams?limit=2&after={first['page']['next']}").get_json()
    last = client.get(f"/datastreams?limit=2&after={second['page']['next']}").get_json()

    listed = [each["name"] for page in (first, second, last) for each in page["items"]]
    assert listed == names
    assert last["page"] == {"limit": 2, "next": None}


def test_a_change_leaves_an_audit_entry_and_a_refused_one_does_not(client: AdminClient) -> None:
    made = client.post("/datastreams", json=NEW).get_json()
    client.post("/datastreams", json=NEW)

    listed = client.get("/audit/entries?action=datastream.create").get_json()["items"]

    assert [each["subject"] for each in listed] == [made["id"]]
    assert listed[0]["actor"] == client.headers["x-api-key"]
