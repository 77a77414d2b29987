"""A datastream's limit: what is above it is told to come again, and comes again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from structlog.testing import capture_logs

from mobile_stub import sdk
from mobile_stub.device import Kind, Platform, new_device
from service.catalog.datastream_settings import AccessType, DatastreamSettings
from service.db.session import SessionFactory, unit_of_work
from service.flows.sources import DatastreamSource
from service.profiles.models import ExperienceEvent
from service.settings import Settings
from service.web.edge.application import EdgeApplication
from service.web.edge.errors import TooManyRequestsError
from service.web.edge.rate_limit import RateLimit
from tests.support.clocks import START, FixedClock
from tests.support.edge_world import PAGE, phone_body, plain_body
from tests.support.stored_wire import served
from tests.support.wire import (
    MOBILE_ID,
    WEB_ID,
    FakeSources,
    Reply,
    WireServices,
    call,
    datastream,
    edge_query,
)


def limited(per_s: int | None, platform: str = "mobile", **settings: Any) -> DatastreamSource:
    chosen = DatastreamSettings(requests_per_second=per_s, **settings)
    return datastream(platform, settings=chosen)


class Door:
    """One web process of several, and calls to it."""

    def __init__(self, *sources: DatastreamSource, processes: int = 1) -> None:
        self.clock = FixedClock()
        self.services = WireServices(
            FakeSources(*sources),
            clock=self.clock,
            settings=Settings("sqlite://", (), web_concurrency=processes),
        )
        self.application = EdgeApplication(self.services)

    def post(self, body: bytes | None = None, **options: Any) -> Reply:
        """Send what a phone sends, unless told otherwise."""
        defaults = {"path": "/ee/v1/interact", "query": edge_query(MOBILE_ID)}
        content = plain_body() if body is None else body
        return call(self.application, body=content, **{**defaults, **options})

    def statuses(self, count: int) -> list[int]:
        """Send so many requests and return how each was answered."""
        return [self.post().status for _ in range(count)]


def test_what_is_above_the_limit_is_refused_and_stores_nothing() -> None:
    door = Door(limited(3))

    assert door.statuses(5) == [200, 200, 200, 429, 429]
    assert len(door.services.committer.requests) == 3


def test_a_second_later_as_many_are_answered_again() -> None:
    door = Door(limited(3))
    door.statuses(3)

    door.clock.advance(1)

    assert door.statuses(4) == [200, 200, 200, 429]


def test_a_quiet_hour_saves_up_no_more_than_a_second() -> None:
    door = Door(limited(3))

    door.clock.advance(3600)

    assert door.statuses(4) == [200, 200, 200, 429]


def test_each_process_answers_its_share() -> None:
    door = Door(limited(6), processes=3)

    assert door.statuses(3) == [200, 200, 429]


def test_a_share_below_one_a_second_still_lets_one_through() -> None:
    door = Door(limited(1), processes=4)

    first = door.statuses(2)
    door.clock.advance(3.9)
    too_early = door.statuses(1)
    door.clock.advance(0.1)

    assert (first, too_early, door.statuses(2)) == ([200, 429], [429], [200, 429])


def test_the_refusal_is_a_problem_that_says_when_to_come_again() -> None:
    door = Door(limited(1), processes=8)
    door.post()

    reply = door.post(query=edge_query(MOBILE_ID, "r-1"))

    assert reply.status == 429
    assert reply.headers["content-type"] == "application/problem+json"
    assert 8 <= int(reply.headers["retry-after"]) <= 11
    assert reply.json()["title"] == "Too many requests"
    assert reply.json()["report"] == {"requestId": "r-1"}


def test_a_page_may_read_that_it_was_refused() -> None:
    door = Door(limited(1, "web"))
    options: dict[str, Any] = {"query": edge_query(WEB_ID), "headers": {"Origin": PAGE}}
    door.post(**options)

    reply = door.post(**options)

    assert reply.status == 429
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert "Retry-After" in reply.headers["access-control-expose-headers"]


def test_datastreams_do_not_take_each_others_share() -> None:
    door = Door(limited(1), limited(1, "web"))
    door.statuses(2)

    assert door.post(query=edge_query(WEB_ID)).status == 200


def test_a_datastream_without_a_limit_has_none() -> None:
    assert set(Door(limited(None)).statuses(200)) == {200}


def test_a_new_limit_is_followed_at_once() -> None:
    limit = RateLimit(FixedClock(), 1)
    for _ in range(5):
        limit.admit(limited(5))

    with pytest.raises(TooManyRequestsError):
        limit.admit(limited(2))


def test_questions_of_browsers_and_refused_callers_do_not_count() -> None:
    door = Door(limited(1, access_type=AccessType.AUTHENTICATED))

    strangers = door.statuses(3)
    preflights = [door.post(method="OPTIONS").status for _ in range(3)]

    assert (set(strangers), set(preflights)) == ({401}, {204})


def test_refusals_are_counted_in_one_line_a_second() -> None:
    door = Door(limited(1))

    with capture_logs() as logs:
        for _ in range(3):
            door.statuses(50)
            door.clock.advance(0.5)
        door.clock.advance(1)
        door.statuses(1)

    told = [each for each in logs if each["event"] == "edge_rate_limited"]
    assert len(told) <= 3
    assert sum(each["refused"] for each in told) == 148
    assert [each["event"] for each in logs] == ["edge_rate_limited"] * len(told)


@given(
    per_s=st.integers(1, 20),
    processes=st.integers(1, 4),
    pauses=st.lists(st.floats(0, 2), min_size=1, max_size=60),
)
def test_no_second_sees_more_than_the_share_and_what_was_saved_up(
    per_s: int, processes: int, pauses: list[float]
) -> None:
    clock = FixedClock()
    limit = RateLimit(clock, processes)
    admitted = []
    for pause in pauses:
        clock.advance(pause)
        try:
            limit.admit(limited(per_s))
        except TooManyRequestsError as error:
            clock.advance(error.retry_after_s)
            limit.admit(limited(per_s))
        admitted.append(clock.monotonic())

    share = per_s / processes
    for begin in admitted:
        seen = sum(begin <= each < begin + 1 for each in admitted)
        assert seen <= share + max(1.0, share) + 1e-6


def test_case_12_a_phone_that_is_refused_for_a_while_loses_nothing(
    sqlite_store: SessionFactory,
) -> None:
    device = new_device(Kind.ANDROID, "com.example.shop", Platform.FCM, 7)
    clock = FixedClock()
    waiting = []
    for number in range(7):
        device, hit = sdk.event(device, f"step.{number}", START)
        assert hit is not None
        waiting.append(hit)
    refused = 0

    with served(sqlite_store, limited(2), clock=clock) as application:
        while waiting:
            body = sdk.render(waiting[0], device, START)
            reply = call(application, "/ee/v1/interact", body, query=edge_query(MOBILE_ID))
            if reply.status == 429:
                refused += 1
                clock.advance(int(reply.headers["retry-after"]))
            else:
                assert reply.status == 200
                waiting.pop(0)

    with unit_of_work(sqlite_store) as session:
        kept = session.scalars(
            select(ExperienceEvent.event_type).where(ExperienceEvent.sandbox_id == 1)
        ).all()
    assert sorted(filter(None, kept)) == [f"step.{number}" for number in range(7)]
    assert refused >= 2


def test_a_limit_refuses_before_a_body_is_read() -> None:
    door = Door(limited(1))
    door.post()

    assert door.post(b"{").status == 429
    assert door.post(phone_body()).status == 429
