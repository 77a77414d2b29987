"""Whether a person who was in a journey may come in again."""

from datetime import datetime
from enum import StrEnum

from service.journeys.definitions import INSTANCE_LIFE, Reentrance


class EntryRefusal(StrEnum):
    """Why a person may not enter now."""

    ALREADY_INSIDE = "alreadyInside"
    REENTRANCE_NOT_ALLOWED = "reentranceNotAllowed"
    REENTRANCE_WAIT = "reentranceWait"


def refusal_of(
    rule: Reentrance,
    *,
    is_inside: bool,
    last_entered_at: datetime | None,
    last_ended_at: datetime | None,
    now: datetime,
) -> EntryRefusal | None:
    """Return why the person may not enter, ``None`` when they may.

    The moments are those of the person's latest instance over all versions of the journey.
    "Never again" lasts as long as an instance is remembered, 91 days from its entry.

    Source: Journey Optimizer, journey properties and entry management.
    """
    if is_inside:
        return EntryRefusal.ALREADY_INSIDE
    if not rule.is_allowed:
        is_remembered = last_entered_at is not None and now < last_entered_at + INSTANCE_LIFE
        return EntryRefusal.REENTRANCE_NOT_ALLOWED if is_remembered else None
    if last_ended_at is not None and now < last_ended_at + rule.wait:
        return EntryRefusal.REENTRANCE_WAIT
    return None
