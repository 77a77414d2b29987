import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mobile_stub.gateway_http import answer
from mobile_stub.gateway_wire import CHUNKED, BadRequestError, body_length, decode_chunks
from tests.mobile_stub.scripted_edge import ScriptedEdge

PLAIN = b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


class Wire:
    """A bare client connection."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self.socket = socket.create_connection((str(address.hostname), address.port or 0), 5)

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read_until(self, end: bytes) -> bytes:
        data = b""
        while not data.endswith(end):
            piece = self.socket.recv(65_536)
            if not piece:
                break
            data += piece
        return data


@pytest.fixture
def wire(edge: ScriptedEdge) -> Iterator[Wire]:
    edge.replies = [answer(200, b"one"), answer(200, b"two")]
    client = Wire(edge.url)
    yield client
    client.socket.close()


def test_two_requests_share_a_connection_even_when_sent_together(
    edge: ScriptedEdge, wire: Wire
) -> None:
    wire.send(PLAIN + PLAIN)

    answers = wire.read_until(b"two")

    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 2
    assert answers.index(b"one") < answers.index(b"two")
    assert [(r.path, r.query, r.body) for r in edge.requests] == [("/a", "b=c", b"abc")] * 2


def test_a_later_request_waits_for_the_delayed_answer_before_it(
    edge: ScriptedEdge, wire: Wire
) -> None:
    edge.replies[0] = edge.replies[0]._replace(delay_s=0.05)
    wire.send(PLAIN + PLAIN)

    answers = wire.read_until(b"two")

    assert answers.index(b"one") < answers.index(b"two")


def test_a_dripping_answer_arrives_whole_and_the_connection_goes_on(
    edge: ScriptedEdge, wire: Wire
) -> None:
    edge.replies[0] = edge.replies[0]._replace(drip_s=0.0005)
    wire.send(PLAIN + PLAIN)

    answers = wire.read_until(b"two")

    assert answers == answer(200, b"one").payload + answer(200, b"two").payload


def test_a_request_may_come_byte_by_byte(edge: ScriptedEdge, wire: Wire) -> None:
    wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for place in range(len(PLAIN)):
        wire.send(PLAIN[place : place + 1])

    wire.read_until(b"one")

    assert [request.body for request in edge.requests] == [b"abc"]


def test_a_chunked_body_is_joined(edge: ScriptedEdge, wire: Wire) -> None:
    wire.send(b"PUT /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    wire.send(b"2;note=x\r\nde\r\n0\r\nTrailer: t\r\n\r\n" + PLAIN)

    wire.read_until(b"two")

    assert [request.body for request in edge.requests] == [b"abcde", b"abc"]


def test_expect_continue_is_answered_before_the_body(edge: ScriptedEdge, wire: Wire) -> None:
    head, _, body = PLAIN.partition(b"\r\n\r\n")
    wire.send(head + b"\r\nExpect: 100-continue\r\n\r\n")

    go_on = wire.read_until(b"\r\n\r\n")
    wire.send(body)

    assert go_on == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert wire.read_until(b"one").startswith(b"HTTP/1.1 200 OK")


def test_the_connection_closes_when_the_client_asks(edge: ScriptedEdge, wire: Wire) -> None:
    wire.send(PLAIN.replace(b"Host: x", b"Connection: close"))

    everything = wire.read_until(b"never")

    assert everything.endswith(b"one")


def test_nothing_is_read_behind_a_request_that_closes(edge: ScriptedEdge, wire: Wire) -> None:
    wire.send(PLAIN.replace(b"Host: x", b"Connection: close") + PLAIN)

    wire.read_until(b"never")

    assert len(edge.requests) == 1


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"x" * 70_000,
    ],
)
def test_what_is_no_request_gets_400_and_the_end(
    edge: ScriptedEdge, wire: Wire, data: bytes
) -> None:
    wire.send(data)

    everything = wire.read_until(b"never")

    assert everything.startswith(b"HTTP/1.1 400 Bad Request")
    assert edge.requests == []


def test_a_length_is_a_plain_number_and_absent_means_none() -> None:
    assert body_length({}) == 0
    assert body_length({b"content-length": b"12"}) == 12
    assert body_length({b"transfer-encoding": b"Chunked"}) == CHUNKED
    with pytest.raises(BadRequestError):
        body_length({b"content-length": b"1_2"})


@given(pieces=st.lists(st.binary(min_size=1, max_size=40)), rest=st.binary(max_size=20))
def test_a_body_in_any_chunks_is_read_and_nothing_behind_it(
    pieces: list[bytes], rest: bytes
) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    whole = chunks + b"0\r\n\r\n"

    decoded = decode_chunks(bytearray(whole + rest))

    assert decoded == (b"".join(pieces), len(whole))


@pytest.mark.parametrize("cut", range(1, 12))
def test_chunks_cut_short_are_not_a_body_yet(cut: int) -> None:
    whole = b"1\r\na\r\n0\r\n\r\n"

    decoded = decode_chunks(bytearray(whole[:-cut]))

    assert decode_chunks(bytearray(whole)) == (b"a", len(whole))
    assert decoded is None
