"""A web page with the Adobe Web SDK ("alloy"): pure bodies for people who browse and log in.

Source: https://github.com/adobe/alloy and
https://experienceleague.adobe.com/en/docs/experience-platform/web-sdk/home.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from mobile_stub import links
from mobile_stub.sdk import wire_time

PAGE_VIEW = "web.webpagedetails.pageViews"
_PUSH_PLATFORM = "web"


@dataclass(frozen=True, slots=True)
class Page:
    """One page of one site: the person it knows, and what the server left in its browser.

    Attributes:
        domain: The site's apex domain, on which alloy sets its cookies; empty on localhost.
        cookies: Those that the page can read. They travel by themselves when the endpoint lies
            under the apex domain, else in ``meta.state.entries``.
        ecid: What ``identity:result`` said last; alloy itself does not send it back.
        migrated_ecid: The id that an older Adobe library left in the browser, sent until a cookie
            takes its place.
        edge_domain: Where the endpoint lies; empty is under another domain.
        org_id: Names the cookies, and whose ``adobe_mc`` links count.
        url: The page's address, where it is known.
    """

    domain: str = "example.com"
    person: tuple[str, str] | None = None
    cookies: tuple[tuple[str, str], ...] = ()
    ecid: str | None = None
    migrated_ecid: str | None = None
    edge_domain: str = ""
    org_id: str = "EDGEPOST@AdobeOrg"
    url: str = ""

    @property
    def is_first_party(self) -> bool:
        """Whether cookies travel to the endpoint by themselves."""
        return bool(self.domain) and self.edge_domain.endswith(self.domain)

    @property
    def host(self) -> str:
        """Return the host that the page lies on."""
        hostname = urlsplit(self.url).hostname
        return hostname or (f"www.{self.domain}" if self.domain else "localhost")

    @property
    def origin(self) -> str:
        """Return what the browser puts into ``Origin``."""
        return f"https://{self.host}"

    def cookie_name(self, suffix: str) -> str:
        """Return the name of one of the SDK's own cookies."""
        return f"kndctr_{self.org_id.replace('@', '_')}_{suffix}"


@dataclass(frozen=True, slots=True)
class Sent:
    """How a request differs from the usual one.

    Attributes:
        queued_ms: How long its events waited.
        overrides: ``edgeConfigOverrides`` without the datastream.
        original_datastream: The configured datastream, when another one is asked.
        fetches_core: Whether the third-party id is asked for as well.
    """

    queued_ms: int | None = None
    overrides: dict[str, Any] | None = None
    original_datastream: str = ""
    fetches_core: bool = False


_USUAL = Sent()


def log_in(page: Page, person_id: str, namespace: str = "CRMID") -> Page:
    """Return the page that puts this person, authenticated, on each later event."""
    return replace(page, person=(namespace, person_id))


def log_out(page: Page) -> Page:
    """Return the page whose later events carry no person."""
    return replace(page, person=None)


