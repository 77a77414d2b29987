"""One line per answer, with ids and without anything that must not be read."""

import json
from io import StringIO

import pytest
import structlog
from flask import Flask
from structlog.testing import capture_logs

from service.core.secret import Secret
from service.db.session import SessionFactory
from service.web import logging as web_logging
from tests.support.admin import AdminClient, admin_app, new_client, token_form
from tests.support.clocks import FixedClock


@pytest.fixture
def app(sqlite_store: SessionFactory, clock: FixedClock) -> Flask:
    """Return the application over one store: what is tested here is above it."""
    return admin_app(sqlite_store, clock)


def test_an_answer_is_logged_with_its_ids_and_its_route(client: AdminClient) -> None:
    with capture_logs() as logs:
        answer = client.having(x_request_id="r-42").get("/profiles/Email/jo@example.com")

    line = next(each for each in logs if each["event"] == "request_answered")
    assert answer.headers["x-request-id"] == "r-42"
    assert (line["request_id"], line["sandbox"], line["status"]) == ("r-42", "prod", 404)
    assert line["client_id"] == client.headers["x-api-key"]
    assert line["route"] == "/profiles/<namespace>/<path:value>"
    assert "jo@example.com" not in str(logs)


@pytest.mark.parametrize("given", ["a b", "x" * 129, "", "r\tn"])
def test_a_request_id_that_is_not_plain_is_replaced(client: AdminClient, given: str) -> None:
    answer = client.having(x_request_id=given).get("/healthz")

    assert answer.headers["x-request-id"] not in {given, ""}


def test_no_secret_or_token_or_body_is_logged(client: AdminClient) -> None:
    client_id, secret = new_client(client.app)
    with capture_logs() as logs:
        form = token_form(client_id, secret)
        token = client.app.test_client().post("/ims/token/v3", data=form).get_json()
        client.post("/datastreams", json={"name": "private name", "platform": "mobile"})
        client.post("/datastreams", json={"name": "private name", "platform": "nothing"})

    written = str(logs)
    assert len(logs) == 3
    assert secret.reveal() not in written
    assert token["access_token"] not in written
    assert client.headers["Authorization"].split()[1] not in written
    assert "private name" not in written


def test_lines_are_json_and_hide_what_someone_passed_by_mistake() -> None:
    out = StringIO()
    before = structlog.get_config()
    web_logging.configure("info")
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    try:
        structlog.get_logger().info("happened", token="abcdef", count=1, key=Secret("xyz"))
        structlog.get_logger().debug("unseen")
    finally:
        structlog.configure(**before)

    line = json.loads(out.getvalue())
    assert (line["event"], line["level"], line["count"]) == ("happened", "info", 1)
    assert (line["token"], line["key"]) == ("***", "Secret(***)")
