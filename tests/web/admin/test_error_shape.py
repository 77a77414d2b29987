"""Every error has one shape, keeps werkzeug's headers and shows no inside."""

from typing import Any

import pytest
from flask import Flask
from structlog.testing import capture_logs

from service.core.errors import InvalidInputError, StoreUnavailableError
from service.db.engine import open_engine
from service.db.session import SessionFactory
from service.web.auth import open_to_everyone
from tests.support.admin import AdminClient, admin_app, signed_in
from tests.support.clocks import FixedClock

NEW = {"name": "app", "platform": "mobile"}


@pytest.fixture
def app(sqlite_store: SessionFactory, clock: FixedClock) -> Flask:
    """Return the application over one store: what is tested here is above it."""
    return admin_app(sqlite_store, clock)


def _body(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    body: dict[str, Any] = answer.get_json()
    assert body["status"] == status
    assert body["requestId"] == answer.headers["x-request-id"]
    assert {"type", "title", "detail"} <= body.keys()
    return body


def test_a_path_that_does_not_exist_is_404_and_says_where_to_look(client: AdminClient) -> None:
    body = _body(client.get("/nothing/here"), 404)

    assert body["detail"].startswith("There is nothing at this path: /docs lists the paths")


def test_an_id_that_is_no_id_is_404(client: AdminClient) -> None:
    _body(client.get("/datastreams/12345678901234567890123456789012345"), 404)


def test_a_method_that_is_not_allowed_says_which_are(client: AdminClient) -> None:
    answer = client.call("PUT", "/datastreams")

    body = _body(answer, 405)
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))
    assert body["detail"] == "PUT is not offered at this path: use GET, POST."


def test_a_body_that_is_too_large_is_413(client: AdminClient) -> None:
    body = _body(client.post("/datastreams", json={"name": "x" * 5_000_000}), 413)

    assert body["detail"] == "The body is larger than 4194304 bytes."


def test_a_body_of_another_type_is_415(client: AdminClient) -> None:
    _body(client.post("/datastreams", data="name=app", content_type="text/plain"), 415)
    _body(client.post("/datastreams"), 415)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"",
        b"\xff",
        b'{"name": NaN}',
        b"[" * 100_000,
        b'{"a":' * 70 + b"1" + b"}" * 70,
        b'{"name": "a\\u0000b", "platform": "mobile"}',
        b'{"na\\u0000me": 1}',
        b'{"name": "\\ud800", "platform": "mobile"}',
    ],
)
def test_a_body_that_cannot_be_read_is_400(client: AdminClient, data: bytes) -> None:
    _body(client.post("/datastreams", data=data, content_type="application/json"), 400)
    assert client.get("/datastreams").get_json()["items"] == []


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b'{"name": "app",}', "trailing comma in object at line 1, column 16"),
        (b'{\n  "name": "app"\n  "platform": "mobile"}', "at line 3, column 3"),
        ('{"Größe": x}'.encode(), "invalid character at line 1, column 11"),
        (b'{"name": "app"', "it ends too early, at line 1, column 15"),
    ],
)
def test_malformed_json_is_told_with_its_place(
    client: AdminClient, data: bytes, fault: str
) -> None:
    body = _body(client.post("/datastreams", data=data, content_type="application/json"), 400)

    assert body["detail"].startswith("The body is not readable JSON: ")
    assert fault in body["detail"]


@pytest.mark.parametrize("data", ["[]", '"x"', "null", "5"])
@pytest.mark.parametrize("path", ["/datastreams", "/actions", "/journeys", "/inlets"])
def test_a_body_that_is_no_object_is_told_that_one_is_expected(
    client: AdminClient, path: str, data: str
) -> None:
    body = _body(client.post(path, data=data, content_type="application/json"), 422)

    assert [each["detail"] for each in body["errors"]] == ["Expected a JSON object."]


SEGMENT = {
    "expression": {"type": "PQL", "format": "pql/text", "value": "a = 1"},
    "schema": {"name": "_xdm.context.profile"},
}
BLANKS = ["   ", "\t\n", "\u200b", "\u00a0\u2060", "\ufeff\u3164"]


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize(
    ("path", "document", "key"),
    [
        ("/datastreams", {"platform": "mobile"}, "name"),
        ("/inlets", {}, "name"),
        ("/idnamespace/identities", {"code": "Loyalty", "idType": "Cross_device"}, "name"),
        ("/sandbox-management/sandboxes", {"name": "dev", "type": "development"}, "title"),
        ("/data/core/ups/segment/definitions", SEGMENT, "name"),
        ("/journeys", {"nodes": []}, "name"),
    ],
)
def test_a_name_that_cannot_be_seen_is_refused(
    client: AdminClient, path: str, document: dict[str, Any], key: str, blank: str
) -> None:
    body = _body(client.post(path, json={**document, key: blank}), 422)

    assert [(each["path"], each["detail"]) for each in body["errors"]] == [
        (key, "Needs at least one visible character.")
    ]
    answer = client.post(path, json={**document, key: f"{blank}x"})
    assert answer.status_code in {200, 201}, answer.text


@pytest.mark.parametrize("path", ["/datastreams", "/inlets", "/data/core/ups/segment/definitions"])
def test_a_name_is_not_changed_to_one_that_cannot_be_seen(client: AdminClient, path: str) -> None:
    new = {**(SEGMENT if "segment" in path else {}), "name": "app"}
    made = client.post(path, json=new | ({"platform": "web"} if path == "/datastreams" else {}))

    body = _body(client.patch(f"{path}/{made.get_json()['id']}", json={"name": " "}), 422)

    assert body["errors"][0]["path"] == "name"


