"""Keeping what would send a delivery again, in the transaction that ends it unsent.

Source: service/decisions/0025-after-the-send.md.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import sorted_keys
from service.core.json import JsonObject
from service.db.statements import INTEGER, JSON_OBJECT, KEY, SetStatement
from service.flows.delivery_steps import DeliveryTools, Settled
from service.outbound.dead_letters import STATES, DeadLetters, LetterContext, NewLetter
from service.outbound.deliveries import Claimed, Lane
from service.outbound.follow_up import End
from service.sandboxes.scope import Scope

_EVENTS = SetStatement(
    """
    SELECT t.id, t.state FROM {r}
    JOIN journey_instance AS t ON t.sandbox_id = :sandbox_id AND t.id = r.id
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"id": KEY, "state": JSON_OBJECT},
)


def keep(
    session: Session,
    tools: DeliveryTools,
    lane: Lane,
    settled: Sequence[Settled],
    ended: Collection[UUID],
    *,
    now: datetime,
) -> None:
    """Keep a dead letter of each delivery that ended now and was not sent, with what it needs.

    No statement when all were sent, two or three otherwise. The caller commits.
    """
    dead = [
        (each.delivery, each.step)
        for each in settled
        if isinstance(each.step, End) and each.step.state in STATES and each.delivery.id in ended
    ]
    if not dead:
        return
    events = events_of(session, lane.scope, tools.letters, [held for held, _ in dead])
    letters = [
        NewLetter(
            held.id,
            held.action_id,
            held.journey_id,
            step.state,
            step.reason,
            LetterContext(
                events.get(held.id) or {},
                held.parameters,
                held.timeout_ms,
                (held.expires_at - held.created_at) // timedelta(milliseconds=1),
            ),
        )
        for held, step in dead
    ]
    tools.letters.keep(session, lane.scope, letters, now=now)


def events_of(
    session: Session, scope: Scope, letters: DeadLetters, held: Iterable[Claimed]
) -> Mapping[UUID, JsonObject]:
    """Return the event that each delivery is about, by delivery: its run's, or its dead letter's.

    A delivery that repeats another speaks of what that one spoke of, also when its run is over.
    """
    repeated = {each.id: each.replay_of for each in held if each.replay_of is not None}
    instances = {each.id: each.instance_id for each in held if each.replay_of is None}
    found: dict[UUID, JsonObject] = {}
    if instances:
        asked = [(key,) for key in sorted_keys(instances.values())]
        rows = _EVENTS.run(session, {"sandbox_id": scope.sandbox_id}, r=asked)
        of_run = {row.id: (row.state.get("context") or {}).get("event") or {} for row in rows}
        found |= {key: of_run.get(instance_id, {}) for key, instance_id in instances.items()}
    contexts = letters.contexts(session, scope, repeated.values())
    for key, original in repeated.items():
        if original in contexts:
            found[key] = contexts[original].event
    return found
