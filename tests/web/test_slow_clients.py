"""Connections whose request does not come to an end are ended, and no others."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from threading import Event

import pytest
from structlog.testing import capture_logs

from service.web.slow_clients import SlowClients
from tests.support.clocks import FixedClock

PATIENCE_S = 0.1
HERE = frozenset({"127.0.0.1"})


class Line:
    """A connection: the sender's end and ours."""

    def __init__(self, sender: socket.socket, ours: socket.socket) -> None:
        self.sender = sender
        self.ours = ours

    def ask(self, text: bytes = b"POST / HTTP/1.1\r\n") -> None:
        """Send something that is not a whole request."""
        self.sender.sendall(text)
        assert self.ours.recv(100) == text

    def answer(self) -> None:
        """Send an answer and see it come."""
        self.ours.sendall(b"200")
        assert self.sender.recv(100) == b"200"

    @property
    def is_open(self) -> bool:
        """Whether the sender still has somebody to talk to."""
        try:
            return self.sender.recv(1, socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True


class Server:
    """A listening socket of this process and the connections to it."""

    def __init__(self, owned: ExitStack) -> None:
        self._owned = owned
        self._listening = owned.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = self._listening.getsockname()[1]

    def connect(self) -> Line:
        """Open a connection."""
        sender = self._owned.enter_context(socket.create_connection(("127.0.0.1", self.port)))
        ours, _ = self._listening.accept()
        return Line(sender, self._owned.enter_context(ours))


@pytest.fixture
def owned() -> Iterator[ExitStack]:
    """Yield what closes every socket of the test."""
    with ExitStack() as stack:
        yield stack


def watching(server: Server, late: frozenset[str] = HERE) -> SlowClients:
    return SlowClients(server.port, lambda _: late, FixedClock(), patience_s=PATIENCE_S)


def let_time_pass() -> None:
    """Let the kernel's clocks go beyond the patience."""
    Event().wait(PATIENCE_S * 2)


def test_a_request_that_never_ends_is_ended_at_the_second_look(owned: ExitStack) -> None:
    server = Server(owned)
    line, clients = server.connect(), watching(server)
    line.ask()
    let_time_pass()

    with capture_logs() as logs:
        ended = [clients.sweep(), clients.sweep(), clients.sweep()]

    assert ended == [0, 1, 0]
    assert not line.is_open
    assert line.ours.recv(1) == b""
    assert logs == [
        {"event": "slow_clients_ended", "connections": 1, "log_level": "warning"},
    ]


def test_one_that_trickles_is_ended_as_well(owned: ExitStack) -> None:
    server = Server(owned)
    line, clients = server.connect(), watching(server)
    line.ask()
    line.answer()
    let_time_pass()

    for _ in range(2):
        line.ask(b"x")
        clients.sweep()

    assert not line.is_open


def test_one_that_was_answered_between_two_looks_is_spared(owned: ExitStack) -> None:
    server = Server(owned)
    line, clients = server.connect(), watching(server)
    line.ask()
    let_time_pass()
    clients.sweep()

    line.answer()

    assert clients.sweep() == 0
    assert line.is_open


def test_a_quiet_connection_that_was_answered_is_spared(owned: ExitStack) -> None:
    server = Server(owned)
    line, clients = server.connect(), watching(server)
    line.ask()
    let_time_pass()
    line.answer()
    let_time_pass()

    assert [clients.sweep(), clients.sweep()] == [0, 0]
    assert line.is_open


@pytest.mark.parametrize("late", [frozenset(), frozenset({"127.0.0.2"})])
def test_while_nobody_of_that_address_is_late_nothing_is_ended(
    owned: ExitStack, late: frozenset[str]
) -> None:
    server = Server(owned)
    line, clients = server.connect(), watching(server, late)
    line.ask()
    let_time_pass()

    assert [clients.sweep(), clients.sweep()] == [0, 0]
    assert line.is_open


def test_connections_to_other_ports_are_nobodys_business(owned: ExitStack) -> None:
    server, other = Server(owned), Server(owned)
    line, clients = other.connect(), watching(server)
    line.ask()
    let_time_pass()

    assert [clients.sweep(), clients.sweep()] == [0, 0]
    assert line.is_open


def test_who_is_late_is_asked_by_the_clock(owned: ExitStack) -> None:
    clock, asked = FixedClock(), []

    def late(since: float) -> frozenset[str]:
        asked.append(since)
        return frozenset()

    SlowClients(Server(owned).port, late, clock, patience_s=30).sweep()

    assert asked == [clock.monotonic() - 30]
