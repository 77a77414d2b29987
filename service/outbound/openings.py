"""Opens of messages, as the SDKs' tracking events tell them.

Source: AEP Messaging SDK, ``pushTracking.applicationOpened`` and ``pushTracking.customAction``; the
``_xdm`` of our own payload comes back in the event's XDM (``adapters.contract.tracking``).
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.core.ids import parse_key

_OPENED = frozenset({"pushTracking.applicationOpened", "pushTracking.customAction"})
_EXECUTION = ("_experience", "customerJourneyManagement", "messageExecution", "messageID")
_LAUNCHES = ("application", "launches", "value")


def opened_delivery(event_type: str | None, xdm: Mapping[str, Any]) -> UUID | None:
    """Return the delivery that an event says was opened, ``None`` when it says no such thing.

    A button that does not open the app, or a dismissal, counts no launch.
    """
    if event_type not in _OPENED or _at(xdm, _LAUNCHES) != 1:
        return None
    named = _at(xdm, _EXECUTION)
    return parse_key(named) if isinstance(named, str) else None


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    return document
