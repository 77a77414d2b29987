"""One tab of a browser: the page that is open in it, its cookies, and its requests.

Source: alloy ``injectSendEdgeNetworkRequest`` (https://github.com/adobe/alloy).
"""

import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from mobile_stub.cookie_jar import CookieJar
from mobile_stub.device import random_for
from mobile_stub.edge_client import Edge, Wait
from mobile_stub.fetch import Call, Network, NetworkError, browser_session
from mobile_stub.page import Page, ecid_in

THIRD_PARTY = "adobedc.demdex.net"
LEGACY_COOKIES = frozenset({"mbox", "mboxEdgeCluster"})


class Tab:
    """A page with its network. Several threads may fetch at once.

    Attributes:
        page: What is open now, with the cookies as they were after the last answer.
        asks_third_party: Whether the third-party id is asked for.
    """

    def __init__(
        self,
        page: Page,
        edge: Edge,
        seed: str,
        *,
        wait: Wait,
        clock: Callable[[], datetime],
        third_party_url: str = "",
    ) -> None:
        self.page = replace(page, edge_domain=edge.domain or page.edge_domain)
        self.edge = edge
        self.jar = CookieJar(clock)
        self._seed = seed
        self._clock = clock
        self._calls = 0
        self._lock = threading.Lock()
        self._http = browser_session()
        source = random_for(seed, "delays")
        self._network = Network(edge, self.jar, self._http, wait, source)
        self.asks_third_party = bool(third_party_url)
        self._third_party: Network | None = None
        if third_party_url:
            other = replace(edge, url=third_party_url, domain=THIRD_PARTY)
            self._third_party = Network(other, self.jar, self._http, wait, source)

    def change(self, changed: Callable[[Page], Page]) -> None:
        """Change the page; nothing is sent."""
        with self._lock:
            self.page = changed(self.page)

    def look(self) -> None:
        """See which of the SDK's cookies the page can read now; others are not its business.

        Source: alloy ``createCookieTransfer`` (``shouldTransferCookie``).
        """
        own = self.page.cookie_name("")
        found = self.jar.readable(self.page.host).items()
        cookies = tuple(
            (name, value) for name, value in found if name.startswith(own) or name in LEGACY_COOKIES
        )
        self.change(lambda page: replace(page, cookies=cookies))

    def cookie(self, suffix: str) -> str | None:
        """Return one of the SDK's own cookies."""
        return dict(self.page.cookies).get(self.page.cookie_name(suffix))

    def call(self, action: str, body: Callable[[Page], bytes], datastream: str = "") -> Call:
        """Return a request with an id of its own."""
        with self._lock:
            self._calls += 1
            source = random_for(self._seed, self._calls)
        request_id = str(uuid.UUID(int=source.getrandbits(128), version=4))
        return Call(action, request_id, body, datastream=datastream)

    def fetch(self, call: Call) -> None:
        """Send a request and keep what the answer brings; cookies also when it failed.

        Raises:
            PageError: What alloy rejects.
        """
        try:
            envelope = self._answer(call)
        finally:
            self.look()
        ecid = ecid_in(envelope) if envelope else None
        if ecid:
            self.change(lambda page: replace(page, ecid=ecid))

    def send_beacon(self, call: Call) -> int | None:
        """Send a request that nobody reads the answer of; return its status, for a test."""
        return self._network.send_beacon(self.page, call)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _answer(self, call: Call) -> dict[str, Any] | None:
        """Ask the third-party domain first, until an identity is known or it cannot be reached."""
        now = self._clock()
        if self._third_party is not None and self.cookie("identity") is None:
            try:
                return self._third_party.fetch(
                    replace(self.page, edge_domain=THIRD_PARTY), call, now
                )
            except NetworkError:
                self._third_party = None
        return self._network.fetch(self.page, call, now)
