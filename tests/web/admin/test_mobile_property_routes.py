"""Mobile properties and snippets over HTTP."""

import json
import re
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from service.access.permissions import Permission
from tests.support.admin import AdminClient, signed_in

PATH = "/mobile-properties"
HOST = "edge.example.com"
DEV = {"name": "dev", "title": "Dev", "type": "development"}
WRONG_HOSTS = [
    "",
    "https://edge.example.com",
    "edge.example.com/ee",
    "edge.example.com:8443",
    "Edge.example.com",
    "edge..example.com",
    "-edge.example.com",
    "edge.example.com\n",
    'edge.example.com"',
    "a" * 64 + ".example.com",
    ".".join(["abcdefghijklmnopqrstuvwxyz" * 2] * 5),
    None,
    7,
]

WRONG_SETTINGS: list[dict[str, Any]] = [
    {"edgeEnvironment": "int"},
    {"useSandbox": "no"},
    {"optimizePushSync": None},
    {"consentDefault": "yes"},
    {"globalPrivacy": "y"},
    {"sessionTimeout": 0},
    {"sessionTimeout": 86_401},
    {"sessionTimeout": "300"},
    {"eventDatasetId": str(uuid4())},
    {"datastreamId": str(uuid4())},
    {"datastreamId": "x"},
    {"colour": "red"},
    {"appId": "mine"},
    *({"edgeDomain": host} for host in WRONG_HOSTS),
]


def stream(client: AdminClient, platform: str = "mobile", **changes: Any) -> dict[str, Any]:
    answer = client.post("/datastreams", json={"name": "app", "platform": platform, **changes})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.get_json()
    return document


def made(client: AdminClient, **environments: Any) -> dict[str, Any]:
    told = {"datastreamId": stream(client)["id"], "edgeDomain": HOST}
    served = {name: {**told, **each} for name, each in environments.items()}
    new = {"name": "Shop", "environments": served or {"production": told}}
    answer = client.post(PATH, json=new)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.get_json()
    return document


def test_a_property_shows_its_settings_with_every_default(client: AdminClient) -> None:
    document = made(client, development={}, production={"sessionTimeout": 60})

    app_id = document["appId"]
    assert re.fullmatch(r"[0-9a-f]{12}/[0-9a-f]{12}/launch-[0-9a-f]{12}", app_id)
    assert document["extensions"] == [
        "core",
        "edgeidentity",
        "edge",
        "consent",
        "messaging",
        "lifecycle",
    ]
    assert document["environments"].keys() == {"development", "production"}
    told = document["environments"]["development"]
    assert told == {
        "datastreamId": told["datastreamId"],
        "edgeDomain": HOST,
        "edgeEnvironment": "prod",
        "eventDatasetId": None,
        "useSandbox": True,
        "optimizePushSync": True,
        "consentDefault": None,
        "globalPrivacy": "optedin",
        "sessionTimeout": 300,
        "appId": f"{app_id}-development",
        "configurationUrl": f"https://{HOST}/{app_id}-development.json",
    }
    assert document["environments"]["production"] == {
        **told,
        "useSandbox": False,
        "sessionTimeout": 60,
        "appId": app_id,
        "configurationUrl": f"https://{HOST}/{app_id}.json",
    }
    assert client.get(f"{PATH}/{document['id']}").get_json() == document
    assert client.get(PATH).get_json()["items"] == [document]


def test_two_properties_never_share_an_app_id(client: AdminClient) -> None:
    first = made(client)
    environments = {
        name: {"datastreamId": each["datastreamId"], "edgeDomain": HOST}
        for name, each in first["environments"].items()
    }

    second = client.post(PATH, json={"name": "Other", "environments": environments}).get_json()

    assert second["appId"] != first["appId"]


def test_a_change_is_partial_and_null_removes(client: AdminClient) -> None:
    before = made(client, staging={"consentDefault": "p"}, production={})
    path = f"{PATH}/{before['id']}"

    client.patch(path, json={"environments": {"staging": {"globalPrivacy": "optunknown"}}})
    client.patch(path, json={"environments": {"staging": {"consentDefault": None}}})
    both = client.patch(path, json={"extensions": ["core"], "name": "Renamed"}).get_json()
    one = client.patch(path, json={"environments": {"production": None}}).get_json()

    assert both["environments"]["staging"] == {
        **before["environments"]["staging"],
        "globalPrivacy": "optunknown",
        "consentDefault": None,
    }
    assert both["environments"]["production"] == before["environments"]["production"]
    assert (both["name"], both["extensions"]) == ("Renamed", ["core"])
    assert one["environments"].keys() == {"staging"}
    assert client.get(path).get_json() == one


