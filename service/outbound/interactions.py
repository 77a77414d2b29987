"""What a person did with a message, as the SDKs' tracking events tell it.

The ``_xdm`` of our own payload comes back at the root of the event's XDM, whichever form it had
(``adapters.contract.tracking``); its ``messageID`` is the delivery's id.

Source: AEP Messaging SDK, push tracking; Web SDK, push notifications in the service worker.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from service.core.ids import parse_key

LONGEST_ACTION_ID = 255
_EXECUTION = ("_experience", "customerJourneyManagement", "messageExecution", "messageID")
_LAUNCHES = ("application", "launches", "value")
_ACTION_ID = ("pushNotificationTracking", "customAction", "actionID")
_DISMISS = "Dismiss"


class InteractionKind(StrEnum):
    """What can be done with a message."""

    RECEIVED = "received"
    OPENED = "opened"
    DISMISSED = "dismissed"
    CUSTOM_ACTION = "customAction"


_KINDS = {
    "pushTracking.receive": InteractionKind.RECEIVED,
    "pushTracking.applicationOpened": InteractionKind.OPENED,
    "pushTracking.customAction": InteractionKind.CUSTOM_ACTION,
}
EVENT_TYPES = {
    **{kind: event_type for event_type, kind in _KINDS.items()},
    InteractionKind.DISMISSED: "pushTracking.customAction",
}


@dataclass(frozen=True, slots=True)
class Interaction:
    """One interaction.

    Attributes:
        action_id: The button's label (Android, web) or identifier (iOS) of a custom action.
        opens_app: Whether it brought the app to the front; such a button opens the message too.
    """

    kind: InteractionKind
    action_id: str | None = None
    opens_app: bool = False


def read_interaction(
    event_type: str | None, xdm: Mapping[str, Any]
) -> tuple[UUID, Interaction] | None:
    """Return the delivery that an event names and what was done with its message.

    ``None`` for an event that tracks nothing, or whose message is none of ours. A custom action
    called ``Dismiss`` is a dismissal unless it opened the app: then it is a button of that label.
    """
    kind = _KINDS.get(event_type or "")
    if kind is None:
        return None
    named = _at(xdm, _EXECUTION)
    delivery_id = parse_key(named) if isinstance(named, str) else None
    if delivery_id is None:
        return None
    if kind is not InteractionKind.CUSTOM_ACTION:
        return delivery_id, Interaction(kind, opens_app=kind is InteractionKind.OPENED)
    action_id, opens_app = _at(xdm, _ACTION_ID), _at(xdm, _LAUNCHES) == 1
    if action_id == _DISMISS and not opens_app:
        return delivery_id, Interaction(InteractionKind.DISMISSED)
    label = action_id[:LONGEST_ACTION_ID] if isinstance(action_id, str) and action_id else None
    return delivery_id, Interaction(kind, label, opens_app)


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if not isinstance(document, Mapping):
            return None
        document = document.get(name)
    return document
