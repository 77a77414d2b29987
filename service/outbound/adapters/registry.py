"""The adapters by name. To add one: copy ``webhook.py``, write ``render`` and ``read``, add a line.

A vendor that takes JSON or a form over HTTP needs no code: see ``vendor.py``.

The contract suite in ``tests/outbound/adapters`` runs over every name by itself.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from service.core.errors import InvalidInputError
from service.outbound.adapters.apns import ApnsAdapter
from service.outbound.adapters.contract import Adapter
from service.outbound.adapters.fcm import FcmAdapter
from service.outbound.adapters.sink import SinkAdapter, SinkLimits
from service.outbound.adapters.sink_batch_post import BatchPostAdapter
from service.outbound.adapters.sink_event_grid import EventGridAdapter
from service.outbound.adapters.sink_file import FileAdapter
from service.outbound.adapters.sink_kinesis import KinesisAdapter
from service.outbound.adapters.vendor import VendorAdapter
from service.outbound.adapters.vendor_document import load_documents
from service.outbound.adapters.web_push import WebPushAdapter
from service.outbound.adapters.webhook import WebhookAdapter
from service.outbound.channels import Channel

_ALL: tuple[Adapter, ...] = (
    FcmAdapter(),
    ApnsAdapter(),
    WebPushAdapter(),
    WebhookAdapter("webhook", needs_token=False),
    WebhookAdapter("push", needs_token=True),
    BatchPostAdapter(),
    KinesisAdapter(),
    EventGridAdapter(),
    FileAdapter(),
    *(VendorAdapter(name, document) for name, document in load_documents().items()),
)
ADAPTERS: Mapping[str, Adapter] = MappingProxyType({adapter.name: adapter for adapter in _ALL})


def get_adapter(name: str) -> Adapter:
    """Return the adapter of a name.

    Raises:
        InvalidInputError: There is none.
    """
    if name not in ADAPTERS:
        raise InvalidInputError(f"There is no adapter {name}: use {', '.join(ADAPTERS)}.")
    return ADAPTERS[name]


def calls_written_url(name: str) -> bool:
    """Tell whether an adapter calls the URL, method and query that the action's author writes."""
    return isinstance(ADAPTERS.get(name), WebhookAdapter)


def calls_any_endpoint(name: str) -> bool:
    """Tell whether an adapter calls what its author likes, whose answers no vendor explains."""
    return isinstance(ADAPTERS.get(name), WebhookAdapter | BatchPostAdapter)


def row_limits(name: str, settings: Mapping[str, Any]) -> SinkLimits | None:
    """Return how large the calls of a sink are; ``None`` where each message is a call."""
    adapter = ADAPTERS.get(name)
    return adapter.limits(settings) if isinstance(adapter, SinkAdapter) else None


def comes_again(name: str) -> bool:
    """Tell whether an adapter loses nothing: what is in doubt goes again, with the same id."""
    adapter = ADAPTERS.get(name)
    return isinstance(adapter, SinkAdapter) and adapter.comes_again


def channel_of(name: str, settings: Mapping[str, Any]) -> Channel:
    """Return the channel whose consent is asked for what an adapter sends, push unless it says.

    Raises:
        InvalidInputError: There is no such adapter.
    """
    adapter = get_adapter(name)
    return adapter.channel(settings) if isinstance(adapter, VendorAdapter) else Channel.PUSH
