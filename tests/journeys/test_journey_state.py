from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import json
from service.journeys.definitions import Reentrance
from service.journeys.reentrance import EntryRefusal, refusal_of
from service.journeys.state import (
    Arrival,
    Ending,
    EndReason,
    InstanceState,
    StateVersionError,
    WaitingFor,
    state_from_json,
    state_to_json,
)
from service.journeys.stimuli import (
    DeliveryEnded,
    DeliveryOutcome,
    Entered,
    EventArrived,
    Interacted,
    LifeEnded,
    ProfileErased,
    Stimulus,
    Stopped,
    TimerFired,
    UnknownStimulusError,
    stimulus_from_row,
    stimulus_to_row,
)
from tests.journeys.worlds import INTERACTIONS, START

MOMENTS = st.integers(0, 10**9).map(lambda seconds: START + timedelta(microseconds=seconds))
CONTEXTS = st.dictionaries(st.text(), st.integers(-(2**53), 2**53) | st.text() | st.none())
STATES = st.builds(
    InstanceState,
    waiting_for=st.sampled_from(WaitingFor),
    sequence=st.integers(0, 200),
    node_id=st.none() | st.text(),
    arrived_by=st.none() | st.builds(Arrival, st.text(), st.integers(0, 9)),
    entered_at=st.none() | MOMENTS,
    rests_since=st.none() | MOMENTS,
    due_at=st.none() | MOMENTS,
    context=CONTEXTS,
    ended=st.none() | st.builds(Ending, st.sampled_from(EndReason), st.text()),
)
STIMULI: st.SearchStrategy[Stimulus] = st.one_of(
    st.builds(Entered, at=MOMENTS, event=st.none() | CONTEXTS, is_reentrance=st.booleans()),
    st.builds(TimerFired, st.integers(0, 200)),
    st.builds(DeliveryEnded, st.text(), st.sampled_from(DeliveryOutcome), response=CONTEXTS),
    st.builds(Interacted, st.text(), INTERACTIONS),
    st.builds(EventArrived, st.text(), CONTEXTS),
    st.sampled_from([Stopped(), ProfileErased(), LifeEnded()]),
)


@given(STATES)
def test_a_state_comes_back_from_the_store_as_it_was(state: InstanceState) -> None:
    stored = json.decode(json.encode(state_to_json(state)))

    assert state_from_json(stored) == state


@given(STIMULI)
def test_a_stimulus_comes_back_from_its_row_as_it_was(stimulus: Stimulus) -> None:
    kind, payload = stimulus_to_row(stimulus)

    assert stimulus_from_row(kind, json.decode(json.encode(payload))) == stimulus


@pytest.mark.parametrize(
    "stored",
    [{}, {"v": 2}, {"v": 1, "waiting_for": "luck"}, {"v": 1, "sequence": "three"}],
)
def test_a_state_of_another_version_is_refused(stored: dict[str, object]) -> None:
    with pytest.raises(StateVersionError):
        state_from_json(stored)


@pytest.mark.parametrize(("kind", "payload"), [("hoped", {}), ("timerFired", {})])
def test_a_stimulus_nobody_knows_is_refused(kind: str, payload: dict[str, object]) -> None:
    with pytest.raises(UnknownStimulusError):
        stimulus_from_row(kind, payload)


def test_a_fresh_state_is_small() -> None:
    assert len(json.encode(state_to_json(InstanceState()))) < 200


WAIT = Reentrance(wait=timedelta(minutes=5))
NEVER = Reentrance(is_allowed=False)


@pytest.mark.parametrize(
    ("rule", "since_end", "expected"),
    [
        (WAIT, timedelta(minutes=5, microseconds=-1), EntryRefusal.REENTRANCE_WAIT),
        (WAIT, timedelta(minutes=5), None),
        (NEVER, timedelta(days=90, microseconds=-1), EntryRefusal.REENTRANCE_NOT_ALLOWED),
        (NEVER, timedelta(days=90), None),
    ],
)
def test_who_has_left_comes_again_when_the_rule_allows(
    rule: Reentrance,
    since_end: timedelta,
    expected: EntryRefusal | None,
) -> None:
    left = START + timedelta(days=1)

    refusal = refusal_of(
        rule,
        is_inside=False,
        last_entered_at=START,
        last_ended_at=left,
        now=left + since_end,
    )

    assert refusal is expected


@pytest.mark.parametrize("rule", [WAIT, NEVER])
def test_a_newcomer_may_enter_and_who_is_inside_may_not(rule: Reentrance) -> None:
    def ask(*, is_inside: bool) -> EntryRefusal | None:
        return refusal_of(
            rule, is_inside=is_inside, last_entered_at=None, last_ended_at=None, now=START
        )

    assert ask(is_inside=False) is None
    assert ask(is_inside=True) is EntryRefusal.ALREADY_INSIDE
