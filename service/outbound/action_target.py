"""Where an action calls, known before there is a message; ``*`` stands for what varies."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from service.core.secret import Secret
from service.outbound import url_template
from service.outbound.adapters.apns import ApnsAdapter
from service.outbound.adapters.contract import ActionSpec, MessageContext
from service.outbound.adapters.registry import get_adapter
from service.outbound.adapters.sink import SinkAdapter
from service.outbound.adapters.vendor import VendorAdapter
from service.outbound.adapters.web_push import WebPushAdapter
from service.outbound.transport import CallParts

_NO_MESSAGE = MessageContext(
    delivery_id=UUID(int=0),
    idempotency_key="",
    token=Secret(""),
    profile={},
    event={},
    parameters={},
    journey_version_id=UUID(int=0),
    instance_id=UUID(int=0),
    node_id="",
    expires_at=datetime(1970, 1, 1, tzinfo=UTC),
)


def of(spec: ActionSpec) -> CallParts:
    """Return where an action calls: what its adapter renders of it without a message.

    Each template of the URL is a ``*`` in it, so that every limit is found that may hold.
    """
    adapter = get_adapter(spec.adapter)
    if isinstance(adapter, ApnsAdapter | SinkAdapter | VendorAdapter | WebPushAdapter):
        return adapter.target(spec)
    url = url_template.starred(spec.url)
    empty = replace(spec, url=url, query=(), headers=(), payload={}, parameters=())
    return adapter.render(empty, _NO_MESSAGE, now=_NO_MESSAGE.expires_at)
