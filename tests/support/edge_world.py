"""One Edge endpoint over fakes, and the bodies that clients send to it."""

import json
from collections.abc import Mapping
from typing import Any

from mobile_stub import sdk
from mobile_stub.device import Kind, Platform, new_device
from service.flows.sources import DatastreamSource, Disabled
from service.web.edge.application import EdgeApplication
from service.web.edge.bearer import TokenReader, nobody
from tests.support.clocks import START
from tests.support.wire import (
    MOBILE_ID,
    WEB_ID,
    FakeCommitter,
    FakeSources,
    Reply,
    WireServices,
    call,
    datastream,
    edge_query,
)

PAGE = "https://www.example.com"
DOCUMENTED = {200, 204, 400, 413, 422}


class World:
    """One endpoint over fakes, and the calls that clients make to it."""

    def __init__(
        self,
        *sources: DatastreamSource | Disabled,
        outcomes: Any = (),
        read_token: TokenReader = nobody,
    ) -> None:
        self.sources = FakeSources(*(sources or (datastream(), datastream("web"))))
        self.committer = FakeCommitter(*outcomes)
        services = WireServices(self.sources, self.committer)
        self.application = EdgeApplication(services, read_token)

    def post(self, body: bytes | Mapping[str, Any], **options: Any) -> Reply:
        """Send a body as a phone does, unless told otherwise."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        defaults = {"path": "/ee/v1/interact", "query": edge_query(MOBILE_ID)}
        return call(self.application, body=content, **{**defaults, **options})

    def browse(self, body: bytes, **options: Any) -> Reply:
        """Send a body as a page does."""
        options.setdefault("headers", {"Origin": PAGE, "Content-Type": "text/plain"})
        return self.post(body, **{"query": edge_query(WEB_ID), **options})


def consent_body(*items: Mapping[str, Any], **changes: Any) -> bytes:
    """Return what the Web SDK sends for ``setConsent``: an opt-in, unless told otherwise."""
    opt_in = {"standard": "Adobe", "version": "1.0", "value": {"general": "in"}}
    document = {
        "query": {"identity": {"fetch": ["ECID"]}},
        "consent": list(items or [opt_in]),
        "meta": {"state": {"domain": "example.com", "cookiesEnabled": True}},
    }
    return json.dumps(document | changes).encode()


def phone_body(kind: Kind = Kind.ANDROID, token: str | None = None) -> bytes:
    platform = Platform.FCM if kind is Kind.ANDROID else Platform.APNS
    device = new_device(kind, "com.example.shop", platform, 7)
    if token is None:
        device, hit = sdk.event(device, "commerce.purchases", START)
    else:
        device, hit = sdk.install(device, token, START)
    assert hit is not None
    return sdk.render(hit, device, START)


def plain_body(**changes: Any) -> bytes:
    return json.dumps({"events": [{"xdm": {"eventType": "a"}}]} | changes).encode()
