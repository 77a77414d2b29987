"""Bodies of Edge requests as documents, and what the protocol makes of them."""

import json
from typing import Any

import pytest

from service.catalog.datastream_settings import DEFAULTS, DatastreamSettings
from service.web.edge.errors import EdgeError
from service.web.edge.identity_cookie import cookie_name
from service.web.edge.parsed import ParsedRequest
from service.web.edge.protocol import parse
from service.web.edge.target import EdgeTarget
from tests.support.clocks import START
from tests.support.wire import ORG, datastream

MOBILE_SDK = "https://ns.adobe.com/experience/mobilesdk/"
ECID = "41861666193140161934276845651148876988"


OTHER_ECID = "12345678901234567890123456789012345678"


STREAMING = {"enabled": True, "recordSeparator": "\0", "lineFeed": "\n"}


TOKEN = {
    "appID": "com.example.shop",
    "token": "80F3C1AB",
    "platform": "apns",
    "denylisted": False,
    "identity": {"namespace": {"code": "ECID"}, "id": ECID},
}


def parsed(
    document: Any,
    *,
    platform: str = "mobile",
    action: str = "interact",
    request_id: str = "r-1",
    settings: DatastreamSettings = DEFAULTS,
    **target: Any,
) -> ParsedRequest:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    source = datastream(platform, settings=settings)
    return parse(EdgeTarget(action, request_id, str(source.id), **target), source, body, START)


def refused(document: Any, **options: Any) -> EdgeError:
    with pytest.raises(EdgeError) as caught:
        parsed(document, **options)
    return caught.value


def one_event(**event: Any) -> dict[str, Any]:
    return {"events": [event]}


def mobile(**event: Any) -> dict[str, Any]:
    name = f"{MOBILE_SDK}ios"
    identity_map = {"ECID": [{"id": ECID, "authenticatedState": "ambiguous", "primary": False}]}
    xdm = {"implementationDetails": {"name": name}, "identityMap": identity_map}
    meta = {"konductorConfig": {"streaming": STREAMING}}
    return {"meta": meta, "xdm": xdm, "events": [{"xdm": {"_id": "E-1"}} | event]}


def nested(levels: int) -> bytes:
    around = b'{"events": [{"data": '
    inner = levels - 3
    return around + b'{"a":' * inner + b"1" + b"}" * inner + b"}]}"


def web(*, cookie: str | None = None, **changes: Any) -> dict[str, Any]:
    state: dict[str, Any] = {"domain": "example.com", "cookiesEnabled": True}
    if cookie is not None:
        state["entries"] = [{"key": cookie_name(ORG), "value": cookie}]
    document = {
        "meta": {"state": state},
        "query": {"identity": {"fetch": ["ECID"]}},
        "events": [{"xdm": {"eventType": "web.webpagedetails.pageViews"}}],
    }
    return document | changes
