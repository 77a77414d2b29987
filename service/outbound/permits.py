"""Permits under every rate that holds for a call, shared among those who ask for them.

A call needs a permit under each rate. All caps are locked in the order of their ids, looked at and
granted from in one transaction; each grant is as large as the smallest. Where a cap does not
suffice its permits are shared by ``fair_share``, and the grant says who asked and who got.

Source: service/decisions/0005-permit-life.md, service/decisions/0019-fair-share.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.core.clock import Clock
from service.core.json import JsonObject
from service.outbound import capping
from service.outbound.capping import LONGEST_LIFE_MS, Decision, HeldCap, Tally
from service.outbound.endpoint_documents import OnExceed
from service.outbound.endpoint_limits import Rate
from service.outbound.fair_share import Claimant, Seen, permitted
from service.outbound.permit_shares import PermitShares
from service.outbound.store_clock import StoreWatch
from service.sandboxes.scope import Scope

_BUSY = 2
_MILLISECOND = timedelta(milliseconds=1)
_NOBODY = Seen()

Counts = Mapping[Claimant, int]


@dataclass(frozen=True, slots=True)
class Terms:
    """How permits are asked for.

    Attributes:
        life_ms: How long they can be used, two seconds at most.
        pace: The share of each cap that the destination bears.
        per_call: How many of what is asked for go with one call.
    """

    clock: Clock
    life_ms: int
    watch: StoreWatch | None = None
    pace: float = 1.0
    per_call: int = 1


@dataclass(frozen=True, slots=True)
class Permits:
    """What each claimant got.

    Attributes:
        granted: How many of each claimant's, in their order, may start.
        dropped: Which of them, by their place in that order, are over a cap that does not queue;
            the others without a permit wait.
        refusing: The rate that drops, where one does.
        retry_after_ms: When asking again may give more; 0 when all that was wanted was given.
        asked_at: Monotonic seconds, from before the first cap was looked at.
        usable_until: Monotonic seconds after which no call may start.
        granted_at: The store's time of the decision.
    """

    granted: Counts
    dropped: Mapping[Claimant, range]
    refusing: Rate
    retry_after_ms: int
    asked_at: float
    usable_until: float
    granted_at: datetime


@dataclass(frozen=True, slots=True)
class _Look:
    """One rate with what counts against it, and what its cap alone would give.

    ``paced`` is what the destination bears of it, ``full`` what the cap allows.
    """

    rate: Rate
    tally: Tally
    decision: Decision
    seen: Mapping[Claimant, Seen]
    paced: Counts
    full: Counts

    @property
    def is_queue(self) -> bool:
        """Whether what gets no permit waits."""
        return self.rate.on_exceed is OnExceed.QUEUE


def take(
    session: Session,
    scope: Scope,
    rates: Sequence[Rate],
    asked: Counts,
    terms: Terms,
    shares: PermitShares,
) -> Permits:
    """Grant call starts under every rate, never more than any of them allows.

    The caller commits before any call and starts none after ``usable_until``. Other workers wait
    for that commit, so this is the last thing of its transaction that takes time.

    Args:
        session: Holds the caps' locks until it ends.
        scope: The sandbox whose caps they are.
        rates: At least one, in the order of their caps' ids.
        asked: How many calls of each claimant are ready to start.
        terms: How long permits live, and how much of the caps is used.
        shares: What the lane knows of the other claimants.
    """
    terms = replace(terms, life_ms=min(terms.life_ms, LONGEST_LIFE_MS))
    held = [capping.lock_cap(session, scope, rate.cap.id) for rate in rates]
    asked_at = terms.clock.monotonic()
    looks = [
        _look(session, scope, rate, cap, asked, terms, shares)
        for rate, cap in zip(rates, held, strict=True)
    ]
    granted = {key: min(each.paced[key] for each in looks) for key in asked}
    if any(each.decision.pause_until is not None for each in looks):
        granted = dict.fromkeys(asked, 0)
    for each in looks:
        _write(session, scope, each, asked, granted, terms.per_call)
    is_short = sum(granted.values()) < sum(asked.values())
    return Permits(
        granted=granted,
        dropped=_dropped(looks, asked, granted),
        refusing=min(
            (each for each in looks if not each.is_queue),
            key=lambda each: sum(each.full.values()),
            default=looks[0],
        ).rate,
        retry_after_ms=max(_wait_ms(each) for each in looks if _refuses(each, asked, granted))
        if is_short
        else 0,
        asked_at=asked_at,
        usable_until=asked_at + terms.life_ms / 1000,
        granted_at=looks[0].tally.now,
    )


def _look(
    session: Session,
    scope: Scope,
    rate: Rate,
    held: HeldCap,
    asked: Counts,
    terms: Terms,
    shares: PermitShares,
) -> _Look:
    """Return what one rate would give; its cap is locked."""
    rate = replace(rate, cap=held.bounded(rate.cap))
    cap, unit = rate.cap, terms.per_call
    tally, since_jump_s = capping.look(
        session,
        scope,
        cap.id,
        held.paused_until,
        clock=terms.clock,
        life_ms=terms.life_ms,
        watch=terms.watch,
    )
    decision = capping.decide(
        cap,
        tally,
        wanted=_calls(sum(asked.values()), unit),
        life_ms=terms.life_ms,
        since_jump_s=since_jump_s,
    )
    seen = shares.read(session, scope, cap, tally)
    scaled = {key: Seen(each.asked * unit, each.granted * unit) for key, each in seen.items()}
    allowed, free = cap.max_calls_count * unit, decision.count * unit
    full = paced = permitted(allowed, free, asked, scaled, rate.weights)
    borne = cap.paced(terms.pace).max_calls_count
    if borne < cap.max_calls_count:
        free = min(free, max(0, borne - tally.used) * unit)
        paced = permitted(borne * unit, free, asked, scaled, rate.weights)
    return _Look(rate, tally, decision, seen, paced, full)


def _write(
    session: Session, scope: Scope, look: _Look, asked: Counts, granted: Counts, unit: int
) -> None:
    """Keep a rate's grant, with who competed for it where somebody did."""
    calls = _calls(sum(granted.values()), unit)
    is_short = sum(look.paced.values()) < sum(asked.values())
    is_contested = len(asked) > 1 or not look.seen.keys() <= asked.keys()
    is_busy = (look.tally.used + calls) * _BUSY > look.rate.cap.max_calls_count
    shares = None
    if is_short or (is_contested and is_busy):
        shares = _shares(look, asked, granted, unit)
    decision = replace(look.decision, count=calls)
    capping.write(session, scope, look.rate.cap.id, look.tally, decision, shares)


