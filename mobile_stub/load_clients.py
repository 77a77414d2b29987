"""The clients of a load: each makes its next request as its SDK would and reads the answer so.

They are pure: bytes of HTTP/1.1 go out, an answer comes in. A request that fails is not repeated.
"""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from mobile_stub import answers, page, sdk
from mobile_stub.answers import AnswerError
from mobile_stub.device import Kind, Platform, draw, new_device, new_token, random_for, spelled_uuid
from mobile_stub.edge_client import Edge, headers_of, url_of
from mobile_stub.fetch import HEADERS, TEXT
from mobile_stub.page import Page

_OK = 200
_APP_ID = "com.example.shop"
_DEEDS = ("commerce.productViews", "commerce.productViews", "commerce.productListAdds")
_PLATFORMS = {Kind.ANDROID: Platform.FCM, Kind.IOS: Platform.APNS}


class ClientName(StrEnum):
    """Which SDK makes the requests."""

    ANDROID = "android"
    IOS = "ios"
    WEB = "web"


class Answer(NamedTuple):
    """One whole answer."""

    status: int
    body: bytes


class LoadClient(Protocol):
    """One simulated device or page; one request at a time."""

    def next_request(self, now: datetime) -> bytes:
        """Return the bytes of the next request."""

    def take(self, answer: Answer, now: datetime) -> bool:
        """Read an answer; false when the SDK could not have read it."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who takes part, fixed by ``seed``: the same seed gives the same devices and people."""

    client: ClientName
    edge: Edge
    seed: str

    def member(self, number: int) -> LoadClient:
        """Return one of the crowd, who has sent nothing yet."""
        if self.client is ClientName.WEB:
            return LoadPage(self.edge, f"{self.seed}/{number}")
        return LoadPhone(Kind(self.client.value), self.edge, f"{self.seed}/{number}")


class LoadPhone:
    """A phone that installs, logs in, and looks at things."""

    def __init__(self, kind: Kind, edge: Edge, seed: str) -> None:
        self._device = new_device(kind, _APP_ID, _PLATFORMS[kind], seed)
        self._edge = edge
        self._deeds = 0

    def next_request(self, now: datetime) -> bytes:
        """Announce the token first, then send one event after another, logged in."""
        device = replace(self._device, queue=())
        if self._deeds == 0:
            token = new_token(device.platform, random_for(device.seed, "token"))
            device, _ = sdk.install(device, token, now)
        else:
            if self._deeds == 1:
                device = sdk.login(device, f"C-{device.ecid[-12:]}")
            device, _ = sdk.event(device, _DEEDS[self._deeds % len(_DEEDS)], now)
        self._deeds += 1
        device, source = draw(device)
        self._device, hit = device, device.queue[0]
        url = url_of(self._edge, device, hit, spelled_uuid(device.kind, source), now)
        return _http(url, sdk.render(hit, device, now), headers_of(device.kind))

    def take(self, answer: Answer, now: datetime) -> bool:
        """Keep state and location hint."""
        if answer.status != _OK:
            return True
        device = self._device
        try:
            envelopes = answers.fragments_of(device.kind, answer.body)
        except AnswerError:
            return False
        self._device = answers.apply(device, device.queue[0], envelopes, now)
        return True


class LoadPage:
    """A page on a site of its own, whose visitor looks around and then logs in."""

    def __init__(self, edge: Edge, seed: str) -> None:
        self._page = Page()
        self._edge = edge
        self._source = random_for(seed, "web")
        self._person = f"C-{self._source.getrandbits(40)}"
        self._views = 0

    def next_request(self, now: datetime) -> bytes:
        """View one page after another; from the second on the visitor is known."""
        if self._views == 1:
            self._page = page.log_in(self._page, self._person)
        body = page.page_event(self._page, now, path=f"/{self._views}")
        self._views += 1
        request_id = uuid.UUID(int=self._source.getrandbits(128), version=4)
        edge = self._edge
        url = (
            f"{edge.url.rstrip('/')}/{edge.base_path}/v1/interact"
            f"?configId={edge.datastream_id}&requestId={request_id}"
        )
        headers = {**HEADERS, "Content-Type": TEXT, "Origin": self._page.origin}
        return _http(url, body, headers)

    def take(self, answer: Answer, now: datetime) -> bool:
        """Keep the cookies."""
        del now  # cookies of a load outlive it
        if answer.status != _OK:
            return True
        try:
            self._page = page.read_answer(self._page, json.loads(answer.body))
        except (ValueError, KeyError, TypeError):
            return False
        return True


def _http(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """Return the bytes of one POST."""
    parts = urlsplit(url)
    lines = [f"POST {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
