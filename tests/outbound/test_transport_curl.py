import threading
from time import monotonic_ns

import pytest

from service.outbound.transport import (
    Call,
    Reply,
    ReplyKind,
    Trouble,
)
from tests.support.lanes import call, open_lane, send
from tests.support.sinks import (
    OK,
    Exchange,
    Sink,
    answer,
    close_unanswered,
    drip,
    drip_head,
    hold,
    reset_unanswered,
    running_sink,
)


def test_a_call_arrives_as_it_was_rendered_and_its_answer_comes_back() -> None:
    body = b'{"text":"\x00\xc3\xa9"}'
    with running_sink() as sink, open_lane() as lane:
        (reply,) = send(
            lane, call(sink.url("/a?b=c"), headers=(("X-A", "é"), ("X-B", "")), body=body)
        )

    (got,) = sink.received
    assert (reply.kind, reply.status, reply.body) == (ReplyKind.ANSWERED, 200, b'{"id":"m-1"}')
    assert got.head.startswith("POST /a?b=c HTTP/1.1")
    assert got.body == body
    assert got.header("x-a") == "é".encode().decode("latin-1")
    assert got.header("x-b") == ""
    assert got.header("expect") is None
    assert (reply.connected_to, reply.trouble) == ("127.0.0.1", None)


def test_a_start_lies_between_submission_and_end() -> None:
    moments: list[bool] = []

    def note(_: Call) -> bool:
        moments.append(bool(sink.received))
        return True

    with running_sink() as sink, open_lane(on_start=note) as lane:
        (reply,) = send(lane, call(sink.url()))

    assert moments == [False]
    assert 0 < reply.started_ns < reply.ended_ns


def test_each_method_is_sent_as_itself_over_one_handle() -> None:
    with running_sink() as sink, open_lane(slots=1) as lane:
        for method in ("POST", "PUT", "GET", "POST"):
            send(lane, call(sink.url(), method=method))

    assert [got.head.split()[0] for got in sink.received] == ["POST", "PUT", "GET", "POST"]
    assert [got.body for got in sink.received] == [b'{"n":1}', b'{"n":1}', b"", b'{"n":1}']
    assert sink.connections == 1


def test_headers_of_the_answer_are_found_whatever_their_case() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nRetry-After: 99\r\n\r\n"
    final = b"HTTP/1.1 503 Busy\r\nRETRY-after:  7 \r\nContent-Length: 0\r\n\r\n"
    with running_sink(answer(interim + final)) as sink, open_lane() as lane:
        (reply,) = send(lane, call(sink.url()))

    assert reply.status == 503
    assert reply.header("Retry-After") == "7"
    assert reply.header("link") is None


def test_a_closed_kept_alive_connection_is_not_silently_sent_to_again() -> None:
    with running_sink(answer(), close_unanswered, answer()) as sink, open_lane(slots=1) as lane:
        (first,) = send(lane, call(sink.url(), "first"))
        (second,) = send(lane, call(sink.url(), "second", body=b'{"n":2}'))

    assert first.kind is ReplyKind.ANSWERED
    assert (second.kind, second.trouble) == (ReplyKind.UNKNOWN, Trouble.RESEND_STOPPED)
    assert [got.body for got in sink.received] == [b'{"n":1}', b'{"n":2}']


def test_the_lane_works_on_after_a_stopped_resend() -> None:
    with running_sink(answer(), close_unanswered, answer()) as sink, open_lane(slots=1) as lane:
        kinds = [send(lane, call(sink.url()))[0].kind for _ in range(3)]

    assert kinds == [ReplyKind.ANSWERED, ReplyKind.UNKNOWN, ReplyKind.ANSWERED]


@pytest.mark.parametrize("behaviour", [close_unanswered, reset_unanswered])
def test_a_connection_lost_after_the_request_leaves_its_fate_unknown(behaviour: object) -> None:
    assert callable(behaviour)
    with running_sink(behaviour) as sink, open_lane() as lane:
        (reply,) = send(lane, call(sink.url()))

    assert (reply.kind, reply.trouble) == (ReplyKind.UNKNOWN, Trouble.RESET)
    assert reply.started_ns > 0
    assert len(sink.received) == 1


