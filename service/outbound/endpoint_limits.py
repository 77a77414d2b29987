"""The limits that hold for a call, and those that hold where nobody wrote any.

Source: Journey Optimizer, guardrails: 300,000 calls a minute per host and sandbox for custom
actions (150,000 in 30 s where it answers later than 0.75 s), 15 a second for data sources.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from service.core.ids import derived_key
from service.outbound.capping import Cap
from service.outbound.connections import ConnectionLimit
from service.outbound.endpoint_capping import ACTION
from service.outbound.endpoint_documents import OnExceed

SLOW_LATENCY_MS = 750
_BUILT_IN = {ACTION: (300_000, 60_000), "dataSource": (15, 1000)}
_SLOW = (150_000, 30_000)


class RateKind(StrEnum):
    """Where a rate comes from."""

    CAPPING = "capping"
    THROTTLING = "throttling"
    BUILT_IN = "builtIn"
    SLOW_ENDPOINT = "slowEndpoint"


@dataclass(frozen=True, slots=True)
class Rate:
    """One rate that a call needs a permit under.

    Attributes:
        cap: What is allowed, headroom taken off.
        config_id: The config that sets it; ``None`` for the built-in ones.
        on_exceed: What becomes of a delivery that gets no permit.
        expire_after: How long one may wait in the queue; ``None`` where nothing waits.
        weights: Shares of journeys by their id; a journey that is not named has 1.
        kind: Where it comes from.
    """

    cap: Cap
    config_id: UUID | None
    on_exceed: OnExceed = OnExceed.DROP
    expire_after: timedelta | None = None
    weights: Mapping[UUID, int] = field(default_factory=dict)
    kind: RateKind = RateKind.CAPPING


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for the calls of one method to one URL.

    Attributes:
        rates: A call needs a permit under each; ordered by the cap's id, as caps are locked.
        connections: The limits of all configs that match; none means unlimited.
    """

    rates: tuple[Rate, ...]
    connections: tuple[ConnectionLimit, ...]


def built_in_rate(host: str, service: str = ACTION) -> Rate:
    """Return what holds for a host and service where no capping config decides."""
    about = ("built-in cap", host) if service == ACTION else ("built-in cap", service, host)
    count, period_in_ms = _BUILT_IN[service]
    return Rate(Cap(derived_key(*about), count, period_in_ms), None, kind=RateKind.BUILT_IN)


def slow_endpoint_rate(host: str) -> Rate:
    """Return what holds for the actions of a slow host besides, where the operator wants it."""
    cap = Cap(derived_key("slow endpoint cap", host), *_SLOW)
    return Rate(cap, None, kind=RateKind.SLOW_ENDPOINT)
