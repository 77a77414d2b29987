from typing import Any

import pytest

from service.flows.sources import Disabled
from service.sandboxes.scope import Scope
from tests.support.collection_world import World, record
from tests.support.wire import (
    INLET_ID,
    inlet,
)


@pytest.mark.parametrize(
    ("authorization", "status"), [(None, 401), ("Bearer 2", 403), ("Bearer 1", 200)]
)
def test_an_inlet_that_requires_a_token_takes_nothing_without_one(
    authorization: str | None, status: int
) -> None:
    world = World(inlet(requires_token=True))
    headers = {} if authorization is None else {"Authorization": authorization}

    reply = world.post(record(), headers=headers)

    assert reply.status == status
    assert len(world.committer.requests) == (1 if status == 200 else 0)
    assert ("www-authenticate" in reply.headers) == (status == 401)


def test_a_token_of_another_sandbox_does_not_open_the_inlet() -> None:
    world = World(inlet(requires_token=True, scope=Scope(2, "dev")))

    assert world.post(record(), headers={"Authorization": "Bearer 1"}).status == 403


@pytest.mark.parametrize(("sandbox", "status"), [("prod", 200), ("dev", 403)])
def test_the_named_sandbox_must_be_the_inlets(sandbox: str, status: int) -> None:
    assert World().post(record(), headers={"x-sandbox-name": sandbox}).status == status


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"path": "/collection/unknown"}, 404),
        ({"method": "GET"}, 405),
        ({"headers": {"Content-Type": "application/x-jackson-smile"}}, 415),
        ({"headers": {"Content-Encoding": "gzip"}}, 415),
    ],
)
def test_what_is_not_served_has_its_status(options: dict[str, Any], status: int) -> None:
    reply = World().post(record(), **options)

    assert reply.status == status
    assert reply.json()["status"] == status


def test_a_disabled_inlet_takes_nothing() -> None:
    world = World(Disabled(INLET_ID))

    assert world.post(record()).status == 403
    assert world.committer.requests == []


@pytest.mark.parametrize(("more", "status"), [(0, 400), (1, 413)])
def test_a_body_may_have_one_mebibyte(more: int, status: int) -> None:
    reply = World().post(b"x" * (1024 * 1024 + more))

    assert reply.status == status


@pytest.mark.parametrize(
    "path", ["/collection/", "/collection/a/b", "/collections/a", "/collection/batch/a/b", "/"]
)
def test_other_paths_are_left_to_others(path: str) -> None:
    assert not World().application.matches(path)
