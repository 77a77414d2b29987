"""Custom actions over HTTP; their secrets stay inside."""

import io
import json
import logging
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from flask import Flask
from sqlalchemy import select

from service.access.permissions import Permission
from service.db.session import SessionFactory, unit_of_work
from service.outbound.action_auth import ActionSecrets
from service.outbound.actions import ActionBook
from service.outbound.auth import ApiKeyAuth, BasicAuth
from service.outbound.egress import AddressGuard
from service.outbound.models import CustomAction
from service.sandboxes.scope import Scope
from service.web.app import create_app
from tests.support.admin import AdminClient, AdminServices, admin_services, signed_in
from tests.support.clocks import FixedClock
from tests.support.journeys import END, by_event, call

SECRET = "a-secret-that-nobody-may-read"
PUSH: dict[str, Any] = {
    "name": "push",
    "adapter": "push",
    "url": "https://push.example/v1/send",
    "payload": {"to": "{{ token }}", "title": "Hello {{ profile.person.name }}"},
    "auth": {"type": "apiKey", "name": "X-API-Key", "value": SECRET},
}

SHOWN_AUTH: list[tuple[dict[str, str], dict[str, str]]] = [
    (
        {"type": "apiKey", "name": "X-API-Key", "value": SECRET},
        {"type": "apiKey", "name": "X-API-Key", "location": "header", "value": "***"},
    ),
    (
        {"type": "apiKey", "name": "key", "value": SECRET, "location": "query"},
        {"type": "apiKey", "name": "key", "location": "query", "value": "***"},
    ),
    (
        {"type": "basic", "username": "jo", "password": SECRET},
        {"type": "basic", "username": "jo", "password": "***"},
    ),
    (
        {"type": "basic", "username": "jo", "password": "env:ACTION_SECRET_PUSH"},
        {"type": "basic", "username": "jo", "password": "env:ACTION_SECRET_PUSH"},
    ),
]
UNSENDABLE: list[dict[str, Any]] = [
    {"name": "with space"},
    {"name": "x" * 31},
    {"adapter": "carrier-pigeon"},
    {"url": ""},
    {"url": "ftp://push.example/"},
    {"url": "http://127.0.0.1/hook"},
    {"url": "http://2130706433/hook"},
    {"url": "http://[64:ff9b::7f00:1]/hook"},
    {"url": "https://inside.example/hook"},
    {"url": "https://u:p@push.example/"},
    {"method": "DELETE"},
    {"method": "HEAD"},
    {"url": "https://{{ profile.id }}.example/"},
    {"url": "https://push.example/?x={{ profile.id }}"},
    {"query": {".x": "a"}},
    {"query": {"x": 1}},
    {"headers": {"X-A": "a\nb"}},
    {"payload": {"a": "{% for i in (1..999999999) %}{% endfor %}"}},
    {"payload": {"a": "x" * 300_000}},
    {"parameters": {}},
    {"parameters": [{"name": "x"}]},
    {"parameters": [{"name": "x", "type": "text"}]},
    {"parameters": [{"name": "x", "type": "string", "kind": "constant"}]},
    {"parameters": [{"name": "x", "type": "string", "size": 1}]},
    {"parameters": [{"name": "x", "type": "string"}, {"name": "x.y", "type": "string"}]},
    {"answers": []},
    {"answers": "id"},
    {"answers": {"body": {}}},
    {"answers": {"response": {"a": {"path": "a..b"}}}},
    {"timeoutMs": 0},
    {"timeoutMs": 30_001},
    {"timeoutMs": True},
    {"maxRetries": 4},
    {"onUnknown": "again"},
    {"marketing": "yes"},
    {"headers": {"Host": "elsewhere"}},
    {"headers": {"X-A": 1}},
    {"payload": {"a": "{{ profile.name"}},
    {"payload": None},
    {"settings": {"colour": "red"}},
    {"settings": {"appId": 1}},
    {"auth": None},
    {"auth": "basic"},
    {"auth": {"type": "digest"}},
    {"auth": {"type": "basic", "password": "x"}},
    {"auth": {"type": "apiKey", "name": "X", "value": "env:HOME"}},
    {"auth": {"type": "apiKey", "name": "X", "value": "env:ACTION_SECRET_ABSENT"}},
    {"auth": {"type": "apiKey", "name": "X", "value": "v", "location": "cookie"}},
    {"auth": {"type": "apiKey", "name": "X"}},
    {"auth": {"type": "serviceAccount", "credentials": {"project_id": "p"}}},
    {"colour": "red"},
]


