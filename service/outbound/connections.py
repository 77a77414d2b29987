"""Leased connections: how many a worker may hold open to an endpoint, over all processes.

A lease is a block of slots until a moment of the store's clock. Its holder asks again well before
that; one that was killed simply stops asking, and its slots are free when the lease ends. A holder
that got fewer slots than it wants stays registered, which lowers everyone's fair share: whoever
holds more than its share closes connections and asks again for that share.

Source: Journey Optimizer, Capping API, ``maxHttpConnections``;
service/decisions/0005-permit-life.md.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.clock import Clock
from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.outbound.capping import lock_cap
from service.outbound.store_clock import COARSENESS, ClockStatement
from service.sandboxes.scope import Scope

_HOLDER_KEYS = {"sandbox_id": INTEGER, "cap_id": KEY, "worker": TEXT}

_OTHERS = ClockStatement(
    """
    WITH moment AS MATERIALIZED (SELECT {moment} AS at)
    SELECT (SELECT at FROM moment) AS now, COALESCE(SUM(l.slots), 0) AS slots, COUNT(*) AS holders
    FROM connection_lease AS l
    WHERE l.sandbox_id = :sandbox_id AND l.cap_id = :cap_id AND l.worker <> :worker
        AND l.expires_at > (SELECT at FROM moment)
    """,
    params=_HOLDER_KEYS,
    result={"now": MOMENT, "slots": INTEGER, "holders": INTEGER},
)
_HOLD = SetStatement(
    """
    INSERT INTO connection_lease (sandbox_id, cap_id, worker, slots, expires_at)
    VALUES (:sandbox_id, :cap_id, :worker, :slots, :expires_at)
    ON CONFLICT (sandbox_id, cap_id, worker)
        DO UPDATE SET slots = excluded.slots, expires_at = excluded.expires_at
    """,
    rows={},
    params={**_HOLDER_KEYS, "slots": INTEGER, "expires_at": MOMENT},
)
_HELD = ClockStatement(
    """
    SELECT slots FROM connection_lease
    WHERE sandbox_id = :sandbox_id AND cap_id = :cap_id AND worker = :worker
        AND expires_at > {moment}
    """,
    params=_HOLDER_KEYS,
    result={"slots": INTEGER},
)
_RELEASE = SetStatement(
    """
    DELETE FROM connection_lease
    WHERE sandbox_id = :sandbox_id AND cap_id = :cap_id AND worker = :worker
    """,
    rows={},
    params=_HOLDER_KEYS,
)
_FORGET_ENDED = ClockStatement(
    """
    DELETE FROM connection_lease
    WHERE sandbox_id = :sandbox_id AND cap_id = :cap_id AND expires_at <= {moment}
    """,
    params={"sandbox_id": INTEGER, "cap_id": KEY},
)


@dataclass(frozen=True, slots=True)
class ConnectionLimit:
    """How many connections may be open under one endpoint config, over all processes."""

    cap_id: UUID
    max_http_connections: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A block of connections.

    Attributes:
        slots: How many connections may be open, idle ones included; 0 when none is free now.
        fair_share: What each holder would have; one with more closes the rest and asks again.
        usable_until: Seconds of the worker's monotonic clock at which all must be closed.
    """

    slots: int
    fair_share: int
    usable_until: float


def lease(
    session: Session,
    scope: Scope,
    limit: ConnectionLimit,
    worker: str,
    *,
    wanted: int,
    ttl_s: float,
    clock: Clock,
) -> Lease:
    """Give a holder without connections up to ``wanted``, and at most its fair share.

    All leases together never exceed the limit. With 0 slots the holder stays registered.

    Args:
        session: The caller commits, and opens connections only then.
        scope: The sandbox whose limit it is.
        limit: The endpoint config that limits connections.
        worker: The holder: one lane of one process, at most 64 characters.
        wanted: How many it could use.
        ttl_s: How long the lease lasts unless it is renewed.
        clock: The worker's; it must let go by its monotonic time.
    """
    return _hold(session, scope, limit, worker, (wanted, ttl_s, clock), is_new=True)


def renew(
    session: Session,
    scope: Scope,
    limit: ConnectionLimit,
    worker: str,
    *,
    wanted: int,
    ttl_s: float,
    clock: Clock,
) -> Lease | None:
    """Prolong a lease, with up to ``wanted`` connections; ``None`` when it has ended.

    A holder asks for fewer than it has only after it closed the rest. One whose lease has ended
    keeps no connection open and leases anew: others may have its slots since. The caller commits.
    """
    keys = {"sandbox_id": scope.sandbox_id, "cap_id": limit.cap_id, "worker": worker}
    lock_cap(session, scope, limit.cap_id)
    if _HELD.run(session, keys) is None:
        return None
    return _hold(session, scope, limit, worker, (wanted, ttl_s, clock), is_new=False)


def release(session: Session, scope: Scope, cap_id: UUID, worker: str) -> None:
    """Give a lease back, after its connections are closed. The caller commits."""
    _RELEASE.run(session, {"sandbox_id": scope.sandbox_id, "cap_id": cap_id, "worker": worker})


def _hold(
    session: Session,
    scope: Scope,
    limit: ConnectionLimit,
    worker: str,
    terms: tuple[int, float, Clock],
    *,
    is_new: bool,
) -> Lease:
    wanted, ttl_s, clock = terms
    keys = {"sandbox_id": scope.sandbox_id, "cap_id": limit.cap_id, "worker": worker}
    lock_cap(session, scope, limit.cap_id)
    asked_at = clock.monotonic()
    others = _OTHERS.run(session, keys)
    assert others is not None  # noqa: S101 - an aggregate has one row
    fair_share = max(1, limit.max_http_connections // (int(others.holders) + 1))
    slots = max(0, min(wanted, limit.max_http_connections - int(others.slots)))
    if is_new:
        slots = min(slots, fair_share)
    _FORGET_ENDED.run(session, {"sandbox_id": scope.sandbox_id, "cap_id": limit.cap_id})
    expires_at = others.now + timedelta(seconds=ttl_s) + COARSENESS
    _HOLD.run(session, {**keys, "slots": slots, "expires_at": expires_at})
    return Lease(slots, fair_share, asked_at + ttl_s)
