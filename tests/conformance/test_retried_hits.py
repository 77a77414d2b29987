"""Hits that come again, and many at once: nothing is lost, doubled or mixed up."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import select

from mobile_stub import answers, sdk
from mobile_stub.device import Device, Hit, Kind, Platform, new_device
from service.db.session import SessionFactory, unit_of_work
from service.profiles.models import ExperienceEvent
from service.web.wsgi import Application
from tests.support.away_store import AwayStore
from tests.support.clocks import START
from tests.support.edge_documents import web
from tests.support.edge_world import PAGE
from tests.support.stored_wire import served
from tests.support.wire import MOBILE_ID, WEB_ID, Reply, call, datastream, edge_query

AT_ONCE = 24
EARLIER = START - timedelta(minutes=1)


@pytest.fixture
def away(store: SessionFactory) -> AwayStore:
    """Return a store that can be cut off."""
    return AwayStore(store)


@pytest.fixture
def edge(away: AwayStore) -> Iterator[Application]:
    """Yield the service for phones and pages."""
    with served(away, datastream(), datastream("web")) as application:
        yield application


@contextmanager
def outage(store: AwayStore) -> Iterator[None]:
    """Keep a store away for as long as the block runs."""
    store.is_away = True
    yield
    store.is_away = False


def phone(kind: Kind, *event_types: str) -> tuple[Device, list[Hit]]:
    """Return a phone and the hits of these events, oldest first."""
    platform = Platform.FCM if kind is Kind.ANDROID else Platform.APNS
    device, hits = new_device(kind, "com.example.shop", platform, 7), []
    for seconds, event_type in enumerate(event_types):
        device, hit = sdk.event(device, event_type, EARLIER + timedelta(seconds=seconds))
        assert hit is not None
        hits.append(hit)
    return device, hits


def send(edge: Application, device: Device, hit: Hit, request_id: str | None = None) -> Reply:
    body = sdk.render(hit, device, START)
    return call(edge, "/ee/v1/interact", body, query=edge_query(MOBILE_ID, request_id))


def kept(store: AwayStore) -> list[str | None]:
    """Return the types of the events that are kept, in the order in which they happened."""
    with unit_of_work(store) as session:
        rows = session.execute(
            select(ExperienceEvent.event_type, ExperienceEvent.at).where(
                ExperienceEvent.sandbox_id == 1
            )
        ).all()
    return [event_type for event_type, _ in sorted(rows, key=lambda row: row[1])]


@pytest.mark.parametrize("kind", list(Kind))
def test_case_10_a_hit_that_is_sent_again_under_a_new_request_id_is_kept_once(
    edge: Application, away: AwayStore, kind: Kind
) -> None:
    device, (hit,) = phone(kind, "commerce.purchases")

    with outage(away):
        refused = send(edge, device, hit, "r-1")
    replies = [send(edge, device, hit, f"r-{number}") for number in (2, 3)]

    assert refused.status == 503
    assert [each.status for each in replies] == [200, 200]
    assert kept(away) == ["commerce.purchases"]


def test_case_11_what_waited_behind_an_outage_is_kept_once_each_and_in_order(
    edge: Application, away: AwayStore
) -> None:
    device, hits = phone(Kind.ANDROID, "first", "second", "third")

    with outage(away):
        tried = [send(edge, device, hits[0]).status for _ in range(3)]
    replies = [send(edge, device, hit).status for hit in [*hits, hits[-1]]]

    assert (set(tried), set(replies)) == ({503}, {200})
    assert kept(away) == ["first", "second", "third"]


def test_case_38_requests_at_once_are_each_given_their_own_answer(
    edge: Application, away: AwayStore
) -> None:
    device, hits = phone(Kind.IOS, *(f"step.{number}" for number in range(AT_ONCE)))

    with ThreadPoolExecutor(AT_ONCE) as threads:
        replies = list(
            threads.map(lambda at: send(edge, device, hits[at], f"r-{at}"), range(AT_ONCE))
        )

    for number, reply in enumerate(replies):
        (envelope,) = answers.fragments_of(Kind.IOS, reply.body)
        assert envelope == {"requestId": f"r-{number}", "handle": []}
    assert kept(away) == [f"step.{number}" for number in range(AT_ONCE)]


def test_case_61_a_page_without_destinations_is_told_of_none(edge: Application) -> None:
    body, headers = json.dumps(web()).encode(), {"Origin": PAGE}

    reply = call(edge, "/ee/v1/interact", body, query=edge_query(WEB_ID), headers=headers)

    types = {each["type"] for each in reply.json()["handle"]}
    assert reply.status == 200
    assert not {each for each in types if each.startswith("activation:")}