@pytest.mark.parametrize("name", ["id", "appId", "createdAt", "updatedAt"])
def test_what_cannot_be_changed_is_told_as_that(client: AdminClient, name: str) -> None:
    answer = client.patch(f"{PATH}/{made(client)['id']}", json={name: "a/b"})

    assert answer.status_code == 422
    assert answer.get_json()["errors"] == [
        {"in": "json", "path": name, "detail": "Cannot be changed."}
    ]


def test_an_environment_that_a_change_adds_must_be_whole(client: AdminClient) -> None:
    document = made(client)
    path = f"{PATH}/{document['id']}"
    told = {"datastreamId": document["environments"]["production"]["datastreamId"]}

    refused = client.patch(path, json={"environments": {"staging": told}})
    added = client.patch(path, json={"environments": {"staging": {**told, "edgeDomain": HOST}}})

    assert (refused.status_code, refused.get_json()["at"]) == (
        422,
        "environments.staging.edgeDomain",
    )
    assert added.get_json()["environments"].keys() == {"staging", "production"}


def test_a_deleted_property_is_gone_and_the_audit_tells(client: AdminClient) -> None:
    path = f"{PATH}/{made(client)['id']}"
    client.patch(path, json={"name": "Renamed"})

    gone = client.delete(path)

    assert (gone.status_code, gone.data) == (204, b"")
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404
    assert client.patch(path, json={}).status_code == 404
    entries = client.get("/audit/entries").get_json()["items"]
    told = [each for each in entries if each["action"].startswith("mobileProperty.")]
    assert {(each["action"], each["facts"]["name"]) for each in told} == {
        ("mobileProperty.create", "Shop"),
        ("mobileProperty.update", "Renamed"),
        ("mobileProperty.delete", "Renamed"),
    }


def test_a_name_that_is_taken_is_409(client: AdminClient) -> None:
    document = made(client)
    told = {"datastreamId": document["environments"]["production"]["datastreamId"]}
    same = {"name": "Shop", "environments": {"production": {**told, "edgeDomain": HOST}}}

    assert client.post(PATH, json=same).status_code == 409


def test_what_no_app_could_use_is_refused_and_nothing_is_kept(client: AdminClient) -> None:
    mobile = stream(client)["id"]
    told = {"datastreamId": mobile, "edgeDomain": HOST}
    wrong: list[dict[str, Any]] = [
        {"environments": {}},
        {"environments": None},
        {"environments": {"production": None}},
        {"environments": {"test": told}},
        {"environments": {"production": {"edgeDomain": HOST}}},
        {"environments": {"production": {"datastreamId": mobile}}},
        {"environments": {"production": told}, "extensions": []},
        {"environments": {"production": told}, "extensions": ["edge"]},
        {"environments": {"production": told}, "extensions": ["core", "assurance"]},
        {"environments": {"production": told}, "appId": "mine"},
        {"environments": {"production": told}, "name": " "},
        *({"environments": {"production": {**told, **each}}} for each in WRONG_SETTINGS),
    ]

    for each in wrong:
        answer = client.post(PATH, json={"name": "Shop", **each})

        assert answer.status_code == 422, each
        assert answer.content_type == "application/problem+json"
    assert client.get(PATH).get_json()["items"] == []


def test_a_web_datastream_is_no_app_s(client: AdminClient) -> None:
    told = {"datastreamId": stream(client, "web")["id"], "edgeDomain": HOST}

    answer = client.post(PATH, json={"name": "Shop", "environments": {"staging": told}})

    assert answer.status_code == 422
    assert answer.get_json()["at"] == "environments.staging.datastreamId"
    assert "made for mobile" in answer.get_json()["detail"]


def test_properties_of_another_sandbox_are_not_to_be_seen(client: AdminClient) -> None:
    key = made(client)["id"]
    client.post("/sandbox-management/sandboxes", json=DEV)
    elsewhere = client.having(x_sandbox_name="dev")

    for path in (f"{PATH}/{key}", f"{PATH}/{key}/snippets"):
        assert elsewhere.get(path).status_code == 404
    assert elsewhere.patch(f"{PATH}/{key}", json={"name": "x"}).status_code == 404
    assert elsewhere.delete(f"{PATH}/{key}").status_code == 404
    assert elsewhere.get(PATH).get_json()["items"] == []
    assert client.get(f"{PATH}/{key}").status_code == 200