@pytest.fixture
def app(store: SessionFactory, clock: FixedClock) -> Flask:
    """Return an application with a secret in its environment and a name that leads inside."""
    services = admin_services(store, clock)
    secrets = ActionSecrets(services.keyring, {"ACTION_SECRET_PUSH": "from-the-environment"})
    return create_app(replace(services, actions=ActionBook(secrets, AddressGuard(), _resolved)))


def _resolved(host: str) -> tuple[str, ...]:
    return ("127.0.0.1",) if host == "inside.example" else ("93.184.215.14",)


@pytest.fixture(scope="module")
def service_account() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return {
        "type": "service_account",
        "project_id": "demo-1",
        "private_key_id": "k1",
        "private_key": text,
        "client_email": "sender@demo-1.example",
        "token_uri": "https://oauth.example/token",
    }


def _stored(store: SessionFactory, scope: Scope) -> list[CustomAction]:
    with unit_of_work(store) as session:
        chosen = select(CustomAction).where(CustomAction.sandbox_id == scope.sandbox_id)
        return list(session.scalars(chosen))


def test_an_action_is_created_read_overwritten_and_listed(client: AdminClient) -> None:
    made = client.post("/actions", json=PUSH)
    path = f"/actions/{made.get_json()['id']}"

    changed = client.call("PUT", path, json={**PUSH, "name": "push2", "timeoutMs": 1000})

    assert (made.status_code, changed.status_code) == (201, 200)
    assert (changed.get_json()["name"], changed.get_json()["timeoutMs"]) == ("push2", 1000)
    assert client.get(path).get_json() == changed.get_json()
    assert client.get("/actions").get_json() == {
        "items": [changed.get_json()],
        "page": {"limit": 50, "next": None},
    }


def test_defaults_are_those_of_journey_optimizer(client: AdminClient) -> None:
    new = {"name": "hook", "adapter": "webhook", "url": "https://hook.example/x"}

    made = client.post("/actions", json=new).get_json()

    assert (made["timeoutMs"], made["maxRetries"], made["method"]) == (30_000, 3, "POST")
    assert (made["onUnknown"], made["onBacklog"], made["marketing"]) == ("record", "send", True)
    assert made["auth"] == {"type": "none"}


LOOK_UP: dict[str, Any] = {
    "name": "look_up",
    "adapter": "webhook",
    "method": "GET",
    "url": "https://crm.example/people/{{ parameters.who }}",
    "query": {"since": "{{ parameters.since | default: 'ever' }}"},
    "parameters": [
        {"name": "who", "type": "string", "kind": "variable", "optional": False, "allowNull": True},
        {"name": "since", "type": "dateOnly", "kind": "constant", "value": "2026-01-01"},
    ],
    "answers": {"response": {"points": {"path": "a[0].b", "type": "integer"}}},
    "settings": {"idempotencyHeader": False},
}


def test_a_dynamic_action_is_shown_as_it_was_written(client: AdminClient) -> None:
    made = client.post("/actions", json=LOOK_UP)

    assert made.status_code == 201, made.text
    shown = client.get(f"/actions/{made.get_json()['id']}").get_json()
    assert {name: shown[name] for name in LOOK_UP} == LOOK_UP


def test_a_plain_action_has_no_query_parameters_or_answers(client: AdminClient) -> None:
    shown = client.post("/actions", json=PUSH).get_json()

    assert (shown["query"], shown["parameters"], shown["answers"]) == ({}, [], {})


def test_an_action_is_tested_and_the_test_is_audited(client: AdminClient) -> None:
    made = client.post("/actions", json={**PUSH, "payload": {"to": "{{ token }}"}}).get_json()

    answer = client.post(f"/actions/{made['id']}/test", json={"token": "t-1"})

    result = answer.get_json()
    assert (answer.status_code, result["outcome"]) == (200, "sent")
    assert result["request"]["headers"]["X-API-Key"] == "***"
    assert result["request"]["body"] == '{"to":"t-1"}'
    assert result["reply"] == {
        "status": 200,
        "headers": {},
        "body": '{"id":"m-1"}',
        "isBodyCut": False,
    }
    assert SECRET not in answer.text
    entries = client.get(f"/audit/entries?subject={made['id']}").get_json()["items"]
    assert [each["action"] for each in entries] == [
        "action.tested",
        "action.test",
        "action.create",
    ]
    assert entries[0]["facts"]["outcome"] == "sent"
    assert "t-1" not in json.dumps(entries)
    assert client.get("/deliveries").get_json()["items"] == []


