"""Whether an action can prove who calls, asked over HTTP; and how its connection is shown."""

import io
import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from service.access.permissions import Permission
from service.db.session import SessionFactory, unit_of_work
from service.outbound.models import CustomAction, VendorToken
from service.outbound.transport_form import FormError
from service.web.app import create_app
from tests.support.admin import AdminClient, admin_services, signed_in
from tests.support.certificates import client_certificate
from tests.support.clocks import START, FixedClock
from tests.support.vendor_tokens import TokenEndpoint

CHAIN, KEY = client_certificate(ends=START + timedelta(days=10))
OAUTH = {
    "type": "oauth2",
    "tokenUrl": "https://idp.example/token",
    "clientId": "shop",
    "clientSecret": "client-s3cret",
}
PROXY = "http://jo:proxy-s3cret@proxy.example:8080"
ACTION: dict[str, Any] = {
    "name": "push",
    "adapter": "webhook",
    "url": "https://push.example/v1/send",
    "auth": OAUTH,
    "connection": {"proxy": PROXY, "clientCertificate": {"chain": CHAIN, "privateKey": KEY}},
}


@pytest.fixture
def endpoint() -> TokenEndpoint:
    return TokenEndpoint()


@pytest.fixture
def app(store: SessionFactory, clock: FixedClock, endpoint: TokenEndpoint) -> Flask:
    return create_app(replace(admin_services(store, clock), token_endpoint=endpoint))


@pytest.fixture
def client(app: Flask) -> AdminClient:
    return signed_in(app)


def made(client: AdminClient, **changed: Any) -> str:
    answer = client.post("/actions", json={**ACTION, **changed})
    assert answer.status_code == 201, answer.text
    return f"/actions/{answer.get_json()['id']}"


def test_a_token_is_got_afresh_each_time_and_kept_and_not_shown(
    client: AdminClient, endpoint: TokenEndpoint, store: SessionFactory
) -> None:
    path = made(client, connection=None)

    answers = [client.post(f"{path}/check-authentication") for _ in range(2)]

    with unit_of_work(store) as session:
        kept = session.scalars(select(VendorToken).where(VendorToken.sandbox_id == 1)).all()
    assert [each.status_code for each in answers] == [200, 200]
    first = answers[0].get_json()
    assert (first["kind"], first["ok"], first["fetched"]) == ("oauth2", True, True)
    assert first["warnings"] == []
    assert (len(endpoint.asked), len(kept)) == (2, 1)
    assert "token-" not in "".join(each.text for each in answers)


def test_a_refusal_is_an_answer_that_says_what_to_do(
    client: AdminClient, endpoint: TokenEndpoint
) -> None:
    path = made(client)
    endpoint.trouble = FormError(
        "The token endpoint answered 401.",
        status=401,
        may_retry=False,
        body=b'{"error":"invalid_client","error_description":"client-s3cret"}',
    )

    answer = client.post(f"{path}/check-authentication").get_json()

    assert (answer["ok"], answer["mayRetry"]) == (False, False)
    assert answer["detail"] == "The token endpoint answered 401 with invalid_client."
    assert answer["warnings"] == [
        "The client certificate ends at 2026-07-11 10:00 UTC: replace it before."
    ]


@pytest.mark.parametrize(
    "auth",
    [{"type": "none"}, {"type": "apiKey", "name": "X-Key", "value": "v"}],
    ids=lambda each: each["type"],
)
def test_a_constant_has_nothing_to_try(client: AdminClient, auth: dict[str, str]) -> None:
    answer = client.post(f"{made(client, auth=auth)}/check-authentication").get_json()

    assert (answer["ok"], answer["fetched"]) == (True, False)


