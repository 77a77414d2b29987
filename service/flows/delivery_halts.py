"""Kill switches on a delivery's way: what stays where it is, and what ends unsent.

Source: service/decisions/0025-after-the-send.md.
"""

from collections.abc import Sequence
from typing import Final

from service.flows.delivery_steps import Batch, Permitted, Recorded, Settled
from service.outbound import destinations
from service.outbound.actions import Action
from service.outbound.attempts import AttemptOutcome, EndedAttempt
from service.outbound.deliveries import Claimed, DeliveryState
from service.outbound.follow_up import Again, End
from service.outbound.gates import Gate
from service.outbound.halts import REASON, Halts, WaitingMode

_NOT_TRIED = AttemptOutcome.NOT_SENT
LOOK_AGAIN_S: Final = 0.5
NOTHING: Final = Batch(0, Recorded({}, 0, 0), again_in_s=LOOK_AGAIN_S)


def sift(
    live: Sequence[Claimed], action: Action, halts: Halts
) -> tuple[list[Claimed], list[Settled]]:
    """Return what may go on, and what a halt ends or sends back to its line."""
    if not halts:
        return list(live), []
    host = destinations.host_of(action.url)
    going: list[Claimed] = []
    settled: list[Settled] = []
    for each in live:
        mode = halts.of_call(each.journey_id, action.id, host)
        if mode is None:
            going.append(each)
        else:
            settled.append(dropped(each) if mode is WaitingMode.DROP else _held(each))
    return going, settled


def dropped(held: Claimed, attempt: EndedAttempt | None = None) -> Settled:
    """Return the end of a delivery that a halt does not let wait."""
    end = End(AttemptOutcome.SUPPRESSED, DeliveryState.SUPPRESSED, REASON, {})
    return Settled(held, end, None, attempt, gate=Gate.HALT)


def stopped(permitted: Permitted, mode: WaitingMode) -> Settled:
    """Return what becomes of a delivery that was halted between its permit and its call.

    One that may wait goes back as if it had never had the permit.
    """
    held = permitted.delivery
    if mode is WaitingMode.DROP:
        ended = EndedAttempt(permitted.attempt_id, AttemptOutcome.SUPPRESSED, error_code=REASON)
        return dropped(held, ended)
    return _held(held, EndedAttempt(permitted.attempt_id, _NOT_TRIED, error_code=REASON))


def _held(held: Claimed, attempt: EndedAttempt | None = None) -> Settled:
    again = Again(_NOT_TRIED, held.due_at, held.attempt, held.origin_error)
    return Settled(held, again, held.budget_until, attempt)
