"""Phones before a scripted Edge Network, in a time that only waiting moves."""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from mobile_stub import sdk
from mobile_stub.device import Device, Hit, Kind
from mobile_stub.edge_client import Action, Phone
from mobile_stub.gateway_http import Reply, answer
from tests.mobile_stub.scripted_edge import framed

START = datetime(2026, 7, 1, tzinfo=UTC)
OK = framed({"requestId": "r", "handle": []})


class VirtualTime:
    """A clock that only waiting moves; the phone is switched off after ``waits_left`` waits."""

    def __init__(self) -> None:
        self.now = START
        self.waited: list[float] = []
        self.waits_left = 100

    def clock(self) -> datetime:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.now += timedelta(seconds=seconds)
        self.waits_left -= 1
        return self.waits_left >= 0


class Open(Protocol):
    """Opens a phone; without more said, an Android one that sends to the scripted Edge."""

    def __call__(
        self,
        kind: Kind = Kind.ANDROID,
        *,
        timeout_s: float = 5.0,
        url: str = "",
        configured: bool = True,
        assurance: str = "",
        **edge: str,
    ) -> Phone: ...


def event(event_type: str = "a.b") -> Action:
    def act(device: Device, now: datetime) -> tuple[Device, Hit | None]:
        return sdk.event(device, event_type, now)

    return act


def refusal(status: int, retry_after: str | None = None) -> Reply:
    headers = () if retry_after is None else (f"Retry-After: {retry_after}",)
    return answer(status, b'{"status":0}', "application/problem+json", headers)


def handle(handle_type: str, *payload: dict[str, Any]) -> Reply:
    return framed({"requestId": "r", "handle": [{"type": handle_type, "payload": list(payload)}]})
