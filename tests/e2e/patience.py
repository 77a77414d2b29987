"""Waiting for another process: until something is so, and not longer than it may take."""

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TypeVar

_POLL_S = 0.05
T = TypeVar("T")


def eventually(found: Callable[[], T], *, within_s: float, what: str) -> T:
    """Return the first true value of ``found``; fail when none comes in time."""
    deadline = monotonic() + within_s
    while not (value := found()):
        assert monotonic() < deadline, f"{what}: not within {within_s} s"
        Event().wait(_POLL_S)
    return value
