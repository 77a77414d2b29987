import socket
from pathlib import Path

import pytest

from service.outbound.egress import AddressGuard
from service.outbound.transport import (
    Lane,
    LaneFullError,
    Reply,
    ReplyKind,
    Trouble,
)
from tests.support.certificates import loopback_certificate
from tests.support.lanes import call, finish, open_lane, send
from tests.support.sinks import (
    Exchange,
    Sink,
    answer,
    closed_port,
    hold,
    running_sink,
)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_a_host_that_leads_inside_is_refused_before_it_is_connected(host: str) -> None:
    with running_sink() as sink, open_lane(guard=AddressGuard()) as lane:
        (reply,) = send(lane, call(sink.url(host=host)))

    assert (reply.kind, reply.trouble) == (ReplyKind.NOT_SENT, Trouble.ADDRESS_REFUSED)
    assert sink.connections == 0


@pytest.mark.parametrize("host", ["[64:ff9b::7f00:1]", "[::127.0.0.1]", "[2002:7f00:1::]"])
def test_a_disguised_address_is_refused_even_where_loopback_is_allowed(host: str) -> None:
    with running_sink() as sink, open_lane() as lane:
        (reply,) = send(lane, call(sink.url(host=host)))

    assert (reply.kind, reply.trouble) == (ReplyKind.NOT_SENT, Trouble.ADDRESS_REFUSED)


def test_a_kept_connection_does_not_outlive_the_guard_that_allowed_it() -> None:
    with running_sink() as sink, open_lane(slots=1) as lane:
        send(lane, call(sink.url()))
        (reply,) = send(lane, call(sink.url(host="[::1]")))

    assert reply.trouble is Trouble.ADDRESS_REFUSED


def test_nobody_listening_is_certainly_not_sent() -> None:
    with closed_port() as port, open_lane() as lane:
        (reply,) = send(lane, call(f"http://127.0.0.1:{port}/"))

    assert (reply.kind, reply.trouble) == (ReplyKind.NOT_SENT, Trouble.CONNECT)


@pytest.mark.parametrize(
    ("url", "trouble"),
    [
        ("http://no-such-host.invalid/", Trouble.DNS),
        ("ftp://127.0.0.1/x", Trouble.MALFORMED),
        ("http://[::1/", Trouble.MALFORMED),
    ],
)
def test_what_cannot_be_reached_is_certainly_not_sent(url: str, trouble: Trouble) -> None:
    with open_lane() as lane:
        (reply,) = send(lane, call(url))

    assert (reply.kind, reply.trouble) == (ReplyKind.NOT_SENT, trouble)


def test_a_server_without_tls_is_certainly_not_sent_to() -> None:
    with running_sink() as sink, open_lane() as lane:
        lane.submit(call(sink.url().replace("http", "https"), timeout_ms=400))
        (reply,) = finish(lane)

    assert (reply.kind, sink.received) == (ReplyKind.NOT_SENT, [])


def test_a_trusted_certificate_is_called(tmp_path: Path) -> None:
    trusted, context = loopback_certificate(tmp_path)
    with running_sink(tls=context) as sink, open_lane(ca_file=str(trusted)) as lane:
        (reply,) = send(lane, call(sink.url()))

    assert (reply.kind, reply.status) == (ReplyKind.ANSWERED, 200)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_that_does_not_fit_is_certainly_not_sent_to(
    tmp_path: Path, host: str
) -> None:
    trusted, context = loopback_certificate(tmp_path)
    ca_file = str(trusted) if host == "localhost" else None
    with running_sink(tls=context) as sink, open_lane(ca_file=ca_file) as lane:
        (reply,) = send(lane, call(sink.url(host=host)))

    assert (reply.kind, reply.trouble) == (ReplyKind.NOT_SENT, Trouble.TLS)
    assert sink.received == []


