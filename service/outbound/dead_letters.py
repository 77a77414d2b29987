"""Dead letters: deliveries that ended unsent, with what would send them again, until they expire.

Source: service/decisions/0025-after-the-send.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from service.core import json
from service.core.errors import NotFoundError
from service.core.ids import derived_key, sorted_keys
from service.core.json import JsonObject
from service.core.secret import Keyring, Secret, SecretKeyError
from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement
from service.ledger import entries
from service.outbound import deliveries
from service.outbound.deliveries import DeliveryState, Lane, Waiting
from service.outbound.models import DeadLetter
from service.sandboxes.scope import Scope

STATES = frozenset(
    {DeliveryState.FAILED, DeliveryState.CAPPED, DeliveryState.EXPIRED, DeliveryState.UNKNOWN}
)
_SANDBOX = {"sandbox_id": INTEGER}
_KEEP = SetStatement(
    """
    INSERT INTO dead_letter (sandbox_id, delivery_id, action_id, journey_id, state, reason,
        context, created_at, expires_at)
    SELECT :sandbox_id, r.delivery_id, r.action_id, r.journey_id, r.state, r.reason, r.context,
        :now, :expires_at
    FROM {r} WHERE true ON CONFLICT DO NOTHING
    """,
    rows={
        "r": {
            "delivery_id": KEY,
            "action_id": KEY,
            "journey_id": KEY,
            "state": TEXT,
            "reason": TEXT,
            "context": TEXT,
        },
    },
    params={**_SANDBOX, "now": MOMENT, "expires_at": MOMENT},
)
_REPLAY = SetStatement(
    """
    INSERT INTO delivery (sandbox_id, id, instance_id, node_id, journey_id, journey_version_id,
        action_id, identity_id, parameters, state, facts, attempts, created_at, expires_at,
        replay_of)
    SELECT :sandbox_id, r.id, d.instance_id, d.node_id, d.journey_id, d.journey_version_id,
        d.action_id, d.identity_id, r.parameters, 'waiting', r.facts, 0, r.at, r.expires_at, d.id
    FROM {r} JOIN delivery AS d ON d.sandbox_id = :sandbox_id AND d.id = r.replay_of
    WHERE true ON CONFLICT DO NOTHING
    RETURNING id, journey_id, journey_version_id, node_id, action_id
    """,
    rows={
        "r": {
            "id": KEY,
            "replay_of": KEY,
            "parameters": JSON_OBJECT,
            "facts": JSON_OBJECT,
            "at": MOMENT,
            "expires_at": MOMENT,
        },
    },
    params=_SANDBOX,
    result={
        "id": KEY,
        "journey_id": KEY,
        "journey_version_id": KEY,
        "node_id": TEXT,
        "action_id": KEY,
    },
)
_REMOVE = SetStatement(
    """
    DELETE FROM dead_letter WHERE sandbox_id = :sandbox_id AND delivery_id IN (
        SELECT x.delivery_id FROM dead_letter AS x
        WHERE x.sandbox_id = :sandbox_id AND x.expires_at <= :now
        ORDER BY x.created_at LIMIT :limit
    ) RETURNING delivery_id
    """,
    rows={},
    params={**_SANDBOX, "now": MOMENT, "limit": INTEGER},
    result={"delivery_id": KEY},
)


@dataclass(frozen=True, slots=True)
class LetterContext:
    """What a message was made of, and how long it had a meaning."""

    event: JsonObject = field(repr=False)
    parameters: JsonObject = field(repr=False)
    timeout_ms: int
    life_ms: int


@dataclass(frozen=True, slots=True)
class NewLetter:
    """A delivery that ended unsent."""

    delivery_id: UUID
    action_id: UUID
    journey_id: UUID
    state: DeliveryState
    reason: str | None
    context: LetterContext


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which dead letters; ``None`` asks for any. ``since`` is included, ``until`` is not."""

    journey_id: UUID | None = None
    action_id: UUID | None = None
    state: DeliveryState | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    is_replayed: bool | None = None


