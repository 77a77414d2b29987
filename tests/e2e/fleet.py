"""Phones of many people at once, and what they remember of it outside the service.

Each phone lives in a thread of its own: it does something in its app, sends what its queue holds,
and tries again what was not answered. Waiting between two tries is cut short, so that a test need
not last as long as the patience of a real phone.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from threading import Event, Thread
from time import monotonic
from typing import NamedTuple

from mobile_stub.device import Device, Hit, Kind, Platform, new_device
from mobile_stub.edge_client import Action, Edge, Phone

APP_ID = "com.example.shop"
_LONGEST_RETRY_S = 0.25


class Answer(NamedTuple):
    """One exchange, in monotonic seconds. ``status`` is ``None`` when no whole answer came."""

    status: int | None
    retry_after: str | None
    sent_at: float
    ended_at: float


class RisingClock:
    """The time of day in steps of at least a millisecond.

    Events are ordered by their timestamps, which have no more than milliseconds; of two in the
    same one the greater ``_id`` would count as the later.
    """

    def __init__(self) -> None:
        self._last = datetime.min.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """Return a later time than ever before."""
        self._last = max(datetime.now(UTC), self._last + timedelta(milliseconds=1))
        return self._last


class RememberingPhone(Phone):
    """A phone that keeps every hit it ever queued and every answer it ever got."""

    def __init__(self, device: Device, edge: Edge) -> None:
        super().__init__(device, edge, clock=RisingClock().now)
        self.hits: dict[str, Hit] = {}
        self.answers: list[Answer] = []

    def act(self, action: Action) -> Hit | None:
        """Do something in the app."""
        hit = super().act(action)
        if hit is not None:
            self.hits[hit.id] = hit
        return hit

    def _exchange(self, hit: Hit, request_id: str) -> tuple[int | None, str | None, bytes]:
        sent_at = monotonic()
        status, retry_after, body = super()._exchange(hit, request_id)
        self.answers.append(Answer(status, retry_after, sent_at, monotonic()))
        return status, retry_after, body


Deed = Callable[[RememberingPhone, random.Random], None]
"""What the owner of a phone does next."""


@dataclass(slots=True)
class Fleet:
    """Some phones and one habit. ``pause_s`` is the mean time between two deeds of a phone."""

    phones: Sequence[RememberingPhone]
    deed: Deed
    seed: int
    pause_s: float
    failures: list[BaseException] = field(default_factory=list)
    _quiet: Event = field(default_factory=Event)
    _over: Event = field(default_factory=Event)

    @property
    def hits(self) -> dict[str, Hit]:
        """Return every hit of every phone."""
        return {key: hit for phone in self.phones for key, hit in phone.hits.items()}

    @property
    def acknowledged(self) -> set[str]:
        """Return the ``_id`` of every event that the service has promised to keep."""
        return {key for phone in self.phones for key in phone.acknowledged}

    @property
    def answers(self) -> list[Answer]:
        """Return every answer that any phone got."""
        return [answer for phone in self.phones for answer in phone.answers]

    @contextmanager
    def playing(self) -> Iterator[None]:
        """Let everybody live while the block runs; then empty every queue within 30 s."""
        threads = [
            Thread(target=self._live, args=(phone, number), daemon=True)
            for number, phone in enumerate(self.phones)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        except BaseException:
            self._over.set()
            raise
        finally:
            self._quiet.set()
            for thread in threads:
                thread.join(30)
            self._over.set()
            for phone in self.phones:
                phone.close()
        if self.failures:
            raise self.failures[0]
        stuck = [phone.device.ecid for phone in self.phones if phone.device.queue]
        assert not stuck, f"{len(stuck)} queues did not drain"

    def _live(self, phone: RememberingPhone, number: int) -> None:
        source = random.Random(f"{self.seed}/{number}")
        try:
            while not self._quiet.is_set():
                self.deed(phone, source)
                self._send(phone, once=True)
                self._quiet.wait(source.uniform(0, 2 * self.pause_s))
            self._send(phone, once=False)
        except BaseException as error:  # noqa: BLE001 - raised again by whoever plays the fleet
            self.failures.append(error)

    def _send(self, phone: RememberingPhone, *, once: bool) -> None:
        """Empty the queue in order; with ``once``, only as far as the service answers now."""
        while phone.device.queue and not self._over.is_set():
            delay_s = phone.send_first()
            if delay_s is not None:
                self._over.wait(min(delay_s, _LONGEST_RETRY_S))
                if once:
                    return


def phones_at(
    edges: Sequence[Edge], count: int, seed: int, kinds: Sequence[Kind] = tuple(Kind)
) -> list[RememberingPhone]:
    """Return ``count`` new phones, which take turns at the edges and in their kind."""
    return [
        RememberingPhone(_device(kinds[number % len(kinds)], f"{seed}/{number}"), edge)
        for number, edge in zip(range(count), cycle(edges), strict=False)
    ]


def twins_of(phones: Sequence[RememberingPhone], edge: Edge) -> list[RememberingPhone]:
    """Return for each phone another one with its ECID, as app and widget of one installation."""
    return [
        RememberingPhone(replace(phone.device, seed=f"twin of {phone.device.seed}"), edge)
        for phone in phones
    ]


def _device(kind: Kind, seed: str) -> Device:
    platform = Platform.FCM if kind is Kind.ANDROID else Platform.APNS
    return new_device(kind, APP_ID, platform, seed)