@pytest.mark.parametrize("behaviour", [drip, drip_head, hold])
def test_the_timeout_covers_the_whole_exchange(behaviour: object) -> None:
    assert callable(behaviour)
    with running_sink(behaviour) as sink, open_lane() as lane:
        began_ns = monotonic_ns()
        (reply,) = send(lane, call(sink.url(), timeout_ms=200))

    assert (reply.kind, reply.trouble) == (ReplyKind.UNKNOWN, Trouble.TIMEOUT)
    assert 190_000_000 < reply.ended_ns - began_ns < 2_500_000_000


def test_an_answer_cut_short_is_no_answer() -> None:
    def cut(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        exchange.close()

    with running_sink(cut) as sink, open_lane() as lane:
        (reply,) = send(lane, call(sink.url()))

    assert (reply.kind, reply.status) == (ReplyKind.UNKNOWN, 200)


def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    with running_sink() as target:
        away = (
            f"HTTP/1.1 302 Found\r\nLocation: {target.url()}\r\nContent-Length: 0\r\n\r\n".encode()
        )
        with running_sink(answer(away)) as sink, open_lane() as lane:
            (reply,) = send(lane, call(sink.url()))

    assert (reply.kind, reply.status) == (ReplyKind.ANSWERED, 302)
    assert target.received == []


def test_no_more_than_64_kib_of_an_answer_is_kept() -> None:
    big = b"HTTP/1.1 400 Bad\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000
    with running_sink(answer(big), answer()) as sink, open_lane(slots=1) as lane:
        (cut,) = send(lane, call(sink.url()))
        (after,) = send(lane, call(sink.url()))

    assert (cut.kind, cut.status, len(cut.body)) == (ReplyKind.ANSWERED, 400, 65536)
    assert after.status == 200


def test_without_a_permit_nothing_goes_on_the_wire() -> None:
    with running_sink() as sink, open_lane(on_start=lambda _: False) as lane:
        (reply,) = send(lane, call(sink.url()))

    assert (reply.kind, reply.trouble) == (ReplyKind.NOT_SENT, Trouble.PERMIT_REFUSED)
    assert (reply.started_ns, sink.received) == (0, [])


def test_a_permit_refused_once_does_not_spoil_the_handle() -> None:
    verdicts = iter([False, True])
    with running_sink() as sink, open_lane(slots=1, on_start=lambda _: next(verdicts)) as lane:
        kinds = [send(lane, call(sink.url()))[0].kind for _ in range(2)]

    assert kinds == [ReplyKind.NOT_SENT, ReplyKind.ANSWERED]


def test_a_header_that_would_split_the_request_is_refused() -> None:
    with running_sink() as sink, open_lane() as lane:
        with pytest.raises(ValueError, match="control character"):
            lane.submit(call(sink.url(), headers=(("X-A", "1\r\nX-B: 2"),)))

        assert lane.in_flight == 0
        assert send(lane, call(sink.url()))[0].status == 200


def test_a_lane_may_run_in_a_thread_of_its_own() -> None:
    replies: list[Reply] = []

    def work(sink: Sink) -> None:
        with open_lane() as lane:
            replies.extend(send(lane, call(sink.url())))

    with running_sink() as sink:
        thread = threading.Thread(target=work, args=(sink,))
        thread.start()
        thread.join(5)

    assert [reply.status for reply in replies] == [200]


def test_no_value_of_a_call_or_reply_shows_in_a_repr() -> None:
    with running_sink(answer(OK)) as sink, open_lane() as lane:
        one = call(sink.url("/?key=s3cret"), headers=(("Authorization", "s3cret"),), body=b"s3cret")
        (reply,) = send(lane, one)

    assert "s3cret" not in repr(one)
    assert "m-1" not in repr(reply)
