"""Permits: how many calls may start now, so that no window ever holds more than its cap.

A grant is a row: so many starts, from now until its life is over. It counts against the cap for
the cap's period *and* that life, because its last start may be as late as that. Unused permits are
never given back, so a worker that dies with them costs at most one window and leaks nothing.

Source: Journey Optimizer, Capping API, ``services.action.rating`` and its sliding window;
service/decisions/0005-permit-life.md.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.clock import Clock
from service.core.ids import new_key
from service.core.json import JsonObject
from service.outbound import permit_rows as rows
from service.outbound import store_clock
from service.outbound.store_clock import COARSENESS, StoreWatch
from service.sandboxes.scope import Scope

LIFE_PERCENT = 2.0
LONGEST_LIFE_MS = 2000
_SHORTEST_LIFE_MS = 10
_KEPT_AFTER_END = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Cap:
    """At most ``max_calls_count`` call starts in every window of ``period_in_ms``."""

    id: UUID
    max_calls_count: int
    period_in_ms: int

    def with_headroom(self, percent: float) -> "Cap":
        """Return the cap with a share of it left unused; one call always stays possible."""
        return self.paced((100 - percent) / 100)

    def paced(self, pace: float) -> "Cap":
        """Return the cap of which only a share is used; one call always stays possible."""
        return Cap(self.id, max(1, int(self.max_calls_count * pace)), self.period_in_ms)

    def life_ms(self, percent: float = LIFE_PERCENT) -> int:
        """Return a permit's life: a share of the period, long enough for a commit.

        The cap's usable share is the period's share of period and life together.
        """
        shortest = min(_SHORTEST_LIFE_MS, self.period_in_ms)
        share = round(self.period_in_ms * percent / 100)
        return min(max(shortest, share), LONGEST_LIFE_MS)


@dataclass(frozen=True, slots=True)
class HeldCap:
    """A cap that is locked.

    Attributes:
        paused_until: Nothing is granted before it.
        deployed: Count and period as deployed last; ``None`` for caps that nobody deploys.
    """

    paused_until: datetime | None
    deployed: tuple[int, int] | None

    def bounded(self, cap: Cap) -> Cap:
        """Return the cap, no looser than what was deployed last.

        Another process may have deployed it a moment ago, and ours know the copy before.
        """
        if self.deployed is None:
            return cap
        count, period_in_ms = self.deployed
        return Cap(cap.id, min(cap.max_calls_count, count), max(cap.period_in_ms, period_in_ms))


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

    ``first_end_at`` is when the first of the counted grants stops counting; ``has_shares`` tells
    whether any of them says who competed for it.
    """

    now: datetime
    used: int
    first_end_at: datetime | None
    last_granted_at: datetime | None
    paused_until: datetime | None
    has_shares: bool = False


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
    held = lock_cap(session, scope, cap.id)
    cap = held.bounded(cap)
    asked_at = clock.monotonic()
    tally, since_jump_s = look(
        session, scope, cap.id, held.paused_until, clock=clock, life_ms=life_ms, watch=watch
    )
    decision = decide(cap, tally, wanted=wanted, life_ms=life_ms, since_jump_s=since_jump_s)
    grant_id = write(session, scope, cap.id, tally, decision)
    return Grant(
        decision.count, asked_at + life_ms / 1000, decision.retry_after_ms, grant_id, tally.now
    )


def look(
    session: Session,
    scope: Scope,
    cap_id: UUID,
    paused_until: datetime | None,
    *,
    clock: Clock,
    life_ms: int,
    watch: StoreWatch | None,
) -> tuple[Tally, float | None]:
    """Return what counts under a cap that is locked, and how long ago the store's clock jumped."""
    read_at = clock.monotonic()
    row = rows.TALLY.run(session, {"sandbox_id": scope.sandbox_id, "cap_id": cap_id})
    assert row is not None  # noqa: S101 - an aggregate has one row
    since_jump_s = None
    if watch is not None:
        watch.observe(row.now, asked_at=read_at)
        since_jump_s = watch.seconds_since_jump(larger_than_s=life_ms / 1000)
    used, has_shares = int(row.used), bool(row.shared)
    return (
        Tally(row.now, used, row.first_end_at, row.last_granted_at, paused_until, has_shares),
        since_jump_s,
    )


def write(
    session: Session,
    scope: Scope,
    cap_id: UUID,
    tally: Tally,
    decision: Decision,
    shares: JsonObject | None = None,
) -> UUID | None:
    """Make a decision true; return the grant's id, if there is a grant.

    ``shares`` says who asked for how many and got how many; they are kept although nobody got any.
    """
    keys = {"sandbox_id": scope.sandbox_id, "cap_id": cap_id}
    if decision.pause_until is not None:
        rows.PAUSE.run(session, {**keys, "until": decision.pause_until})
        rows.FORGET_ALL.run(session, keys)
        return None
    if not decision.count and not shares:
        return None
    grant_id = new_key()
    grant = {
        **keys,
        "id": grant_id,
        "granted_at": tally.now,
        "counted_until": decision.counted_until,
        "count": decision.count,
    }
    if shares:
        rows.GRANT_SHARED.run(session, {**grant, "shares": shares})
    else:
        rows.GRANT.run(session, grant)
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


def lock_cap(session: Session, scope: Scope, cap_id: UUID) -> HeldCap:
    """Hold a cap until the transaction ends, and return what its row says.

    A cap's row is made at its first use.
    """
    keys = {"sandbox_id": scope.sandbox_id, "cap_id": cap_id}
    held = rows.LOCK.run(session, keys)
    if not held:
        rows.ADD_CAP.run(session, keys)
        held = rows.LOCK.run(session, keys)
    row = held[0]
    deployed = None
    if row.max_calls_count is not None:
        deployed = (row.max_calls_count, row.period_in_ms)
    return HeldCap(row.paused_until, deployed)


def note_deployed(session: Session, scope: Scope, cap: Cap) -> None:
    """Keep what a cap was deployed with where every process sees it; the cap is locked."""
    rows.DEPLOYED.run(
        session,
        {
            "sandbox_id": scope.sandbox_id,
            "cap_id": cap.id,
            "max_calls_count": cap.max_calls_count,
            "period_in_ms": cap.period_in_ms,
        },
    )


def forget_ended(session: Session, scope: Scope, *, limit: int = 1000) -> int:
    """Remove grants that have counted for nothing for an hour; return how many. Caller commits."""
    before = store_clock.read(session) - _KEPT_AFTER_END
    params = {"sandbox_id": scope.sandbox_id, "before": before, "limit": limit}
    return len(rows.FORGET_ENDED.run(session, params))


def longest_span(cap: Cap) -> timedelta:
    """Return after how long no start permitted now can share a window with a later one."""
    return timedelta(milliseconds=cap.period_in_ms + LONGEST_LIFE_MS) + COARSENESS


def _ms(span: timedelta) -> int:
    return max(1, -(-span // timedelta(milliseconds=1)))
