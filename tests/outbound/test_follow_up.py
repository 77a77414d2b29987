"""What follows a call: never beyond budget, expiry or the number of retries."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.outbound.atlas_rules import RetryKind
from service.outbound.attempts import AttemptOutcome
from service.outbound.deliveries import DeliveryState
from service.outbound.follow_up import Again, End, OnUnknown, Policy, Tried, follow_up, wait_s
from service.outbound.outcomes import Outcome, classify
from service.outbound.transport import Reply, ReplyKind, Trouble
from tests.support.clocks import START

POLICY = Policy(max_retries=3, on_unknown=OnUnknown.RECORD)
TRIED = Tried(1, START + timedelta(seconds=30), START + timedelta(hours=1))
STATUSES = st.sampled_from([200, 201, 302, 400, 401, 403, 404, 410, 429, 500, 502, 503])
REPLIES = st.one_of(
    st.builds(Reply, st.just("k"), st.just(ReplyKind.ANSWERED), STATUSES),
    st.builds(
        lambda kind, trouble: Reply("k", kind, trouble=trouble),
        st.sampled_from([ReplyKind.NOT_SENT, ReplyKind.UNKNOWN]),
        st.sampled_from(Trouble),
    ),
)


def answer(status: int, **changes: Any) -> Reply:
    return replace(Reply("k", ReplyKind.ANSWERED, status), **changes)


def outcome_of(reply: Reply, vendor: str = "webhook") -> Outcome:
    return classify(vendor, reply, now=START)


def after(reply: Reply, tried: Tried = TRIED, policy: Policy = POLICY) -> End | Again:
    return follow_up(outcome_of(reply), reply, tried, policy, now=START, chance=0.5)


@given(
    reply=REPLIES,
    vendor=st.sampled_from(["webhook", "fcm", "push"]),
    number=st.integers(1, 6),
    budget_s=st.floats(-1, 60),
    expires_s=st.floats(-1, 60),
    retries=st.integers(0, 3),
    on_unknown=st.sampled_from(OnUnknown),
    chance=st.floats(0, 1),
)
def test_an_attempt_follows_only_inside_every_limit(
    *,
    reply: Reply,
    vendor: str,
    number: int,
    budget_s: float,
    expires_s: float,
    retries: int,
    on_unknown: OnUnknown,
    chance: float,
) -> None:
    tried = Tried(number, START + timedelta(seconds=budget_s), START + timedelta(seconds=expires_s))
    policy = Policy(retries, on_unknown)

    step = follow_up(outcome_of(reply, vendor), reply, tried, policy, now=START, chance=chance)

    if isinstance(step, End):
        assert step.state is not DeliveryState.WAITING
        return
    assert START <= step.due_at < tried.budget_until
    assert step.next_number in {number, number + 1}
    ours = {Trouble.PERMIT_REFUSED, Trouble.LANE_CLOSED, Trouble.CALL_FULL}
    is_ours = reply.trouble in ours
    assert step.next_number <= retries + 1 or (is_ours and reply.kind is ReplyKind.NOT_SENT)
    if reply.kind is ReplyKind.UNKNOWN:
        assert on_unknown is OnUnknown.RETRY


@given(number=st.integers(1, 8), chance=st.floats(0, 1), status=st.sampled_from([500, 503, 429]))
def test_waits_do_not_shrink_from_attempt_to_attempt(
    number: int, chance: float, status: int
) -> None:
    outcome = replace(outcome_of(answer(status)), retry_after_s=None)

    assert wait_s(outcome, number, chance) <= wait_s(outcome, number + 1, chance)
    assert wait_s(outcome, number, chance) <= max(outcome.backoff_cap_s, 1.2)


@given(chance=st.floats(0, 1), asked=st.floats(0, 3600))
def test_a_wait_the_vendor_asked_for_is_never_shortened(chance: float, asked: float) -> None:
    outcome = replace(outcome_of(answer(503)), retry_after_s=asked)

    assert asked <= wait_s(outcome, 1, chance) <= asked * 1.2


def test_a_success_ends_as_sent() -> None:
    step = after(answer(200))

    assert isinstance(step, End)
    assert (step.attempt, step.state) == (AttemptOutcome.SENT, DeliveryState.SENT)


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_journey_optimizer_never_repeats_is_final(status: int) -> None:
    step = after(answer(status))

    assert isinstance(step, End)
    assert (step.state, step.facts["statusCode"]) == (DeliveryState.FAILED, status)


def test_the_last_allowed_attempt_keeps_the_vendors_code() -> None:
    step = after(answer(500), replace(TRIED, number=4))

    assert isinstance(step, End)
    assert (step.state, step.is_timeout) == (DeliveryState.FAILED, False)


def test_a_wait_beyond_the_budget_is_a_timeout_with_its_origin() -> None:
    step = after(answer(503, headers=(b"Retry-After: 40",)))

    assert isinstance(step, End)
    assert step.is_timeout
    assert step.facts["originError"] == {"error": "http", "code": "503", "rule": "webhook.503"}


def test_a_refused_bearer_is_tried_once_more_at_once() -> None:
    reply = answer(401)
    outcome = outcome_of(reply, "fcm")

    first = follow_up(outcome, reply, TRIED, POLICY, now=START, chance=0.5)
    refused_before = replace(TRIED, number=2, origin_error={"rule": outcome.rule_id})
    second = follow_up(outcome, reply, refused_before, POLICY, now=START, chance=0.5)

    assert outcome.retry_kind is RetryKind.REAUTH1
    assert isinstance(first, Again)
    assert first.due_at == START
    assert isinstance(second, End)


def test_a_call_our_side_held_back_was_no_attempt() -> None:
    reply = Reply("k", ReplyKind.NOT_SENT, trouble=Trouble.PERMIT_REFUSED)

    step = after(reply, replace(TRIED, number=4))

    assert isinstance(step, Again)
    assert (step.attempt, step.next_number) == (AttemptOutcome.NOT_SENT, 4)


def test_an_unanswered_call_tells_the_journey_of_a_timeout() -> None:
    step = after(Reply("k", ReplyKind.UNKNOWN, trouble=Trouble.TIMEOUT))

    assert isinstance(step, End)
    assert (step.state, step.is_timeout) == (DeliveryState.UNKNOWN, True)


def test_the_origin_error_is_kept_to_the_end() -> None:
    origin = {"error": "http", "code": "500", "rule": "webhook.5xx"}

    step = after(answer(404), replace(TRIED, number=2, origin_error=origin))

    assert isinstance(step, End)
    assert step.facts["originError"] == origin
