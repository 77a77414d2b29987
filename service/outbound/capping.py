"""Permits: how many calls may start now, so that no window ever holds more than its cap.

A grant is a row: so many starts, from now until its life is over. It counts against the cap for
the cap's period *and* that life, because its last start may be as late as that. Unused permits are
never given back, so a worker that dies with them costs at most one window and leaks nothing.

The lock row and the tally are two statements on purpose: PostgreSQL fixes what a statement sees
before it waits for the lock, so one statement would not see the grants it waited for.

Source: Journey Optimizer, Capping API, ``services.action.rating`` and its sliding window;
service/decisions/0005-permit-life.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.clock import Clock
from service.core.ids import new_key
from service.db.statements import INTEGER, KEY, MOMENT, SetStatement
from service.outbound import store_clock
from service.outbound.store_clock import COARSENESS, ClockStatement, StoreWatch
from service.sandboxes.scope import Scope

LIFE_PERCENT = 2.0
LONGEST_LIFE_MS = 2000
_SHORTEST_LIFE_MS = 10
_KEPT_AFTER_END = timedelta(hours=1)
_CAP_KEYS = {"sandbox_id": INTEGER, "cap_id": KEY}

_LOCK = SetStatement(
    "SELECT paused_until FROM permit_cap WHERE sandbox_id = :sandbox_id AND id = :cap_id {lock}",
    rows={},
    params=_CAP_KEYS,
    result={"paused_until": MOMENT},
)
_ADD_CAP = SetStatement(
    "INSERT INTO permit_cap (sandbox_id, id) VALUES (:sandbox_id, :cap_id) ON CONFLICT DO NOTHING",
    rows={},
    params=_CAP_KEYS,
)
_TALLY = ClockStatement(
    """
    WITH moment AS MATERIALIZED (SELECT {moment} AS at)
    SELECT (SELECT at FROM moment) AS now, COALESCE(SUM(g.count), 0) AS used,
        MIN(g.counted_until) AS first_end_at, MAX(g.granted_at) AS last_granted_at
    FROM permit_grant AS g
    WHERE g.sandbox_id = :sandbox_id AND g.cap_id = :cap_id
        AND g.counted_until > (SELECT at FROM moment)
    """,
    params=_CAP_KEYS,
    result={"now": MOMENT, "used": INTEGER, "first_end_at": MOMENT, "last_granted_at": MOMENT},
)
_GRANT = SetStatement(
    """
    INSERT INTO permit_grant (sandbox_id, id, cap_id, granted_at, counted_until, count)
    VALUES (:sandbox_id, :id, :cap_id, :granted_at, :counted_until, :count)
    """,
    rows={},
    params={**_CAP_KEYS, "id": KEY, "granted_at": MOMENT, "counted_until": MOMENT},
)
_PAUSE = SetStatement(
    "UPDATE permit_cap SET paused_until = :until WHERE sandbox_id = :sandbox_id AND id = :cap_id",
    rows={},
    params={**_CAP_KEYS, "until": MOMENT},
)
_FORGET_ALL = SetStatement(
    "DELETE FROM permit_grant WHERE sandbox_id = :sandbox_id AND cap_id = :cap_id",
    rows={},
    params=_CAP_KEYS,
)
_FORGET_ENDED = SetStatement(
    """
    WITH ended AS MATERIALIZED (
        SELECT id FROM permit_grant WHERE sandbox_id = :sandbox_id AND counted_until < :before
        ORDER BY id LIMIT :limit {skip_locked}
    )
    DELETE FROM permit_grant WHERE sandbox_id = :sandbox_id AND id IN (SELECT id FROM ended)
    RETURNING id
    """,
    rows={},
    params={"sandbox_id": INTEGER, "before": MOMENT, "limit": INTEGER},
    result={"id": KEY},
)


@dataclass(frozen=True, slots=True)
class Cap:
    """At most ``max_calls_count`` call starts in every window of ``period_in_ms``."""

    id: UUID
    max_calls_count: int
    period_in_ms: int

    def with_headroom(self, percent: float) -> "Cap":
        """Return the cap with a share of it left unused; one call always stays possible."""
        allowed = max(1, int(self.max_calls_count * (100 - percent) / 100))
        return Cap(self.id, allowed, self.period_in_ms)

    def life_ms(self, percent: float = LIFE_PERCENT) -> int:
        """Return a permit's life: a share of the period, long enough for a commit.

        The cap's usable share is the period's share of period and life together.
        """
        shortest = min(_SHORTEST_LIFE_MS, self.period_in_ms)
        share = round(self.period_in_ms * percent / 100)
        return min(max(shortest, share), LONGEST_LIFE_MS)


@dataclass(frozen=True, slots=True)
class Grant:
    """So many call starts, until a moment.

    Attributes:
        count: How many calls may start; 0 when the cap is full.
        usable_until: Seconds of the worker's monotonic clock after which none may start.
        retry_after_ms: When asking again may give more; 0 when all that was wanted was given.
        grant_id: The row that counts them; ``None`` without any.
        granted_at: The store's time of the decision.
    """

    count: int
    usable_until: float
    retry_after_ms: int
    grant_id: UUID | None
    granted_at: datetime


@dataclass(frozen=True, slots=True)
class Tally:
    """What counts against a cap at one moment of the store's clock.

    ``first_end_at`` is when the first of the counted grants stops counting.
    """

    now: datetime
    used: int
    first_end_at: datetime | None
    last_granted_at: datetime | None
    paused_until: datetime | None


@dataclass(frozen=True, slots=True)
class Decision:
    """How many starts are given, until when they count, and when to ask again."""

    count: int
    counted_until: datetime
    retry_after_ms: int
    pause_until: datetime | None = None


def take_permits(
    session: Session,
    scope: Scope,
    cap: Cap,
    *,
    wanted: int,
    clock: Clock,
    life_ms: int | None = None,
    watch: StoreWatch | None = None,
) -> Grant:
    """Grant up to ``wanted`` call starts under a cap, never more than it allows.

    The caller commits before any call and starts none after ``grant.usable_until``. Other workers
    wait for that commit, so this is the last thing of its transaction that takes time.

    Args:
        session: Holds the cap's lock until it ends.
        scope: The sandbox whose cap it is.
        cap: What is allowed, headroom taken off.
        wanted: How many calls are ready to start.
        clock: The worker's; permits live in its monotonic time, from just before the tally.
        life_ms: How long permits can be used, two seconds at most; a share of the period.
        watch: Notices when the store's clock is set; the cap then pauses for one period.

    Source: Journey Optimizer, Capping API, ``services.action.rating``.
    """
    life_ms = cap.life_ms() if life_ms is None else min(life_ms, LONGEST_LIFE_MS)
    keys = {"sandbox_id": scope.sandbox_id, "cap_id": cap.id}
    paused_until = lock_cap(session, scope, cap.id)
    asked_at = clock.monotonic()
    row = _TALLY.run(session, keys)
    assert row is not None  # noqa: S101 - an aggregate has one row
    since_jump_s = None
    if watch is not None:
        watch.observe(row.now, asked_at=asked_at)
        since_jump_s = watch.seconds_since_jump(larger_than_s=life_ms / 1000)
    tally = Tally(row.now, int(row.used), row.first_end_at, row.last_granted_at, paused_until)
    decision = decide(cap, tally, wanted=wanted, life_ms=life_ms, since_jump_s=since_jump_s)
    grant_id = _write(session, keys, tally, decision)
    return Grant(
        decision.count, asked_at + life_ms / 1000, decision.retry_after_ms, grant_id, tally.now
    )


def _write(
    session: Session, keys: Mapping[str, Any], tally: Tally, decision: Decision
) -> UUID | None:
    """Make a decision true; return the grant's id, if there is a grant."""
    if decision.pause_until is not None:
        _PAUSE.run(session, {**keys, "until": decision.pause_until})
        _FORGET_ALL.run(session, keys)
        return None
    if not decision.count:
        return None
    grant_id = new_key()
    _GRANT.run(
        session,
        {
            **keys,
            "id": grant_id,
            "granted_at": tally.now,
            "counted_until": decision.counted_until,
            "count": decision.count,
        },
    )
    return grant_id


