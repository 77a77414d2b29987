"""What phones and pages tell of our messages: received, opened, dismissed, a button.

A tracking event belongs to the delivery that its ``_xdm`` names, whoever holds the device by now:
it is the message that was seen. Nothing of the person is taken from it here; the event itself hangs
on whom it names.
Source: AEP Messaging SDK, push tracking; service/decisions/0016-tracking.md.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.journeys import inbox, interaction_steps
from service.journeys.inbox import Told
from service.journeys.stimuli import Interacted
from service.outbound import kept_interactions
from service.outbound.interactions import read_interaction
from service.outbound.kept_interactions import TrackedEvent
from service.profiles.events import EventToKeep
from service.sandboxes.scope import Scope


def keep_tracking(
    session: Session, scope: Scope, stored: Mapping[UUID, EventToKeep], *, now: datetime
) -> int:
    """Keep what new events, by their keys, say was done with messages.

    Each becomes an interaction of its delivery and a step event of the run that sent the message,
    also of one that is over. Runs whose journey waits for it are told. Ids that name no delivery of
    the sandbox are passed over. No statement when nothing tracks, at most six otherwise. The
    caller commits, then wakes the workers when anybody was told.

    Returns:
        How many instances were told.
    """
    tracked = [
        TrackedEvent(key, *read, min(kept.event.at, kept.received_at))
        for key, kept in stored.items()
        if (read := read_interaction(kept.event.event_type, kept.event.xdm)) is not None
    ]
    return keep_interactions(session, scope, tracked, now=now)


def keep_interactions(
    session: Session, scope: Scope, tracked: Sequence[TrackedEvent], *, now: datetime
) -> int:
    """Keep what was done with messages, whoever tells it; return how many instances were told.

    The caller commits.
    """
    kept = kept_interactions.keep(session, scope, tracked) if tracked else ()
    if not kept:
        return 0
    listening = interaction_steps.record(session, scope, kept)
    told = [
        Told(each.instance_id, Interacted(each.node_id, interaction), now)
        for each, interaction in listening
    ]
    inbox.tell(session, scope, told)
    return len({each.instance_id for each in told})
