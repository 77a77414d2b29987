"""Every route asks for a token and a sandbox, in fact and not only in its declaration."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from flask import Flask
from werkzeug.routing import Rule

from service.db.session import SessionFactory
from service.web.auth import declared_access
from tests.support.admin import AdminClient, admin_app, signed_in
from tests.support.clocks import FixedClock

OPEN = {
    "/healthz",
    "/readyz",
    "/ims/token/v3",
    "/openapi.json",
    "/docs",
    "/docs/",
    "/docs/files/<path:name>",
    "/receipts/<uuid:source_id>",
}
ABOVE_SANDBOXES = {
    "/sandbox-management/sandboxes",
    "/sandbox-management/sandboxes/<name>",
}


@pytest.fixture
def app(sqlite_store: SessionFactory, clock: FixedClock) -> Flask:
    return admin_app(sqlite_store, clock)


def _routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            yield rule, method


def _path(app: Flask, rule: Rule) -> str:
    values = {name: uuid4() if "uuid" in rule.rule else "x" for name in rule.arguments}
    with app.test_request_context():
        return str(app.url_map.bind("localhost").build(rule.endpoint, values))


def test_every_route_declares_who_may_call_it(app: Flask) -> None:
    with app.app_context():
        open_ones = set()
        for rule, method in _routes(app):
            access = declared_access(rule.endpoint, method)
            assert access is not None, f"{method} {rule.rule} declares no access"
            if access.permission is None:
                open_ones.add(rule.rule)

    assert open_ones == OPEN


def test_every_other_route_refuses_a_caller_without_a_token(app: Flask) -> None:
    asked = 0
    for rule, method in _routes(app):
        if rule.rule not in OPEN:
            answer = app.test_client().open(_path(app, rule), method=method)
            assert answer.status_code == 401, f"{method} {rule.rule}"
            asked += 1

    assert asked > 10


def test_every_other_route_refuses_a_token_without_the_permission(app: Flask) -> None:
    client = signed_in(app)
    with app.app_context():
        needed = {
            (rule.rule, method): access.permission
            for rule, method in _routes(app)
            if (access := declared_access(rule.endpoint, method)) and access.permission
        }
    for rule, method in _routes(app):
        permission = needed.get((rule.rule, method))
        if permission is not None:
            others = [each for each in needed.values() if each is not permission]
            limited = signed_in(app, *others)
            answer = limited.call(method, _path(app, rule))
            assert answer.status_code == 403, f"{method} {rule.rule}"
    assert client.get("/datastreams").status_code == 200


def test_every_admin_route_acts_in_the_sandbox_that_is_named(app: Flask) -> None:
    limited = signed_in(app, sandboxes=("elsewhere",))
    for rule, method in _routes(app):
        if rule.rule not in OPEN | ABOVE_SANDBOXES:
            closed = limited.call(method, _path(app, rule))
            assert closed.status_code == 403, f"{method} {rule.rule}"


def test_the_methods_of_a_path_can_be_asked_for_without_a_token(app: Flask) -> None:
    answer = app.test_client().options("/datastreams")

    assert answer.status_code == 200
    assert "POST" in answer.headers["Allow"]


def test_head_is_guarded_like_get(app: Flask) -> None:
    stranger = AdminClient(app, {})

    assert stranger.call("HEAD", "/datastreams").status_code == 401
