"""The adapters by name. To add one: copy ``webhook.py``, write ``render`` and ``read``, add a line.

The contract suite in ``tests/outbound/adapters`` runs over every name by itself.
"""

from collections.abc import Mapping
from types import MappingProxyType

from service.core.errors import InvalidInputError
from service.outbound.adapters.contract import Adapter
from service.outbound.adapters.fcm import FcmAdapter
from service.outbound.adapters.webhook import WebhookAdapter

_ALL: tuple[Adapter, ...] = (
    FcmAdapter(),
    WebhookAdapter("webhook", needs_token=False),
    WebhookAdapter("push", needs_token=True),
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
