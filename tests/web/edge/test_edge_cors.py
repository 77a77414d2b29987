from typing import Any

import pytest

from service.core.errors import StoreUnavailableError
from tests.support.edge_world import PAGE, World, consent_body, plain_body
from tests.support.wire import (
    datastream,
)

ANSWERS: list[tuple[str, dict[str, Any]]] = [
    ("success", {"body": plain_body()}),
    ("collect", {"body": plain_body(), "path": "/ee/v1/collect"}),
    ("bad body", {"body": b"{"}),
    ("unknown datastream", {"body": plain_body(), "query": "configId=x"}),
    ("too large", {"body": b"x" * 65_537}),
    ("not served", {"body": plain_body(), "path": "/ee/my/path"}),
    ("no token", {"body": plain_body(), "path": "/ee/v2/interact"}),
    ("consent", {"body": consent_body(), "path": "/ee/v1/privacy/set-consent"}),
    ("bad consent", {"body": plain_body(), "path": "/ee/v1/privacy/set-consent"}),
    ("acquire", {"body": b"{}", "path": "/ee/v1/identity/acquire"}),
    ("media", {"body": plain_body(), "path": "/ee/va/v1/ping"}),
    ("wrong method", {"body": b"", "method": "GET"}),
    ("preflight", {"body": b"", "method": "OPTIONS"}),
    ("away", {"body": plain_body(), "outcomes": [StoreUnavailableError("away")]}),
    ("crash", {"body": plain_body(), "outcomes": [ValueError("crash")]}),
]


@pytest.mark.parametrize(("name", "options"), ANSWERS, ids=[name for name, _ in ANSWERS])
def test_a_page_may_read_every_answer(name: str, options: dict[str, Any]) -> None:
    sent = dict(options)
    world = World(outcomes=sent.pop("outcomes", ()))

    reply = world.browse(**sent)

    assert reply.headers["access-control-allow-origin"] == PAGE
    assert reply.headers["access-control-allow-credentials"] == "true"
    assert "Retry-After" in reply.headers["access-control-expose-headers"]
    assert reply.headers["vary"] == "Origin"
    assert "no-store" in reply.headers["cache-control"]
    assert reply.headers["x-request-id"]


def test_who_is_no_page_gets_no_cors_headers() -> None:
    reply = World().post(plain_body())

    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_preflight_is_answered_204_without_asking_anything() -> None:
    world = World()
    world.sources.error = StoreUnavailableError("away")

    reply = world.browse(b"", method="OPTIONS")

    assert reply.status == 204
    assert reply.headers["access-control-allow-methods"] == "POST, OPTIONS"
    assert "content-type" in reply.headers["access-control-allow-headers"]
    assert reply.headers["access-control-max-age"] == "86400"


@pytest.mark.parametrize(
    ("origin", "status"),
    [(PAGE, 200), ("https://evil.example", 403), ("null", 403), (None, 200)],
)
def test_a_datastream_that_lists_origins_takes_pages_of_these_only(
    origin: str | None, status: int
) -> None:
    world = World(datastream("web", origins=frozenset({PAGE})))
    headers = {} if origin is None else {"Origin": origin}

    reply = world.browse(plain_body(), headers=headers)

    assert reply.status == status
    assert len(world.committer.requests) == (1 if status == 200 else 0)
    readable = reply.headers.get("access-control-allow-origin")
    assert readable == (origin if status == 200 else None)


@pytest.mark.parametrize("origin", ["https://a.example\r\nX: y", "https://a b", "javascript:1", ""])
def test_an_origin_that_is_none_is_not_repeated(origin: str) -> None:
    reply = World().browse(plain_body(), headers={"Origin": origin})

    assert "access-control-allow-origin" not in reply.headers