class DeadLetters:
    """Seals and opens what dead letters hold; ``life`` is how long they are kept."""

    def __init__(self, keyring: Keyring, life: timedelta) -> None:
        self._keyring = keyring
        self._life = life

    def keep(
        self, session: Session, scope: Scope, new: Sequence[NewLetter], *, now: datetime
    ) -> None:
        """Keep dead letters, each once. The caller commits."""
        if not new:
            return
        sent = [
            (
                each.delivery_id,
                each.action_id,
                each.journey_id,
                each.state,
                each.reason,
                self._keyring.encrypt(Secret(json.encode_text(each.context))),
            )
            for each in sorted(new, key=lambda one: one.delivery_id)
        ]
        at = {"now": now, "expires_at": now + self._life}
        _KEEP.run(session, {"sandbox_id": scope.sandbox_id, **at}, r=sent)

    def open(self, row: DeadLetter) -> LetterContext | None:
        """Return what a letter holds; ``None`` when its key is gone."""
        if row.context is None:
            return None
        try:
            text = self._keyring.decrypt(row.context).reveal()
        except SecretKeyError:
            return None
        return msgspec.convert(json.decode(text.encode()), LetterContext)

    def contexts(
        self, session: Session, scope: Scope, ids: Iterable[UUID]
    ) -> Mapping[UUID, LetterContext]:
        """Return what the letters of some deliveries hold, those that are still there."""
        asked = sorted_keys(ids)
        if not asked:
            return {}
        rows = session.scalars(_all(scope).where(DeadLetter.delivery_id.in_(asked)))
        found = ((row.delivery_id, self.open(row)) for row in rows)
        return {key: context for key, context in found if context is not None}

    def replay(
        self,
        session: Session,
        scope: Scope,
        rows: Sequence[DeadLetter],
        due: Sequence[datetime],
        *,
        now: datetime,
    ) -> int:
        """Write the deliveries that repeat locked letters, each once; return how many.

        Each is due at its moment, and created then as far as queues and backlogs are concerned. It
        lives as long as the first one did. The caller commits.
        """
        pairs = [(row, at, self.open(row)) for row, at in zip(rows, due, strict=True)]
        new = [
            (
                replay_key(row.delivery_id),
                row.delivery_id,
                context.parameters,
                {"timeoutMs": context.timeout_ms},
                at,
                at + timedelta(milliseconds=context.life_ms),
            )
            for row, at, context in pairs
            if context is not None
        ]
        added = _REPLAY.run(session, {"sandbox_id": scope.sandbox_id}, r=sorted(new))
        made = {row.id: row for row in added}
        moments = {replay_key(row.delivery_id): at for row, at, _ in pairs}
        lines = [
            Waiting(
                row.id,
                Lane(scope, row.action_id).line(row.journey_id),
                moments[row.id],
                1,
                None,
                None,
            )
            for row in added
        ]
        deliveries.put_back(session, scope, lines)
        deltas = [
            delta
            for row in added
            for delta in entries.deliveries_intended(row.journey_version_id, row.node_id)
        ]
        entries.append(session, scope, deltas, now=now)
        for row in rows:
            row.replayed_at = now
            row.replay_id = key if (key := replay_key(row.delivery_id)) in made else None
        return len(made)


def replay_key(delivery_id: UUID) -> UUID:
    """Return the key of the delivery that repeats another."""
    return derived_key("replay", str(delivery_id))


def list_page(
    session: Session,
    scope: Scope,
    chosen: LetterFilter,
    *,
    limit: int,
    after: UUID | None = None,
) -> tuple[DeadLetter, ...]:
    """Return up to ``limit`` dead letters, newest first, older than that of ``after``."""
    query = _chosen(_all(scope), chosen)
    if after is not None:
        place = get(session, scope, after)
        query = query.where(
            (DeadLetter.created_at < place.created_at)
            | (
                (DeadLetter.created_at == place.created_at)
                & (DeadLetter.delivery_id < place.delivery_id)
            )
        )
    newest_first = query.order_by(DeadLetter.created_at.desc(), DeadLetter.delivery_id.desc())
    return tuple(session.scalars(newest_first.limit(limit)))


def get(session: Session, scope: Scope, delivery_id: UUID) -> DeadLetter:
    """Return the dead letter of a delivery.

    Raises:
        NotFoundError: It has none, or it has expired.
    """
    row = session.scalar(_all(scope).where(DeadLetter.delivery_id == delivery_id))
    if row is None:
        raise NotFoundError(f"There is no dead letter {delivery_id}.")
    return row


def count(session: Session, scope: Scope, chosen: LetterFilter, *, now: datetime) -> int:
    """Return how many dead letters could be sent again."""
    query = _chosen(_all(scope), chosen).where(*_open(now))
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0


def take(
    session: Session, scope: Scope, chosen: LetterFilter, *, now: datetime, limit: int
) -> tuple[DeadLetter, ...]:
    """Lock up to ``limit`` dead letters that nobody else sends again now, oldest first."""
    query = _chosen(_all(scope), chosen).where(*_open(now))
    oldest_first = query.order_by(DeadLetter.created_at, DeadLetter.delivery_id).limit(limit)
    return tuple(session.scalars(oldest_first.with_for_update(skip_locked=True)))


def remove_expired(session: Session, scope: Scope, *, now: datetime, limit: int) -> int:
    """Remove up to ``limit`` dead letters whose time is over; return how many. Caller commits."""
    params = {"sandbox_id": scope.sandbox_id, "now": now, "limit": limit}
    return len(_REMOVE.run(session, params))


def _all(scope: Scope) -> Select[DeadLetter]:
    return select(DeadLetter).where(DeadLetter.sandbox_id == scope.sandbox_id)


def _open(now: datetime) -> tuple[Any, ...]:
    return (DeadLetter.replayed_at.is_(None), DeadLetter.expires_at > now)


def _chosen(query: Select[DeadLetter], chosen: LetterFilter) -> Select[DeadLetter]:
    for column, value in (
        (DeadLetter.journey_id, chosen.journey_id),
        (DeadLetter.action_id, chosen.action_id),
        (DeadLetter.state, chosen.state),
        (DeadLetter.reason, chosen.reason),
    ):
        if value is not None:
            query = query.where(column == value)
    if chosen.since is not None:
        query = query.where(DeadLetter.created_at >= chosen.since)
    if chosen.until is not None:
        query = query.where(DeadLetter.created_at < chosen.until)
    if chosen.is_replayed is not None:
        query = query.where(DeadLetter.replayed_at.is_not(None) == chosen.is_replayed)
    return query
