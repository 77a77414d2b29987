"""One lane at work: claims as slots free up, keeps calls in the air, records what came of them.

Used by one thread. A step never waits for the vendor longer than it was told to, so a lane can be
stepped in a test, or run in a loop by the worker. While the store is away it starts nothing new and
keeps what has ended until it can be recorded.

Source: service/decisions/0008-attempt-states.md; libcurl's multi interface through ``transport``.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent import futures
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from service.core.errors import StoreUnavailableError
from service.db.session import is_conflict
from service.flows import deliver, delivery_calls
from service.flows.delivery_steps import Batch, DeliveryTools, Ready, Recorded, Settled
from service.flows.lane_connections import LaneConnections
from service.outbound.attempts import AttemptOutcome, EndedAttempt
from service.outbound.connections import ConnectionLimit
from service.outbound.dead_tokens import DeadVerdicts
from service.outbound.deliveries import DeliveryState, Lane
from service.outbound.follow_up import End
from service.outbound.permit_life import PermitLife
from service.outbound.transport import Call, LaneOptions, Reply
from service.outbound.transport import Lane as OpenLane

SLOTS = 256
_RECORD_AFTER_S = 0.05
_CLAIM_AGAIN_S = 0.05
_STORE_AGAIN_S = 1.0
_LIMITS_LIFE_S = 1.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Saved:
    """What came of recording: ``left`` is to be recorded later."""

    recorded: list[Recorded]
    left: list[Settled]
    count: int


class LaneRunner:
    """Delivers what is due in one lane.

    ``on_told`` is called after each transaction that told instances something, so that whoever
    plans journeys can be woken. With a ``recorder`` outcomes are recorded in another thread while
    this one goes on. ``recorded`` counts final states.
    """

    def __init__(
        self,
        tools: DeliveryTools,
        lane: Lane,
        *,
        slots: int = SLOTS,
        on_told: Callable[[int], None] | None = None,
        recorder: Executor | None = None,
    ) -> None:
        self.lane = lane
        self.recorded: Counter[DeliveryState] = Counter()
        self._tools = tools
        self._slots = slots
        self._on_told = on_told
        self._connections = LaneConnections(tools, lane)
        self._limits: tuple[ConnectionLimit, ...] | None = None
        self._open: OpenLane | None = None
        self._open_slots = 0
        self._flying: dict[Hashable, Ready] = {}
        self._settled: list[Settled] = []
        self._settled_since = 0.0
        self._recorder = recorder
        self._saving: Future[_Saved] | None = None
        self._verdicts = DeadVerdicts()
        self._life = PermitLife()
        self._claim_at = self._store_at = self._limits_at = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether calls are in the air, or outcomes are not recorded yet."""
        return bool(self._flying or self._settled or self._saving)

    def step(self, wait_s: float = 0.0, *, may_claim: bool = True) -> int:
        """Do what can be done now, then wait up to ``wait_s`` for a reply; return how much it was.

        0 means that nothing was claimed, answered or recorded.
        """
        self._keep_connections()
        done = self._record_settled()
        if may_claim:
            done += self._claim()
        if self._open is not None:
            replies = self._open.run_once(wait_s)
            self._take(replies)
            done += len(replies)
        return done

    def run(self, should_stop: Callable[[], bool], *, idle_s: float) -> None:
        """Step until told to stop, or until nothing has been due for ``idle_s``; then close."""
        clock = self._tools.clock
        busy_at = clock.monotonic()
        while not should_stop() and clock.monotonic() - busy_at < idle_s:
            if self.step(_RECORD_AFTER_S) or self.is_busy:
                busy_at = clock.monotonic()
            else:
                clock.wait(_CLAIM_AGAIN_S)
        self.close()

    def drain(self) -> None:
        """Claim no more; return when every call has ended and is recorded."""
        while self.is_busy:
            if self._saving is not None and not self._flying:
                futures.wait([self._saving])
            if not self.step(_RECORD_AFTER_S, may_claim=False):
                self._tools.clock.wait(_RECORD_AFTER_S)

    def close(self) -> None:
        """Drain, close every connection and give back their leases."""
        self.drain()
        if self._open is not None:
            self._open.close()
            self._open = None
        self._open_slots = 0
        self._connections.release()

    def _keep_connections(self) -> None:
        """Open, resize or close connections as their leases say."""
        now = self._tools.clock.monotonic()
        if now >= self._limits_at and now >= self._store_at:
            self._limits_at = now + _LIMITS_LIFE_S
            found = self._unless_away(lambda: deliver.prepare_lane(self._tools, self.lane))
            self._limits = self._limits if found is None else found
        if self._limits is None:
            return
        allowed = self._connections.allowed(self._limits, wanted=self._slots)
        if allowed == self._open_slots:
            return
        if self._open is None:
            options = LaneOptions(slots=allowed)
            self._open = self._tools.transport.open_lane(options, self._may_start)
        elif allowed:
            self._open.resize(allowed)
        else:
            self._take(self._open.close())
            self._open = None
        self._open_slots = allowed

    def _claim(self) -> int:
        """Claim for the free slots, when enough are free or nothing else is to do."""
        now = self._tools.clock.monotonic()
        free = self._open.free_slots if self._open is not None else 0
        is_worth_it = free * 2 >= self._open_slots or now >= self._claim_at + _CLAIM_AGAIN_S
        if free <= 0 or now < max(self._claim_at, self._store_at) or not is_worth_it:
            return 0
        claim = partial(deliver.claim_batch, self._tools, self.lane, limit=free, life=self._life)
        batch = self._unless_away(claim)
        if batch is None:
            return 0
        self._claim_at = self._tools.clock.monotonic()
        if batch.claimed < free:
            self._claim_at += _CLAIM_AGAIN_S
        self._count(batch.recorded)
        self._start(batch)
        return batch.claimed

    def _start(self, batch: Batch) -> None:
        prepared = self._unless_away(lambda: delivery_calls.prepare(self._tools, self.lane, batch))
        if prepared is None:
            clock = self._tools.clock
            held_back = [
                delivery_calls.never_left(each, clock, "storeAway") for each in batch.permitted
            ]
            self._settle(held_back)
            return
        ready, settled = prepared
        self._settle(settled)
        for each in ready:
            self._submit(each)

    def _submit(self, ready: Ready) -> None:
        assert self._open is not None  # noqa: S101 - its slots were just counted
        permitted = ready.permitted
        try:
            self._open.submit(ready.call)
        except ValueError:
            facts = {"detail": "a header holds a control character"}
            step = End(AttemptOutcome.FAILED, DeliveryState.FAILED, "malformed", facts)
            attempt = EndedAttempt(
                permitted.attempt_id, AttemptOutcome.FAILED, error_code="malformed"
            )
            settled = Settled(permitted.delivery, step, permitted.budget_until, attempt)
            self._settle([settled])
        else:
            self._flying[permitted.attempt_id] = ready

    def _may_start(self, call: Call) -> bool:
        """Answer the transport: do permit and gates still hold at this moment?"""
        ready = self._flying[call.key]
        now = self._tools.clock.monotonic()
        self._life.observe(now - ready.asked_at)
        return now <= ready.startable_until

    def _take(self, replies: Sequence[Reply]) -> None:
        settled = []
        for reply in replies:
            ready = self._flying.pop(reply.key)
            try:
                settled.append(delivery_calls.interpret(self._tools, ready, reply, self._verdicts))
            except Exception as error:  # noqa: BLE001 - one odd answer must not end the lane
                settled.append(delivery_calls.uninterpretable(ready, error))
        self._settle(settled)

    def _settle(self, settled: Sequence[Settled]) -> None:
        if settled and not self._settled:
            self._settled_since = self._tools.clock.monotonic()
        self._settled += settled

    def _record_settled(self) -> int:
        """Record what has ended: in bulk while calls are in the air, at once when none is."""
        if self._saving is not None:
            return self._saved(self._saving.result()) if self._saving.done() else 0
        now = self._tools.clock.monotonic()
        is_enough = (
            not self._flying
            or len(self._settled) * 2 >= self._open_slots
            or now - self._settled_since >= _RECORD_AFTER_S
        )
        if not self._settled or not is_enough or now < self._store_at:
            return 0
        waiting, self._settled = self._settled, []
        if self._recorder is None:
            return self._saved(self._save(waiting))
        self._saving = self._recorder.submit(self._save, waiting)
        return 0

    def _saved(self, saved: "_Saved") -> int:
        self._saving = None
        self._settled = saved.left + self._settled
        for recorded in saved.recorded:
            self._count(recorded)
        return saved.count

    def _save(self, waiting: list[Settled]) -> "_Saved":
        """Record in bulk; changes nothing here but the time to leave the store alone until."""
        try:
            recorded = self._unless_away(lambda: deliver.record(self._tools, self.lane, waiting))
        except DBAPIError:
            return self._save_apart(waiting)
        return _Saved([], waiting, 0) if recorded is None else _Saved([recorded], [], len(waiting))

    def _save_apart(self, waiting: Sequence[Settled]) -> "_Saved":
        """Record one by one, since the store refuses something of one; that one is kept bare."""
        saved = _Saved([], [], 0)
        for each in waiting:
            alone = [each]
            try:
                recorded = self._unless_away(partial(deliver.record, self._tools, self.lane, alone))
            except DBAPIError:
                bare = [each.without_details()]
                recorded = self._unless_away(partial(deliver.record, self._tools, self.lane, bare))
            if recorded is None:
                saved.left.append(each)
            else:
                saved.recorded.append(recorded)
        return replace(saved, count=len(saved.recorded))

    def _count(self, recorded: Recorded) -> None:
        self.recorded.update(recorded.ended)
        if self._on_told is not None and recorded.told:
            self._on_told(recorded.told)

    def _unless_away(self, work: Callable[[], _T]) -> _T | None:
        """Return what the work returns, ``None`` when the store has to be left alone for now."""
        try:
            return work()
        except StoreUnavailableError:
            self._store_at = self._tools.clock.monotonic() + _STORE_AGAIN_S
        except DBAPIError as error:
            if not is_conflict(error):
                raise
        return None
