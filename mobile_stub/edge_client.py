"""One phone on the network: its queue leaves in order, one hit at a time, and nothing is skipped.

The phone works in real time by default; a test hands in its own clock and its own waiting.

Source: Edge ``EdgeHitProcessor`` and ``EdgeNetworkService``, Core ``PersistentHitQueue``
(Android 3.x, iOS 5.x).
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import requests
import urllib3

from mobile_stub import answers, consents, edge_url, responses, sdk
from mobile_stub.device import NO, YES, Device, Hit, Kind, collect_of, draw, spelled_uuid
from mobile_stub.responses import Response
from mobile_stub.verdicts import Verdict, retry_delay_s, verdict_of, verdict_of_failure

EXCHANGE_TIMEOUT_S = 5.0
_WITH_BODY = frozenset({200, 207})
_READ_BYTES = 65_536
_USER_AGENTS = {
    Kind.ANDROID: "Mozilla/5.0 (Linux; U; Android 14; en-US; Pixel 8 Build/UP1A.231005.007)",
    Kind.IOS: "Mozilla/5.0 (iPhone; CPU OS 17_4 like Mac OS X; en-US)",
}

Wait = Callable[[float], bool]
"""Waits the given seconds; false means the phone was switched off meanwhile."""

Action = Callable[[Device, datetime], tuple[Device, Hit | None]]
"""What an app does at a moment: the device afterwards and the hit queued, if any."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Where a client sends, and what its configuration says of it.

    ``url`` is where the app's network service really connects: it stands for
    ``https://{edge.domain}`` and may be plain http.

    Attributes:
        datastream_id: ``edge.configId``; hits are dropped while it is empty.
        domain: ``edge.domain``, named in the ``Host`` header; empty means the host of ``url``.
        environment: ``edge.environment`` of a phone.
    """

    url: str
    datastream_id: str
    base_path: str = "ee"
    domain: str = ""
    environment: str = "prod"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One exchange; ``status`` is ``None`` when no whole answer came within the time-out."""

    hit_id: str
    request_id: str
    status: int | None
    verdict: Verdict
    body: bytes


def wait_in_real_time(stop: threading.Event | None = None) -> Wait:
    """Return a waiting that ends early, and says so, when ``stop`` is set."""
    event = stop or threading.Event()
    return lambda seconds: not event.wait(seconds)


def url_of(edge: Edge, device: Device, hit: Hit, request_id: str, now: datetime) -> str:
    """Return the URL of one attempt."""
    hint = device.hint
    segment = f"/{hint.hint}" if hint and hint.expires_at > now else ""
    path = f"{edge_url.base_path_of(edge.base_path, edge.environment)}{segment}{hit.path}"
    datastream = hit.datastream or edge.datastream_id
    return edge.url.rstrip("/") + edge_url.joined(device.kind, path, datastream, request_id)