def test_reading_and_writing_datastreams_is_all_that_it_needs(
    app: Flask, client: AdminClient
) -> None:
    document = made(client)
    path = f"{PATH}/{document['id']}"
    reader = signed_in(app, Permission.DATASTREAMS_READ)
    writer = signed_in(app, Permission.DATASTREAMS_WRITE)

    assert reader.get(f"{path}/snippets").status_code == 200
    assert reader.patch(path, json={"name": "x"}).status_code == 403
    assert writer.patch(path, json={"name": "x"}).status_code == 200
    assert writer.get(path).status_code == 403


def test_snippets_are_those_of_the_builds_that_are_asked_about(client: AdminClient) -> None:
    document = made(client, development={"consentDefault": "p"}, production={})
    path = f"{PATH}/{document['id']}/snippets"

    usual = client.get(path).get_json()
    development = client.get(path, query_string={"environment": "development"}).get_json()

    assert usual.keys() == {"kotlin", "swift", "adbMobileConfig", "appId", "configurationUrl"}
    assert usual["appId"] == document["appId"]
    assert development["appId"] == f"{document['appId']}-development"
    assert development["configurationUrl"].endswith("-development.json")
    told = json.loads(development["adbMobileConfig"])
    assert told["build.environment"] == "dev"
    assert told["rules.url"] == f"https://{HOST}/rules/{development['appId']}.zip"
    assert '"messaging.useSandbox" to true' in development["kotlin"]
    assert '"messaging.useSandbox": false' in usual["swift"]


def test_snippets_of_builds_that_are_not_served_name_those_that_are(client: AdminClient) -> None:
    path = f"{PATH}/{made(client, staging={}, production={})['id']}/snippets"

    missing = client.get(path, query_string={"environment": "development"})
    wrong = client.get(path, query_string={"environment": "test"})

    assert missing.status_code == 404
    assert "staging, production" in missing.get_json()["detail"]
    assert wrong.status_code == 422


@pytest.mark.parametrize("name", ['Ada\'s "shop"', "$x \\( */\nalert(1)", "</script>"])
def test_an_odd_name_stays_in_the_comment(client: AdminClient, name: str) -> None:
    web = stream(client, "web", name=name, defaultConsent="pending")
    path = f"/datastreams/{web['id']}/snippets"

    code = client.get(path, query_string={"edgeDomain": HOST}).get_json()["alloy"]

    first, _, rest = code.partition("\n")
    assert first.startswith("// ")
    assert "<" not in first
    assert rest.splitlines() == [
        'alloy("configure", {',
        f'  datastreamId: "{web["id"]}",',
        '  orgId: "EDGEPOST@AdobeOrg",',
        f'  edgeDomain: "{HOST}",',
        '  edgeBasePath: "ee",',
        "  thirdPartyCookiesEnabled: false,",
        "  idMigrationEnabled: false,",
        '  defaultConsent: "pending",',
        "});",
    ]


def test_a_mobile_datastream_has_snippets_without_a_property(client: AdminClient) -> None:
    mobile = stream(client)
    path = f"/datastreams/{mobile['id']}/snippets"

    answer = client.get(path, query_string={"edgeDomain": HOST}).get_json()

    assert answer.keys() == {"kotlin", "swift", "adbMobileConfig"}
    told = json.loads(answer["adbMobileConfig"])
    assert told["edge.configId"] == mobile["id"]
    assert told["messaging.eventDataset"] == mobile["eventDatasetId"]
    assert told.keys() & {"rules.url", "property.id"} == set()


def test_snippets_of_a_datastream_need_the_host(client: AdminClient) -> None:
    path = f"/datastreams/{stream(client)['id']}/snippets"

    for query in ({}, {"edgeDomain": "https://edge.example.com"}, {"edgeDomain": 'x"'}):
        answer = client.get(path, query_string=query)

        assert answer.status_code == 422
        assert answer.get_json()["errors"][0]["path"] == "edgeDomain"
    asked = {"edgeDomain": HOST}
    assert client.get(f"/datastreams/{uuid4()}/snippets", query_string=asked).status_code == 404
