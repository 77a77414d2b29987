"""Who gets how much of what does not suffice: pure arithmetic over counts.

What is left of a cap is given out by max-min: everybody gets what they ask for up to a level that
is the same for all, weights taken into account. First attempts go before retries, which have a
fifth of the cap to themselves; transactional messages go before marketing, which keeps a twentieth.
Where everything fits, everybody gets all they ask for.

Source: service/decisions/0019-fair-share.md.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar
from uuid import UUID

_RETRIES = 5
_MARKETING = 20
_K = TypeVar("_K")


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who asks for permits: one journey's first attempts or retries, of one class."""

    journey_id: UUID
    is_marketing: bool
    is_retry: bool = False

    @property
    def name(self) -> str:
        """The claimant as grants name it."""
        kind = "m" if self.is_marketing else "t"
        return f"{kind}{'r' if self.is_retry else ''}:{self.journey_id.hex}"

    @classmethod
    def of_name(cls, name: str) -> "Claimant":
        """Return the claimant that ``name`` names."""
        kind, _, journey = name.partition(":")
        return cls(UUID(journey), kind.startswith("m"), kind.endswith("r"))


@dataclass(frozen=True, slots=True)
class Seen:
    """What a claimant asked for and got under a cap, in the period that counts."""

    asked: int = 0
    granted: int = 0


def share_out(count: int, wanted: Mapping[_K, int], weights: Mapping[_K, int]) -> dict[_K, int]:
    """Return whole shares of ``count`` by max-min and weight; nobody gets more than they want.

    Everything is given out as long as anybody wants it. Of two that are owed the same last unit
    the one that comes first in ``wanted`` gets it. A weight that is not named is 1.
    """
    given = dict.fromkeys(wanted, 0)
    asking = {key: amount for key, amount in wanted.items() if amount > 0}
    left, heavy = max(0, count), sum(weights.get(key, 1) for key in asking)
    for key in sorted(asking, key=lambda key: Fraction(asking[key], weights.get(key, 1))):
        weight = weights.get(key, 1)
        if asking[key] * heavy > left * weight:
            break
        given[key] = asking.pop(key)
        left, heavy = left - given[key], heavy - weight
    for key in asking:
        given[key] = left * weights.get(key, 1) // heavy
    if asking:
        _give_rest(left - sum(given[key] for key in asking), given, asking, weights)
    return given


def allocate(
    count: int, wanted: Mapping[Claimant, int], weights: Mapping[UUID, int]
) -> dict[Claimant, int]:
    """Return how much of ``count`` each claimant gets.

    Args:
        count: What there is.
        wanted: What each asks for.
        weights: Of journeys; 1 where one is not named.
    """
    if sum(wanted.values()) <= count:
        return dict(wanted)
    count = max(0, count)
    first = {key: amount for key, amount in wanted.items() if not key.is_retry}
    again = {key: amount for key, amount in wanted.items() if key.is_retry}
    room = max(count // _RETRIES, count - sum(first.values()))
    retries = min(sum(again.values()), room)
    return {**_by_class(count - retries, first, weights), **_by_class(retries, again, weights)}


def permitted(
    cap: int,
    free: int,
    asked: Mapping[Claimant, int],
    seen: Mapping[Claimant, Seen],
    weights: Mapping[UUID, int],
) -> dict[Claimant, int]:
    """Return how many permits each claimant gets now.

    Nobody's use in the period grows over their share of the cap, reckoned from what everybody asked
    for in it. So who comes first in a window does not take what others will ask for, and a cap that
    suffices for all refuses nobody.

    Args:
        cap: What may start in a period.
        free: What of it is left now.
        asked: What the claimants that are here ask for.
        seen: What all claimants asked for and got in the period.
        weights: Of journeys.
    """
    # Grants count for longer than their period, so what was got may be more than what was asked.
    demand = {key: max(each.asked, each.granted) for key, each in seen.items()}
    for key, amount in asked.items():
        demand[key] = demand.get(key, 0) + amount
    shares = allocate(cap, demand, weights)
    none = Seen()
    may = {
        key: min(amount, max(0, shares[key] - seen.get(key, none).granted))
        for key, amount in asked.items()
    }
    return allocate(free, may, weights)


def _by_class(
    count: int, wanted: Mapping[Claimant, int], weights: Mapping[UUID, int]
) -> dict[Claimant, int]:
    """Give to transactional messages first, but the floor of marketing."""
    urgent = {key: amount for key, amount in wanted.items() if not key.is_marketing}
    rest = {key: amount for key, amount in wanted.items() if key.is_marketing}
    floor = min(sum(rest.values()), (count + _MARKETING // 2) // _MARKETING)
    first = min(sum(urgent.values()), count - floor)
    return {**_by_journey(first, urgent, weights), **_by_journey(count - first, rest, weights)}


def _by_journey(
    count: int, wanted: Mapping[Claimant, int], weights: Mapping[UUID, int]
) -> dict[Claimant, int]:
    return share_out(count, wanted, {key: weights.get(key.journey_id, 1) for key in wanted})


def _give_rest(
    rest: int, given: dict[_K, int], asking: Mapping[_K, int], weights: Mapping[_K, int]
) -> None:
    """Give single units to who is owed most: the one whose next unit weighs least."""
    heap = [
        (Fraction(given[key] + 1, weights.get(key, 1)), turn, key)
        for turn, key in enumerate(asking)
    ]
    heapq.heapify(heap)
    for _ in range(rest):
        _, turn, key = heap[0]
        given[key] += 1
        if given[key] < asking[key]:
            next_unit = Fraction(given[key] + 1, weights.get(key, 1))
            heapq.heapreplace(heap, (next_unit, turn, key))
        else:
            heapq.heappop(heap)
