"""HTTP/2 lanes: many calls over few connections, and none of them sent twice."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import CERT_REQUIRED

import pytest
from h2.errors import ErrorCodes

from service.core.secret import Secret
from service.outbound.connection_spec import ClientCertificate
from service.outbound.transport import (
    Call,
    HttpVersion,
    Lane,
    LaneOptions,
    OnStart,
    Reply,
    ReplyKind,
    Trouble,
)
from service.outbound.transport_curl import CurlTransport
from tests.support.certificates import loopback_certificate
from tests.support.http2_sinks import (
    Http2Behaviour,
    Http2Exchange,
    Http2Sink,
    answer_ok,
    running_http2_sink,
    say_nothing,
)
from tests.support.lanes import LOOPBACK, call, finish, send
from tests.support.sinks import running_sink


def may_start(_: Call) -> bool:
    return True


@contextmanager
def http2_lane(
    sink: Http2Sink, slots: int = 1, streams: int = 8, on_start: OnStart = may_start
) -> Iterator[Lane]:
    options = LaneOptions(slots, HttpVersion.HTTP_2, streams, ca_file=str(sink.ca_file))
    lane = CurlTransport(LOOPBACK).open_lane(options, on_start)
    yield lane
    lane.close()


def calls_to(sink: Http2Sink, *keys: str, timeout_ms: int = 3000) -> list[Call]:
    return [call(sink.url(f"/3/device/{key}"), key, timeout_ms=timeout_ms) for key in keys]


def deliver(lane: Lane, calls: list[Call]) -> dict[object, Reply]:
    left, replies = list(calls), []
    while left or lane.in_flight:
        while left and lane.free_slots > 0:
            lane.submit(left.pop(0))
        replies += lane.run_once(1)
    return {reply.key: reply for reply in replies}


def warm(lane: Lane, sink: Http2Sink, answers: int = 8) -> None:
    """Let the lane learn that the server takes eight streams."""
    replies = deliver(lane, calls_to(sink, *(f"warm{number}" for number in range(answers))))
    assert {reply.status for reply in replies.values()} <= {200}


class Together:
    """Answers what is warm at once; does ``then`` with the rest as soon as ``count`` are there."""

    def __init__(self, count: int, then: Http2Behaviour) -> None:
        self.count = count
        self.then = then
        self.waiting: list[Http2Exchange] = []

    def __call__(self, exchange: Http2Exchange) -> None:
        if "warm" in exchange.request.path or exchange.request.connection > 1:
            answer_ok(exchange)
            return
        self.waiting.append(exchange)
        if len(self.waiting) == self.count:
            for each in self.waiting:
                self.then(each)
            self.waiting.clear()


def paths(sink: Http2Sink) -> Counter[str]:
    return Counter(request.path.rpartition("/")[2] for request in sink.received)


def test_calls_share_one_connection_and_come_back_as_themselves(tmp_path: Path) -> None:
    keys = [f"k{number}" for number in range(30)]
    with running_http2_sink(tmp_path) as sink, http2_lane(sink) as lane:
        replies = deliver(lane, calls_to(sink, *keys))

    assert {reply.status for reply in replies.values()} == {200}
    assert replies.keys() == set(keys)
    assert paths(sink) == Counter(keys)
    assert sink.connections == 1
    assert {request.body for request in sink.received} == {b'{"n":1}'}


def test_headers_arrive_in_lower_case_and_values_as_they_are(tmp_path: Path) -> None:
    with running_http2_sink(tmp_path) as sink, http2_lane(sink) as lane:
        headers = (("Content-Type", "application/json"), ("APNs-Topic", "com.Example"))
        send(lane, call(sink.url(), headers=headers))

    (got,) = sink.received
    assert got.headers["apns-topic"] == "com.Example"
    assert got.headers[":method"] == "POST"
    assert "expect" not in got.headers


def test_a_new_connection_carries_one_call_until_that_is_answered(tmp_path: Path) -> None:
    with running_http2_sink(tmp_path, say_nothing) as sink, http2_lane(sink, slots=3) as lane:
        for each in calls_to(sink, "a", "b", "c"):
            lane.submit(each)
        for _ in range(20):
            lane.run_once(0.02)
        ended = lane.close()

    assert len(sink.received) == 1
    assert sorted(reply.kind for reply in ended) == [
        ReplyKind.NOT_SENT,
        ReplyKind.NOT_SENT,
        ReplyKind.UNKNOWN,
    ]


def test_what_was_held_goes_as_soon_as_the_first_answer_is_there(tmp_path: Path) -> None:
    with running_http2_sink(tmp_path) as sink, http2_lane(sink, slots=3) as lane:
        replies = deliver(lane, calls_to(sink, "a", "b", "c"))

    assert {reply.status for reply in replies.values()} == {200}
    assert [request.open_streams for request in sink.received[:1]] == [1]
    assert sink.connections == 1


def test_what_was_held_goes_elsewhere_when_the_first_call_gets_no_answer(tmp_path: Path) -> None:
    def reset_first(exchange: Http2Exchange) -> None:
        if exchange.request.connection == 1:
            exchange.reset()
        else:
            answer_ok(exchange)

    with running_http2_sink(tmp_path, reset_first) as sink, http2_lane(sink, slots=3) as lane:
        replies = deliver(lane, calls_to(sink, "a", "b", "c"))

    kinds = Counter(reply.kind for reply in replies.values())
    assert kinds == {ReplyKind.UNKNOWN: 1, ReplyKind.ANSWERED: 2}
    assert set(paths(sink).values()) == {1}


def test_a_held_call_ends_unsent_when_its_time_is_over(tmp_path: Path) -> None:
    with running_http2_sink(tmp_path, say_nothing) as sink, http2_lane(sink, slots=2) as lane:
        (first,) = calls_to(sink, "first", timeout_ms=2500)
        lane.submit(first)
        while not sink.received:
            lane.run_once(0.01)
        lane.submit(*calls_to(sink, "held", timeout_ms=200))
        ended: list[Reply] = []
        while not ended:
            ended = lane.run_once(0.05)

    (reply,) = ended
    assert (reply.key, reply.kind, reply.trouble) == (
        "held",
        ReplyKind.NOT_SENT,
        Trouble.TIMEOUT,
    )
    assert paths(sink) == {"first": 1}


def test_the_room_grows_with_what_the_server_takes(tmp_path: Path) -> None:
    with running_http2_sink(tmp_path) as sink, http2_lane(sink, slots=2, streams=8) as lane:
        at_first = lane.free_slots
        deliver(lane, calls_to(sink, *(f"k{number}" for number in range(64))))
        at_last = lane.free_slots

    assert (at_first, at_last) == (2, 16)


def test_a_server_of_one_stream_is_not_sent_more(tmp_path: Path) -> None:
    keys = [f"k{number}" for number in range(12)]
    with running_http2_sink(tmp_path, streams=1) as sink, http2_lane(sink) as lane:
        replies = deliver(lane, calls_to(sink, *keys))
        room = lane.free_slots

    assert {reply.status for reply in replies.values()} == {200}
    assert {request.open_streams for request in sink.received} == {1}
    assert room == 2


def test_a_limit_lowered_on_the_way_is_obeyed(tmp_path: Path) -> None:
    def lower(exchange: Http2Exchange) -> None:
        answer_ok(exchange)
        if together.count == 4:
            exchange.allow(2)
            together.count = 2

    together = Together(4, lower)
    with running_http2_sink(tmp_path, together) as sink, http2_lane(sink) as lane:
        warm(lane, sink)
        deliver(lane, calls_to(sink, "a", "b", "c", "d"))
        deliver(lane, calls_to(sink, *"efghij"))

    later = [request.open_streams for request in sink.received[-6:]]
    assert max(later) == 2
    assert max(request.open_streams for request in sink.received[:-6]) == 4
    assert sink.connections == 1


def test_streams_above_the_last_of_a_goaway_were_not_sent(tmp_path: Path) -> None:
    def leave(exchange: Http2Exchange) -> None:
        ids = [each.request.stream for each in together.waiting]
        if exchange.request.stream in ids[:2]:
            answer_ok(exchange)
        if exchange.request.stream == ids[-1]:
            exchange.go_away(ids[1])

    together = Together(4, leave)
    with running_http2_sink(tmp_path, together) as sink, http2_lane(sink, slots=2) as lane:
        warm(lane, sink)
        replies = deliver(lane, calls_to(sink, "a", "b", "c", "d"))
        after = deliver(lane, calls_to(sink, "e"))

    got = [(replies[key].kind, replies[key].trouble) for key in "abcd"]
    assert got == [
        (ReplyKind.ANSWERED, None),
        (ReplyKind.ANSWERED, None),
        (ReplyKind.NOT_SENT, Trouble.STREAM_REFUSED),
        (ReplyKind.NOT_SENT, Trouble.STREAM_REFUSED),
    ]
    assert after["e"].status == 200
    assert set(paths(sink).values()) == {1}


def test_streams_that_a_goaway_promised_to_answer_are_doubtful_when_it_does_not(
    tmp_path: Path,
) -> None:
    def leave(exchange: Http2Exchange) -> None:
        if exchange is together.waiting[-1]:
            exchange.go_away(exchange.request.stream)
            exchange.flush()
            exchange.reset()

    together = Together(2, leave)
    with running_http2_sink(tmp_path, together) as sink, http2_lane(sink) as lane:
        warm(lane, sink)
        replies = deliver(lane, calls_to(sink, "a", "b"))

    assert {reply.kind for reply in replies.values()} == {ReplyKind.UNKNOWN}
    assert set(paths(sink).values()) == {1}


@pytest.mark.parametrize("before", [0, 1], ids=["new connection", "used connection"])
def test_a_refused_stream_was_not_sent_and_is_not_sent_again(tmp_path: Path, before: int) -> None:
    def refuse(exchange: Http2Exchange) -> None:
        if "refuse" in exchange.request.path:
            exchange.refuse()
        else:
            answer_ok(exchange)

    with running_http2_sink(tmp_path, refuse) as sink, http2_lane(sink) as lane:
        warm(lane, sink, before)
        (reply,) = send(lane, *calls_to(sink, "refuse"))
        (after,) = send(lane, *calls_to(sink, "after"))

    assert (reply.kind, reply.trouble) == (ReplyKind.NOT_SENT, Trouble.STREAM_REFUSED)
    assert paths(sink)["refuse"] == 1
    assert after.status == 200


def test_words_of_a_header_do_not_pass_for_a_refused_stream(tmp_path: Path) -> None:
    words = "HTTP/2 stream 1 refused by server"
    with (
        running_http2_sink(tmp_path, Http2Exchange.reset) as sink,
        http2_lane(sink) as lane,
    ):
        (reply,) = send(lane, call(sink.url(), headers=(("x-a", words), (words[:4], words))))

    assert reply.kind is ReplyKind.UNKNOWN


def test_a_stream_that_failed_is_doubtful_and_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    def fail_one(exchange: Http2Exchange) -> None:
        if exchange.request.path.endswith("bad"):
            exchange.refuse(ErrorCodes.INTERNAL_ERROR)
        else:
            answer_ok(exchange)

    with running_http2_sink(tmp_path, Together(3, fail_one)) as sink, http2_lane(sink) as lane:
        warm(lane, sink)
        replies = deliver(lane, calls_to(sink, "a", "bad", "b"))

    assert [replies[key].kind for key in ("a", "bad", "b")] == [
        ReplyKind.ANSWERED,
        ReplyKind.UNKNOWN,
        ReplyKind.ANSWERED,
    ]
    assert sink.connections == 1


def test_a_connection_lost_after_the_requests_leaves_their_fate_unknown(tmp_path: Path) -> None:
    def reset(exchange: Http2Exchange) -> None:
        if exchange is together.waiting[-1]:
            exchange.reset()

    together = Together(3, reset)
    with running_http2_sink(tmp_path, together) as sink, http2_lane(sink) as lane:
        warm(lane, sink)
        replies = deliver(lane, calls_to(sink, "a", "b", "c"))
        after = deliver(lane, calls_to(sink, "d"))

    assert {reply.kind for reply in replies.values()} == {ReplyKind.UNKNOWN}
    assert after["d"].status == 200
    assert set(paths(sink).values()) == {1}


def test_a_stream_without_a_permit_is_not_sent_and_disturbs_no_other(tmp_path: Path) -> None:
    with (
        running_http2_sink(tmp_path) as sink,
        http2_lane(sink, on_start=lambda each: each.key != "late") as lane,
    ):
        warm(lane, sink)
        replies = deliver(lane, calls_to(sink, "a", "late", "b"))

    assert (replies["late"].kind, replies["late"].trouble) == (
        ReplyKind.NOT_SENT,
        Trouble.PERMIT_REFUSED,
    )
    assert (replies["a"].status, replies["b"].status) == (200, 200)
    assert paths(sink)["late"] == 0
    assert sink.connections == 1


def test_never_more_connections_than_slots(tmp_path: Path) -> None:
    keys = [f"k{number}" for number in range(40)]
    with running_http2_sink(tmp_path, streams=2) as sink, http2_lane(sink, slots=3) as lane:
        replies = deliver(lane, calls_to(sink, *keys))

    assert {reply.status for reply in replies.values()} == {200}
    assert sink.connections <= 3
    assert max(request.open_streams for request in sink.received) <= 2


def test_growing_keeps_connections_and_shrinking_closes_them_all(tmp_path: Path) -> None:
    with running_http2_sink(tmp_path) as sink, http2_lane(sink, slots=1) as lane:
        warm(lane, sink)
        lane.resize(2)
        deliver(lane, calls_to(sink, "a"))
        grown = sink.connections
        lane.resize(1)
        deliver(lane, calls_to(sink, "b"))

    assert (grown, sink.connections) == (1, 2)


def test_a_server_of_http_1_is_spoken_to_as_it_can(tmp_path: Path) -> None:
    trusted, context = loopback_certificate(tmp_path)
    options = LaneOptions(2, HttpVersion.HTTP_2, 8, ca_file=str(trusted))
    with running_sink(tls=context) as sink:
        lane = CurlTransport(LOOPBACK).open_lane(options, may_start)
        replies = deliver(lane, [call(sink.url(), str(number)) for number in range(6)])
        lane.close()

    assert {reply.status for reply in replies.values()} == {200}
    assert sink.most_open <= 2


@pytest.mark.parametrize("status", [200, 0], ids=["shown", "not shown"])
def test_an_endpoint_that_asks_who_calls_is_shown_the_certificate(
    tmp_path: Path, status: int
) -> None:
    trusted, context = loopback_certificate(tmp_path)
    context.verify_mode = CERT_REQUIRED
    context.load_verify_locations(trusted)
    shown = ClientCertificate(trusted.read_text(), Secret((tmp_path / "key.pem").read_text()))
    options = LaneOptions(1, certificate=shown if status else None, ca_file=str(trusted))
    with running_sink(tls=context) as sink:
        lane = CurlTransport(LOOPBACK).open_lane(options, may_start)
        lane.submit(call(sink.url()))
        (reply,) = finish(lane)
        lane.close()

    assert reply.status == status
    assert len(sink.received) == bool(status)


def test_no_option_shows_a_proxys_password_or_a_key() -> None:
    certificate = ClientCertificate("chain", Secret("s3cret"))

    options = LaneOptions(1, proxy="http://me:s3cret@proxy.example", certificate=certificate)

    assert "s3cret" not in repr(options)
