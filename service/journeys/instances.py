"""The rows of people in journeys: opened at the door, locked by key, written after a plan."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.errors import NotFoundError
from service.core.ids import sorted_keys
from service.core.json import JsonObject
from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement
from service.journeys.definitions import INSTANCE_LIFE
from service.journeys.models import JourneyInstance
from service.journeys.state import InstanceState, state_to_json
from service.sandboxes.scope import Scope

INSIDE = "inside"

# One person is in a journey once: the unique index over open instances decides, also between
# transactions that cannot see each other.
_OPEN = SetStatement(
    """
    INSERT INTO journey_instance (sandbox_id, id, journey_id, version_id, identity_id, state,
        status, seed, entered_at, expires_at)
    SELECT :sandbox_id, r.id, r.journey_id, r.version_id, r.identity_id, :state, :status, r.seed,
        r.entered_at, r.expires_at
    FROM {r} WHERE true ON CONFLICT DO NOTHING RETURNING id
    """,
    rows={
        "r": {
            "id": KEY,
            "journey_id": KEY,
            "version_id": KEY,
            "identity_id": KEY,
            "seed": INTEGER,
            "entered_at": MOMENT,
            "expires_at": MOMENT,
        },
    },
    params={"sandbox_id": INTEGER, "state": JSON_OBJECT, "status": TEXT},
    result={"id": KEY},
)
_LOCK = SetStatement(
    """
    SELECT t.id, t.journey_id, t.version_id, t.identity_id, t.state, t.seed, t.expires_at,
        (SELECT i.namespace FROM identity AS i
            WHERE i.sandbox_id = :sandbox_id AND i.id = t.identity_id) AS namespace,
        (SELECT i.value FROM identity AS i
            WHERE i.sandbox_id = :sandbox_id AND i.id = t.identity_id) AS value,
        (SELECT i.profile_id FROM identity AS i
            WHERE i.sandbox_id = :sandbox_id AND i.id = t.identity_id) AS profile_id
    FROM journey_instance AS t
    WHERE t.sandbox_id = :sandbox_id AND t.id IN (SELECT r.id FROM {r})
    ORDER BY t.id {lock_t}
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={
        "id": KEY,
        "journey_id": KEY,
        "version_id": KEY,
        "identity_id": KEY,
        "state": JSON_OBJECT,
        "seed": INTEGER,
        "expires_at": MOMENT,
        "namespace": TEXT,
        "value": TEXT,
        "profile_id": KEY,
    },
)
_SAVE = SetStatement(
    """
    UPDATE journey_instance SET state = r.state, status = r.status, ended_at = r.ended_at
    FROM {r} WHERE journey_instance.sandbox_id = :sandbox_id AND journey_instance.id = r.id
    """,
    rows={"r": {"id": KEY, "state": JSON_OBJECT, "status": TEXT, "ended_at": MOMENT}},
    params={"sandbox_id": INTEGER},
)


@dataclass(frozen=True, slots=True)
class NewInstance:
    """Somebody who is about to be inside."""

    id: UUID
    journey_id: UUID
    version_id: UUID
    identity_id: UUID
    entered_at: datetime

    @property
    def seed(self) -> int:
        """What decides the person's percentages: the random bits of the key."""
        return self.id.int & (2**62 - 1)


@dataclass(frozen=True, slots=True)
class Locked:
    """An instance that nobody else can move before this transaction ends.

    ``profile_id`` is whom its identity belongs to now; ``None`` when the identity was erased, as
    is ``external_key`` then empty. ``stored_state`` is as ``state.state_to_json`` wrote it.
    """

    id: UUID
    journey_id: UUID
    version_id: UUID
    identity_id: UUID
    stored_state: JsonObject
    seed: int
    expires_at: datetime
    external_key: str
    profile_id: UUID | None


def open_new(session: Session, scope: Scope, new: Sequence[NewInstance]) -> frozenset[UUID]:
    """Insert instances in the order of the unique key; return the ids of those that are in.

    One whose person is inside already, in any version, is left out. The caller commits.
    """
    if not new:
        return frozenset()
    rows = [
        (
            each.id,
            each.journey_id,
            each.version_id,
            each.identity_id,
            each.seed,
            each.entered_at,
            each.entered_at + INSTANCE_LIFE,
        )
        for each in sorted(new, key=_place)
    ]
    params = {
        "sandbox_id": scope.sandbox_id,
        "state": state_to_json(InstanceState()),
        "status": INSIDE,
    }
    return frozenset(row.id for row in _OPEN.run(session, params, r=rows))


def _place(new: NewInstance) -> tuple[int, int]:
    return new.journey_id.int, new.identity_id.int


def lock(session: Session, scope: Scope, ids: Iterable[UUID]) -> dict[UUID, Locked]:
    """Lock instances in key order and return them with whom they stand for now."""
    rows = _LOCK.run(
        session,
        {"sandbox_id": scope.sandbox_id},
        r=[(key,) for key in sorted_keys(ids)],
    )
    return {
        row.id: Locked(
            id=row.id,
            journey_id=row.journey_id,
            version_id=row.version_id,
            identity_id=row.identity_id,
            stored_state=row.state,
            seed=row.seed,
            expires_at=row.expires_at,
            external_key="" if row.namespace is None else f"{row.namespace}:{row.value}",
            profile_id=row.profile_id,
        )
        for row in rows
    }


def save(
    session: Session,
    scope: Scope,
    states: Iterable[tuple[UUID, InstanceState]],
    *,
    now: datetime,
) -> None:
    """Write the states of locked instances; one that has ended is closed. The caller commits."""
    rows = [
        (
            key,
            state_to_json(state),
            state.ended.reason.value if state.ended else INSIDE,
            now if state.ended else None,
        )
        for key, state in sorted(states, key=lambda each: each[0].int)
    ]
    if rows:
        _SAVE.run(session, {"sandbox_id": scope.sandbox_id}, r=rows)


def get(session: Session, scope: Scope, instance_id: UUID) -> JourneyInstance:
    """Return one instance.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
    """
    row = session.get(JourneyInstance, (scope.sandbox_id, instance_id))
    if row is None:
        raise NotFoundError(f"There is no journey instance {instance_id}.")
    return row


def list_of_people(
    session: Session,
    scope: Scope,
    journey_id: UUID,
    identity_ids: Sequence[UUID],
    *,
    limit: int,
) -> tuple[JourneyInstance, ...]:
    """Return up to ``limit`` instances that some identities have in one journey, newest first."""
    chosen = (
        select(JourneyInstance)
        .where(
            JourneyInstance.sandbox_id == scope.sandbox_id,
            JourneyInstance.identity_id.in_(identity_ids),
            JourneyInstance.journey_id == journey_id,
        )
        .order_by(JourneyInstance.entered_at.desc(), JourneyInstance.id.desc())
        .limit(limit)
    )
    return tuple(session.scalars(chosen))
