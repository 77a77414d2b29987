"""Deliveries: written with their cause, claimed by lane, ended once.

A lane is one action of one sandbox, so a slow vendor delays its own messages only. In it each
journey has a line of its own, first in first out. A claim deletes the narrow ``delivery_due`` row;
``delivery`` stays.

Source: service/decisions/0008-attempt-states.md, service/decisions/0001-lock-order.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import derived_key
from service.core.json import JsonObject
from service.ledger import entries
from service.ledger.entries import Delta
from service.outbound import delivery_rows as rows
from service.sandboxes.scope import Scope


class DeliveryState(StrEnum):
    """Where a delivery stands; all but ``WAITING`` are final."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    CAPPED = "capped"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Lane:
    """The deliveries of one action in one sandbox."""

    scope: Scope
    action_id: UUID

    @property
    def key(self) -> str:
        """The lane's name; as attempts know it."""
        return f"{self.scope.sandbox_id}:{self.action_id.hex}"

    def line(self, journey_id: UUID) -> str:
        """Return the name of a journey's line in it, as ``delivery_due`` knows it."""
        return f"{self.key}:{journey_id.hex}"


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """One message that a journey's node wants sent to one person.

    Attributes:
        parameters: What the node gives to the action.
        timeout_ms: The journey's budget for the whole call; the action's own holds too.
        expires_at: When the message has lost its meaning.
    """

    instance_id: UUID
    node_id: str
    journey_id: UUID
    journey_version_id: UUID
    action_id: UUID
    identity_id: UUID
    parameters: JsonObject = field(repr=False)
    timeout_ms: int
    expires_at: datetime

    @property
    def id(self) -> UUID:
        """The delivery's key: an instance sends once from a node."""
        return delivery_key(self.instance_id, self.node_id)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that this worker must start, put back or end.

    Attributes:
        attempt: The number of the next attempt, from 1.
        budget_until: The end of the call's time once a first permit was given.
        origin_error: What the attempt before ended with: ``error``, ``code`` and ``rule``.
        replay_of: The delivery that this one repeats; its journey is not told again.
    """

    id: UUID
    instance_id: UUID
    node_id: str
    journey_id: UUID
    journey_version_id: UUID
    action_id: UUID
    identity_id: UUID
    parameters: JsonObject = field(repr=False)
    timeout_ms: int
    created_at: datetime
    expires_at: datetime
    due_at: datetime
    attempt: int = 1
    budget_until: datetime | None = None
    origin_error: JsonObject | None = None
    replay_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A claimed delivery that goes back into its line, due at ``due_at``."""

    delivery_id: UUID
    line: str
    due_at: datetime
    attempt: int
    budget_until: datetime | None
    origin_error: JsonObject | None


@dataclass(frozen=True, slots=True)
class EndedDelivery:
    """A delivery's final state; ``facts`` hold no token, secret or body."""

    delivery_id: UUID
    state: DeliveryState
    reason: str | None
    facts: JsonObject
    attempts: int
    token_id: UUID | None = None
    vendor_message_id: str | None = None


def delivery_key(instance_id: UUID, node_id: str) -> UUID:
    """Return the key that a delivery has by its instance and node."""
    return derived_key(str(instance_id), node_id)


def create(session: Session, scope: Scope, new: Sequence[NewDelivery], *, now: datetime) -> int:
    """Write deliveries, due at once, with their ledger; return how many were not there before.

    Written in the transaction that causes them, so a crash neither loses nor doubles one. The
    caller commits.
    """
    if not new:
        return 0
    params = {"sandbox_id": scope.sandbox_id, "now": now}
    by_id = {each.id: each for each in new}
    added = rows.ADD.run(
        session,
        params,
        r=[
            (
                each.id,
                each.instance_id,
                each.node_id,
                each.journey_id,
                each.journey_version_id,
                each.action_id,
                each.identity_id,
                each.parameters,
                {"timeoutMs": each.timeout_ms},
                each.expires_at,
            )
            for _, each in sorted(by_id.items())
        ],
    )
    kept = [by_id[row.id] for row in added]
    lines = [(each.id, Lane(scope, each.action_id).line(each.journey_id)) for each in kept]
    rows.ADD_DUE.run(session, params, r=sorted(lines))
    places = Counter((each.journey_version_id, each.node_id) for each in kept)
    deltas = [
        delta
        for (version_id, node_id), count in places.items()
        for delta in entries.deliveries_intended(version_id, node_id, count)
    ]
    entries.append(session, scope, deltas, now=now)
    return len(kept)


