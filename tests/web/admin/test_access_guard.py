"""Headers decide who enters which sandbox; a wrong one is a clear refusal."""

import pytest
from flask import Flask

from service.access.permissions import Permission
from service.db.session import SessionFactory
from service.flows.access_tokens import AccessTokens
from service.sandboxes.scope import Scope
from service.web.context import ACCESS_TOKENS
from tests.support.admin import AdminClient, admin_app, signed_in
from tests.support.clocks import FixedClock


@pytest.fixture
def app(sqlite_store: SessionFactory, clock: FixedClock) -> Flask:
    """Return the application over one store: what is tested here is above it."""
    return admin_app(sqlite_store, clock)


def test_no_token_is_401_with_the_way_in(client: AdminClient) -> None:
    answer = client.without("Authorization").get("/datastreams")

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.mimetype == "application/problem+json"


@pytest.mark.parametrize("value", ["Bearer", "Bearer x", "Basic abc", "Bearer a.b.c", "é"])
def test_a_header_that_is_no_token_is_401(client: AdminClient, value: str) -> None:
    assert client.having(Authorization=value).get("/datastreams").status_code == 401


def test_an_altered_token_is_401(client: AdminClient) -> None:
    head, claims, signature = client.headers["Authorization"].split(".")
    altered = ".".join((head, claims, signature[::-1]))

    assert client.having(Authorization=altered).get("/datastreams").status_code == 401


@pytest.mark.parametrize("name", ["x-api-key", "x-gw-ims-org-id"])
def test_the_other_headers_must_agree_with_the_token(client: AdminClient, name: str) -> None:
    wrong = client.having(**{name: "someone-else"}).get("/datastreams")
    missing = client.without(name).get("/datastreams")

    assert (wrong.status_code, missing.status_code) == (403, 403)
    assert name in wrong.get_json()["detail"]


def test_a_scope_that_is_missing_is_named(app: Flask) -> None:
    reader = signed_in(app, Permission.DATASTREAMS_READ)

    answer = reader.post("/datastreams", json={"name": "app", "platform": "mobile"})

    assert answer.status_code == 403
    assert "datastreams.write" in answer.get_json()["detail"]


def test_without_a_sandbox_header_the_sandbox_is_prod(client: AdminClient) -> None:
    client.post("/datastreams", json={"name": "app", "platform": "mobile"})

    named = client.having(x_sandbox_name="prod").get("/datastreams").get_json()
    assert [each["name"] for each in named["items"]] == ["app"]


def test_an_unknown_sandbox_is_404(client: AdminClient) -> None:
    assert client.having(x_sandbox_name="nowhere").get("/datastreams").status_code == 404


def test_an_empty_sandbox_header_is_a_mistake_and_not_prod(client: AdminClient) -> None:
    assert client.having(x_sandbox_name="").get("/datastreams").status_code == 404


def test_a_token_for_one_sandbox_opens_no_other_and_learns_nothing_of_it(app: Flask) -> None:
    limited = signed_in(app, sandboxes=("prod",))

    assert limited.get("/datastreams").status_code == 200
    assert limited.having(x_sandbox_name="dev").get("/datastreams").status_code == 403
    assert limited.having(x_sandbox_name="nowhere").get("/datastreams").status_code == 403


def test_arguments_are_not_read_before_the_caller_is_known(client: AdminClient) -> None:
    stranger = client.without("Authorization")

    answer = stranger.post("/datastreams", data="{", content_type="application/json")

    assert answer.status_code == 401


def test_only_a_token_with_the_scope_collect_opens_an_authenticated_inlet(app: Flask) -> None:
    guard: AccessTokens = app.extensions[ACCESS_TOKENS]
    sender = signed_in(app, Permission.COLLECT, sandboxes=("prod",)).headers["Authorization"]
    reader = signed_in(app, Permission.AUDIT_READ).headers["Authorization"]
    prod, dev = Scope(1, "prod"), Scope(2, "dev")

    assert guard.may_collect(sender, prod)
    assert not guard.may_collect(sender, dev)
    assert not guard.may_collect(reader, prod)
    assert not guard.may_collect(None, prod)
    assert not guard.may_collect("Bearer nonsense", prod)
