import re
from urllib.parse import parse_qs

import pytest

from mobile_stub import sdk
from mobile_stub.answers import AnswerError
from mobile_stub.device import Kind
from mobile_stub.gateway_http import Ending, Reply, answer
from mobile_stub.verdicts import Verdict
from tests.mobile_stub.phones import OK, Open, VirtualTime, event, handle, refusal
from tests.mobile_stub.scripted_edge import ScriptedEdge, framed


def test_case_01_a_phone_sends_what_the_sdk_sends(edge: ScriptedEdge, open_phone: Open) -> None:
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


def test_case_10_a_retry_keeps_the_event_and_takes_a_new_request_id(
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


def test_case_11_a_retried_hit_blocks_those_behind_it(
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


def test_case_03_two_calls_carry_the_state_that_came_back_and_not_the_deleted(
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


def test_case_04_a_reset_between_two_calls_forgets_the_state(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    edge.replies = [handle("state:store", {"key": "a", "value": "1", "maxAge": 1800})]
    phone = open_phone()

    phone.act(event())
    phone.drain()
    phone.change(sdk.reset_identities)
    phone.act(event())
    phone.drain()

    assert "state" not in edge.bodies[1]["meta"]


def test_case_05_an_answer_to_a_hit_from_before_the_reset_is_ignored(
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


def test_case_06_and_07_the_hint_stands_in_the_next_urls_until_it_expires(
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


def test_case_15_a_body_is_not_read_with_204(edge: ScriptedEdge, open_phone: Open) -> None:
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
