"""One browser's requests to the Edge Network, and what it lets a page see of the answers.

Source: alloy ``injectSendEdgeNetworkRequest``, ``injectSendNetworkRequest`` and
``createCookieTransfer`` (https://github.com/adobe/alloy); Fetch standard, CORS protocol.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from random import Random
from typing import Any
from urllib.parse import urlsplit

import requests

from mobile_stub.cookie_jar import Cookie, CookieJar
from mobile_stub.edge_client import EXCHANGE_TIMEOUT_S, Edge, Wait
from mobile_stub.page import Page, payloads_of

TEXT = "text/plain; charset=UTF-8"
_RETRIED = frozenset({429, 502, 503, 504})
_RETRIES = 3
_JITTER = 0.3
_WHOLE_SECONDS = re.compile(r"[0-9]+")
_LEGACY_CLUSTER = "mboxEdgeCluster"
HEADERS = {
    "User-Agent": (
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
        "Chrome/138.0.0.0 Safari/537.36"
    ),
    "Accept-Language": "en-US,en;q=0.9",
}


class PageError(Exception):
    """What rejects alloy's promise: a status that is no success, no answer, an unreadable one."""


class NetworkError(PageError):
    """The page sees no answer: there was none, or it lacks the headers that let a page read it."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of the SDK; a retry repeats it as it is.

    Attributes:
        action: ``interact``, ``collect``, ``privacy/set-consent`` or ``identity/acquire``.
        body: Makes the body for a page, whose cookies depend on where it is sent.
    """

    action: str
    request_id: str
    body: Callable[[Page], bytes]
    datastream: str = ""


def browser_session() -> requests.Session:
    """Return a session that sends what Chrome sends, and keeps no cookies by itself."""
    http = requests.Session()
    http.trust_env = False
    http.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    http.headers.update(HEADERS)
    return http


class Network:
    """A browser's way to the Edge Network. Several threads may use it."""

    def __init__(
        self, edge: Edge, jar: CookieJar, http: requests.Session, wait: Wait, source: Random
    ) -> None:
        self._edge = edge
        self._jar = jar
        self._http = http
        self._wait = wait
        self._source = source
        self._host = edge.domain or urlsplit(edge.url).netloc

    def fetch(self, page: Page, call: Call, now: datetime) -> dict[str, Any] | None:
        """Return the answer's envelope, ``None`` for 204; its cookies are kept by then.

        At most three retries, with the same ``requestId`` and the same bytes.

        Raises:
            PageError: What alloy rejects.
        """
        body = call.body(page)
        for retry in range(_RETRIES + 1):
            response = self._post(page, call, body)
            if response.status_code not in _RETRIED or retry == _RETRIES:
                break
            if not self._wait(self._delay_s(response, retry, now)):
                break
        if not response.ok:
            raise PageError(f"status {response.status_code}: {response.text}")
        if response.status_code == requests.codes.no_content:
            return None
        envelope = _envelope(response)
        self._store(page, envelope, now)
        return envelope

    def send_beacon(self, page: Page, call: Call) -> int | None:
        """Send and never look back (``navigator.sendBeacon``).

        Returns:
            The status, for a test: no page ever learns it.
        """
        try:
            return self._exchange(page, call, call.body(page)).status_code
        except requests.RequestException:
            return None

    def _post(self, page: Page, call: Call, body: bytes) -> requests.Response:
        try:
            response = self._exchange(page, call, body)
        except requests.RequestException as error:
            raise NetworkError(f"no answer: {type(error).__name__}") from error
        headers = response.headers
        may_read = (
            headers.get("Access-Control-Allow-Origin") == page.origin
            and headers.get("Access-Control-Allow-Credentials") == "true"
        )
        if not may_read:
            raise NetworkError("the browser hides the answer: CORS headers are missing")
        return response

    def _exchange(self, page: Page, call: Call, body: bytes) -> requests.Response:
        edge = self._edge
        hint = _hint_of(page)
        path = f"{edge.base_path}{hint}/v1/{call.action}"
        query = f"configId={call.datastream or edge.datastream_id}&requestId={call.request_id}"
        headers = {"Content-Type": TEXT, "Origin": page.origin, "Host": self._host}
        cookies = self._jar.travelling(self._host, page.host)
        if cookies:
            headers["Cookie"] = cookies
        response = self._http.post(
            f"{edge.url.rstrip('/')}/{path}?{query}",
            data=body,
            headers=headers,
            timeout=EXCHANGE_TIMEOUT_S,
        )
        self._jar.take(response.raw.headers.getlist("Set-Cookie"), self._host, page.host)
        return response

    def _store(self, page: Page, envelope: dict[str, Any], now: datetime) -> None:
        """Set the cookies that the answer asks the page to set, on its apex domain."""
        for item in payloads_of(envelope, "state:store"):
            max_age = item.get("maxAge")
            same_site = str(item.get("attrs", {}).get("SameSite", "lax")).lower()
            self._jar.put(
                Cookie(
                    name=item["key"],
                    value=item["value"],
                    domain=page.domain or page.host,
                    is_host_only=not page.domain,
                    expires_at=None if max_age is None else now + timedelta(seconds=max_age),
                    same_site=same_site,
                    is_secure=same_site == "none",
                )
            )

    def _delay_s(self, response: requests.Response, retry: int, now: datetime) -> float:
        """Return how long alloy waits; it sees ``Retry-After`` only when that is exposed."""
        exposed = response.headers.get("Access-Control-Expose-Headers", "").lower()
        asked = response.headers.get("Retry-After") if "retry-after" in exposed else None
        if asked and _WHOLE_SECONDS.fullmatch(asked):
            return int(asked)
        if asked:
            try:
                return max(0.0, (parsedate_to_datetime(asked) - now).total_seconds())
            except ValueError:
                pass
        return (retry + 1) * self._source.uniform(1 - _JITTER, 1 + _JITTER)


def _hint_of(page: Page) -> str:
    """Return the path segment that a cookie names: the cluster, or an older library's."""
    cookies = dict(page.cookies)
    cluster = cookies.get(page.cookie_name("cluster"))
    if cluster:
        return f"/{cluster}"
    legacy = cookies.get(_LEGACY_CLUSTER)
    return f"/t{legacy}" if legacy else ""


def _envelope(response: requests.Response) -> dict[str, Any]:
    try:
        envelope = json.loads(response.content)
    except ValueError as error:
        raise PageError("the answer is not JSON") from error
    if not isinstance(envelope, dict) or not isinstance(envelope.get("handle"), list):
        raise PageError("the answer has no handle array")
    for handle in envelope["handle"]:
        if not isinstance(handle, dict) or not isinstance(handle.get("payload"), list):
            raise PageError("a handle has no payload array")
    return envelope
