"""What is in use under endpoint configs at this moment: permits that count, connections leased.

Nothing is locked, so a reading may be one grant behind.

Source: service/decisions/0005-permit-life.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.outbound import store_clock
from service.sandboxes.scope import Scope

_PERMITS = SetStatement(
    """
    SELECT g.cap_id, SUM(g.count) AS used,
        MIN(CASE WHEN g.count > 0 THEN g.counted_until END) AS first_end_at
    FROM permit_grant AS g JOIN {c} ON g.cap_id = c.id
    WHERE g.sandbox_id = :sandbox_id AND g.counted_until > :now
    GROUP BY g.cap_id
    """,
    rows={"c": {"id": KEY}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
    result={"cap_id": KEY, "used": INTEGER, "first_end_at": MOMENT},
)
_PAUSES = SetStatement(
    """
    SELECT p.id, p.paused_until FROM permit_cap AS p JOIN {c} ON p.id = c.id
    WHERE p.sandbox_id = :sandbox_id AND p.paused_until > :now
    """,
    rows={"c": {"id": KEY}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
    result={"id": KEY, "paused_until": MOMENT},
)
_LEASES = SetStatement(
    """
    SELECT l.cap_id, l.worker, l.slots, l.expires_at
    FROM connection_lease AS l JOIN {c} ON l.cap_id = c.id
    WHERE l.sandbox_id = :sandbox_id AND l.expires_at > :now
    ORDER BY l.cap_id, l.worker
    """,
    rows={"c": {"id": KEY}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
    result={"cap_id": KEY, "worker": TEXT, "slots": INTEGER, "expires_at": MOMENT},
)


@dataclass(frozen=True, slots=True)
class Leased:
    """The connections that one lane of one worker may hold open; 0 while it waits for some."""

    worker: str
    slots: int
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """What counts against one cap now.

    Attributes:
        read_at: The store's time of the reading.
        permits: How many call starts count, used or not.
        first_end_at: When the first of them stops counting; ``None`` when none does.
        paused_until: Nothing is permitted before it, since the store's clock was set.
        leases: Who may hold how many connections.
    """

    read_at: datetime
    permits: int = 0
    first_end_at: datetime | None = None
    paused_until: datetime | None = None
    leases: tuple[Leased, ...] = ()

    @property
    def connections(self) -> int:
        """How many connections are leased in all."""
        return sum(each.slots for each in self.leases)


def read(session: Session, scope: Scope, cap_ids: Sequence[UUID]) -> dict[UUID, Usage]:
    """Return what counts against each of the caps, which need not have been used before."""
    now = store_clock.read(session)
    params = {"sandbox_id": scope.sandbox_id, "now": now}
    ids = [(each,) for each in sorted(set(cap_ids))]
    permits = {row.cap_id: row for row in _PERMITS.run(session, params, c=ids)}
    pauses = {row.id: row.paused_until for row in _PAUSES.run(session, params, c=ids)}
    leases: dict[UUID, list[Leased]] = {}
    for row in _LEASES.run(session, params, c=ids):
        leases.setdefault(row.cap_id, []).append(Leased(row.worker, row.slots, row.expires_at))
    return {
        cap_id: Usage(
            read_at=now,
            permits=int(permits[cap_id].used) if cap_id in permits else 0,
            first_end_at=permits[cap_id].first_end_at if cap_id in permits else None,
            paused_until=pauses.get(cap_id),
            leases=tuple(leases.get(cap_id, ())),
        )
        for cap_id in cap_ids
    }
