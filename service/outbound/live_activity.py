"""Which live activity an action starts, updates or ends: the setting ``liveActivity``.

A live activity has tokens of its own: one to start any of an attribute type on a device, and one
for each that runs, which is found by the id that the app gave it.

Source: Apple, Starting and updating Live Activities with ActivityKit push notifications; AEP
Messaging SDK for iOS, live activities.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from service.core.errors import InvalidInputError
from service.profiles.live_activities import Kind

SETTING = "liveActivity"
_FIELDS = frozenset({"event", "attributeType", "activityId"})


class ActivityEvent(StrEnum):
    """What becomes of it."""

    START = "start"
    UPDATE = "update"
    END = "end"


@dataclass(frozen=True, slots=True)
class LiveActivity:
    """What an action does to live activities.

    Attributes:
        attribute_type: What is started; empty otherwise.
        activity_id: A template: which is updated or ended, or the id of a new one.
    """

    event: ActivityEvent
    attribute_type: str
    activity_id: str

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "LiveActivity | None":
        """Return what an action's settings say, ``None`` when it is not about live activities.

        Raises:
            InvalidInputError: A field is unknown, missing or of the wrong type.
        """
        written = settings.get(SETTING)
        if written is None:
            return None
        if not isinstance(written, Mapping):
            raise InvalidInputError(f"settings.{SETTING} must be an object.", at=_at())
        for name in sorted(written.keys() - _FIELDS):
            raise InvalidInputError(f"settings.{SETTING}.{name} is not known.", at=_at(name))
        try:
            event = ActivityEvent(str(written.get("event")))
        except ValueError:
            raise InvalidInputError(
                f"settings.{SETTING}.event is one of start, update, end.", at=_at("event")
            ) from None
        is_start = event is ActivityEvent.START
        return cls(
            event,
            _text(written, "attributeType", is_wanted=is_start),
            _text(written, "activityId", is_wanted=not is_start),
        )

    @property
    def kind(self) -> Kind:
        """Which tokens it is sent to."""
        return Kind.START if self.event is ActivityEvent.START else Kind.UPDATE

    @property
    def address(self) -> str:
        """The name that the tokens stand under, a template."""
        return self.attribute_type if self.kind is Kind.START else self.activity_id


def _text(written: Mapping[str, Any], name: str, *, is_wanted: bool) -> str:
    value = written.get(name, "")
    if not isinstance(value, str) or (is_wanted and not value.strip()):
        raise InvalidInputError(f"settings.{SETTING}.{name} must be a text.", at=_at(name))
    return value


def _at(name: str = "") -> str:
    return f"settings.{SETTING}.{name}".rstrip(".")
