"""A Roku channel: no streaming, no id of its own, plain JSON, and a short memory.

Source: https://github.com/adobe/aepsdk-roku (``edgeModule``, ``edgeRequestWorker``,
``identityModule``, ``consentModule``).
"""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from mobile_stub.device import NO, YES, StateEntry, random_for
from mobile_stub.edge_client import EXCHANGE_TIMEOUT_S, Edge, Wait, wait_in_real_time
from mobile_stub.sdk import INTERACT, SET_CONSENT, wire_time

RETRY_S = 30
QUEUE_LENGTH = 100
_RECOVERABLE = frozenset({408, 503, 504})
_FETCH = {"identity": {"fetch": ["ECID"]}}
_DETAILS = {
    "environment": "app",
    "name": "https://ns.adobe.com/experience/mobilesdk/roku",
    "version": "1.1.0",
}


@dataclass(frozen=True, slots=True)
class _Request:
    id: str
    path: str
    content: dict[str, Any]


class Roku:
    """A channel with its network; one thread at a time.

    Attributes:
        ecid: The one that the server gave, kept until identities are reset.
        collect: ``y`` sends, ``n`` drops events, anything else holds them; consents always leave.
        queue: What has not been sent; the oldest is forgotten when it grows too long.
        acknowledged: The ``requestId`` of each request that got a 2xx.
        dropped: The status of each request that was given up.
        handles: Every handle that came back.

    ``lower_case`` spells the request's own XDM as a script does that leaves its keys unquoted.
    """

    def __init__(
        self,
        edge: Edge,
        seed: int | str,
        *,
        collect: str = YES,
        lower_case: bool = False,
        wait: Wait | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.ecid: str | None = None
        self.collect = collect
        self.queue: list[_Request] = []
        self.acknowledged: list[str] = []
        self.dropped: list[int | None] = []
        self.handles: list[dict[str, Any]] = []
        self._lower_case = lower_case
        self._state: dict[str, StateEntry] = {}
        self._edge = edge
        self._wait = wait or wait_in_real_time()
        self._clock = clock
        self._source = random_for(f"roku/{seed}", "ids")
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.headers.update({"Content-Type": "application/json", "User-Agent": "Roku/DVP"})

    def send(self, event_type: str, xdm: dict[str, Any] | None = None, path: str = INTERACT) -> str:
        """Send an event (``sendEvent``): it has a timestamp and no ``_id``; return its request."""
        root = {"eventType": event_type, "timestamp": wire_time(self._clock())} | (xdm or {})
        return self._queue(path, {"events": [{"xdm": root}]})

    def send_as(self, event_type: str, namespace: str, identity_id: str) -> str:
        """Send an event with an identity that the channel itself knows."""
        item = {"id": identity_id, "authenticatedState": "authenticated", "primary": False}
        return self.send(event_type, {"identityMap": {namespace: [item]}})

    def ask_ecid(self) -> str | None:
        """Ask for the ECID (``getExperienceCloudId``) unless one is known: an event without XDM."""
        if self.ecid is None:
            self._queue(INTERACT, {"events": [{"query": _FETCH}]})
            self.drain()
        return self.ecid

    def set_consent(self, value: str) -> str:
        """Tell the choice (``setConsent``); it counts when the answer says so."""
        said = {"collect": {"val": value}, "metadata": {"time": wire_time(self._clock())}}
        consent = [{"standard": "Adobe", "version": "2.0", "value": said}]
        query = {"consent": {"operation": "update"}}
        return self._queue(SET_CONSENT, {"query": query, "consent": consent})

    def reset_identities(self) -> None:
        """Forget the ECID and the server's state."""
        self.ecid = None
        self._state.clear()

    def drain(self) -> bool:
        """Send what may be sent, in order, consents first; false when the channel is off."""
        while request := self._next():
            status, body = self._exchange(request)
            if status in _RECOVERABLE:
                if not self._wait(RETRY_S):
                    return False
                continue
            self.queue.remove(request)
            if status is None or not requests.codes.ok <= status < requests.codes.multiple_choices:
                self.dropped.append(status)
                continue
            self.acknowledged.append(request.id)
            if body:
                self._read(json.loads(body.decode()))
        return True

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _queue(self, path: str, content: dict[str, Any]) -> str:
        request_id = str(uuid.UUID(int=self._source.getrandbits(128), version=4))
        if len(self.queue) >= QUEUE_LENGTH:
            del self.queue[0]
        self.queue.append(_Request(request_id, path, content))
        return request_id

    def _next(self) -> _Request | None:
        if self.collect == NO:
            self.queue = [each for each in self.queue if each.path == SET_CONSENT]
        consents = (each for each in self.queue if each.path == SET_CONSENT)
        first = next(consents, None)
        if first is None and self.collect == YES and self.queue:
            first = self.queue[0]
        return first

    def _exchange(self, request: _Request) -> tuple[int | None, bytes]:
        edge = self._edge
        query = f"configId={edge.datastream_id}&requestId={request.id}"
        try:
            answer = self._http.post(
                f"{edge.url.rstrip('/')}/ee{request.path}?{query}",
                data=json.dumps(self._body(request)).encode(),
                headers={"Host": edge.domain} if edge.domain else None,
                timeout=EXCHANGE_TIMEOUT_S,
            )
        except requests.RequestException:
            return None, b""
        return answer.status_code, answer.content

    def _body(self, request: _Request) -> dict[str, Any]:
        """Return the body as it is at the moment of sending."""
        xdm: dict[str, Any] = {"implementationDetails": _DETAILS}
        if self.ecid is not None:
            item = {"id": self.ecid, "authenticatedState": "ambiguous", "primary": False}
            xdm["identityMap"] = {"ECID": [item]}
        body = request.content | {"xdm": _lowered(xdm) if self._lower_case else xdm}
        if self.ecid is None:
            body["query"] = body.get("query", {}) | _FETCH
        now = self._clock()
        entries = [
            {"key": each.key, "value": each.value, "maxAge": each.max_age}
            for each in self._state.values()
            if each.expires_at > now
        ]
        return body | ({"meta": {"state": {"entries": entries}}} if entries else {})

    def _read(self, envelope: dict[str, Any]) -> None:
        now = self._clock()
        for handle in envelope.get("handle") or ():
            self.handles.append(handle)
            for item in handle.get("payload") or ():
                self._take(str(handle.get("type")), item, now)

    def _take(self, handle_type: str, item: dict[str, Any], now: datetime) -> None:
        if handle_type == "identity:result" and self.ecid is None:
            if item.get("namespace", {}).get("code") == "ECID":
                self.ecid = item["id"]
        elif handle_type == "consent:preferences":
            self.collect = item.get("collect", {}).get("val", self.collect)
        elif handle_type == "state:store":
            max_age = item.get("maxAge") or 0
            self._state.pop(item["key"], None)
            if max_age > 0:
                entry = StateEntry(
                    item["key"], item["value"], max_age, now + timedelta(seconds=max_age)
                )
                self._state[item["key"]] = entry


def _lowered(value: Any) -> Any:
    """Return a document whose keys are lower case."""
    if isinstance(value, dict):
        return {key.lower(): _lowered(item) for key, item in value.items()}
    return [_lowered(item) for item in value] if isinstance(value, list) else value
