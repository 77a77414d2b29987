"""One lane at work: claims as slots free up, keeps calls in the air, records what came of them.

Used by one thread. A step never waits for the vendor longer than it was told to, so a lane can be
stepped in a test, or run in a loop by the worker. While the store is away it starts nothing new and
keeps what has ended until it can be recorded.

Source: service/decisions/0008-attempt-states.md; libcurl's multi interface through ``transport``.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

from service.flows import deliver, delivery_calls, delivery_door, sink_lane
from service.flows.delivery_steps import (
    Batch,
    DeliveryTools,
    LaneMemory,
    LaneTerms,
    Ready,
    Recorded,
    Settled,
)
from service.flows.lane_connections import LaneConnections
from service.flows.lane_records import RECORD_AFTER_S, LaneRecords, StorePauses
from service.flows.sink_lane import RowTerms
from service.outbound import destinations, transport_options
from service.outbound.attempts import AttemptOutcome, EndedAttempt
from service.outbound.dead_tokens import DeadVerdicts
from service.outbound.deliveries import DeliveryState, Lane
from service.outbound.destination_health import DestinationHealth
from service.outbound.follow_up import End
from service.outbound.transport import Call, LaneOptions, Reply
from service.outbound.transport import Lane as OpenLane

SLOTS = 256
_CLAIM_AGAIN_S = 0.05
_LIMITS_LIFE_S = 1.0


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
        self._slots = self._wanted = slots
        self._idle_s = 0.0
        self._on_told = on_told
        self._connections = LaneConnections(tools, lane)
        self._terms: LaneTerms | None = None
        self._options = LaneOptions(slots=0)
        self._rows = RowTerms()
        self._open: OpenLane | None = None
        self._open_slots = 0
        self._flying: dict[Hashable, Ready] = {}
        self._store = StorePauses(tools.clock)
        self._records = LaneRecords(tools, lane, self._store, recorder)
        self._verdicts = DeadVerdicts()
        self._health = DestinationHealth()
        self._memory = LaneMemory()
        self._claim_at = self._limits_at = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether calls are in the air, or outcomes are not recorded yet."""
        return bool(self._flying) or self._records.is_busy

    def step(self, wait_s: float = 0.0, *, may_claim: bool = True) -> int:
        """Do what can be done now, then wait up to ``wait_s`` for a reply; return how much it was.

        0 means that nothing was claimed, answered or recorded.
        """
        self._keep_connections()
        done = self._record_settled()
        self._tell()
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
        while not should_stop() and clock.monotonic() - busy_at < max(idle_s, self._idle_s):
            if self.step(RECORD_AFTER_S) or self.is_busy:
                busy_at = clock.monotonic()
            else:
                clock.wait(_CLAIM_AGAIN_S)
        self.close()

    def drain(self) -> None:
        """Claim no more; return when every call has ended and is recorded."""
        while self.is_busy:
            if not self._flying:
                self._records.wait()
            if not self.step(RECORD_AFTER_S, may_claim=False):
                self._tools.clock.wait(RECORD_AFTER_S)

    def close(self) -> None:
        """Drain, close every connection and give back their leases."""
        self.drain()
        self._tell()
        if self._open is not None:
            self._open.close()
            self._open = None
        self._open_slots = 0
        self._connections.release()

    @property
    def _capacity(self) -> int:
        """How many calls may be in the air at once."""
        return min(self._slots, self._open_slots * self._options.streams)

    def _keep_connections(self) -> None:
        """Open, resize or close connections as their leases say."""
        now = self._tools.clock.monotonic()
        if now >= self._limits_at and not self._store.is_away:
            self._limits_at = now + _LIMITS_LIFE_S
            found = self._store.unless_away(lambda: deliver.prepare_lane(self._tools, self.lane))
            if found is not None:
                self._accept(found)
        if self._terms is None:
            return
        allowed = self._connections.allowed(self._terms.connections, wanted=self._wanted)
        if allowed == self._open_slots:
            return
        if self._open is None:
            options = replace(self._options, slots=allowed)
            self._open = self._opened(options)
        elif allowed:
            self._open.resize(allowed)
        else:
            self._hang_up()
        self._open_slots = allowed

    def _accept(self, terms: LaneTerms) -> None:
        """Go by what the action says now; what connects another way begins with new connections."""
        action, self._terms = terms.action, terms
        if action is None:
            self._wanted, self._options = self._slots, LaneOptions(slots=0)
            return
        rows = sink_lane.terms_of(action)
        self._wanted = transport_options.connections_for(action.spec, self._slots)
        self._idle_s = max(rows.idle_s, transport_options.idle_s(action.spec))
        options = transport_options.lane_options(action.spec, 0)
        is_same = options == self._options and rows.opened_for is self._rows.opened_for
        if not is_same and self._open is not None:
            self._hang_up()
        self._options, self._rows = options, rows

    def _opened(self, options: LaneOptions) -> OpenLane:
        action = self._terms.action if self._terms is not None else None
        if action is None:
            return self._tools.transport.open_lane(options, self._may_start)
        return sink_lane.open_lane(self._tools, self.lane, action, options, self._may_start)

    def _hang_up(self) -> None:
        if self._open is not None:
            self._take(self._open.close())
        self._open, self._open_slots = None, 0

    def _tell(self) -> None:
        """Let the other processes know how the destination fares, when there is news."""
        terms = self._terms
        if terms is None or self._store.is_away:
            return
        tell = partial(delivery_door.tell, self._tools, self.lane, terms, self._health)
        self._store.unless_away(tell)

    def _claim(self) -> int:
        """Claim for the free slots, when enough are free or nothing else is to do."""
        now = self._tools.clock.monotonic()
        free = self._open.free_slots if self._open is not None else 0
        enough = min(self._capacity, free + len(self._flying))
        is_worth_it = free * 2 >= enough or now >= self._claim_at + _CLAIM_AGAIN_S
        if free <= 0 or now < self._claim_at or self._store.is_away or not is_worth_it:
            return 0
        if self._health.is_holding(self._tools.clock.now()):
            return 0
        claim = partial(
            deliver.claim_batch,
            self._tools,
            self.lane,
            limit=free,
            memory=self._memory,
            per_call=self._rows.per_call,
        )
        batch = self._store.unless_away(claim)
        if batch is None:
            return 0
        self._claim_at = self._tools.clock.monotonic()
        if batch.claimed < free:
            self._claim_at += max(_CLAIM_AGAIN_S, batch.again_in_s, self._rows.linger_s)
        if batch.is_probe:
            self._health.begin_probe(batch.permitted[0].attempt_id)
        self._count(batch.recorded)
        self._start(batch)
        return batch.claimed

    def _start(self, batch: Batch) -> None:
        prepared = self._store.unless_away(
            lambda: delivery_calls.prepare(self._tools, self.lane, batch)
        )
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
        self._memory.life.observe(now - ready.asked_at)
        return now <= ready.startable_until and not self._is_halted(ready)

    def _is_halted(self, ready: Ready) -> bool:
        halts, action = self._tools.halts.last(self.lane.scope), ready.action
        if not halts:
            return False
        journey_id, host = ready.permitted.delivery.journey_id, destinations.host_of(ready.call.url)
        return halts.of_call(journey_id, action.id, host) is not None

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
        self._records.add(settled)
        now = self._tools.clock.now()
        for each in sink_lane.observable(self._rows, settled):
            self._health.observe(each.outcome, each.attempt, each.delivery.attempt, now=now)

    def _record_settled(self) -> int:
        saved = self._records.save(flying=len(self._flying), capacity=self._capacity)
        for recorded in saved.recorded:
            self._count(recorded)
        return saved.count

    def _count(self, recorded: Recorded) -> None:
        self.recorded.update(recorded.ended)
        if self._on_told is not None and recorded.told:
            self._on_told(recorded.told)
