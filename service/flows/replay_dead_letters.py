"""Sending dead letters again: new deliveries that pass every gate, cap and halt like any other.

Their journeys are not told again: they went on long ago.

Source: service/decisions/0025-after-the-send.md.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select

from service.core.errors import InvalidInputError
from service.db.session import unit_of_work
from service.flows import test_action
from service.flows.delivery_steps import DeliveryTools
from service.flows.test_action import Trial, TrialResult
from service.identity.models import Identity
from service.outbound import dead_letters, delivery_views
from service.outbound.dead_letters import LetterFilter
from service.sandboxes.scope import Scope

AT_ONCE: Final = 500
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Replay:
    """What to send again, how fast, and how many at most."""

    chosen: LetterFilter
    max_per_minute: int
    most: int
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many go or would go, how many that leaves, and when the last of them is due."""

    count: int
    left: int
    last_due_at: datetime | None


def preview(tools: DeliveryTools, scope: Scope, delivery_id: UUID) -> TrialResult:
    """Return what a dead letter would send now, or the gate that would stay shut.

    Raises:
        NotFoundError: There is no such letter, or its action is gone.
        InvalidInputError: The letter's key is gone, or the environment lacks the action's secret.
    """
    with unit_of_work(tools.sessions) as session:
        row = dead_letters.get(session, scope, delivery_id)
        context = tools.letters.open(row)
        if context is None:
            raise InvalidInputError("The letter needs a key that EDGEPOST_SECRET_KEYS lacks.")
        delivery, _ = delivery_views.get(session, scope, delivery_id)
        identity = session.scalar(
            select(Identity).where(
                Identity.sandbox_id == scope.sandbox_id, Identity.id == delivery.identity_id
            )
        )
    if identity is None:
        return TrialResult(test_action.SUPPRESSED, "profileAbsent")
    trial = Trial((identity.namespace, identity.value), context.parameters, context.event)
    return test_action.preview(tools, scope, row.action_id, trial)


def replay(tools: DeliveryTools, scope: Scope, asked: Replay) -> Replayed:
    """Make deliveries of dead letters, oldest first, due one after the other at the asked rate.

    A letter is sent again once, however many ask for it at the same time; what comes of it may
    leave a letter of its own. Bounded transactions: what was done before an error stays done.
    """
    now = tools.clock.now()
    until = now + timedelta(microseconds=1)  # what dies meanwhile is left for the next time
    chosen = replace(asked.chosen, until=min(asked.chosen.until or until, until))
    step = _MINUTE / asked.max_per_minute
    if asked.is_dry_run:
        with unit_of_work(tools.sessions) as session:
            found = dead_letters.count(session, scope, chosen, now=now)
        going = min(found, asked.most)
        return Replayed(going, found - going, now + step * (going - 1) if going else None)
    made = taken = 0
    while taken < asked.most:
        with unit_of_work(tools.sessions) as session:
            most = min(AT_ONCE, asked.most - taken)
            rows = dead_letters.take(session, scope, chosen, now=now, limit=most)
            due = [now + step * (made + place) for place in range(len(rows))]
            made += tools.letters.replay(session, scope, rows, due, now=now)
            taken += len(rows)
        if not rows:
            break
    with unit_of_work(tools.sessions) as session:
        left = dead_letters.count(session, scope, chosen, now=now)
    return Replayed(made, left, now + step * (made - 1) if made else None)