def test_never_more_connections_than_slots() -> None:
    keys = [str(n) for n in range(60)]
    replies: list[Reply] = []
    with running_sink() as sink, open_lane(slots=3) as lane:
        while keys or lane.in_flight:
            while keys and lane.free_slots:
                lane.submit(call(sink.url(), keys.pop()))
            replies += lane.run_once(1)

    assert len({reply.key for reply in replies}) == 60
    assert sink.most_open <= 3
    assert sink.connections <= 3


def test_connections_to_two_hosts_share_the_slots() -> None:
    with running_sink() as one, running_sink() as two, open_lane(slots=1) as lane:
        kinds = [send(lane, call(sink.url()))[0].kind for sink in (one, two, one, two)]

    assert kinds == [ReplyKind.ANSWERED] * 4
    assert one.connections + two.connections == 4


def test_a_full_lane_takes_no_call() -> None:
    with running_sink(hold) as sink, open_lane(slots=1) as lane:
        lane.submit(call(sink.url()))

        with pytest.raises(LaneFullError):
            lane.submit(call(sink.url()))

        assert (lane.free_slots, lane.in_flight) == (0, 1)


def test_growing_keeps_connections_and_shrinking_closes_them_all() -> None:
    with running_sink() as sink, open_lane(slots=1) as lane:
        send(lane, call(sink.url()))
        lane.resize(2)
        send(lane, call(sink.url()))
        grown = sink.connections
        lane.resize(1)
        send(lane, call(sink.url()))

    assert grown == 1
    assert sink.connections == 2


def test_what_was_in_flight_when_the_lane_shrank_is_doubtful_and_reported() -> None:
    with running_sink(hold) as sink, open_lane(slots=2) as lane:
        lane.submit(call(sink.url(), "on the wire"))
        run_until_received(lane, sink)
        lane.submit(call(sink.url(), "not begun"))
        lane.resize(1)
        replies = {reply.key: reply for reply in lane.run_once(0)}

    assert replies["on the wire"].kind is ReplyKind.UNKNOWN
    assert replies["not begun"].kind is ReplyKind.NOT_SENT
    assert {reply.trouble for reply in replies.values()} == {Trouble.LANE_CLOSED}


def run_until_received(lane: Lane, sink: Sink) -> None:
    for _ in range(200):
        lane.run_once(0.01)
        if sink.received:
            return
    raise AssertionError("the request did not arrive")


def test_the_environments_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    with running_sink() as sink, open_lane() as lane:
        (reply,) = send(lane, call(sink.url()))

    assert reply.status == 200


def test_a_configured_proxy_is_told_the_address_that_was_judged() -> None:
    tunnels: list[str] = []

    def tunnel(exchange: Exchange) -> None:
        tunnels.append(exchange.request.head.split()[1])
        exchange.send(b"HTTP/1.1 200 Connection established\r\n\r\n")

    with running_sink(tunnel, answer()) as proxy, open_lane(proxy=proxy.url("")) as lane:
        (reply,) = send(lane, call("http://api.example.com/push"))

    assert tunnels == ["127.0.0.1:80"]
    assert proxy.received[1].header("host") == "api.example.com"
    assert (reply.kind, reply.status) == (ReplyKind.ANSWERED, 200)


def test_a_target_that_may_not_be_called_is_not_named_to_the_proxy() -> None:
    with running_sink() as proxy, open_lane(guard=AddressGuard(), proxy=proxy.url("")) as lane:
        (reply,) = send(lane, call("http://api.example.com/push"))

    assert (reply.kind, reply.trouble) == (ReplyKind.NOT_SENT, Trouble.ADDRESS_REFUSED)
    assert proxy.connections == 0


def test_descriptors_beyond_select_still_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    held = [socket.socket() for _ in range(40)]
    try:
        monkeypatch.setattr("service.outbound.transport_curl._SELECTABLE", held[-1].fileno())
        with running_sink() as sink, open_lane() as lane:
            (reply,) = send(lane, call(sink.url()))
    finally:
        for sock in held:
            sock.close()

    assert reply.status == 200
