"""One browser with the Web SDK on its page: its commands, its consent, its cookies.

What is not sent is gone with the page.

Source: alloy's components (https://github.com/adobe/alloy), each named where it is imitated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from mobile_stub import identity_cookie, links
from mobile_stub.cookie_jar import CookieJar, site_of
from mobile_stub.edge_client import Edge, Wait, wait_in_real_time
from mobile_stub.fetch import PageError
from mobile_stub.page import (
    PAGE_VIEW,
    Page,
    event_of,
    request_body,
    subscription_event,
)
from mobile_stub.service_worker import Worker
from mobile_stub.tab import Tab
from mobile_stub.web_consent import Consent, Gate
from mobile_stub.web_events import DeclinedError, EventLine, Waiting

_BEACON_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What ``configure`` is given beside the endpoint.

    Attributes:
        third_party_url: Stands for ``https://adobedc.demdex.net``; set when
            ``thirdPartyCookiesEnabled`` is true, as it is by default.
        app_id: ``pushNotifications.appId``.
        tracking_dataset: ``pushNotifications.trackingDatasetId``.
    """

    default_consent: Gate = Gate.IN
    third_party_url: str = ""
    app_id: str = ""
    tracking_dataset: str = ""


class Browser:
    """A page with its network.

    Attributes:
        worker: What the page has stored for its service worker.
    """

    def __init__(
        self,
        page: Page,
        edge: Edge,
        seed: int | str,
        *,
        wait: Wait | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        config: WebConfig | None = None,
    ) -> None:
        self.worker = Worker()
        self._config = config or WebConfig()
        self._clock = clock
        self._tab = Tab(
            page,
            edge,
            f"browser/{seed}",
            wait=wait or wait_in_real_time(),
            clock=clock,
            third_party_url=self._config.third_party_url,
        )
        self._line = EventLine(self._tab, self._config.default_consent, clock)
        self._subscribed: str | None = None
        self.reload()

    @property
    def acknowledged(self) -> list[str]:
        """The ``requestId`` of each request that the service has promised to keep."""
        return self._line.acknowledged

    @property
    def gate(self) -> Gate:
        """Whether events leave now."""
        return self._line.gate

    @property
    def waiting_count(self) -> int:
        """How many events wait for consent."""
        return len(self._line.waiting)

    @property
    def page(self) -> Page:
        """The page that is open now, with the cookies that it can read."""
        return self._tab.page

    @property
    def jar(self) -> CookieJar:
        """The browser's cookies."""
        return self._tab.jar

    def change(self, changed: Callable[[Page], Page]) -> None:
        """Do something on the page that never sends, such as logging in."""
        self._tab.change(changed)

    def reload(self) -> None:
        """Load the page anew: what was in its memory is gone, the browser's cookies are not.

        Source: alloy ``Consent/createComponent``: consent belongs to an identity.
        """
        self._tab.change(lambda page: replace(page, ecid=None))
        self._line.restart()

    def open(self, url: str) -> None:
        """Follow a link, maybe to another site; who was logged in there before is not known."""
        page = replace(self.page, url=url)
        domain = site_of(page.host)
        person = page.person if domain == page.domain else None
        self.change(lambda _: replace(page, domain=domain, person=person))
        self.reload()

    def send(
        self,
        event_type: str = PAGE_VIEW,
        path: str = "/",
        *,
        xdm: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        overrides: dict[str, Any] | None = None,
    ) -> str | None:
        """Send one event and keep what the answer brings.

        Args:
            event_type: ``xdm.eventType``.
            path: The page's path.
            xdm: The page's own XDM.
            data: Free-form data.
            overrides: ``edgeConfigOverrides``; its ``datastreamId`` goes into the URL.

        Returns:
            The ``requestId``; ``None`` while the event waits for consent.

        Raises:
            PageError: The page's call would have been rejected.
        """
        now = self._clock()
        event = event_of(self.page, now, event_type=event_type, path=path, xdm=xdm, data=data)
        return self._line.submit(Waiting(event, now, overrides))

    def send_together(self, events: Sequence[dict[str, Any]]) -> list[str | PageError]:
        """Send several events at once; each is what ``send`` takes.

        Until there is an identity cookie only one request is under way; then all the others are.

        Source: alloy ``injectEnsureSingleIdentity``.
        """
        now = self._clock()
        waiting = [Waiting(event_of(self.page, now, **each), now) for each in events]
        return self._line.release(waiting)

    def beacon(self, event_type: str = PAGE_VIEW, path: str = "/", **event: Any) -> str | None:
        """Send an event as the page is being left (``documentUnloading``).

        It goes by ``sendBeacon`` to ``collect``, unread, when the browser has an identity; else,
        and when it is too large for a beacon, it is fetched.

        Raises:
            PageError: It was fetched, and the page's call would have been rejected.
        """
        tab = self._tab
        if self.gate is not Gate.IN or tab.cookie("identity") is None:
            return self.send(event_type, path, **event)
        now = self._clock()
        events = [event_of(self.page, now, event_type=event_type, path=path, **event)]
        call = tab.call("collect", lambda page: request_body(page, now, events))
        if len(call.body(self.page)) > _BEACON_BYTES:
            self._line.fetch(call)
        elif tab.send_beacon(call) is None:
            return None
        self.acknowledged.append(call.request_id)
        return call.request_id

    def set_consent(
        self, *consents: Consent, identity_map: dict[str, Any] | None = None
    ) -> str | None:
        """Tell the visitor's choice; every other command waits until the answer's cookie says so.

        Returns:
            The ``requestId``; ``None`` when the same was told before, which is not sent again.

        Raises:
            PageError: The page's call would have been rejected; without a consent cookie the
                configured default counts again.
        """
        return self._line.set_consent(list(consents), identity_map)

    def get_identity(self) -> str | None:
        """Return the ECID, asked of the server only when neither memory nor cookie knows it.

        Raises:
            PageError: The page's call would have been rejected, or would still wait for consent.
        """
        if self.gate is not Gate.IN:
            raise DeclinedError(f"consent is {self.gate}")
        ecid = self.page.ecid or self.ecid_of_cookie()
        if ecid is None:
            now = self._clock()
            self._line.fetch(
                self._tab.call("identity/acquire", lambda page: request_body(page, now, []))
            )
            ecid = self.page.ecid
        return ecid

    def link_to(self, url: str) -> str:
        """Return a link that takes the visitor's ECID along (``appendIdentityToUrl``).

        It comes back as it was when there is no consent or no identity.
        """
        try:
            ecid = self.get_identity()
        except PageError:
            ecid = None
        if ecid is None:
            return url
        return links.with_identity(url, ecid, self.page.org_id, self._clock())

    def subscribe(self, endpoint: str, keys: dict[str, str]) -> str | None:
        """Announce a web push subscription (``sendPushSubscription``).

        Returns:
            The ``requestId``; ``None`` when the same was announced before.

        Raises:
            PageError: There is no identity yet, or the page's call would have been rejected.

        Source: alloy ``makeSendPushSubscriptionRequest``.
        """
        ecid = self.ecid_of_cookie()
        if ecid is None:
            raise PageError("the subscription waits for an identity")
        subscription = {"endpoint": endpoint, "keys": keys}
        event = subscription_event(self._config.app_id, ecid, subscription)
        known = ecid + event["data"]["pushNotificationDetails"][0]["token"]
        if known == self._subscribed:
            return None
        self._subscribed = known
        request_id = self._line.submit(Waiting(event, self._clock()))
        self.worker = Worker(
            ecid=ecid,
            edge=self._tab.edge,
            dataset_id=self._config.tracking_dataset,
            origin=self.page.origin,
        )
        return request_id

    def ecid_of_cookie(self) -> str | None:
        """Return the ECID that the identity cookie holds, decoded as alloy decodes it."""
        value = self._tab.cookie("identity")
        return identity_cookie.ecid_of(value) if value else None

    def close(self) -> None:
        """Close the browser's connections."""
        self._tab.close()
