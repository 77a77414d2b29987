"""Whatever is sent: the answer is a documented one, and the store holds what the answer says."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from mobile_stub import answers
from mobile_stub.device import Kind
from service.access.permissions import ALL_SANDBOXES, Permission
from service.access.tokens import AccessToken
from service.db.base import Base
from service.db.session import SessionFactory, unit_of_work
from service.web.edge.errors import NO_TYPE, TYPE_PREFIX
from service.web.wsgi import Application
from tests.support.clocks import START, FixedClock
from tests.support.edge_strategies import nearly_right, subscribing
from tests.support.edge_world import PAGE
from tests.support.stored_wire import served
from tests.support.wire import (
    JSON_VALUES,
    MOBILE_ID,
    WEB_ID,
    Reply,
    call,
    datastream,
    edge_query,
    inlet,
)

SUCCESS = {
    "/ee/v1/interact": 200,
    "/ee-pre-prd/or2/v1/interact": 200,
    "/ee/v1/collect": 204,
    "/ee/v1/privacy/set-consent": 200,
    "/ee/t35/v1/identity/acquire": 200,
    "/ee/va/v1/ping": 200,
    "/ee/v2/interact": 200,
    "/ee/v2/collect": 202,
}
REFUSED = {400, 413, 422}
CODES = {
    *("0101-400", "0102-400", "0103-400", "0104-422", "0105-400"),
    *("0112-413", "0113-400", "0305-400"),
}
ROUTES = st.sampled_from(sorted(SUCCESS))
STREAMS = st.sampled_from([MOBILE_ID, WEB_ID])
ORIGINS = st.sampled_from([None, PAGE, "null", "https://shop.example:8443"])
BODIES = JSON_VALUES | nearly_right() | subscribing()


class Kept:
    """Both protocols over a real store, and how many rows it holds."""

    def __init__(self, store: SessionFactory, application: Application, clock: FixedClock) -> None:
        self.clock = clock
        self._store = store
        self._application = application

    def post(
        self, path: str, body: bytes, stream: Any, origin: str | None = None, name: str = ""
    ) -> Reply:
        """Send a body as anybody may; a server shows its token."""
        headers = {"Authorization": "Bearer t", "x-api-key": "c", "x-gw-ims-org-id": "o"}
        if origin is not None:
            headers["Origin"] = origin
        query = edge_query(stream, name or None)
        return call(self._application, path, body, query=query, headers=headers)

    def rows(self) -> dict[str, int]:
        """Return the number of rows of each table."""
        tables = [table for table in Base.metadata.sorted_tables if "sandbox_id" in table.c]
        counts = [
            select(func.count())
            .select_from(table)
            .where(table.c.sandbox_id == 1)
            .scalar_subquery()
            .label(table.name)
            for table in tables
        ]
        with unit_of_work(self._store) as session:
            return dict(session.execute(select(*counts)).mappings().one())


@contextmanager
def kept_in(store: SessionFactory) -> Iterator[Kept]:
    """Yield both protocols over a store."""
    clock = FixedClock()
    token = AccessToken(
        "c", "o", frozenset({Permission.COLLECT}), frozenset({ALL_SANDBOXES}), START
    )
    sources = datastream(), datastream("web"), inlet()
    with served(store, *sources, clock=clock, read_token=lambda _: token) as application:
        yield Kept(store, application, clock)


@pytest.fixture
def kept(sqlite_store: SessionFactory) -> Iterator[Kept]:
    """Yield both protocols over an SQLite store."""
    with kept_in(sqlite_store) as world:
        yield world


@pytest.fixture
def kept_on_postgres(postgres_store: SessionFactory) -> Iterator[Kept]:
    """Yield both protocols over a PostgreSQL store."""
    with kept_in(postgres_store) as world:
        yield world


def in_(document: Any, *path: str) -> Any:
    """Return what stands at a path, ``None`` where there is nothing."""
    return reduce(
        lambda value, key: value.get(key) if isinstance(value, dict) else None, path, document
    )


def separators(document: Any) -> tuple[bytes, bytes]:
    """Return what a success to this request must begin and end with."""
    streaming = in_(document, "meta", "konductorConfig", "streaming")
    if in_(streaming, "enabled") is not True:
        return b"", b""
    begin, end = in_(streaming, "recordSeparator"), in_(streaming, "lineFeed")
    return (begin or "\0").encode(), (end or "\n").encode()


def envelope_of(reply: Reply, document: Any) -> dict[str, Any]:
    """Return what a success says, which stands between its separators on one line."""
    begin, end = separators(document)
    assert reply.body.startswith(begin + b"{")
    assert reply.body.endswith(b"}" + end)
    line = reply.body[len(begin) : len(reply.body) - len(end)]
    assert b"\n" not in line
    (envelope,) = answers.fragments_of(Kind.IOS, line)
    return envelope


def identities_in(reply: Reply, document: Any) -> list[Any]:
    """Return the identities that a success names."""
    if reply.status != 200:
        return []
    found = envelope_of(reply, document)["handle"]
    results = [each for each in found if each["type"] == "identity:result"]
    return [payload for each in results for payload in each["payload"]]


def assert_documented(reply: Reply, path: str, document: Any, origin: str | None) -> None:
    if origin is not None:
        assert reply.headers["access-control-allow-origin"] == origin
        assert reply.headers["access-control-allow-credentials"] == "true"
        assert "Retry-After" in reply.headers["access-control-expose-headers"]
        assert reply.headers["vary"] == "Origin"
    assert reply.headers["cache-control"] == "no-cache, no-store"
    if reply.status in REFUSED:
        assert_problem(reply)
        return
    assert reply.status == SUCCESS[path]
    if reply.status != 200:
        assert reply.status == 202 or reply.body == b""
        return
    envelope = envelope_of(reply, document)
    assert isinstance(envelope["handle"], list)
    assert "errors" not in envelope


def assert_problem(reply: Reply) -> None:
    """An error has the types that iOS decodes strictly, and a code that is documented."""
    problem = reply.json()
    assert reply.headers["content-type"] == "application/problem+json"
    assert problem["status"] == reply.status
    assert problem["type"].removeprefix(TYPE_PREFIX) in CODES
    assert problem["type"] != NO_TYPE
    answers.fragments_of(Kind.IOS, json.dumps({"errors": [problem]}).encode())
    assert isinstance(problem["report"]["requestId"], str)


ANY_REQUEST = given(path=ROUTES, stream=STREAMS, origin=ORIGINS, document=BODIES)
NEARLY_RIGHT = given(path=ROUTES, stream=STREAMS, document=nearly_right())


def assert_documented_and_kept_whole_or_not_at_all(
    kept: Kept, path: str, stream: Any, origin: str | None, document: Any
) -> None:
    before = kept.rows()

    reply = kept.post(path, json.dumps(document).encode(), stream, origin)

    assert_documented(reply, path, document, origin)
    after = kept.rows()
    assert after["quarantine"] == 0
    if reply.status in REFUSED:
        assert after == before


def assert_repeatable(kept: Kept, path: str, stream: Any, document: Any) -> None:
    body = json.dumps(document).encode()
    first = kept.post(path, body, stream, PAGE, "r-1")
    after_first = kept.rows()
    # a consent that does not say when it was given is given anew each time
    kept.clock.advance(0 if path.endswith("set-consent") else 1)

    again = kept.post(path, body, stream, PAGE, "r-1")

    assert again.status == first.status
    assert identities_in(again, document) == identities_in(first, document)
    assert kept.rows() == after_first


@settings(max_examples=150)
@ANY_REQUEST
def test_any_body_has_a_documented_answer_and_a_refused_one_leaves_nothing(
    kept: Kept, path: str, stream: Any, origin: str | None, document: Any
) -> None:
    assert_documented_and_kept_whole_or_not_at_all(kept, path, stream, origin, document)


@settings(max_examples=50)
@ANY_REQUEST
def test_any_body_is_answered_by_postgresql_too_and_a_refused_one_leaves_nothing(
    kept_on_postgres: Kept, path: str, stream: Any, origin: str | None, document: Any
) -> None:
    assert_documented_and_kept_whole_or_not_at_all(kept_on_postgres, path, stream, origin, document)


@settings(max_examples=60)
@NEARLY_RIGHT
def test_the_same_request_again_is_answered_alike_and_stored_once(
    kept: Kept, path: str, stream: Any, document: Any
) -> None:
    assert_repeatable(kept, path, stream, document)


@settings(max_examples=20)
@NEARLY_RIGHT
def test_the_same_request_again_is_stored_once_by_postgresql_too(
    kept_on_postgres: Kept, path: str, stream: Any, document: Any
) -> None:
    assert_repeatable(kept_on_postgres, path, stream, document)


@settings(max_examples=60)
@given(
    path=st.sampled_from(sorted(each for each, status in SUCCESS.items() if status == 200)),
    enabled=st.booleans(),
    begin=st.none() | st.sampled_from(["\0", "", "\x1e", "--"]),
    end=st.none() | st.sampled_from(["\n", "", "\r\n", ";"]),
    is_right=st.booleans(),
)
def test_an_answer_is_framed_exactly_when_the_request_asks_for_it(
    kept: Kept, path: str, *, enabled: bool, begin: str | None, end: str | None, is_right: bool
) -> None:
    streaming = {"enabled": enabled, "recordSeparator": begin, "lineFeed": end}
    document: dict[str, Any] = {
        "meta": {"konductorConfig": {"streaming": streaming}},
        "query": {"identity": {"fetch": ["ECID"] if is_right else 5}},
    }
    if path.endswith("set-consent"):
        item = {"standard": "Adobe", "version": "1.0", "value": {"general": "in"}}
        document["consent"] = [item]
    else:
        document["events"] = [{"xdm": {"eventType": "a"}}]

    reply = kept.post(path, json.dumps(document).encode(), MOBILE_ID)

    if is_right:
        frame = ((begin or "\0").encode(), (end or "\n").encode()) if enabled else (b"", b"")
        assert reply.status == 200
        assert reply.body.startswith(frame[0] + b"{")
        assert reply.body.endswith(b"}" + frame[1])
    else:
        assert_problem(reply)
