"""How a lane of rows differs from a lane of calls: what it opens, claims and learns.

Gates, rendering, permits and recording are those of every delivery: each row is one. A permit is
good for one call, whatever rows it holds.

Source: service/decisions/0029-sinks.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from service.flows.delivery_steps import DeliveryTools, Settled
from service.outbound.actions import Action
from service.outbound.adapters.registry import row_limits
from service.outbound.deliveries import Lane
from service.outbound.sinks import opening
from service.outbound.transport import Lane as OpenLane
from service.outbound.transport import LaneOptions, OnStart

_SPARE_S = 5.0


@dataclass(frozen=True, slots=True)
class RowTerms:
    """How an action's deliveries are gathered; as it is, each goes alone.

    Attributes:
        per_call: How many go with one call at most.
        linger_s: How long those that are due wait for others.
        opened_for: What a lane is opened for anew when it changes.
    """

    per_call: int = 1
    linger_s: float = 0.0
    opened_for: object = None

    @property
    def idle_s(self) -> float:
        """How long a lane goes on without anything due, so that it still gathers."""
        return self.linger_s + _SPARE_S if self.linger_s else 0.0


def terms_of(action: Action) -> RowTerms:
    """Return how an action's deliveries are gathered."""
    limits = row_limits(action.spec.adapter, action.spec.settings)
    return RowTerms() if limits is None else RowTerms(limits.rows, limits.wait_s, action)


def open_lane(
    tools: DeliveryTools, lane: Lane, action: Action, options: LaneOptions, on_start: OnStart
) -> OpenLane:
    """Return an open lane for an action, of rows or of calls."""
    folder = tools.sink_folder
    return opening.open_lane(
        tools.transport,
        action.spec,
        options,
        on_start,
        folder=None if folder is None else folder / lane.scope.sandbox,
    )


def observable(terms: RowTerms, settled: Sequence[Settled]) -> Sequence[Settled]:
    """Return what says something of the destination: one of the rows that ended alike in a call.

    A call that failed is one failure, however many rows went with it.
    """
    if terms.per_call == 1:
        return settled
    seen = {each.outcome.rule_id if each.outcome else None: each for each in settled}
    return tuple(seen.values())
