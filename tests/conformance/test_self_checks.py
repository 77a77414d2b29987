"""What the reference asks a server to check of itself, beyond what a client can see."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import func, select

from service.db.session import SessionFactory, unit_of_work
from service.profiles.models import ExperienceEvent
from service.web.wsgi import Application
from tests.support.edge_documents import ECID, mobile, web
from tests.support.edge_world import PAGE
from tests.support.stored_wire import served
from tests.support.wire import MOBILE_ID, WEB_ID, Reply, call, datastream, edge_query

QUERY = edge_query(WEB_ID, request_id="072c549c-7649-4a91-82a9-fc429e1a7243")
V1 = ("interact", "collect", "privacy/set-consent", "identity/acquire")
QUESTION = {"query": {"identity": {"fetch": ["ECID"]}}}
CONSENT = {
    "identityMap": {"ECID": [{"id": ECID}]},
    "consent": [{"standard": "Adobe", "version": "1.0", "value": {"general": "in"}}],
}


@pytest.fixture
def edge(store: SessionFactory) -> Iterator[Application]:
    """Yield the service for phones and pages."""
    with served(store, datastream(), datastream("web")) as application:
        yield application


def post(edge: Application, document: Any, action: str = "interact", **options: Any) -> Reply:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return call(edge, f"/ee/v1/{action}", body, **{"query": edge_query(MOBILE_ID), **options})


def count(store: SessionFactory) -> int:
    with unit_of_work(store) as session:
        counted = select(func.count()).select_from(ExperienceEvent)
        return session.scalar(counted.where(ExperienceEvent.sandbox_id == 1)) or 0


def test_the_same_id_twice_is_kept_once_and_answered_twice(
    edge: Application, store: SessionFactory
) -> None:
    replies = [post(edge, mobile()) for _ in range(2)]

    assert [each.status for each in replies] == [200, 200]
    assert count(store) == 1


def test_a_body_of_65_kilobytes_is_too_large(edge: Application, store: SessionFactory) -> None:
    reply = post(edge, mobile(data={"a": "x" * 65 * 1024}))

    assert reply.status == 413
    assert reply.json()["type"].endswith("EXEG-0112-413")
    assert count(store) == 0


@pytest.mark.parametrize(("document", "is_framed"), [(mobile(), True), (web(), False)])
def test_an_answer_is_framed_only_when_asked(
    edge: Application, document: Any, *, is_framed: bool
) -> None:
    assert post(edge, document).body.startswith(b"\0") is is_framed


@pytest.mark.parametrize("action", V1)
def test_no_success_of_version_one_is_201_202_or_206(edge: Application, action: str) -> None:
    document = CONSENT if action == "privacy/set-consent" else web()

    assert post(edge, document, action).status == (204 if action == "collect" else 200)


@pytest.mark.parametrize(
    ("document", "query", "status"),
    [
        (b"{", QUERY, 400),
        (b"", QUERY, 400),
        (b"{}", "", 400),
        (b"{}", "configId=BOGUS", 400),
        (b" " * 70_000, QUERY, 413),
    ],
)
@pytest.mark.parametrize("action", V1)
def test_every_error_can_be_read_by_a_page(
    edge: Application, action: str, document: bytes, query: str, status: int
) -> None:
    reply = post(edge, document, action, query=query, headers={"Origin": PAGE})

    assert reply.status == status
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert reply.headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize(("action", "document"), [("interact", mobile()), ("interact", web())])
def test_unknown_keys_at_the_top_are_taken(edge: Application, action: str, document: Any) -> None:
    assert post(edge, document | {"later": {"a": [1]}, "_": None}, action).status == 200


def test_an_event_without_xdm_is_taken(edge: Application) -> None:
    reply = post(edge, {"events": [QUESTION]})

    ((identity,),) = (each["payload"] for each in reply.json()["handle"])
    assert reply.status == 200
    assert identity["namespace"] == {"code": "ECID"}


@pytest.mark.parametrize("document", [QUESTION, {"meta": {"state": {"domain": ""}}}, {}])
def test_acquire_needs_no_more_than_a_question(edge: Application, document: Any) -> None:
    reply = post(edge, document, "identity/acquire", query=edge_query(WEB_ID))

    assert reply.status == 200
    assert "identity:result" in {each["type"] for each in reply.json()["handle"]}