def test_a_preview_sends_nothing_and_is_no_test(client: AdminClient) -> None:
    made = client.post("/actions", json=LOOK_UP).get_json()
    path = f"/actions/{made['id']}/preview"

    shown = client.post(path, json={"parameters": {"who": "a b"}}).get_json()
    wrong = client.post(path, json={"parameters": {"who": 5}}).get_json()

    assert shown["outcome"] == "rendered"
    assert shown["request"]["url"] == "https://crm.example/people/a%20b?since=2026-01-01"
    assert (wrong["outcome"], wrong["reason"]) == ("failed", "parameter")
    assert wrong["facts"] == {"parameter": "who"}
    assert (shown["reply"], wrong["request"]) == (None, None)


@pytest.mark.parametrize("what", ["test", "preview"])
def test_a_message_of_a_person_is_made_for_who_may_read_profiles(app: Flask, what: str) -> None:
    everything = signed_in(app)
    made = everything.post("/actions", json=PUSH).get_json()
    path, body = f"/actions/{made['id']}/{what}", {"identity": {"namespace": "CRMID", "id": "jo"}}
    writer = signed_in(app, Permission.ACTIONS_WRITE)
    reader = signed_in(app, Permission.ACTIONS_READ, Permission.PROFILES_READ)

    answers = [each.post(path, json=body) for each in (everything, writer, reader)]

    assert [each.status_code for each in answers] == [200, 403, 403]
    assert answers[0].get_json()["reason"] == "profileAbsent"


@pytest.mark.parametrize(
    "body",
    [
        {"identity": "jo"},
        {"identity": {"namespace": "CRMID"}},
        {"parameters": []},
        {"event": "order"},
        {"token": ""},
        {"colour": "red"},
    ],
)
def test_a_test_that_cannot_be_read_is_refused(client: AdminClient, body: Any) -> None:
    made = client.post("/actions", json=PUSH).get_json()

    assert client.post(f"/actions/{made['id']}/test", json=body).status_code == 422


def test_a_list_has_pages_oldest_first(client: AdminClient) -> None:
    for name in ("c", "a", "b"):
        client.post("/actions", json={**PUSH, "name": name})

    first = client.get("/actions?limit=2").get_json()
    rest = client.get(f"/actions?limit=2&after={first['page']['next']}").get_json()

    assert [each["name"] for page in (first, rest) for each in page["items"]] == ["c", "a", "b"]
    assert rest["page"]["next"] is None


def test_how_a_call_is_authenticated_is_shown_and_with_what_is_not(client: AdminClient) -> None:
    for number, (auth, shown) in enumerate(SHOWN_AUTH):
        answer = client.post("/actions", json={**PUSH, "name": f"push{number}", "auth": auth})

        assert answer.get_json()["auth"] == shown


def test_fcm_takes_a_service_account_and_shows_none_of_it(
    client: AdminClient, service_account: dict[str, str]
) -> None:
    new = {
        "name": "fcm",
        "adapter": "fcm",
        "payload": {"adb_title": "Hello"},
        "auth": {"type": "serviceAccount", "credentials": service_account},
    }

    answer = client.post("/actions", json=new)

    assert answer.status_code == 201, answer.text
    assert answer.get_json()["auth"] == {"type": "serviceAccount", "credentials": "***"}
    assert "PRIVATE KEY" not in answer.text
    assert "sender@" not in answer.text


