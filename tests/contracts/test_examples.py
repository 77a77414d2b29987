"""Every example of the OpenAPI document fits its own schema, and the service takes it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from openapi_schema_validator import OAS31Validator
from sqlalchemy import Engine

from service.bootstrap import Services, build_services
from service.core.json import encode_text
from service.core.secret import Keyring
from service.db.session import SessionFactory, unit_of_work
from service.outbound.action_auth import ActionSecrets
from service.outbound.actions import ActionBook
from service.outbound.egress import AddressGuard
from service.profiles.lookups import find_profile
from service.sandboxes.scope import Scope
from service.settings import Settings
from service.web import examples
from service.web.app import create_app
from service.web.main import build_application
from service.web.sdk_paths import CONFIGURATION_EXAMPLE
from service.web.wsgi import Application
from tests.support.admin import KEY, AdminClient, new_client, signed_in, token_form
from tests.support.clocks import FixedClock
from tests.support.messages import service_account
from tests.support.wire import Reply, call, edge_query

WITH_EXAMPLES = {
    "/ims/token/v3",
    "/sandbox-management/sandboxes",
    "/datastreams",
    "/mobile-properties",
    "/inlets",
    "/idnamespace/identities",
    "/data/core/ups/segment/definitions",
    "/actions",
    "/actions/{action_id}/test",
    "/actions/{action_id}/preview",
    "/journey/orchestration/endpointConfigs",
    "/journey/orchestration/throttlingConfigs",
    "/journeys",
    "/{basePath}/v1/interact",
    "/{basePath}/v1/collect",
    "/{basePath}/v1/privacy/set-consent",
    "/{basePath}/v1/identity/acquire",
    "/{basePath}/va/v1/{mediaEvent}",
    "/{basePath}/v2/interact",
    "/{basePath}/v2/collect",
    "/collection/{inletId}",
    "/collection/batch/{inletId}",
}


@dataclass(frozen=True, slots=True)
class Example:
    """One example with the schema of its place."""

    path: str
    name: str
    value: Any
    schema: Any


@pytest.fixture
def services(sqlite_store: SessionFactory, clock: FixedClock, tmp_path: Path) -> Iterator[Services]:
    """Yield the services of a process whose environment holds the secret of an example."""
    account = service_account()
    credentials = {
        "type": "service_account",
        "project_id": account.project_id,
        "private_key_id": account.private_key_id,
        "private_key": account.private_key.reveal(),
        "client_email": account.client_email,
        "token_uri": account.token_uri,
    }
    secrets = ActionSecrets(Keyring.of([KEY]), {"ACTION_SECRET_FCM": encode_text(credentials)})
    url = f"sqlite:///{tmp_path / 'edgepost.db'}"
    built = build_services(Settings(url, (KEY,), answer_within_s=10), clock=clock, environ={})
    book = ActionBook(secrets, AddressGuard(), lambda _: ("93.184.215.14",))
    yield replace(built, sessions=sqlite_store, actions=book)
    built.committer.close()
    with built.sessions.opened() as session:
        engine = session.get_bind()
    assert isinstance(engine, Engine)
    engine.dispose()


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


@pytest.fixture
def wire(services: Services) -> Application:
    return build_application(services)


def _examples(app: Flask) -> list[Example]:
    document = app.test_client().get("/openapi.json").get_json()
    components = document["components"]
    found = []
    for path, operations in document["paths"].items():
        for operation in operations.values():
            body = operation.get("requestBody", {}) if isinstance(operation, dict) else {}
            for content in body.get("content", {}).values():
                schema = {**content["schema"], "components": components}
                if "example" in content:
                    found.append(Example(path, "", content["example"], schema))
                for name, each in content.get("examples", {}).items():
                    found.append(Example(path, name, each["value"], schema))
    return found


def _values(app: Flask, path: str) -> dict[str, Any]:
    return {each.name: each.value for each in _examples(app) if each.path == path}


def _created(client: AdminClient, path: str, document: Any) -> Any:
    answer = client.post(path, json=document)
    assert answer.status_code in {200, 201}, f"{path}: {answer.text}"
    return answer.get_json()


def test_every_request_with_a_body_has_an_example(app: Flask) -> None:
    document = app.test_client().get("/openapi.json").get_json()
    bodies = {
        (method, path): content
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if isinstance(operation, dict)
        for content in operation.get("requestBody", {}).get("content", {}).values()
    }

    lacking = [place for place, each in bodies.items() if not each.keys() & {"example", "examples"}]

    assert lacking == []
    assert {path for _, path in bodies} >= WITH_EXAMPLES


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/journeys", ['"reaction"', '"messageNodeId"', '"timeout"']),
        ("/datastreams/{datastream_id}", ['"loginProof"', '"HS256"']),
        ("/{basePath}/v1/interact", ['"loginProof"', '"liveActivityID"', '"attributeType"']),
    ],
)
def test_what_cannot_be_guessed_is_among_the_examples(
    app: Flask, path: str, words: list[str]
) -> None:
    written = encode_text([each.value for each in _examples(app) if each.path == path])

    assert [word for word in words if word not in written] == []


def test_what_is_changed_as_the_examples_say_is_changed(app: Flask) -> None:
    client = signed_in(app)
    made = {
        "/inlets": "/inlets/{inlet_id}",
        "/datastreams": "/datastreams/{datastream_id}",
        "/idnamespace/identities": "/idnamespace/identities/{code}",
        "/data/core/ups/segment/definitions": "/data/core/ups/segment/definitions/{segment_id}",
    }
    for collection, one in made.items():
        new = next(iter(_values(app, collection).values()))
        row = _created(client, collection, new)
        key = row.get("id") or row["code"]
        place = f"{collection}/{key}" if "code" not in row else f"{collection}/{row['code']}"
        for change in _values(app, one).values():
            answer = client.patch(place, json=change)
            assert answer.status_code == 200, f"{one}: {answer.text}"


def test_a_property_and_a_batch_run_are_changed_as_the_examples_say(app: Flask) -> None:
    client = signed_in(app)
    stream = _created(client, "/datastreams", _values(app, "/datastreams")["mobile"])["id"]
    segments = "/data/core/ups/segment/definitions"
    segment = _created(client, segments, _values(app, segments)["batch"])["id"]

    def known(path: str) -> Any:
        text = encode_text(_values(app, path)[""])
        text = text.replace(examples.DATASTREAM_ID, stream).replace(examples.SEGMENT_ID, segment)
        return json.loads(text)

    made = _created(client, "/mobile-properties", known("/mobile-properties"))
    place = f"/mobile-properties/{made['id']}"
    changed = client.patch(place, json=known("/mobile-properties/{property_id}"))
    job = client.post("/data/core/ups/segment/jobs", json=known("/data/core/ups/segment/jobs"))

    assert changed.status_code == 200, changed.text
    assert set(changed.get_json()["environments"]) == {"staging", "production"}
    assert job.status_code == 200, job.text


def test_every_example_fits_its_own_schema(app: Flask) -> None:
    for each in _examples(app):
        faults = [fault.message for fault in OAS31Validator(each.schema).iter_errors(each.value)]

        assert faults == [], f"{each.path} {each.name}"


def test_a_schema_of_the_wire_refuses_what_the_wire_refuses(app: Flask) -> None:
    schemas = {each.path: each.schema for each in _examples(app)}
    token = {"appID": "a", "platform": "fcm"}
    wrong = {
        "/{basePath}/v1/interact": {"events": [{"data": {"pushNotificationDetails": [token]}}]},
        "/{basePath}/v1/collect": {"xdm": {}},
        "/collection/{inletId}": {"header": {}, "body": {}},
        "/collection/batch/{inletId}": {},
    }

    for path, document in wrong.items():
        assert not OAS31Validator(schemas[path]).is_valid(document), path


def test_the_token_example_is_the_form_that_is_sent(app: Flask) -> None:
    example = _values(app, "/ims/token/v3")[""]
    form = token_form(*new_client(app))

    answer = app.test_client().post("/ims/token/v3", data={**example, **form})

    assert (answer.status_code, example.keys() - form.keys()) == (200, {"scope"})
    assert answer.get_json()["scope"] == "segments.read segments.write"


@pytest.mark.parametrize(
    "path",
    [
        "/sandbox-management/sandboxes",
        "/datastreams",
        "/inlets",
        "/idnamespace/identities",
        "/data/core/ups/segment/definitions",
        "/actions",
        "/journey/orchestration/endpointConfigs",
        "/journey/orchestration/throttlingConfigs",
        "/journeys",
    ],
)
def test_the_service_takes_the_examples_as_they_stand(app: Flask, path: str) -> None:
    client = signed_in(app)

    for value in _values(app, path).values():
        _created(client, path, value)


def test_the_test_requests_of_the_examples_are_taken(app: Flask) -> None:
    client = signed_in(app)
    action = _created(client, "/actions", _values(app, "/actions")["push"])

    for value in _values(app, "/actions/{action_id}/test").values():
        shown = _created(client, f"/actions/{action['id']}/preview", value)

        assert (shown["outcome"], shown["reason"]) in {
            ("rendered", None),
            ("suppressed", "profileAbsent"),
        }


def test_the_cap_of_the_example_is_deployed_without_a_complaint(app: Flask) -> None:
    client = signed_in(app)
    base = "/journey/orchestration/endpointConfigs"

    made = _created(client, base, _values(app, base)[""])

    assert made["canDeploy"] == {"validationStatus": "ok"}
    assert client.post(f"{base}/{made['uid']}/deploy").status_code == 204


def test_the_journeys_of_the_examples_can_run(app: Flask) -> None:
    client = signed_in(app)
    segments = _values(app, "/data/core/ups/segment/definitions")
    segment = _created(client, "/data/core/ups/segment/definitions", segments["streaming"])
    action = _created(client, "/actions", _values(app, "/actions")["push"])

    for value in _values(app, "/journeys").values():
        text = encode_text(value).replace(examples.SEGMENT_ID, segment["id"])
        document = json.loads(text.replace(examples.ACTION_ID, action["id"]))
        journey = _created(client, "/journeys", document)
        published = client.post(f"/journeys/{journey['id']}/publish")

        assert published.status_code == 200, published.text
        assert published.get_json()["metadata"]["warnings"] == []


def test_the_mobile_property_of_the_example_is_served_as_the_document_shows(
    app: Flask, wire: Application
) -> None:
    client = signed_in(app)
    stream = _created(client, "/datastreams", _values(app, "/datastreams")["mobile"])
    example = encode_text(_values(app, "/mobile-properties")[""])
    document = json.loads(example.replace(examples.DATASTREAM_ID, stream["id"]))
    made = _created(client, "/mobile-properties", document)

    served = call(wire, f"/{made['appId']}.json", method="GET").json()

    own = {
        "property.id": made["id"],
        "rules.url": f"https://edge.example.com/rules/{made['appId']}.zip",
        "edge.configId": stream["id"],
        "messaging.eventDataset": stream["eventDatasetId"],
    }
    assert served == CONFIGURATION_EXAMPLE | own
    assert list(served) == list(CONFIGURATION_EXAMPLE)


def test_what_the_examples_of_the_wire_say_is_kept(
    app: Flask, wire: Application, sqlite_store: SessionFactory, scope: Scope
) -> None:
    client = signed_in(app)
    streams = _values(app, "/datastreams")
    mobile = _created(client, "/datastreams", streams["mobile"])["id"]
    web = _created(client, "/datastreams", streams["web"])["id"]
    inlet = _created(client, "/inlets", _values(app, "/inlets")[""])["id"]
    interact = _values(app, "/{basePath}/v1/interact")
    collect = _values(app, "/{basePath}/v1/collect")
    streamed = _values(app, "/collection/{inletId}")
    batch = _values(app, "/collection/batch/{inletId}")

    def send(path: str, document: Any, datastream: str = "") -> Reply:
        query = edge_query(UUID(datastream)) if datastream else ""
        return call(wire, path, encode_text(document).encode(), query=query)

    replies = [
        send("/ee/v1/interact", interact["phone"], mobile),
        send("/ee/v1/interact", interact["login"], mobile),
        send("/ee/v1/interact", interact["liveActivities"], mobile),
        send("/ee/v1/interact", interact["page"], web),
        send("/ee/v1/collect", collect["beacon"], web),
        *(send(f"/collection/{inlet}", each) for each in streamed.values()),
        *(send(f"/collection/batch/{inlet}", each) for each in batch.values()),
    ]

    assert [each.status for each in replies] == [200, 200, 200, 200, 204, 200, 200, 207]
    assert all("warnings" not in each.json() for each in replies[:4])
    assert [set(each) for each in replies[-1].json()["responses"]] == [{"xactionId"}] * 2
    with unit_of_work(sqlite_store) as session:
        ada = find_profile(session, scope, "CRMID", "c-1")
    assert ada is not None
    assert ada.profile.attributes["person"] == {"name": {"firstName": "Ada"}}
    assert [each.token.app_id for each in ada.tokens] == [examples.APP_ID]
