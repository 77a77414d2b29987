"""What a lane makes of the answers it sees."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from service.core.ids import new_key
from service.outbound import outcomes
from service.outbound.attempts import AttemptOutcome, EndedAttempt
from service.outbound.destination_health import DestinationHealth
from service.outbound.destination_standing import Probe, Report, Standing
from service.outbound.transport import Reply, ReplyKind, Trouble
from tests.support.clocks import START, FixedClock

HEALTHY = Standing()


def see(  # noqa: PLR0913 - each is one thing a reply may say
    health: DestinationHealth,
    clock: FixedClock,
    status: int,
    *,
    count: int = 1,
    vendor: str = "fcm",
    headers: Sequence[bytes] = (),
    elapsed_ms: int = 5,
    number: int = 1,
    attempt_id: UUID | None = None,
) -> None:
    """Show so many answers of a status."""
    for _ in range(count):
        reply = Reply("k", ReplyKind.ANSWERED, status, tuple(headers))
        outcome = outcomes.classify(vendor, reply, now=clock.now())
        key = attempt_id or new_key()
        attempt = EndedAttempt(
            key, AttemptOutcome.SENT, status, outcome.rule_id, elapsed_ms=elapsed_ms
        )
        health.observe(outcome, attempt, number, now=clock.now())


def unanswered(
    health: DestinationHealth, clock: FixedClock, trouble: Trouble, kind: ReplyKind
) -> None:
    outcome = outcomes.classify("fcm", Reply("k", kind, trouble=trouble), now=clock.now())
    attempt = EndedAttempt(new_key(), AttemptOutcome.NOT_SENT, error_code=str(trouble))
    health.observe(outcome, attempt, 1, now=clock.now())


def report(health: DestinationHealth, clock: FixedClock, pace: float = 1.0) -> Report | None:
    said = health.report(Standing(pace=pace), now=clock.now())
    health.told(now=clock.now())
    return said


def test_a_quick_destination_that_answers_is_not_spoken_of(clock: FixedClock) -> None:
    health = DestinationHealth()

    see(health, clock, 200, count=200)
    see(health, clock, 400, count=30)

    assert health.report(HEALTHY, now=clock.now()) is None


@pytest.mark.parametrize(("count", "tripped"), [(4, None), (5, "fcm.403.permission_denied")])
def test_five_refusals_in_a_row_that_an_operator_must_mend_open_the_breaker(
    clock: FixedClock, count: int, tripped: str | None
) -> None:
    health = DestinationHealth()

    see(health, clock, 403, count=count)
    said = health.report(HEALTHY, now=clock.now())

    assert (said and said.tripped) == tripped
    assert health.is_holding(clock.now()) is (tripped is not None)


def test_a_success_between_refusals_keeps_it_closed(clock: FixedClock) -> None:
    health = DestinationHealth()

    for _ in range(4):
        see(health, clock, 403, count=4)
        see(health, clock, 200)

    assert health.report(HEALTHY, now=clock.now()) is None


def test_a_burst_of_429_lowers_the_pace_and_opens_only_if_it_lasts(clock: FixedClock) -> None:
    health = DestinationHealth()

    see(health, clock, 429, count=150)
    burst = report(health, clock)
    clock.advance(1)
    see(health, clock, 429)
    lasting = report(health, clock)

    assert burst == Report(is_overrun=True)
    assert lasting == Report(tripped="fcm.429.quota", is_overrun=True)


@pytest.mark.parametrize(("failed", "opens"), [(15, False), (16, True)])
def test_sixteen_failures_among_the_last_twenty_open_the_breaker(
    clock: FixedClock,
    failed: int,
    opens: bool,  # noqa: FBT001 - a row of the table
) -> None:
    health = DestinationHealth()
    see(health, clock, 200, count=20)

    see(health, clock, 500, count=failed - 3)
    for _ in range(3):
        unanswered(health, clock, Trouble.TIMEOUT, ReplyKind.UNKNOWN)

    said = health.report(HEALTHY, now=clock.now())
    assert (said is not None and said.tripped is not None) is opens


def test_a_webhook_that_fails_counts_by_its_status(clock: FixedClock) -> None:
    health = DestinationHealth()

    see(health, clock, 400, count=40, vendor="webhook")
    refused = health.report(HEALTHY, now=clock.now())
    see(health, clock, 500, count=16, vendor="webhook")
    failed = health.report(HEALTHY, now=clock.now())

    assert refused is None
    assert failed is not None
    assert failed.tripped == "webhook.5xx"


@pytest.mark.parametrize("trouble", [Trouble.PERMIT_REFUSED, Trouble.LANE_CLOSED])
def test_what_our_own_side_held_back_says_nothing(clock: FixedClock, trouble: Trouble) -> None:
    health = DestinationHealth()

    for _ in range(40):
        unanswered(health, clock, trouble, ReplyKind.NOT_SENT)

    assert health.report(HEALTHY, now=clock.now()) is None


def test_an_expired_bearer_says_nothing_until_a_fresh_one_is_refused(clock: FixedClock) -> None:
    health = DestinationHealth()

    see(health, clock, 401, count=50)
    first = health.report(HEALTHY, now=clock.now())
    see(health, clock, 401, count=5, number=2)
    second = health.report(HEALTHY, now=clock.now())

    assert first is None
    assert second is not None
    assert second.tripped == "fcm.401.unauthenticated"


def test_what_a_vendor_asks_for_in_retry_after_is_held_at_once(clock: FixedClock) -> None:
    health = DestinationHealth()

    see(health, clock, 429, headers=[b"Retry-After: 40"])
    said = health.report(HEALTHY, now=clock.now())

    assert health.is_holding(clock.now())
    assert said is not None
    assert said.not_before == START + timedelta(seconds=40)


def test_answers_that_grow_late_are_slow_and_soon_the_new_normal(clock: FixedClock) -> None:
    health = DestinationHealth()
    see(health, clock, 200, count=100, elapsed_ms=100)
    quick = report(health, clock)
    clock.advance(1)
    see(health, clock, 200, count=60, elapsed_ms=400)
    slow = report(health, clock)

    see(health, clock, 200, count=600, elapsed_ms=400)
    clock.advance(1)
    used_to_it = report(health, clock)

    assert quick == Report(latency_ms=100)
    assert slow is not None
    assert slow.is_slow
    assert slow.latency_ms is not None
    assert 350 < slow.latency_ms < 400
    assert used_to_it is not None
    assert not used_to_it.is_slow


def test_a_lane_speaks_once_a_second(clock: FixedClock) -> None:
    health = DestinationHealth()
    see(health, clock, 429)
    report(health, clock)
    see(health, clock, 429)

    clock.advance(0.9)
    early = health.report(HEALTHY, now=clock.now())
    clock.advance(0.2)

    assert early is None
    assert health.report(HEALTHY, now=clock.now()) == Report(is_overrun=True)


def test_a_lowered_pace_is_told_that_it_goes_well(clock: FixedClock) -> None:
    health = DestinationHealth()
    see(health, clock, 200)

    assert report(health, clock, pace=0.5) == Report(is_well=True)


@pytest.mark.parametrize(
    ("status", "number", "came"),
    [
        (200, 1, Probe.WORKED),
        (400, 1, Probe.WORKED),
        (500, 1, Probe.FAILED),
        (403, 1, Probe.FAILED),
        (429, 1, Probe.FAILED),
        (401, 1, Probe.NOT_MADE),
    ],
)
def test_what_came_of_a_probe_is_told_at_once(
    clock: FixedClock, status: int, number: int, came: Probe
) -> None:
    health, probing = DestinationHealth(), new_key()
    see(health, clock, 429)
    report(health, clock)
    health.begin_probe(probing)

    see(health, clock, 200)
    before = health.report(HEALTHY, now=clock.now())
    see(health, clock, status, number=number, attempt_id=probing)
    said = health.report(HEALTHY, now=clock.now())

    assert before is None
    assert said is not None
    assert said.probe is came


def test_a_probe_that_a_gate_refused_was_not_made(clock: FixedClock) -> None:
    health, probing = DestinationHealth(), new_key()
    health.begin_probe(probing)

    health.observe(None, EndedAttempt(probing, AttemptOutcome.SUPPRESSED), 1, now=clock.now())

    assert health.report(HEALTHY, now=clock.now()) == Report(probe=Probe.NOT_MADE)
