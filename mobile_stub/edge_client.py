"""One phone on the network: its queue leaves in order, one hit at a time, and nothing is skipped.

The phone works in real time by default; a test hands in its own clock and its own waiting.

Source: Edge ``EdgeHitProcessor`` and ``EdgeNetworkService``, Core ``PersistentHitQueue``
(Android 3.x, iOS 5.x).
"""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import requests
import urllib3

from mobile_stub import answers, sdk
from mobile_stub.device import Device, Hit, Kind, draw, spelled_uuid

DEFAULT_RETRY_S = 5
EXCHANGE_TIMEOUT_S = 5.0
_SUCCESS = frozenset({200, 204, 207})
_WITH_BODY = frozenset({200, 207})
_RECOVERABLE = frozenset({408, 429, 502, 503, 504, 507})
_POSITIVE_INTEGER = re.compile(r"0*[1-9][0-9]*")
_READ_BYTES = 65_536
_USER_AGENTS = {
    Kind.ANDROID: "Mozilla/5.0 (Linux; U; Android 14; en-US; Pixel 8 Build/UP1A.231005.007)",
    Kind.IOS: "Mozilla/5.0 (iPhone; CPU OS 17_4 like Mac OS X; en-US)",
}

Wait = Callable[[float], bool]
"""Waits the given seconds; false means the phone was switched off meanwhile."""

Action = Callable[[Device, datetime], tuple[Device, Hit | None]]
"""What an app does at a moment: the device afterwards and the hit queued, if any."""


class Verdict(StrEnum):
    """What a phone does with a hit after an answer."""

    KEPT = "kept"
    RETRY = "retry"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a phone sends: ``url`` stands for ``https://{edge.domain}`` and may be plain http."""

    url: str
    datastream_id: str
    base_path: str = "ee"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One exchange; ``status`` is ``None`` when no whole answer came within the time-out."""

    hit_id: str
    request_id: str
    status: int | None
    verdict: Verdict
    body: bytes


def verdict_of(status: int | None) -> Verdict:
    """Say what becomes of a hit: only 200, 204 and 207 are success; no answer is retried."""
    if status in _SUCCESS:
        return Verdict.KEPT
    if status is None or status in _RECOVERABLE:
        return Verdict.RETRY
    return Verdict.DROPPED


def retry_delay_s(retry_after: str | None) -> int:
    """Return ``Retry-After`` when it is a positive integer of seconds, else five seconds."""
    if retry_after and _POSITIVE_INTEGER.fullmatch(retry_after):
        return int(retry_after)
    return DEFAULT_RETRY_S


def wait_in_real_time(stop: threading.Event | None = None) -> Wait:
    """Return a waiting that ends early, and says so, when ``stop`` is set."""
    event = stop or threading.Event()
    return lambda seconds: not event.wait(seconds)


def url_of(edge: Edge, device: Device, hit: Hit, request_id: str, now: datetime) -> str:
    """Return the URL of one attempt, joined as Android does: no part is encoded."""
    hint = device.hint
    segment = f"/{hint.hint}" if hint and hint.expires_at > now else ""
    query = f"configId={edge.datastream_id}&requestId={request_id}"
    return f"{edge.url.rstrip('/')}/{edge.base_path}{segment}{hit.path}?{query}"


class Phone:
    """A device with its network. Not safe for several threads at once: a phone has one queue.

    ``acknowledged`` holds the ``_id`` of each hit that got a success, in order: what the service
    has promised to keep, remembered outside the service. ``attempts`` holds every exchange,
    ``handles`` every handle that came back.
    """

    def __init__(
        self,
        device: Device,
        edge: Edge,
        *,
        wait: Wait | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout_s: float = EXCHANGE_TIMEOUT_S,
    ) -> None:
        self.device = device
        self.acknowledged: list[str] = []
        self.attempts: list[Attempt] = []
        self.handles: list[dict[str, Any]] = []
        self._edge = edge
        self._wait = wait or wait_in_real_time()
        self._clock = clock
        self._timeout_s = timeout_s
        self._http = _session(device.kind)

    def act(self, action: Action) -> Hit | None:
        """Do something in the app; what it queues leaves with the next ``drain``."""
        self.device, hit = action(self.device, self._clock())
        return hit

    def change(self, changed: Callable[[Device], Device]) -> None:
        """Do something in the app that never sends: log in, log out, reset identities."""
        self.device = changed(self.device)

    def drain(self) -> bool:
        """Send the queue in order, retrying the first hit for ever; true when it is empty.

        Returns false when the waiting said that the phone is off; the rest stays queued.

        Raises:
            answers.AnswerError: a success that the SDK could not have read. The hit counts as
                sent, as on the real phone.
        """
        while self.device.queue:
            if not self.step():
                return False
        return True

    def step(self) -> bool:
        """Try the first hit once and wait if it must be tried again; false: the phone is off.

        Raises:
            answers.AnswerError: as ``drain``.
        """
        delay = self.send_first()
        return delay is None or self._wait(delay)

    def send_first(self) -> int | None:
        """Try the first hit once; return the seconds to wait if it must be tried again.

        Raises:
            answers.AnswerError: as ``drain``.
        """
        hit = self.device.queue[0]
        self.device, source = draw(self.device)
        request_id = spelled_uuid(self.device.kind, source)
        status, retry_after, body = self._exchange(hit, request_id)
        verdict = verdict_of(status)
        self.attempts.append(Attempt(hit.id, request_id, status, verdict, body))
        if verdict is Verdict.RETRY:
            return retry_delay_s(retry_after)
        self.device = replace(self.device, queue=self.device.queue[1:])
        if verdict is Verdict.KEPT:
            self.acknowledged.append(hit.id)
        if status in _WITH_BODY:
            self._read(hit, body)
        return None

    def close(self) -> None:
        """Close the phone's connections; its queue stays with the device."""
        self._http.close()

    def _read(self, hit: Hit, body: bytes) -> None:
        envelopes = answers.fragments_of(self.device.kind, body)
        for envelope in envelopes:
            self.handles.extend(envelope.get("handle", []))
        self.device = answers.apply(self.device, hit, envelopes, self._clock())

    def _exchange(self, hit: Hit, request_id: str) -> tuple[int | None, str | None, bytes]:
        now = self._clock()
        deadline = time.monotonic() + self._timeout_s
        try:
            with self._http.post(
                url_of(self._edge, self.device, hit, request_id, now),
                data=sdk.render(hit, self.device, now),
                timeout=self._timeout_s,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _read_until(response, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError):
            return None, None, b""
        return response.status_code, response.headers.get("Retry-After"), body


def _read_until(response: requests.Response, deadline: float) -> bytes:
    """Read the body; requests limits each read only, so a dripping answer needs the sum watched."""
    pieces = []
    while piece := response.raw.read1(_READ_BYTES, decode_content=True):
        pieces.append(piece)
        if time.monotonic() > deadline:
            raise requests.ReadTimeout
    if time.monotonic() > deadline:
        raise requests.ReadTimeout
    return b"".join(pieces)


def _session(kind: Kind) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers.update(
        {
            "accept": "application/json",
            "Content-Type": "application/json",
            "Accept-Language": "en-US",
            "User-Agent": _USER_AGENTS[kind],
        }
    )
    return session