def event_of(
    page: Page,
    now: datetime,
    *,
    event_type: str = PAGE_VIEW,
    path: str = "/",
    xdm: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return one event of ``sendEvent``, with the context that alloy adds: it has no ``_id``.

    Source: alloy ``createEvent`` and its context components.
    """
    root: dict[str, Any] = {
        "eventType": event_type,
        "timestamp": wire_time(now),
        "web": {
            "webPageDetails": {"URL": f"{page.origin}{path}"},
            "webReferrer": {"URL": ""},
        },
        "device": {"screenHeight": 1080, "screenWidth": 1920, "screenOrientation": "landscape"},
        "environment": {
            "type": "browser",
            "browserDetails": {"viewportWidth": 1200, "viewportHeight": 800},
        },
        "implementationDetails": {
            "name": "https://ns.adobe.com/experience/alloy",
            "version": "2.29.0",
            "environment": "browser",
        },
    }
    if page.person:
        namespace, person_id = page.person
        item = {"id": person_id, "authenticatedState": "authenticated", "primary": True}
        root["identityMap"] = {namespace: [item]}
    return {"xdm": root | (xdm or {})} | ({"data": data} if data else {})


def page_event(page: Page, now: datetime, **event: Any) -> bytes:
    """Return the ``interact`` body of one ``sendEvent``; what it takes is what ``event_of`` takes.

    Source: alloy ``createDataCollectionRequestPayload``: there is no ``konductorConfig``.
    """
    return request_body(page, now, [event_of(page, now, **event)])


def request_body(
    page: Page, now: datetime, events: list[dict[str, Any]], sent: Sent = _USUAL
) -> bytes:
    """Return the body of ``interact`` or ``collect``; without events, of ``identity/acquire``."""
    document = _envelope(page, sent)
    carried = _carried_ecid(page, now)
    if carried:
        document["xdm"] = {"identityMap": {"ECID": [{"id": carried}]}}
    return _rendered(document | ({"events": events} if events else {}))


def consent_body(
    page: Page,
    now: datetime,
    consents: list[dict[str, Any]],
    identity_map: dict[str, Any] | None = None,
    sent: Sent = _USUAL,
) -> bytes:
    """Return the body of ``setConsent``: it names no operation, and identities stand on top.

    Source: alloy ``createConsentRequestPayload``: what the page gave is passed on unchecked.
    """
    identities = dict(identity_map or {})
    carried = _carried_ecid(page, now)
    if carried and "ECID" not in identities:
        identities["ECID"] = [{"id": carried}]
    named = {"identityMap": identities} if identities else {}
    return _rendered(_envelope(page, sent) | {"consent": consents} | named)


def subscription_event(app_id: str, ecid: str, subscription: dict[str, Any]) -> dict[str, Any]:
    """Return the event of ``sendPushSubscription``: no XDM at all, and the token is JSON as text.

    Source: alloy ``createSendPushSubscriptionPayload``.
    """
    details = {
        "appID": app_id,
        "token": json.dumps(subscription, sort_keys=True, separators=(",", ":")),
        "platform": _PUSH_PLATFORM,
        "denylisted": False,
        "identity": {"namespace": {"code": "ECID"}, "id": ecid},
    }
    return {"data": {"pushNotificationDetails": [details]}}


def read_answer(page: Page, envelope: dict[str, Any]) -> Page:
    """Return the page with the cookies and the ECID an answer brings. ``maxAge`` 0 deletes."""
    cookies = dict(page.cookies)
    for item in payloads_of(envelope, "state:store"):
        cookies.pop(item["key"], None)
        if item.get("maxAge", 1) > 0:
            cookies[item["key"]] = item["value"]
    return replace(page, cookies=tuple(cookies.items()), ecid=ecid_in(envelope) or page.ecid)


def ecid_in(envelope: dict[str, Any]) -> str | None:
    """Return the ECID of an answer's ``identity:result``."""
    found = payloads_of(envelope, "identity:result")
    return next((each["id"] for each in found if each["namespace"]["code"] == "ECID"), None)


def payloads_of(envelope: dict[str, Any], handle_type: str) -> list[dict[str, Any]]:
    """Return the payloads of all handles of one type, in order."""
    return [
        item
        for handle in envelope["handle"]
        if handle["type"] == handle_type
        for item in handle["payload"]
    ]


def _envelope(page: Page, sent: Sent) -> dict[str, Any]:
    state: dict[str, Any] = {"domain": page.domain, "cookiesEnabled": True}
    if page.cookies and not page.is_first_party:
        state["entries"] = [{"key": key, "value": value} for key, value in page.cookies]
    meta: dict[str, Any] = {"state": state}
    if sent.queued_ms is not None:
        meta["queueTimeMillis"] = sent.queued_ms
    if sent.overrides:
        meta["configOverrides"] = sent.overrides
    if sent.original_datastream:
        meta["sdkConfig"] = {"datastream": {"original": sent.original_datastream}}
    fetch = ["ECID", "CORE"] if sent.fetches_core else ["ECID"]
    return {"meta": meta, "query": {"identity": {"fetch": fetch}}}


def _carried_ecid(page: Page, now: datetime) -> str | None:
    """Return the ECID that came with the page's address, else the one that an older library left.

    Source: alloy ``Identity/createComponent``: the address counts with every request, an older
    library's id only without a cookie.
    """
    linked = links.ecid_of(page.url, page.org_id, now) if page.url else None
    is_known = page.cookie_name("identity") in dict(page.cookies)
    return linked or (None if is_known else page.migrated_ecid)


def _rendered(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