def test_a_secret_is_in_no_answer_no_audit_no_log_and_no_row_in_clear(
    client: AdminClient,
    store: SessionFactory,
    scope: Scope,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    made = client.post("/actions", json=PUSH)
    path = f"/actions/{made.get_json()['id']}"
    answers = [
        made,
        client.get(path),
        client.get("/actions"),
        client.call("PUT", path, json=PUSH),
        client.post("/actions", json=PUSH),
        client.post("/actions", json={**PUSH, "name": "bad name"}),
        client.post("/actions", json={**PUSH, "name": "n1", "url": "https://inside.example/"}),
        client.post("/actions", json={**PUSH, "name": "n2", "auth": {**PUSH["auth"], "x": 1}}),
        client.get("/audit/entries"),
    ]

    seen = io.StringIO()
    seen.writelines(answer.text for answer in answers)
    seen.write(caplog.text)
    seen.write("".join(capsys.readouterr()))
    [row] = _stored(store, scope)
    columns = [getattr(row, column.name) for column in CustomAction.__table__.columns]
    seen.write(json.dumps(columns, default=str))

    assert [answer.status_code for answer in answers] == [
        201,
        200,
        200,
        200,
        409,
        422,
        422,
        422,
        200,
    ]
    assert SECRET not in seen.getvalue()


def test_a_secret_that_is_left_out_stays_and_a_new_one_replaces_it(
    client: AdminClient, store: SessionFactory, scope: Scope
) -> None:
    made = client.post("/actions", json=PUSH).get_json()
    book = _services(client).actions
    without = {"type": "apiKey", "name": "X-Other"}

    client.call("PUT", f"/actions/{made['id']}", json={**PUSH, "auth": without})
    kept = book.read(_stored(store, scope)[0]).spec.auth
    client.call("PUT", f"/actions/{made['id']}", json={**PUSH, "auth": {**without, "value": "new"}})
    replaced = book.read(_stored(store, scope)[0]).spec.auth

    assert isinstance(kept, ApiKeyAuth)
    assert isinstance(replaced, ApiKeyAuth)
    assert (kept.name, kept.value.reveal()) == ("X-Other", SECRET)
    assert replaced.value.reveal() == "new"


def test_a_secret_does_not_move_to_another_kind_of_authentication(client: AdminClient) -> None:
    made = client.post("/actions", json=PUSH).get_json()
    basic = {**PUSH, "auth": {"type": "basic", "username": "jo"}}

    answer = client.call("PUT", f"/actions/{made['id']}", json=basic)

    assert answer.status_code == 422
    assert answer.get_json()["at"] == "auth.password"


def test_a_secret_in_the_environment_is_read_from_there(
    client: AdminClient, store: SessionFactory, scope: Scope
) -> None:
    auth = {"type": "basic", "username": "jo", "password": "env:ACTION_SECRET_PUSH"}
    client.post("/actions", json={**PUSH, "auth": auth})

    read = _services(client).actions.read(_stored(store, scope)[0]).spec.auth

    assert isinstance(read, BasicAuth)
    assert read.password.reveal() == "from-the-environment"


def test_an_action_that_could_not_be_sent_is_refused_and_not_kept(
    client: AdminClient, store: SessionFactory, scope: Scope
) -> None:
    for changes in UNSENDABLE:
        answer = client.post("/actions", json={**PUSH, **changes})

        assert answer.status_code == 422, changes
        assert answer.content_type == "application/problem+json"
    assert _stored(store, scope) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"payload": {"text": "x" * 3_000_000}}, "The payload has 3000011 bytes; at most 262144"),
        (
            {"payload": {"text": "{% for i in (1..1000000000) %}x{% endfor %}"}},
            "payload.text: the template would never be rendered, loop iteration limit reached.",
        ),
        ({"headers": {"X-A": "a\r\nX-B: b"}}, "The header X-A holds control characters."),
        ({"headers": {"X-A\r\nX-B": "b"}}, "is not a header's name."),
        ({"url": "https://jo:secret@push.example/"}, "The URL must not hold credentials"),
        ({"url": "https://jo:secret@push.example/{{ token }}"}, "must not hold credentials"),
    ],
)
def test_bad_input_is_refused_with_the_reason(
    client: AdminClient, changes: dict[str, Any], says: str
) -> None:
    answer = client.post("/actions", json={**PUSH, **changes})

    assert answer.status_code == 422
    assert says in answer.get_json()["detail"]


def test_a_template_of_5_mb_is_more_than_a_request_may_hold(client: AdminClient) -> None:
    answer = client.post("/actions", json={**PUSH, "payload": {"text": "x" * 5_000_000}})

    assert answer.status_code == 413
    assert "larger than 4194304 bytes" in answer.get_json()["detail"]


def test_a_service_account_with_a_broken_key_is_refused_with_the_reason(
    client: AdminClient, service_account: dict[str, str]
) -> None:
    text = service_account["private_key"]
    for broken in (text[:200], text.replace("A", "B"), "no key", text.replace("PRIVATE", "PUBLIC")):
        credentials = {**service_account, "private_key": broken}
        auth = {"type": "serviceAccount", "credentials": credentials}

        answer = client.post("/actions", json={"name": "f", "adapter": "fcm", "auth": auth})

        assert answer.status_code == 422
        assert "private_key is not an RSA key" in answer.get_json()["detail"]
        assert broken not in answer.text


