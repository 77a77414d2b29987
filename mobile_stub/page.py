"""A web page with the Adobe Web SDK ("alloy"): pure bodies for people who browse and log in.

Source: https://github.com/adobe/alloy and
https://experienceleague.adobe.com/en/docs/experience-platform/web-sdk/home.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from mobile_stub.sdk import wire_time

PAGE_VIEW = "web.webpagedetails.pageViews"


@dataclass(frozen=True, slots=True)
class Page:
    """One browser on one site: the person it knows, and what the server left in it.

    ``cookies`` are the ``state:store`` pairs. The endpoint's host is not under the site's apex
    domain here, so they travel in ``meta.state.entries``, never as a header. ``ecid`` is what
    ``identity:result`` said last; alloy itself does not send it back. ``migrated_ecid`` is the
    id that came with a link from the app (``adobe_mc``), sent until a cookie takes its place.
    """

    domain: str = "example.com"
    person: tuple[str, str] | None = None
    cookies: tuple[tuple[str, str], ...] = ()
    ecid: str | None = None
    migrated_ecid: str | None = None


def log_in(page: Page, person_id: str, namespace: str = "CRMID") -> Page:
    """Return the page that puts this person, authenticated, on each later event."""
    return replace(page, person=(namespace, person_id))


def log_out(page: Page) -> Page:
    """Return the page whose later events carry no person."""
    return replace(page, person=None)


def page_event(
    page: Page,
    now: datetime,
    *,
    event_type: str = PAGE_VIEW,
    path: str = "/",
    xdm: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> bytes:
    """Return the ``interact`` body of one ``sendEvent``: no ``_id``, no ``konductorConfig``.

    Source: alloy ``createDataCollectionRequestPayload`` and its context components.
    """
    root: dict[str, Any] = {
        "eventType": event_type,
        "timestamp": wire_time(now),
        "web": {
            "webPageDetails": {"URL": f"https://www.{page.domain}{path}"},
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
    one_event = {"xdm": root | (xdm or {})} | ({"data": data} if data else {})
    document = _envelope(page) | {"events": [one_event]}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def read_answer(page: Page, envelope: dict[str, Any]) -> Page:
    """Return the page with the cookies and the ECID an answer brings. ``maxAge`` 0 deletes."""
    cookies = dict(page.cookies)
    ecid = page.ecid
    for handle in envelope["handle"]:
        for item in handle["payload"]:
            if handle["type"] == "state:store":
                cookies.pop(item["key"], None)
                if item.get("maxAge", 1) > 0:
                    cookies[item["key"]] = item["value"]
            elif handle["type"] == "identity:result" and item["namespace"]["code"] == "ECID":
                ecid = item["id"]
    return replace(page, cookies=tuple(cookies.items()), ecid=ecid)


def _envelope(page: Page) -> dict[str, Any]:
    state: dict[str, Any] = {"domain": page.domain, "cookiesEnabled": True}
    if page.cookies:
        state["entries"] = [{"key": key, "value": value} for key, value in page.cookies]
    envelope: dict[str, Any] = {
        "meta": {"state": state},
        "query": {"identity": {"fetch": ["ECID"]}},
    }
    if page.migrated_ecid and not page.cookies:
        envelope["xdm"] = {"identityMap": {"ECID": [{"id": page.migrated_ecid}]}}
    return envelope
