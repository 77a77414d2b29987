import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from mobile_stub import sdk
from mobile_stub.answers import AnswerError
from mobile_stub.device import Device, Hit, Kind, Platform, new_device
from mobile_stub.edge_client import Action, Edge, Phone, Verdict
from mobile_stub.gateway_http import Ending, Reply, answer
from tests.mobile_stub.scripted_edge import ScriptedEdge, framed

START = datetime(2026, 7, 1, tzinfo=UTC)
OK = framed({"requestId": "r", "handle": []})


class VirtualTime:
    """A clock that only waiting moves; the phone is switched off after ``waits_left`` waits."""

    def __init__(self) -> None:
        self.now = START
        self.waited: list[float] = []
        self.waits_left = 100

    def clock(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.now += timedelta(seconds=seconds)
        self.waits_left -= 1
        return self.waits_left >= 0


Open = Callable[..., Phone]


@pytest.fixture
def time() -> VirtualTime:
    return VirtualTime()


@pytest.fixture
def open_phone(edge: ScriptedEdge, time: VirtualTime) -> Iterator[Open]:
    with ExitStack() as phones:

        def opened(kind: Kind = Kind.ANDROID, timeout_s: float = 5.0, url: str = "") -> Phone:
            device = new_device(kind, "com.example.shop", Platform.FCM, 1)
            phone = Phone(
                device,
                Edge(url or edge.url, "ds-1"),
                wait=time.wait,
                clock=time.clock,
                timeout_s=timeout_s,
            )
            phones.enter_context(closing(phone))
            return phone

        yield opened


def event(event_type: str = "a.b") -> Action:
    def act(device: Device, now: datetime) -> tuple[Device, Hit | None]:
        return sdk.event(device, event_type, now)

    return act


def refusal(status: int, retry_after: str | None = None) -> Reply:
    headers = () if retry_after is None else (f"Retry-After: {retry_after}",)
    return answer(status, b'{"status":0}', "application/problem+json", headers)


def handle(handle_type: str, *payload: dict[str, Any]) -> Reply:
    return framed({"requestId": "r", "handle": [{"type": handle_type, "payload": list(payload)}]})


def test_a_phone_sends_what_the_sdk_sends(edge: ScriptedEdge, open_phone: Open) -> None:
    phone = open_phone()

    hit = phone.act(event())
    drained = phone.drain()

    (request,) = edge.requests
    query = parse_qs(request.query)
    assert drained
    assert hit is not None
    assert phone.acknowledged == [hit.id]
    assert (request.method, request.path) == ("POST", "/ee/v1/interact")
    assert query["configId"] == ["ds-1"]
    assert re.fullmatch(r"[0-9a-f-]{36}", query["requestId"][0])
    assert request.headers[b"content-type"] == request.headers[b"accept"] == b"application/json"
    assert request.headers[b"accept-language"] == b"en-US"
    assert request.headers[b"user-agent"].startswith(b"Mozilla/5.0 (Linux; U; Android 14")
    assert b"cookie" not in request.headers


def test_a_retry_keeps_the_event_and_takes_a_new_request_id(
    edge: ScriptedEdge, open_phone: Open, time: VirtualTime
) -> None:
    edge.replies = [refusal(503, "30"), refusal(429), OK]
    phone = open_phone(Kind.IOS)

    phone.act(event())
    phone.drain()

    request_ids = [parse_qs(request.query)["requestId"][0] for request in edge.requests]
    assert time.waited == [30, 5]
    assert len({request.body for request in edge.requests}) == 1
    assert len(set(request_ids)) == 3
    assert all(name == name.upper() for name in request_ids)
    assert len(phone.acknowledged) == 1


def test_a_retried_hit_blocks_those_behind_it(
    edge: ScriptedEdge, open_phone: Open, time: VirtualTime
) -> None:
    edge.replies = [refusal(503), refusal(502), OK, OK]
    phone = open_phone()

    first, second = phone.act(event("one")), phone.act(event("two"))
    phone.drain()

    assert first is not None
    assert second is not None
    assert [body["events"][0]["xdm"]["eventType"] for body in edge.bodies] == [
        "one",
        "one",
        "one",
        "two",
    ]
    assert phone.acknowledged == [first.id, second.id]


@pytest.mark.parametrize("status", [202, 302, 400, 422, 500])
def test_a_dropped_hit_is_gone_and_the_next_one_follows(
    edge: ScriptedEdge, open_phone: Open, time: VirtualTime, status: int
) -> None:
    edge.replies = [refusal(status), OK]
    phone = open_phone()

    phone.act(event("one"))
    second = phone.act(event("two"))
    phone.drain()

    assert second is not None
    assert phone.acknowledged == [second.id]
    assert [attempt.verdict for attempt in phone.attempts] == [Verdict.DROPPED, Verdict.KEPT]
    assert (phone.attempts[0].status, phone.attempts[0].body) == (status, b'{"status":0}')
    assert time.waited == []


@pytest.mark.parametrize(
    "trouble",
    [
        OK._replace(ending=Ending.CLOSED),
        OK._replace(ending=Ending.RESET),
        OK._replace(delay_s=0.6),
        OK._replace(drip_s=0.005),
        OK._replace(payload=OK.payload[:-9], ending=Ending.ANSWERED),
    ],
    ids=["closed", "reset", "too late", "dripping", "cut short"],
)
def test_an_exchange_without_a_whole_answer_in_time_is_tried_again(
    edge: ScriptedEdge, open_phone: Open, time: VirtualTime, trouble: Reply
) -> None:
    edge.replies = [trouble, OK]
    phone = open_phone(timeout_s=0.3)

    phone.act(event())
    phone.drain()

    assert [attempt.status for attempt in phone.attempts] == [None, 200]
    assert time.waited == [5]
    assert len(phone.acknowledged) == 1


def test_a_service_that_is_away_is_tried_until_the_phone_is_switched_off(
    open_phone: Open, time: VirtualTime
) -> None:
    phone = open_phone(url="http://127.0.0.1:1")
    time.waits_left = 2

    phone.act(event())
    drained = phone.drain()

    assert not drained
    assert time.waited == [5, 5, 5]
    assert len(phone.device.queue) == 1
    assert phone.acknowledged == []


def test_two_calls_carry_the_state_that_came_back_and_not_the_deleted(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    edge.replies = [
        handle(
            "state:store",
            {"key": "a", "value": "1", "maxAge": 1800},
            {"key": "b", "value": "2", "maxAge": 7200},
            {"key": "c", "value": "3", "maxAge": 0},
        )
    ]
    phone = open_phone()

    for _ in range(2):
        phone.act(event())
        phone.drain()

    first, second = edge.bodies
    assert "state" not in first["meta"]
    assert [entry["key"] for entry in second["meta"]["state"]["entries"]] == ["a", "b"]


def test_a_reset_between_two_calls_forgets_the_state(edge: ScriptedEdge, open_phone: Open) -> None:
    edge.replies = [handle("state:store", {"key": "a", "value": "1", "maxAge": 1800})]
    phone = open_phone()

    phone.act(event())
    phone.drain()
    phone.change(sdk.reset_identities)
    phone.act(event())
    phone.drain()

    assert "state" not in edge.bodies[1]["meta"]


def test_an_answer_to_a_hit_from_before_the_reset_is_ignored(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    edge.replies = [handle("state:store", {"key": "a", "value": "1", "maxAge": 1800})]
    phone = open_phone()
    before = phone.device.ecid

    phone.act(event())
    phone.change(sdk.reset_identities)
    phone.drain()

    assert edge.bodies[0]["xdm"]["identityMap"]["ECID"][0]["id"] == before
    assert phone.device.state == ()
    assert len(phone.acknowledged) == 1


def test_the_location_hint_stands_in_the_next_urls_until_it_expires(
    edge: ScriptedEdge, open_phone: Open, time: VirtualTime
) -> None:
    hint = {"scope": "EdgeNetwork", "hint": "or2", "ttlSeconds": 10}
    edge.replies = [handle("locationHint:result", hint)]
    phone = open_phone()

    for pause in (0, 9, 1):
        time.wait(pause)
        phone.act(event())
        phone.drain()

    paths = [request.path for request in edge.requests]
    assert paths == ["/ee/v1/interact", "/ee/or2/v1/interact", "/ee/v1/interact"]


def test_a_multi_status_answer_counts_as_kept_and_its_handles_are_read(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    item = {"type": "x:y", "payload": [{}], "eventIndex": 0}
    body = framed({"handle": [item], "errors": [{"status": 503}]}).payload
    edge.replies = [Reply(body.replace(b"200 OK", b"207 Multi-Status"))]
    phone = open_phone()

    phone.act(event())
    phone.drain()

    assert len(phone.acknowledged) == 1
    assert phone.handles == [item]


def test_a_body_is_not_read_with_204(edge: ScriptedEdge, open_phone: Open) -> None:
    edge.replies = [answer(204)]
    phone = open_phone()

    phone.act(event())
    phone.drain()

    assert len(phone.acknowledged) == 1
    assert phone.handles == []


def test_an_unframed_success_fails_loudly_but_counts_as_sent(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    edge.replies = [answer(200, b'{"requestId":"r","handle":[]}')]
    phone = open_phone()
    phone.act(event())

    with pytest.raises(AnswerError):
        phone.drain()

    assert len(phone.acknowledged) == 1
    assert phone.device.queue == ()
