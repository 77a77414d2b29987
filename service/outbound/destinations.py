"""How destinations stand, shared by all processes: a row each, read again after a second.

A destination is a host of one sandbox. Where the host varies from call to call there is none.

Source: service/decisions/0020-destinations.md.
"""

from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.ids import derived_key
from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.outbound import destination_standing
from service.outbound.destination_standing import Breaker, Probe, Report, Standing
from service.outbound.models import Destination
from service.sandboxes.scope import Scope

_LIFE_S = 1.0
_HEALTHY = Standing()
_GIVEN_BACK = Report(probe=Probe.NOT_MADE)

_ADD = SetStatement(
    """
    INSERT INTO destination (sandbox_id, id, host, breaker, pace, updated_at)
    VALUES (:sandbox_id, :id, :host, 'closed', 1.0, :now) ON CONFLICT DO NOTHING
    """,
    rows={},
    params={"sandbox_id": INTEGER, "id": KEY, "host": TEXT, "now": MOMENT},
)


class DestinationDirectory:
    """How the destinations of a process stood when it looked last, a second ago at most.

    Shared by the threads of a process.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], tuple[float, Standing]] = {}

    def find(self, session: Session, scope: Scope, host: str | None, *, at: float) -> Standing:
        """Return how a host stands; ``at`` is this moment in monotonic seconds."""
        if host is None:
            return _HEALTHY
        known = self._known.get((scope.sandbox_id, host))
        if known is not None and at - known[0] < _LIFE_S:
            return known[1]
        return self.keep(scope, host, read(session, scope, host), at=at)

    def last(self, scope: Scope, host: str) -> Standing:
        """Return how a host stood when it was looked at last."""
        known = self._known.get((scope.sandbox_id, host))
        return _HEALTHY if known is None else known[1]

    def keep(self, scope: Scope, host: str, standing: Standing, *, at: float) -> Standing:
        """Take note of how a host stands now."""
        self._known[scope.sandbox_id, host] = (at, standing)
        return standing


def host_of(url: str) -> str | None:
    """Return the destination of a URL; ``None`` where its host varies."""
    host = (urlsplit(url).hostname or "").lower()
    return None if not host or "*" in host else host[:255]


def destination_id(host: str) -> UUID:
    """Return the key of a host."""
    return derived_key("destination", host)


def read(session: Session, scope: Scope, host: str) -> Standing:
    """Return how a host stands; well, if nobody has said anything of it."""
    row = session.scalar(
        select(Destination).where(
            Destination.sandbox_id == scope.sandbox_id, Destination.id == destination_id(host)
        )
    )
    return _HEALTHY if row is None else _standing(row)


def report(
    session: Session,
    scope: Scope,
    host: str,
    said: Report,
    *,
    now: datetime,
    raise_after: timedelta,
) -> Standing:
    """Keep what a lane has seen of a host; return how it stands now. The caller commits."""
    row = _lock(session, scope, host, now)
    standing = destination_standing.after(_standing(row), said, now=now, raise_after=raise_after)
    _write(row, standing, now)
    return standing


def take_probe(session: Session, scope: Scope, host: str, *, now: datetime) -> Standing | None:
    """Let the caller start one call while the breaker is not closed; ``None`` if it may not.

    One caller of all processes gets it, until it reports or its lease is over. The caller commits.
    """
    row = _lock(session, scope, host, now)
    standing = _standing(row)
    if not standing.needs_probe or standing.held_until(now) is not None:
        return None
    standing = standing.probing(now)
    _write(row, standing, now)
    return standing


def give_probe_back(session: Session, scope: Scope, host: str, *, now: datetime) -> Standing:
    """Let somebody else probe: nothing was there to be sent. The caller commits."""
    return report(session, scope, host, _GIVEN_BACK, now=now, raise_after=timedelta(0))


def _lock(session: Session, scope: Scope, host: str, now: datetime) -> Destination:
    """Return a host's row, held until the transaction ends; it is made at its first use."""
    key = (scope.sandbox_id, destination_id(host))
    row = session.get(Destination, key, with_for_update=True, populate_existing=True)
    if row is None:
        _ADD.run(session, {"sandbox_id": scope.sandbox_id, "id": key[1], "host": host, "now": now})
        row = session.get_one(Destination, key, with_for_update=True, populate_existing=True)
    return row


def _standing(row: Destination) -> Standing:
    return Standing(
        breaker=Breaker(row.breaker),
        breaker_until=row.breaker_until,
        probed_at=row.probed_at,
        not_before=row.not_before,
        pace=row.pace,
        latency_ms=row.latency_ms,
        reason=row.reason,
        updated_at=row.updated_at,
    )


def _write(row: Destination, standing: Standing, now: datetime) -> None:
    row.breaker, row.breaker_until = standing.breaker.value, standing.breaker_until
    row.probed_at, row.not_before = standing.probed_at, standing.not_before
    row.pace, row.latency_ms, row.reason = standing.pace, standing.latency_ms, standing.reason
    row.updated_at = standing.updated_at or now