class Phone:
    """A device with its network. Not safe for several threads at once: a phone has one queue.

    Without an ``edge`` the app is not configured yet, and its hits wait.

    Attributes:
        acknowledged: The ``_id`` of each hit that got a success, in order: what the service has
            promised to keep, remembered outside the service.
        attempts: Every exchange.
        handles: Every handle that came back.
        responses: What the app has heard of answers, in order.
        completed: The hits whose completion was called, kept or dropped, each with its handles.
    """

    def __init__(
        self,
        device: Device,
        edge: Edge | None,
        *,
        wait: Wait | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout_s: float = EXCHANGE_TIMEOUT_S,
        assurance: str = "",
    ) -> None:
        self.device = device
        self.acknowledged: list[str] = []
        self.attempts: list[Attempt] = []
        self.handles: list[dict[str, Any]] = []
        self.responses: list[Response] = []
        self.completed: dict[str, tuple[dict[str, Any], ...]] = {}
        self._edge = edge
        self._wait = wait or wait_in_real_time()
        self._clock = clock
        self._timeout_s = timeout_s
        self._http = _session(device.kind)
        if assurance:
            self._http.headers["X-Adobe-AEP-Validation-Token"] = assurance

    @property
    def is_held(self) -> bool:
        """Whether nothing leaves: the app is not configured, or consent is neither yes nor no."""
        return self._edge is None or collect_of(self.device) not in {YES, NO}

    def configure(self, edge: Edge) -> None:
        """Tell the app where to send, as ``MobileCore.updateConfiguration`` does."""
        self._edge = edge

    def act(self, action: Action) -> Hit | None:
        """Do something in the app; what it queues leaves with the next ``drain``."""
        self.device, hit = action(self.device, self._clock())
        return hit

    def change(self, changed: Callable[[Device], Device]) -> None:
        """Do something in the app that never sends: log in, log out, reset identities."""
        self.device = changed(self.device)

    def drain(self) -> bool:
        """Send the queue in order, retrying the first hit for ever; true when it is empty.

        Returns false when the waiting said that the phone is off, or while the queue is held; the
        rest stays queued.

        Raises:
            answers.AnswerError: a success that the SDK could not have read. The hit counts as
                sent, as on the real phone.
        """
        while self.device.queue and not self.is_held:
            if not self.step():
                return False
        return not self.device.queue

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
        retry_after, body = None, b""
        try:
            status, retry_after, body = self._exchange(hit, request_id)
            verdict = verdict_of(status)
        except _NotSentError:
            status, verdict = None, Verdict.DROPPED
        self.attempts.append(Attempt(hit.id, request_id, status, verdict, body))
        if verdict is Verdict.RETRY:
            return retry_delay_s(retry_after)
        self.device = replace(self.device, queue=self.device.queue[1:])
        self.completed[hit.id] = ()
        if verdict is Verdict.KEPT:
            self.acknowledged.append(hit.id)
        if status in _WITH_BODY:
            self._read(hit, body)
        elif verdict is Verdict.DROPPED:
            self.responses.extend(responses.refused(self.device.kind, hit, body))
        return None

    def close(self) -> None:
        """Close the phone's connections; its queue stays with the device."""
        self._http.close()

    def _read(self, hit: Hit, body: bytes) -> None:
        now = self._clock()
        envelopes = answers.fragments_of(self.device.kind, body)
        self.device = answers.apply(self.device, hit, envelopes, now)
        for envelope in envelopes:
            self.responses.extend(responses.dispatched(hit, envelope))
            for handle in responses.handles_of(envelope):
                self.handles.append(handle)
                if responses.answers_to(hit, handle):
                    self.completed[hit.id] += (handle,)
                if handle.get("type") == "consent:preferences":
                    self.device = consents.told(self.device, handle, now)

    def _exchange(self, hit: Hit, request_id: str) -> tuple[int | None, str | None, bytes]:
        """Return status, ``Retry-After`` and body of one attempt.

        Raises:
            _NotSentError: The SDK gives the hit up without an answer.
        """
        edge, now = self._edge, self._clock()
        if edge is None or not (edge.datastream_id and self._reaches(edge)):
            raise _NotSentError
        domain = edge_url.domain_of(edge.domain, edge.environment)
        deadline = time.monotonic() + self._timeout_s
        try:
            with self._http.post(
                url_of(edge, self.device, hit, request_id, now),
                data=sdk.render(hit, self.device, now, edge.datastream_id),
                headers={"Host": domain} if domain else None,
                timeout=self._timeout_s,
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _read_until(response, deadline)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if verdict_of_failure(self.device.kind, error) is Verdict.DROPPED:
                raise _NotSentError from error
            return None, None, b""
        return response.status_code, response.headers.get("Retry-After"), body

    def _reaches(self, edge: Edge) -> bool:
        domain = edge_url.domain_of(edge.domain, edge.environment)
        return not domain or edge_url.is_usable(self.device.kind, domain)


class _NotSentError(Exception):
    """A hit that the SDK drops although no server has answered it."""


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


def headers_of(kind: Kind) -> dict[str, str]:
    """Return the headers that every request of a platform has."""
    return {
        "accept": "application/json",
        "Content-Type": "application/json",
        "Accept-Language": "en-US",
        "User-Agent": _USER_AGENTS[kind],
    }


def _session(kind: Kind) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.headers.update(headers_of(kind))
    return session
