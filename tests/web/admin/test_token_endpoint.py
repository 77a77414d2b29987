"""Client credentials become short-lived tokens, as Adobe's clients ask for them."""

from typing import Any

import pytest
from flask import Flask

from service.access import credentials, signing_keys
from service.access.permissions import Permission
from service.core.secret import Secret
from service.db.session import unit_of_work
from tests.support.admin import (
    AdminClient,
    AdminServices,
    new_client,
    signed_in,
    token_form,
)
from tests.support.clocks import FixedClock

_FORM = "application/x-www-form-urlencoded"


def _ask(app: Flask, form: dict[str, str]) -> Any:
    return app.test_client().post("/ims/token/v3", data=form)


def test_a_client_gets_a_bearer_token_that_no_cache_keeps(app: Flask) -> None:
    answer = _ask(app, token_form(*new_client(app)))

    body = answer.get_json()
    assert answer.status_code == 200
    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 3600)
    assert answer.headers["Cache-Control"] == "no-store"


def test_scopes_of_adobes_clients_are_tolerated(app: Flask) -> None:
    form = token_form(*new_client(app), scope="openid,AdobeID,read_organizations")

    assert _ask(app, form).status_code == 200


def test_every_refusal_has_oauths_error(app: Flask) -> None:
    whole = token_form(*new_client(app))
    client = app.test_client()
    without = [{name: value for name, value in whole.items() if name != left} for left in whole]
    refusals = {
        "invalid_request": [
            *(client.post("/ims/token/v3", data=form) for form in without),
            client.post("/ims/token/v3", data={**whole, "client_id": "x" * 65}),
            client.post("/ims/token/v3", json=whole),
            client.post("/ims/token/v3", data=b"client_id=\xff", content_type=_FORM),
        ],
        "unsupported_grant_type": [_ask(app, {**whole, "grant_type": "password"})],
        "invalid_client": [_ask(app, {**whole, "client_secret": "wrong"})],
        "invalid_scope": [_ask(app, {**whole, "scope": "everything"})],
    }

    for error, answers in refusals.items():
        told = [(each.status_code // 100, each.get_json()["error"]) for each in answers]
        assert told == [(4, error)] * len(answers)


def test_the_answer_says_what_the_token_allows(app: Flask) -> None:
    client = new_client(app, Permission.AUDIT_READ, Permission.SEGMENTS_READ)

    whole = _ask(app, token_form(*client)).get_json()
    narrowed = _ask(app, token_form(*client, scope="openid segments.read")).get_json()

    assert whole["scope"] == "audit.read segments.read"
    assert narrowed["scope"] == "segments.read"


@pytest.mark.parametrize("scope", ["segment.read", "Segments.read", "adobeid", "*", "all"])
def test_a_misspelt_scope_is_refused_by_name_and_widens_nothing(app: Flask, scope: str) -> None:
    answer = _ask(app, token_form(*new_client(app), scope=f"audit.read {scope}"))

    body = answer.get_json()
    assert answer.status_code == 400
    assert (body["error"], body["unknown"]) == ("invalid_scope", [scope])
    assert scope in body["detail"]
    assert "segments.read" in body["detail"]
    assert "access_token" not in body


def test_a_client_may_ask_for_less_than_it_has(app: Flask) -> None:
    client_id, secret = new_client(app)
    answer = _ask(app, token_form(client_id, secret, scope="audit.read"))
    headers = {
        "Authorization": f"Bearer {answer.get_json()['access_token']}",
        "x-api-key": client_id,
        "x-gw-ims-org-id": "EDGEPOST@AdobeOrg",
    }
    narrow = AdminClient(app, headers)

    assert narrow.get("/audit/entries").status_code == 200
    assert narrow.get("/datastreams").status_code == 403


def test_a_client_may_not_ask_for_more_than_it_has(app: Flask) -> None:
    form = token_form(*new_client(app, Permission.AUDIT_READ), scope="segments.write")

    answer = _ask(app, form)

    assert answer.status_code == 400
    assert answer.get_json()["error"] == "invalid_scope"


@pytest.mark.parametrize("wrong", ["secret", "client"])
def test_a_wrong_secret_and_an_unknown_client_look_the_same(app: Flask, wrong: str) -> None:
    client_id, secret = new_client(app)
    form = token_form(
        "0" * 32 if wrong == "client" else client_id,
        Secret("wrong") if wrong == "secret" else secret,
    )

    answer = _ask(app, form)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    body = answer.get_json()
    assert body["error"] == "invalid_client"
    assert body["detail"] == "The client id or secret is wrong, or the client was revoked."


def test_another_grant_is_refused(app: Flask) -> None:
    form = token_form(*new_client(app)) | {"grant_type": "password"}

    answer = _ask(app, form)

    assert answer.status_code == 400
    assert answer.get_json()["error"] == "unsupported_grant_type"


def test_a_missing_parameter_is_named(app: Flask) -> None:
    answer = _ask(app, {"grant_type": "client_credentials"})

    assert answer.status_code == 400
    assert {each["path"] for each in answer.get_json()["errors"]} == {
        "client_id",
        "client_secret",
    }


def test_credentials_in_the_url_or_in_json_are_not_read(app: Flask) -> None:
    form = token_form(*new_client(app))
    client = app.test_client()

    assert client.post("/ims/token/v3", query_string=form).status_code == 415
    assert client.post("/ims/token/v3", json=form).status_code == 415


def test_a_token_ends_after_its_life(app: Flask, client: AdminClient, clock: FixedClock) -> None:
    assert client.get("/datastreams").status_code == 200

    clock.advance(3600)

    answer = client.get("/datastreams")
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


def test_the_tokens_of_a_revoked_client_end_within_five_seconds(
    app: Flask,
    client: AdminClient,
    clock: FixedClock,
) -> None:
    assert client.get("/datastreams").status_code == 200
    services: AdminServices = app.extensions["services"]
    with unit_of_work(services.sessions) as session:
        credentials.revoke(session, client.headers["x-api-key"], now=clock.now())

    clock.advance(5)

    assert client.get("/datastreams").status_code == 401


def test_tokens_outlive_the_rotation_of_the_signing_key(
    app: Flask,
    client: AdminClient,
    clock: FixedClock,
) -> None:
    services: AdminServices = app.extensions["services"]
    with unit_of_work(services.sessions) as session:
        signing_keys.rotate(session, services.keyring, token_life_s=3600, now=clock.now())
    clock.advance(10)

    assert client.get("/datastreams").status_code == 200
    assert signed_in(app).get("/datastreams").status_code == 200