def claim_line(
    session: Session, scope: Scope, line: str, *, now: datetime, limit: int
) -> dict[UUID, Any]:
    """Take up to ``limit`` due rows of a line that no other worker holds, the longest due first.

    They are given back when the caller rolls back or dies.
    """
    params = {"sandbox_id": scope.sandbox_id, "lane": line, "now": now, "limit": limit}
    return {row.delivery_id: row for row in rows.CLAIM.run(session, params)}


def read_claimed(session: Session, scope: Scope, due: Mapping[UUID, Any]) -> list[Claimed]:
    """Return the deliveries of claimed rows that have not ended, the longest due first."""
    claimed = [
        _claimed(
            row,
            due_at=due[row.id].due_at,
            attempt=due[row.id].attempt,
            budget_until=due[row.id].budget_until,
            origin_error=due[row.id].origin_error,
        )
        for row in _read(session, scope, due)
    ]
    return sorted(claimed, key=lambda each: (each.due_at, each.id))


def read_waiting(session: Session, scope: Scope, ids: Iterable[UUID]) -> list[Claimed]:
    """Return the deliveries of these ids that have not ended."""
    return [_claimed(row, due_at=row.created_at) for row in _read(session, scope, ids)]


def put_back(session: Session, scope: Scope, waiting: Sequence[Waiting]) -> None:
    """Make claimed deliveries due again. The caller commits."""
    if waiting:
        rows.PUT_BACK.run(
            session,
            {"sandbox_id": scope.sandbox_id},
            r=[
                (
                    each.delivery_id,
                    each.line,
                    each.due_at,
                    each.attempt,
                    each.budget_until,
                    each.origin_error,
                )
                for each in sorted(waiting, key=lambda each: each.delivery_id)
            ],
        )


def end(
    session: Session, scope: Scope, ended: Sequence[EndedDelivery], *, now: datetime
) -> frozenset[UUID]:
    """Give waiting deliveries their final state, with their ledger; return which were waiting.

    One that has ended stays as it is. The caller commits.
    """
    if not ended:
        return frozenset()
    by_id = {each.delivery_id: each for each in ended}
    ids = [(key,) for key in sorted(by_id)]
    rows.LOCK.run(session, {"sandbox_id": scope.sandbox_id}, r=ids)
    changed = rows.END.run(
        session,
        {"sandbox_id": scope.sandbox_id, "now": now},
        r=[
            (
                key,
                each.state,
                each.reason,
                each.facts,
                each.attempts,
                each.token_id,
                each.vendor_message_id,
            )
            for key, each in sorted(by_id.items())
        ],
    )
    places = Counter((row.journey_version_id, row.node_id, row.state) for row in changed)
    deltas: list[Delta] = []
    for (version_id, node_id, state), count in places.items():
        deltas += entries.deliveries_ended(version_id, node_id, state, count)
    entries.append(session, scope, deltas, now=now)
    return frozenset(row.id for row in changed)


def _read(session: Session, scope: Scope, ids: Iterable[UUID]) -> Sequence[Any]:
    return rows.READ_WAITING.run(
        session, {"sandbox_id": scope.sandbox_id}, r=[(key,) for key in sorted(ids)]
    )


def _claimed(row: Any, **due: Any) -> Claimed:
    return Claimed(
        id=row.id,
        instance_id=row.instance_id,
        node_id=row.node_id,
        journey_id=row.journey_id,
        journey_version_id=row.journey_version_id,
        action_id=row.action_id,
        identity_id=row.identity_id,
        parameters=row.parameters,
        timeout_ms=row.facts["timeoutMs"],
        created_at=row.created_at,
        expires_at=row.expires_at,
        replay_of=row.replay_of,
        **due,
    )