def test_a_check_is_audited_and_needs_the_right_to_write(app: Flask, client: AdminClient) -> None:
    path = made(client)
    reader = signed_in(app, Permission.ACTIONS_READ)

    refused = reader.post(f"{path}/check-authentication").status_code
    client.post(f"{path}/check-authentication")

    entries = client.get(f"/audit/entries?subject={path.rpartition('/')[2]}").get_json()["items"]
    assert refused == 403
    assert entries[0]["action"] == "action.authenticationChecked"
    assert client.post(f"/actions/{uuid4()}/check-authentication").status_code == 404


def test_how_an_action_connects_is_shown_and_with_what_is_not(client: AdminClient) -> None:
    path = made(client)

    shown = client.get(path).get_json()
    again = client.call("PUT", path, json={**ACTION, **_written(shown)})

    assert shown["auth"] == {**OAUTH, "grant": "client_credentials", "clientSecret": "***"}
    assert shown["connection"] == {
        "proxy": "http://***@proxy.example:8080",
        "clientCertificate": {
            "chain": CHAIN,
            "privateKey": "***",
            "notAfter": "2026-07-11T10:00:00Z",
        },
    }
    assert again.status_code == 200, again.text
    assert again.get_json()["connection"] == shown["connection"]


def _written(shown: dict[str, Any]) -> dict[str, Any]:
    return {"auth": shown["auth"], "connection": shown["connection"]}


def test_a_connection_that_is_left_out_is_gone(client: AdminClient, store: SessionFactory) -> None:
    path = made(client)
    straight = {name: value for name, value in ACTION.items() if name != "connection"}

    answer = client.call("PUT", path, json=straight)

    with unit_of_work(store) as session:
        row = session.scalars(select(CustomAction).where(CustomAction.sandbox_id == 1)).one()
    assert answer.get_json()["connection"] is None
    assert (row.connection, row.connection_secret) == (None, None)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"auth": {**OAUTH, "tokenUrl": "http://127.0.0.1/token"}}, "may not be called"),
        ({"auth": {**OAUTH, "tokenUrl": "https://jo:pw@idp.example/"}}, "credentials"),
        ({"connection": {"proxy": "http://10.0.0.1:3128"}}, "EDGEPOST_ALLOW_PRIVATE_HOSTS"),
        ({"connection": {"proxy": "ftp://proxy.example:21"}}, "connection.proxy"),
        ({"connection": "http://proxy.example:8080"}, "connection must be an object"),
    ],
)
def test_what_could_not_be_reached_is_refused_and_not_kept(
    client: AdminClient, changed: dict[str, Any], says: str
) -> None:
    answer = client.post("/actions", json={**ACTION, **changed})

    assert answer.status_code == 422
    assert says in answer.get_json()["detail"]
    assert client.get("/actions").get_json()["items"] == []


def test_no_secret_is_in_any_answer_log_row_or_audit_entry(
    client: AdminClient,
    endpoint: TokenEndpoint,
    store: SessionFactory,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    path = made(client)
    endpoint.answer = {"access_token": "token-s3cret"}
    wrong = {**OAUTH, "grant": "jwt_bearer", "jwt": {"key": "jwt-s3cret"}}
    answers = [
        client.get(path),
        client.get("/actions"),
        client.post(f"{path}/check-authentication"),
        client.post("/actions", json={**ACTION, "name": "x", "auth": wrong}),
        client.post("/actions", json={**ACTION, "name": "x", "auth": {**OAUTH, "x": "s3cret"}}),
        client.post("/actions", json={**ACTION, "name": "x", "connection": {"proxy": "s3cret"}}),
        client.get("/audit/entries"),
    ]

    seen = io.StringIO()
    seen.writelines(answer.text for answer in answers)
    seen.write(caplog.text + "".join(capsys.readouterr()))
    with unit_of_work(store) as session:
        for table in (CustomAction, VendorToken):
            for row in session.scalars(select(table).where(table.sandbox_id == 1)):
                columns = [getattr(row, column.name) for column in table.__table__.columns]
                seen.write(json.dumps(columns, default=str))
    assert "s3cret" not in seen.getvalue()
    assert "PRIVATE KEY" not in seen.getvalue()