def _shares(look: _Look, asked: Counts, granted: Counts, unit: int) -> JsonObject:
    """Return what to keep of who asked; nobody's demand needs to be known beyond the whole cap."""
    kept: JsonObject = {}
    for key, amount in asked.items():
        got = _calls(granted[key], unit)
        room = look.rate.cap.max_calls_count - look.seen.get(key, _NOBODY).asked
        wanted = max(got, min(_calls(amount, unit), room))
        if wanted > 0:
            kept[key.name] = [wanted, got]
    return kept


def _dropped(looks: Sequence[_Look], asked: Counts, granted: Counts) -> dict[Claimant, range]:
    """Return what is over a cap that does not queue, of what the queues would let through.

    What only the pace holds back waits: the cap itself has room for it.
    """
    found: dict[Claimant, range] = {}
    for key, amount in asked.items():
        through = min((each.paced[key] for each in looks if each.is_queue), default=amount)
        room = min((each.full[key] for each in looks if not each.is_queue), default=amount)
        over = range(max(granted[key], room), through)
        if over:
            found[key] = over
    return found


def _refuses(look: _Look, asked: Counts, granted: Counts) -> bool:
    return look.decision.pause_until is not None or any(
        look.paced[key] <= granted[key] < amount for key, amount in asked.items()
    )


def _wait_ms(look: _Look) -> int:
    """Return when the first of the counted grants ends: there may be room for somebody then."""
    if look.decision.retry_after_ms:
        return look.decision.retry_after_ms
    free_at = look.tally.first_end_at or look.decision.counted_until
    return max(1, -(-(free_at - look.tally.now) // _MILLISECOND))


def _calls(amount: int, unit: int) -> int:
    return -(-amount // unit)