def decide(
    cap: Cap, tally: Tally, *, wanted: int, life_ms: int, since_jump_s: float | None = None
) -> Decision:
    """Return what may be granted, from counts alone.

    A store's clock that went back by more than a life (a grant lies that far in the future), or
    whose jump was noticed less than one span ago, pauses the cap until every start it ever
    permitted is out of every window. A clock that went back by less only makes grants count longer.
    """
    life = timedelta(milliseconds=life_ms)
    end = tally.now + timedelta(milliseconds=cap.period_in_ms) + life + COARSENESS
    pause = longest_span(cap)
    if tally.last_granted_at is not None and tally.last_granted_at > tally.now + life:
        return Decision(0, end, _ms(pause), pause_until=tally.now + pause)
    if since_jump_s is not None and since_jump_s < pause.total_seconds():
        resume_at = tally.now + pause - timedelta(seconds=since_jump_s)
        if tally.paused_until is None or tally.paused_until < resume_at - COARSENESS:
            return Decision(0, end, _ms(resume_at - tally.now), pause_until=resume_at)
    if tally.paused_until is not None and tally.now < tally.paused_until:
        return Decision(0, end, _ms(tally.paused_until - tally.now))
    count = max(0, min(wanted, cap.max_calls_count - tally.used))
    if count == wanted:
        return Decision(count, end, 0)
    # A cap that was lowered may be overfull; asking when the first grant ends is right then too.
    return Decision(count, end, _ms((tally.first_end_at or end) - tally.now))


def lock_cap(session: Session, scope: Scope, cap_id: UUID) -> datetime | None:
    """Hold a cap until the transaction ends, and return until when it is paused.

    A cap's row is made at its first use.
    """
    keys = {"sandbox_id": scope.sandbox_id, "cap_id": cap_id}
    rows = _LOCK.run(session, keys)
    if not rows:
        _ADD_CAP.run(session, keys)
        rows = _LOCK.run(session, keys)
    paused_until: datetime | None = rows[0].paused_until
    return paused_until


def forget_ended(session: Session, scope: Scope, *, limit: int = 1000) -> int:
    """Remove grants that have counted for nothing for an hour; return how many. Caller commits."""
    before = store_clock.read(session) - _KEPT_AFTER_END
    params = {"sandbox_id": scope.sandbox_id, "before": before, "limit": limit}
    return len(_FORGET_ENDED.run(session, params))


def longest_span(cap: Cap) -> timedelta:
    """Return after how long no start permitted now can share a window with a later one."""
    return timedelta(milliseconds=cap.period_in_ms + LONGEST_LIFE_MS) + COARSENESS


def _ms(span: timedelta) -> int:
    return max(1, -(-span // timedelta(milliseconds=1)))
