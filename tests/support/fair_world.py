"""Journeys whose actions share one cap, and claimers of several processes that deliver for them."""

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from service.core.ids import new_key
from service.db.session import unit_of_work
from service.flows import deliver
from service.flows.delivery_steps import LaneMemory
from service.outbound import deliveries
from service.outbound.capping import Cap
from service.outbound.deliveries import Lane, NewDelivery
from tests.support.delivery_world import NODE_ID, PUSH, VERSION_ID, DeliveryWorld
from tests.support.fake_transport import FakeTransport

PROCESSES = 4
_START_S = 0.005
_SHORT = Cap(UUID(int=0), 1, 1)


class FairWorld:
    """Each journey has an action of its own; all call one URL."""

    def __init__(self, world: DeliveryWorld, journeys: list[UUID]) -> None:
        self.world = world
        self.lanes: dict[UUID, Lane] = {}
        for number, journey_id in enumerate(journeys):
            world.add_action(replace(PUSH, name=f"push_{number}"))
            self.lanes[journey_id] = world.lane

    def intend(self, counts: Mapping[UUID, int], *, after_s: float = 0.0) -> None:
        """Write deliveries that are due after so many seconds, without anybody to send them to."""
        now = self.world.clock.now() + timedelta(seconds=after_s)
        new = [
            NewDelivery(
                instance_id=new_key(),
                node_id=NODE_ID,
                journey_id=journey_id,
                journey_version_id=VERSION_ID,
                action_id=self.lanes[journey_id].action_id,
                identity_id=new_key(),
                parameters={},
                timeout_ms=30_000,
                expires_at=now + timedelta(days=1),
            )
            for journey_id, count in counts.items()
            for _ in range(count)
        ]
        with unit_of_work(self.world.store) as session:
            deliveries.create(session, self.world.scope, new, now=now)

    def claimer(self, number: int, *, limit: int) -> "Claimer":
        """Return what one process claims with."""
        return Claimer(self, number, limit)


class Claimer:
    """One process: it looks after every lane, in an order of its own; its calls start soon."""

    def __init__(self, fair: FairWorld, number: int, limit: int) -> None:
        self._limit = limit
        self._lanes = fair.lanes
        self._tools = fair.world.tools_of(f"worker-{number}", FakeTransport())
        self._memory = {journey_id: _settled() for journey_id in fair.lanes}
        self._again_at = dict.fromkeys(fair.lanes, 0.0)
        self._order = random.Random(number)
        self.starts: list[tuple[float, UUID]] = []

    def round(self) -> None:
        """Claim once in each lane that need not be left alone."""
        clock = self._tools.clock
        for journey_id in self._order.sample([*self._lanes], len(self._lanes)):
            if clock.monotonic() < self._again_at[journey_id]:
                continue
            memory = self._memory[journey_id]
            batch = deliver.claim_batch(
                self._tools,
                self._lanes[journey_id],
                limit=self._limit,
                memory=memory,
            )
            self._again_at[journey_id] = clock.monotonic() + batch.again_in_s
            self.starts += [(batch.asked_at, each.delivery.journey_id) for each in batch.permitted]


def _settled() -> LaneMemory:
    """Return the memory of a lane whose calls have always started soon."""
    memory = LaneMemory()
    for _ in range(60):
        memory.life.observe(_START_S)
        memory.life.next_ms(_SHORT, 2.0)
    return memory


def started_between(claimers: list[Claimer], begin: float, end: float) -> Counter[UUID]:
    """Return how many permits each journey got between two moments of the monotonic clock."""
    return Counter(
        journey_id for each in claimers for at, journey_id in each.starts if begin <= at < end
    )


def rates_since(claimers: list[Claimer], moment: float) -> dict[UUID, float]:
    """Return each journey's permits a second, from its first after a moment to its last.

    Those of the last are not counted: they are for the time after it.
    """
    moments: dict[UUID, list[float]] = {}
    for each in claimers:
        for at, journey_id in each.starts:
            if at >= moment:
                moments.setdefault(journey_id, []).append(at)
    return {
        journey_id: sum(at < max(found) for at in found) / (max(found) - min(found))
        for journey_id, found in moments.items()
    }
