"""Requests wait for their bodies outside, and take turns inside."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Event, Lock, Semaphore, Thread
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.util import setup_testing_defaults

import pytest

from service.web.app import MAX_BODY_BYTES
from service.web.waiting_room import WaitingRoom
from tests.support.clocks import FixedClock

WITHIN_S = 10


class Echo:
    """Answers with the body; remembers how many requests it worked on at once."""

    def __init__(self) -> None:
        self.go_on = Event()
        self.go_on.set()
        self.entered = Semaphore(0)
        self.most = 0
        self._inside = 0
        self._lock = Lock()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        self.entered.release()
        assert self.go_on.wait(WITHIN_S)
        with self._lock:
            self._inside -= 1
        start_response("200 OK", [])
        return [environ["wsgi.input"].read()]


class SlowBody:
    """A body that comes when told."""

    def __init__(self, body: bytes = b"slow") -> None:
        self.asked = Event()
        self.sent = Event()
        self._body = body

    def read(self, size: int) -> bytes:
        """Return the body as soon as it is sent."""
        self.asked.set()
        assert self.sent.wait(WITHIN_S)
        return self._body[:size]


def ask(room: WaitingRoom, body: Any = b"", **environ: Any) -> tuple[str, bytes]:
    content = BytesIO(body) if isinstance(body, bytes) else body
    asked: dict[str, Any] = {"REQUEST_METHOD": "POST", "wsgi.input": content, **environ}
    if isinstance(body, bytes):
        asked.setdefault("CONTENT_LENGTH", str(len(body)))
    setup_testing_defaults(asked)
    started: list[str] = []
    answer = b"".join(room(asked, lambda status, _, __=None: started.append(status)))  # type: ignore[arg-type]
    return started[0], answer


@contextmanager
def asking(room: WaitingRoom, *bodies: Any, **environ: Any) -> Iterator[list[tuple[str, bytes]]]:
    """Send each body in a thread of its own; every one is answered at the end of the block."""
    answers: list[tuple[str, bytes]] = []
    threads = [
        Thread(target=lambda body=body: answers.append(ask(room, body, **environ)))
        for body in bodies
    ]
    for thread in threads:
        thread.start()
    yield answers
    for thread in threads:
        thread.join(WITHIN_S)
        assert not thread.is_alive()


def test_a_body_reaches_the_application_as_it_came() -> None:
    assert ask(WaitingRoom(Echo(), FixedClock(), turns=1), b"hello") == ("200 OK", b"hello")


def test_who_sends_slowly_takes_nobodys_turn() -> None:
    room = WaitingRoom(Echo(), FixedClock(), turns=1)
    slow = [SlowBody() for _ in range(8)]

    with asking(room, *slow, CONTENT_LENGTH="4") as answers:
        assert all(body.asked.wait(WITHIN_S) for body in slow)
        quick = ask(room, b"quick")
        for body in slow:
            body.sent.set()

    assert quick == ("200 OK", b"quick")
    assert answers == [("200 OK", b"slow")] * 8


def test_no_more_are_worked_on_at_once_than_there_are_turns() -> None:
    echo = Echo()
    echo.go_on.clear()

    with asking(WaitingRoom(echo, FixedClock(), turns=3), *[b"a"] * 12) as answers:
        assert all(echo.entered.acquire(timeout=WITHIN_S) for _ in range(3))
        echo.go_on.set()

    assert (echo.most, len(answers)) == (3, 12)


def test_nobody_acts_on_a_body_that_ended_too_early() -> None:
    echo = Echo()

    status, _ = ask(WaitingRoom(echo, FixedClock(), turns=1), b"{", CONTENT_LENGTH="9")

    assert (status, echo.most) == ("400 Bad Request", 0)


@pytest.mark.parametrize("length", [str(MAX_BODY_BYTES + 1), "-1", "many"])
def test_a_body_of_no_usable_length_is_left_to_the_application(length: str) -> None:
    def refuse(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("413 Content Too Large", [])
        return []

    unread = SlowBody()
    status, _ = ask(WaitingRoom(refuse, FixedClock(), turns=1), unread, CONTENT_LENGTH=length)

    assert status == "413 Content Too Large"
    assert not unread.asked.is_set()


def test_a_body_in_chunks_is_waited_for_too() -> None:
    room = WaitingRoom(Echo(), FixedClock(), turns=1)
    slow = SlowBody(b"chunks")

    with asking(room, slow, HTTP_TRANSFER_ENCODING="chunked") as answers:
        assert slow.asked.wait(WITHIN_S)
        assert ask(room, b"", REQUEST_METHOD="GET") == ("200 OK", b"")
        slow.sent.set()

    assert answers == [("200 OK", b"chunks")]


def test_whose_bodies_are_late_is_known() -> None:
    clock = FixedClock()
    room = WaitingRoom(Echo(), clock, turns=1)
    began, slow = clock.monotonic(), SlowBody()

    with asking(room, slow, CONTENT_LENGTH="4", REMOTE_ADDR="203.0.113.7"):
        assert slow.asked.wait(WITHIN_S)
        late = room.late(began), room.late(began + 1)
        slow.sent.set()

    assert late == (frozenset(), frozenset({"203.0.113.7"}))
    assert room.late(began + 1) == frozenset()
