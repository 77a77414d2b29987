"""One browser on the network: posts a page's bodies as the Web SDK does.

At most three retries, with the same ``requestId`` and the same bytes; what is not sent is gone
with the page.

Source: alloy ``injectSendNetworkRequest`` and ``injectSendEdgeNetworkRequest``
(https://github.com/adobe/alloy).
"""

import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import requests

from mobile_stub.device import random_for
from mobile_stub.edge_client import EXCHANGE_TIMEOUT_S, Edge, Wait, wait_in_real_time
from mobile_stub.page import PAGE_VIEW, Page, page_event, read_answer

_RETRIED = frozenset({429, 502, 503, 504})
_RETRIES = 3
_WHOLE_SECONDS = re.compile(r"[0-9]+")


class PageError(Exception):
    """What rejects alloy's promise: a status that is no success, no answer, an unreadable one."""


class Browser:
    """A page with its network. ``acknowledged`` holds the ``requestId`` of each kept request."""

    def __init__(
        self,
        page: Page,
        edge: Edge,
        seed: int | str,
        *,
        wait: Wait | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.page = page
        self.acknowledged: list[str] = []
        self._sent = 0
        self._edge = edge
        self._seed = f"browser/{seed}"
        self._wait = wait or wait_in_real_time()
        self._clock = clock
        self._http = requests.Session()
        self._http.trust_env = False

    def change(self, changed: Callable[[Page], Page]) -> None:
        """Do something on the page that never sends, such as logging in."""
        self.page = changed(self.page)

    def send(
        self,
        event_type: str = PAGE_VIEW,
        path: str = "/",
        *,
        xdm: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
    ) -> str:
        """Send one event and keep what the answer brings; return its ``requestId``.

        Raises:
            PageError: the page's call would have been rejected.
        """
        self._sent += 1
        source = random_for(self._seed, self._sent)
        request_id = str(uuid.UUID(int=source.getrandbits(128), version=4))
        body = page_event(
            self.page, self._clock(), event_type=event_type, path=path, xdm=xdm, data=data
        )
        response = self._exchange(request_id, body)
        if not response.ok:
            raise PageError(f"status {response.status_code}: {response.text}")
        if response.status_code != requests.codes.no_content:
            self.page = read_answer(self.page, _envelope(response))
        self.acknowledged.append(request_id)
        return request_id

    def close(self) -> None:
        """Close the browser's connections."""
        self._http.close()

    def _exchange(self, request_id: str, body: bytes) -> requests.Response:
        for retry in range(_RETRIES + 1):
            response = self._post(request_id, body)
            if response.status_code not in _RETRIED or retry == _RETRIES:
                break
            if not self._wait(_delay_s(response.headers.get("Retry-After"), retry)):
                break
        return response

    def _post(self, request_id: str, body: bytes) -> requests.Response:
        edge = self._edge
        query = f"configId={edge.datastream_id}&requestId={request_id}"
        try:
            return self._http.post(
                f"{edge.url.rstrip('/')}/{edge.base_path}/v1/interact?{query}",
                data=body,
                headers={
                    "Content-Type": "text/plain; charset=UTF-8",
                    "Origin": f"https://www.{self.page.domain}",
                },
                timeout=EXCHANGE_TIMEOUT_S,
            )
        except requests.RequestException as error:
            raise PageError(f"no answer: {type(error).__name__}") from error


def _delay_s(retry_after: str | None, retry: int) -> float:
    if retry_after and _WHOLE_SECONDS.fullmatch(retry_after):
        return int(retry_after)
    return retry + 1


def _envelope(response: requests.Response) -> dict[str, Any]:
    try:
        envelope = json.loads(response.content)
    except ValueError as error:
        raise PageError("the answer is not JSON") from error
    if not isinstance(envelope, dict) or not isinstance(envelope.get("handle"), list):
        raise PageError("the answer has no handle array")
    return envelope
