"""Who asked for permits under a cap in its last period, and got how many, over all processes.

Grants say so where journeys compete. A busy lane reads what is new since it looked last.

Source: service/decisions/0019-fair-share.md.
"""

import heapq
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.json import JsonObject
from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, SetStatement
from service.outbound.capping import Cap, Tally
from service.outbound.fair_share import Claimant, Seen
from service.sandboxes.scope import Scope

_GAP = 4
_READ = SetStatement(
    """
    SELECT g.id, g.granted_at, g.counted_until, g.shares FROM permit_grant AS g
    WHERE g.sandbox_id = :sandbox_id AND g.cap_id = :cap_id AND g.counted_until > :since
        AND g.shares IS NOT NULL
    """,
    rows={},
    params={"sandbox_id": INTEGER, "cap_id": KEY, "since": MOMENT},
    result={"id": KEY, "granted_at": MOMENT, "counted_until": MOMENT, "shares": JSON_OBJECT},
)


@dataclass(slots=True)
class _Use:
    """What one claimant asked for, by moment, and what it got of what counts."""

    asked: deque[tuple[datetime, int]] = field(default_factory=deque)
    asked_count: int = 0
    granted: int = 0
    granted_rows: int = 0

    def demand(self, now: datetime, period: timedelta) -> int:
        """Return what it asked for in a period that ends now, or when it asked last.

        Who asks every so often is about to ask again: its demand is that of a whole period.
        """
        while self.asked:
            end = max(self.asked[-1][0], now - period / _GAP)
            if self.asked[0][0] > end - period:
                break
            self.asked_count -= self.asked.popleft()[1]
        return self.asked_count


@dataclass(slots=True)
class _Window:
    """What one lane knows of one cap, as long as neither its period nor its pause changes."""

    period: timedelta
    paused_until: datetime | None
    latest: datetime | None = None
    known: set[UUID] = field(default_factory=set)
    ends: list[tuple[datetime, UUID, JsonObject]] = field(default_factory=list)
    ended: deque[tuple[datetime, UUID]] = field(default_factory=deque)
    uses: dict[str, _Use] = field(default_factory=dict)

    def add(self, row: Any) -> None:
        """Count a grant, once."""
        if row.id in self.known:
            return
        self.known.add(row.id)
        self.latest = max(row.granted_at, self.latest or row.granted_at)
        heapq.heappush(self.ends, (row.counted_until, row.id, row.shares))
        for name, (asked, granted) in row.shares.items():
            use = self.uses.setdefault(name, _Use())
            use.asked.append((row.granted_at, asked))
            use.asked_count += asked
            use.granted += granted
            use.granted_rows += 1

    def forget_ended(self, now: datetime, unread: datetime) -> None:
        """Stop counting the grants that are over; know them as long as they may be read again."""
        while self.ended and self.ended[0][0] <= unread:
            self.known.discard(self.ended.popleft()[1])
        while self.ends and self.ends[0][0] <= now:
            until, key, shares = heapq.heappop(self.ends)
            self.ended.append((until, key))
            for name, (_, granted) in shares.items():
                use = self.uses[name]
                use.granted, use.granted_rows = use.granted - granted, use.granted_rows - 1

    def seen(self, now: datetime) -> dict[Claimant, Seen]:
        """Return what each claimant asked for and got; who is gone is forgotten."""
        found: dict[Claimant, Seen] = {}
        for name, use in list(self.uses.items()):
            demand = use.demand(now, self.period)
            if use.asked or use.granted_rows:
                found[Claimant.of_name(name)] = Seen(demand, use.granted)
            else:
                del self.uses[name]
        return found


class PermitShares:
    """What one lane knows of those that compete for its caps; used by one thread."""

    def __init__(self) -> None:
        self._windows: dict[UUID, _Window] = {}

    def read(
        self, session: Session, scope: Scope, cap: Cap, tally: Tally
    ) -> Mapping[Claimant, Seen]:
        """Return what each claimant asked for and got in what counts now; the cap is locked."""
        if not tally.has_shares:
            self._windows.pop(cap.id, None)
            return {}
        period = timedelta(milliseconds=cap.period_in_ms)
        window = self._windows.get(cap.id)
        if window is None or (window.period, window.paused_until) != (period, tally.paused_until):
            window = self._windows[cap.id] = _Window(period, tally.paused_until)
        # A grant counts for longer than the period, so every later one ends after this moment.
        first = tally.now - period / _GAP
        since = first if window.latest is None else max(first, window.latest + period)
        params = {"sandbox_id": scope.sandbox_id, "cap_id": cap.id, "since": since}
        for row in sorted(_READ.run(session, params), key=lambda row: row.granted_at):
            window.add(row)
        window.forget_ended(tally.now, first)
        return window.seen(tally.now)