@pytest.mark.parametrize(
    ("path", "document", "words"),
    [
        ("/datastreams", {**NEW, "appIds": ["a b"]}, "letters, digits, dots, hyphens and unders"),
        ("/datastreams", {**NEW, "origins": ["a.example"]}, "`https://www.example.com`"),
        ("/datastreams", {**NEW, "imsOrgId": "me"}, "`EDGEPOST@AdobeOrg`"),
        ("/inlets", {"name": "crm", "imsOrgId": "me"}, "`EDGEPOST@AdobeOrg`"),
        ("/actions", {"name": "a b", "adapter": "webhook"}, "letters, digits and underscores"),
        (
            "/idnamespace/identities",
            {"name": "L", "code": "a b", "idType": "Cross_device"},
            "a letter or digit first",
        ),
        (
            "/sandbox-management/sandboxes",
            {"name": "Dev", "title": "Dev", "type": "development"},
            "lower-case letters, digits and hyphens",
        ),
    ],
)
def test_a_pattern_is_said_in_words(
    client: AdminClient, path: str, document: dict[str, Any], words: str
) -> None:
    body = _body(client.post(path, json=document), 422)

    [error] = body["errors"]
    assert words in error["detail"]


def test_a_nul_character_in_path_or_query_is_400(client: AdminClient) -> None:
    _body(client.get("/profiles/Email/a%00b"), 400)
    _body(client.get("/audit/entries?subject=a%00b"), 400)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({}, "name"),
        ({**NEW, "platform": "desktop"}, "platform"),
        ({**NEW, "enabled": "yes"}, "enabled"),
        ({**NEW, "enabled": 1}, "enabled"),
        ({**NEW, "surprise": 1}, "surprise"),
        ({**NEW, "origins": ["https://a.example/path"]}, "origins.0"),
        ({**NEW, "appIds": "com.example"}, "appIds"),
        ({**NEW, "name": 5}, "name"),
        ({**NEW, "name": None}, "name"),
        ({**NEW, "name": "x" * 129}, "name"),
        ([], ""),
    ],
)
def test_a_body_of_the_wrong_shape_names_the_place(
    client: AdminClient,
    document: Any,
    path: str,
) -> None:
    body = _body(client.post("/datastreams", json=document), 422)

    assert path in {each["path"] for each in body["errors"]}
    assert client.get("/datastreams").get_json()["items"] == []


def test_a_wrong_query_names_the_place(client: AdminClient) -> None:
    for query in ("limit=0", "limit=201", "limit=x", "limit=99999999999999999999"):
        body = _body(client.get(f"/datastreams?{query}"), 422)
        assert [(each["in"], each["path"]) for each in body["errors"]] == [("query", "limit")]


def test_an_unknown_query_key_is_refused_and_not_ignored(client: AdminClient) -> None:
    body = _body(client.get("/audit/entries?reasn=x"), 422)

    assert body["errors"][0]["path"] == "reasn"


def test_a_store_that_is_away_is_503_with_a_moment_to_come_back(clock: FixedClock) -> None:
    engine = open_engine("postgresql+psycopg://postgres@127.0.0.1:1/nowhere")
    app = admin_app(SessionFactory(engine), clock)
    form = {"grant_type": "client_credentials", "client_id": "a", "client_secret": "b"}

    answer = app.test_client().post("/ims/token/v3", data=form)

    _body(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0


def test_a_bug_is_500_and_shows_neither_trace_nor_value(app: Flask) -> None:
    @open_to_everyone
    def broken() -> str:
        raise ValueError("token abcdef in the message")

    app.add_url_rule("/broken", view_func=broken)

    with capture_logs() as logs:
        answer = app.test_client().get("/broken", headers={"x-request-id": "r-1"})

    body = _body(answer, 500)
    failed = next(each for each in logs if each["event"] == "request_failed")
    assert "abcdef" not in str(body) + str(logs)
    assert (failed["error_type"], failed["request_id"]) == ("ValueError", "r-1")
    assert any("broken" in place for place in failed["places"])


def test_a_route_that_declares_no_access_lets_nobody_in(app: Flask) -> None:
    def forgotten() -> str:
        return "secret"

    app.add_url_rule("/forgotten", view_func=forgotten)

    answer = signed_in(app).get("/forgotten")

    assert "secret" not in answer.text
    _body(answer, 500)


def test_facts_of_an_error_are_members_and_replace_no_standard_one(app: Flask) -> None:
    @open_to_everyone
    def refuse() -> str:
        raise InvalidInputError("No.", code="PQL-001", title="mine", line=3)

    app.add_url_rule("/refuse", view_func=refuse)

    body = _body(app.test_client().get("/refuse"), 422)
    assert (body["code"], body["line"], body["title"]) == ("PQL-001", 3, "Unprocessable Entity")


def test_retry_after_is_what_the_error_says(app: Flask) -> None:
    @open_to_everyone
    def away() -> str:
        raise StoreUnavailableError("Later.", retry_after_s=7)

    app.add_url_rule("/away", view_func=away)

    answer = app.test_client().get("/away")

    _body(answer, 503)
    assert answer.headers["Retry-After"] == "7"