def test_a_refused_change_leaves_the_action_as_it_was(client: AdminClient) -> None:
    made = client.post("/actions", json=PUSH).get_json()
    other = client.post("/actions", json={**PUSH, "name": "other"}).get_json()
    path = f"/actions/{made['id']}"

    refused = [
        client.call("PUT", path, json={**PUSH, "url": "http://10.0.0.1/"}),
        client.call("PUT", path, json={**PUSH, "name": other["name"]}),
    ]

    assert [answer.status_code for answer in refused] == [422, 409]
    assert client.get(path).get_json() == made


def test_an_action_goes_unless_a_journey_needs_it(client: AdminClient) -> None:
    made = client.post("/actions", json=PUSH).get_json()
    path = f"/actions/{made['id']}"
    document = by_event(call(action=UUID(made["id"])), name="Cart reminder")
    journey = client.post("/journeys", json=document).get_json()["id"]

    kept = client.delete(path)
    dropped = client.delete(f"/journeys/{journey}")
    gone = client.delete(path)

    assert [each.status_code for each in (kept, dropped, gone)] == [409, 204, 204]
    assert kept.get_json()["journeys"] == [{"id": journey, "name": "Cart reminder", "version": 1}]
    assert client.get(path).status_code == 404
    assert client.post("/actions", json=PUSH).status_code == 201
    entries = client.get(f"/audit/entries?subject={made['id']}").get_json()["items"]
    assert [each["action"] for each in entries] == ["action.delete", "action.create"]


def test_a_journey_gives_what_its_action_declares_and_goes_on_doing_so(
    client: AdminClient,
) -> None:
    declared = [{"name": "offer", "type": "string"}]
    made = client.post("/actions", json={**PUSH, "parameters": declared}).get_json()
    path, action = f"/actions/{made['id']}", UUID(made["id"])
    client.post("/idnamespace/identities", json={"code": "CRMID", "name": "c", "idType": "CROSS"})

    def publish(name: str, **parameters: str) -> Any:
        document = by_event(call(action=action, **parameters), END, name=name)
        journey = client.post("/journeys", json=document).get_json()["id"]
        return client.post(f"/journeys/{journey}/publish")

    lacking = publish("Lacking")
    live = publish("Live", offer="profile.offer")
    more = [*declared, {"name": "until", "type": "dateOnly"}]
    broken = client.call("PUT", path, json={**PUSH, "parameters": more})
    optional = [*declared, {"name": "until", "type": "dateOnly", "optional": True}]
    sound = client.call("PUT", path, json={**PUSH, "parameters": optional})

    assert [each.status_code for each in (lacking, live, broken, sound)] == [422, 200, 409, 200]
    assert "missingParameter" in lacking.text
    assert [each["name"] for each in broken.get_json()["journeys"]] == ["Live"]
    assert "'until'" in broken.get_json()["detail"]
    assert len(client.get(path).get_json()["parameters"]) == 2


def test_an_unknown_action_is_404(client: AdminClient) -> None:
    assert client.delete(f"/actions/{uuid4()}").status_code == 404
    assert client.get(f"/actions/{uuid4()}").status_code == 404
    assert client.call("PUT", f"/actions/{uuid4()}", json=PUSH).status_code == 404


def test_another_sandbox_neither_sees_nor_changes_it(client: AdminClient) -> None:
    dev = {"name": "dev", "title": "Dev", "type": "development"}
    client.post("/sandbox-management/sandboxes", json=dev)
    made = client.post("/actions", json=PUSH).get_json()
    other = client.having(x_sandbox_name="dev")

    assert other.get("/actions").get_json()["items"] == []
    assert other.get(f"/actions/{made['id']}").status_code == 404
    assert other.call("PUT", f"/actions/{made['id']}", json=PUSH).status_code == 404
    assert other.post("/actions", json=PUSH).status_code == 201


def test_changes_leave_audit_entries(client: AdminClient) -> None:
    made = client.post("/actions", json=PUSH).get_json()
    client.call("PUT", f"/actions/{made['id']}", json=PUSH)

    entries = client.get(f"/audit/entries?subject={made['id']}").get_json()["items"]

    assert [each["action"] for each in entries] == ["action.update", "action.create"]


def _services(client: AdminClient) -> AdminServices:
    services: AdminServices = client.app.extensions["services"]
    return services
