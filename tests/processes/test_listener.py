"""The listener of `edgepost run` with senders that take their time."""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from threading import Event, Thread
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest

from service.processes.listener import Listener
from service.settings import Settings
from tests.support.clocks import FixedClock

HEADERS = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
WITHIN_S = 10
_STATUSES = {"/204": "204 No Content", "/304": "304 Not Modified"}


@contextmanager
def listening(clock: FixedClock) -> Iterator[int]:
    """Yield the port of a listener with a single thread, which answers "ok"."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        status = _STATUSES.get(environ["PATH_INFO"])
        start_response(status or "200 OK", [] if status else [("Content-Length", "2")])
        return [b"" if status else b"ok"]

    settings = Settings("sqlite://", (), port=0, request_threads=1)
    listener = Listener(application, settings, patience_s=30)
    stopping = Event()
    serving = Thread(target=listener.serve, args=(stopping, clock), kwargs={"on_stop": _nothing})
    serving.start()
    try:
        yield listener.port
    finally:
        stopping.set()
        serving.join(WITHIN_S)
    assert not serving.is_alive()


def _nothing() -> None:
    pass


def ask(port: int) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)
    try:
        connection.request("POST", "/", b"quick")
        return connection.getresponse().read()
    finally:
        connection.close()


def is_ended(sender: socket.socket) -> bool:
    """Wait for the end of a connection; what was sent and not read makes it a hard one."""
    try:
        return sender.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("path", ["/204", "/304", "/200"])
def test_an_answer_without_a_body_keeps_the_connection(path: str) -> None:
    with listening(FixedClock()) as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)
        connection.connect()
        ours = connection.sock
        for _ in range(3):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()

            assert (answer.status, answer.getheader("Connection")) == (int(path[1:]), None)
            assert connection.sock is ours
        connection.close()


@pytest.mark.parametrize("path", ["/204", "/304"])
def test_a_client_that_asks_for_the_end_gets_it(path: str) -> None:
    with listening(FixedClock()) as port:
        connection = HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)
        connection.request("GET", path, headers={"Connection": "close"})

        assert connection.getresponse().getheader("Connection") == "close"
        connection.close()


@pytest.mark.parametrize("begun", [b"P", HEADERS[:-2], HEADERS, HEADERS + b"{"])
def test_a_request_that_does_not_end_is_ended(begun: bytes) -> None:
    clock = FixedClock()
    with (
        listening(clock) as port,
        socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S) as slow,
    ):
        slow.sendall(begun)
        answered = [ask(port)]
        for seconds in (1, 29):
            clock.advance(seconds)
            answered.append(ask(port))
        slow.sendall(b"X")
        clock.advance(2)

        assert is_ended(slow)
    assert answered == [b"ok", b"ok", b"ok"]


def test_file_numbers_beyond_those_of_select_are_served() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2048)), hard))
    taken: list[int] = []
    try:
        with listening(FixedClock()) as port:
            while not taken or taken[-1] < 1024:
                taken.append(os.open(os.devnull, os.O_RDONLY))

            assert ask(port) == b"ok"
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
