"""What a lane takes next: from each journey with something due its share, first in first out.

Rows that an older release wrote are in a line of their own, named as the lane.

Source: service/decisions/0019-fair-share.md.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.outbound import deliveries
from service.outbound import delivery_rows as rows
from service.outbound.deliveries import Claimed, Lane
from service.outbound.fair_share import share_out

_LOOK_AGAIN = timedelta(milliseconds=250)
_LINES_AT_ONCE = 32


class DueLines:
    """Which journeys of a lane have something due, as one lane saw it last; used by one thread.

    It looks again every quarter of a second, and as soon as a line had less than its share: so one
    journey alone costs a statement only now and then.
    """

    def __init__(self) -> None:
        self._lines: tuple[str, ...] = ()
        self._looked_at: datetime | None = None
        self._turn = 0

    def next(self, session: Session, lane: Lane, now: datetime) -> tuple[str, ...]:
        """Return the lines to claim from, another one first each time."""
        looked_at = self._looked_at
        if looked_at is None or not looked_at <= now < looked_at + _LOOK_AGAIN:
            self._lines, self._looked_at = _look(session, lane, now), now
        lines, self._turn = self._lines, self._turn + 1
        turn = self._turn % len(lines) if lines else 0
        return (*lines[turn:], *lines[:turn])[:_LINES_AT_ONCE]

    def look_again(self) -> None:
        """Look at the next question."""
        self._looked_at = None


def claim(
    session: Session,
    lane: Lane,
    *,
    now: datetime,
    limit: int,
    weights: Mapping[UUID, int] | None = None,
    lines: DueLines | None = None,
    without: Collection[UUID] = (),
) -> list[Claimed]:
    """Take up to ``limit`` due deliveries of a lane that no other worker holds.

    Each journey gives its max-min share by weight, the longest due first; the lines of journeys in
    ``without`` are passed over. They are given back when the caller rolls back or dies.
    """
    lines = lines or DueLines()
    left = list(lines.next(session, lane, now))
    if without:
        passed_over = {lane.line(journey_id) for journey_id in without}
        left = [line for line in left if line not in passed_over]
    by_line = _weights(left, weights) if weights else {}
    due: dict[UUID, Any] = {}
    while left and len(due) < limit:
        rest = limit - len(due)
        shares = share_out(rest, dict.fromkeys(left, rest), by_line)
        taken = {
            line: deliveries.claim_line(session, lane.scope, line, now=now, limit=share)
            for line, share in shares.items()
            if share
        }
        for found in taken.values():
            due.update(found)
        left = [line for line in left if line not in taken or len(taken[line]) == shares[line]]
    if len(due) < limit:
        lines.look_again()
    return deliveries.read_claimed(session, lane.scope, due) if due else []


def _look(session: Session, lane: Lane, now: datetime) -> tuple[str, ...]:
    params = {
        "sandbox_id": lane.scope.sandbox_id,
        "now": now,
        "first": lane.key,
        "last": lane.line(UUID(int=2**128 - 1)),
    }
    found: Sequence[Any] = rows.DUE_LINES.run(session, params)
    # Which names lie between two others is the database's collation's to say: look at each.
    mine = (lane.key, f"{lane.key}:")
    return tuple(row.lane for row in found if row.lane == mine[0] or row.lane.startswith(mine[1]))


def _weights(lines: Sequence[str], weights: Mapping[UUID, int]) -> dict[str, int]:
    journeys = {line: line.split(":")[2:] for line in lines}
    return {line: weights.get(UUID(named[0]), 1) for line, named in journeys.items() if named}
