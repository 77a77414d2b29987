"""Streaming ingestion over fakes, and the messages that servers send to it."""

import json
from typing import Any

from service.flows.sources import Disabled, InletSource
from service.sandboxes.scope import Scope
from service.web.collection.application import CollectionApplication
from tests.support.wire import (
    INLET_ID,
    ORG,
    PROD,
    FakeCommitter,
    FakeSources,
    Reply,
    WireServices,
    call,
    inlet,
)

RECORDS = "https://ns.adobe.com/acme/schemas/people"


EVENTS = "https://ns.adobe.com/xdm/context/experienceevent"


PERSON = {"CRMID": [{"id": "C-1", "authenticatedState": "authenticated", "primary": True}]}
INLET_TYPE = "http://ns.adobe.com/adobecloud/problem/data-collection-service/inlet"


def only_token_1(authorization: str, scope: Scope) -> bool:
    return authorization == "Bearer 1" and scope == PROD


class World:
    """One endpoint over fakes."""

    def __init__(self, *sources: InletSource | Disabled, outcomes: Any = ()) -> None:
        self.sources = FakeSources(*(sources or (inlet(),)))
        self.committer = FakeCommitter(*outcomes)
        services = WireServices(self.sources, self.committer)
        self.application = CollectionApplication(services, only_token_1)

    def post(self, body: Any, *, path: str = f"/collection/{INLET_ID}", **options: Any) -> Reply:
        """Send one message."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return call(self.application, path, content, **options)

    def post_batch(self, *messages: Any, **options: Any) -> Reply:
        """Send messages together."""
        path = f"/collection/batch/{INLET_ID}"
        return self.post({"messages": messages}, path=path, **options)


def message(entity: Any, schema: str = RECORDS, **header: Any) -> dict[str, Any]:
    ref = {"id": schema, "contentType": "application/vnd.adobe.xed-full+json;version=1"}
    names = {"schemaRef": ref, "imsOrgId": ORG, "datasetId": "d", "flowId": "f"}
    return {
        "header": names | header,
        "body": {"xdmMeta": {"schemaRef": ref}, "xdmEntity": entity},
    }


def record(**attributes: Any) -> dict[str, Any]:
    return message({"identityMap": PERSON} | attributes)


def event(**fields: Any) -> dict[str, Any]:
    return message({"identityMap": PERSON, "_id": "E-1", "eventType": "a.b"} | fields, EVENTS)


def report_message(reason: str) -> str:
    return f"inletId: [{INLET_ID}] imsOrgId: [{ORG}] {reason}"
