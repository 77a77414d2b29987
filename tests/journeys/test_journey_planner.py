from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import json
from service.journeys.conditions import NO_FACTS, Facts, FactsWanted
from service.journeys.definitions import JourneyDefinition, Reaction
from service.journeys.document import parse
from service.journeys.planner import plan
from service.journeys.plans import Dispatch, EndInstance, Ignored, Plan, SetTimer
from service.journeys.state import (
    EndReason,
    InstanceState,
    WaitingFor,
    state_from_json,
    state_to_json,
)
from service.journeys.step_events import Step, StepKind, StepStatus
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
)
from service.outbound.interactions import Interaction, InteractionKind
from tests.journeys.worlds import (
    INTERACTIONS,
    RESULTS,
    START,
    definitions,
    facts_for,
    node_of,
    welcome,
)

GOLD = Facts({'tier = "gold"': True}, {"person.name.firstName": "Ada"})
OTHER = Facts({'tier = "gold"': False}, {"person.name.firstName": "Ada"})
ENTERED = Entered(at=START, segment={"id": "seg-1", "status": "realized"})
ERRORS = [
    DeliveryOutcome.FAILED,
    DeliveryOutcome.CAPPED,
    DeliveryOutcome.EXPIRED,
    DeliveryOutcome.UNKNOWN,
    DeliveryOutcome.TIMED_OUT,
]


def entered(facts: Facts = GOLD) -> InstanceState:
    return plan(parse(welcome()), InstanceState(), ENTERED, facts, START, 1).state


def told(state: InstanceState, stimulus: Stimulus, *, after: timedelta = timedelta()) -> Plan:
    return plan(parse(welcome()), state, stimulus, GOLD, START + after, 1)


def test_a_gold_person_is_called_in_the_plan_of_the_entrance() -> None:
    planned = plan(parse(welcome()), InstanceState(), ENTERED, GOLD, START, 1)

    assert [step.node_id for step in planned.steps] == ["start", "tier", "call"]
    assert planned.intents == (
        Dispatch(
            node_id="call",
            action_id="act-1",
            parameters={"who": {"first": "Ada", "kind": "VIP"}, "segment": "seg-1"},
            timeout_s=20,
            sequence=3,
        ),
    )
    assert planned.state.waiting_for is WaitingFor.DELIVERY


def test_another_person_rests_first_and_is_called_when_the_timer_fires() -> None:
    resting = plan(parse(welcome()), InstanceState(), ENTERED, OTHER, START, 1)
    after = timedelta(days=3)
    called = told(resting.state, TimerFired(resting.state.sequence), after=after)

    assert resting.intents == (SetTimer(START + after, 3),)
    assert [type(intent) for intent in called.intents] == [Dispatch]
    assert called.steps[0].processing_ms == 3 * 86_400_000


def test_without_facts_everything_up_to_the_next_rest_is_asked_for_at_once() -> None:
    planned = plan(parse(welcome()), InstanceState(), ENTERED, NO_FACTS, START, 1)

    wanted = FactsWanted(('tier = "gold"',), ("person.name.firstName",))
    assert planned == Plan(InstanceState(), facts_wanted=wanted)


def test_only_what_is_missing_is_asked_for() -> None:
    known = Facts({'tier = "gold"': True})

    planned = plan(parse(welcome()), InstanceState(), ENTERED, known, START, 1)

    assert planned.facts_wanted == FactsWanted((), ("person.name.firstName",))


@pytest.mark.parametrize("outcome", [DeliveryOutcome.SENT, DeliveryOutcome.SUPPRESSED])
def test_sent_and_suppressed_go_on_along_the_normal_path(outcome: DeliveryOutcome) -> None:
    planned = told(entered(), DeliveryEnded("call", outcome))

    assert [step.node_id for step in planned.steps] == ["call", "done"]
    assert planned.state.ended is not None
    assert planned.state.ended.reason is EndReason.FINISHED


@pytest.mark.parametrize("outcome", ERRORS)
def test_every_error_takes_the_error_path(outcome: DeliveryOutcome) -> None:
    planned = told(entered(), DeliveryEnded("call", outcome, code="503"))

    assert [step.node_id for step in planned.steps] == ["call", "log"]
    assert planned.steps[1].parent is not None
    assert planned.steps[1].parent.transition_id == "on-error"


@pytest.mark.parametrize("outcome", ERRORS)
def test_an_error_without_a_path_fails_the_instance(outcome: DeliveryOutcome) -> None:
    logging = told(entered(), DeliveryEnded("call", DeliveryOutcome.CAPPED)).state

    planned = told(logging, DeliveryEnded("log", outcome))

    assert planned.state.ended is not None
    assert (planned.state.ended.reason, planned.state.ended.detail) == ("failed", outcome)
    timed_out = outcome is DeliveryOutcome.TIMED_OUT
    assert planned.steps[-1].status is (StepStatus.TIMED_OUT if timed_out else StepStatus.ERROR)


def test_the_outcome_can_be_read_further_on() -> None:
    ended = DeliveryEnded("call", DeliveryOutcome.FAILED, code="410", response={"why": "gone"})

    context = told(entered(), ended).state.context

    assert context["lastAction"]["jo_status_code"] == "http_410"
    assert context["lastAction"]["response"] == {"why": "gone"}
    assert context["lastError"] == {
        "nodeId": "call",
        "nodeName": "Call",
        "nodeType": "action",
        "error": "http",
        "code": "410",
    }


def test_what_is_mapped_of_an_answer_stays_under_its_node() -> None:
    failed = DeliveryEnded(
        "call", DeliveryOutcome.FAILED, code="409", mapped={"errorResponse": {"why": "known"}}
    )
    logged = DeliveryEnded("log", DeliveryOutcome.CAPPED)

    first = told(entered(), failed)
    second = told(first.state, logged)

    assert first.state.context["lastAction"]["errorResponse"] == {"why": "known"}
    assert second.state.context["action"] == {
        "call": {"jo_status_code": "http_409", "errorResponse": {"why": "known"}},
        "log": {"jo_status_code": "capped"},
    }


@pytest.mark.parametrize(
    ("outcome", "code", "expected"),
    [
        (DeliveryOutcome.SENT, "202", "http_202"),
        (DeliveryOutcome.SENT, None, "http_200"),
        (DeliveryOutcome.SUPPRESSED, "consent", None),
        (DeliveryOutcome.CAPPED, None, "capped"),
        (DeliveryOutcome.TIMED_OUT, None, "timedout"),
        (DeliveryOutcome.UNKNOWN, None, "internalError"),
        (DeliveryOutcome.EXPIRED, None, "internalError"),
        (DeliveryOutcome.FAILED, "guardRefused", "internalError"),
    ],
)
def test_jo_status_code_is_adobes_word(
    outcome: DeliveryOutcome,
    code: str | None,
    expected: str | None,
) -> None:
    context = told(entered(), DeliveryEnded("call", outcome, code=code)).state.context

    assert context["lastAction"]["jo_status_code"] == expected


def test_a_person_whom_no_path_fits_leaves() -> None:
    document = welcome()
    node_of(document, "tier")["transitions"].pop()

    planned = plan(parse(document), InstanceState(), ENTERED, OTHER, START, 1)

    assert planned.state.ended is not None
    assert (planned.state.ended.reason, planned.state.ended.detail) == ("exited", "noPathMatched")


def test_the_first_of_two_true_paths_wins() -> None:
    document = welcome()
    ways = node_of(document, "tier")["transitions"]
    ways.insert(0, {"expression": "isVip", "targetNodeId": "rest"})
    both = Facts({"isVip": True, 'tier = "gold"': True})

    planned = plan(parse(document), InstanceState(), ENTERED, both, START, 1)

    assert planned.state.node_id == "rest"


@pytest.mark.parametrize(
    ("stimulus", "why"),
    [
        (ENTERED, Ignored.ALREADY_ENTERED),
        (TimerFired(3), Ignored.NOT_WAITING_FOR_TIMER),
        (DeliveryEnded("log", DeliveryOutcome.SENT), Ignored.DELIVERY_OF_OTHER_NODE),
        (
            Interacted("call", Interaction(InteractionKind.RECEIVED)),
            Ignored.NOT_WAITING_FOR_REACTION,
        ),
        (EventArrived("order", {}), Ignored.NO_NODE_WAITS_FOR_EVENTS),
        (LifeEnded(), Ignored.TOO_EARLY),
    ],
)
def test_what_does_not_fit_is_ignored_with_its_reason(stimulus: Stimulus, why: Ignored) -> None:
    calling = entered()

    planned = told(calling, stimulus)

    assert planned == Plan(calling, ignored=why)


def test_a_second_outcome_of_the_same_node_is_ignored() -> None:
    ended = DeliveryEnded("call", DeliveryOutcome.CAPPED)
    logging = told(entered(), ended).state

    assert told(logging, ended).ignored is Ignored.DELIVERY_OF_OTHER_NODE


def test_a_timer_of_an_earlier_step_is_ignored() -> None:
    resting = entered(OTHER)

    planned = told(resting, TimerFired(resting.sequence - 1), after=timedelta(days=4))

    assert planned == Plan(resting, ignored=Ignored.TIMER_OF_OTHER_STEP)


def test_a_timer_that_fires_early_is_set_again() -> None:
    resting = entered(OTHER)
    again = SetTimer(START + timedelta(days=3), resting.sequence)

    early = told(resting, TimerFired(resting.sequence), after=timedelta(days=3, microseconds=-1))

    assert early == Plan(resting, intents=(again,), ignored=Ignored.TOO_EARLY)


def test_stopping_names_the_delivery_that_is_still_under_way() -> None:
    planned = told(entered(), Stopped())

    (end,) = planned.intents
    assert isinstance(end, EndInstance)
    assert (end.ending.reason, end.open_delivery_node_id) == ("stopped", "call")
    assert not planned.steps[-1].is_node_processed


def test_who_is_stopped_before_being_planned_is_recorded_as_entered_first() -> None:
    planned = told(InstanceState(), Stopped())

    assert [step.ledger_kind for step in planned.steps] == ["entrance", "end:stopped"]


def test_erasing_forgets_what_the_run_carried() -> None:
    planned = told(entered(), ProfileErased())

    assert planned.state.context == {}
    assert planned.state.ended is not None
    assert (planned.state.ended.reason, planned.state.ended.detail) == ("stopped", "profileErased")


def test_a_wait_that_would_outlive_the_instance_is_not_begun() -> None:
    document = welcome()
    node_of(document, "rest")["delay"] = "P90D"
    late = START + timedelta(days=1, microseconds=1)

    in_time = plan(parse(document), InstanceState(), ENTERED, OTHER, START + timedelta(days=1), 1)
    too_late = plan(parse(document), InstanceState(), ENTERED, OTHER, late, 1)

    assert in_time.state.waiting_for is WaitingFor.TIMER
    assert too_late.state.ended is not None
    assert too_late.state.ended.detail == "instanceTimedout"
    assert too_late.steps[-1].status is StepStatus.TIMED_OUT


def test_nobody_is_called_after_91_days() -> None:
    resting = entered(OTHER)
    fired = TimerFired(resting.sequence)

    in_time = told(resting, fired, after=timedelta(days=91, microseconds=-1))
    too_late = told(resting, fired, after=timedelta(days=91))

    assert in_time.state.waiting_for is WaitingFor.DELIVERY
    assert [type(intent) for intent in too_late.intents] == [EndInstance]


def test_a_delivery_that_never_ends_is_ended_by_the_life_of_the_instance() -> None:
    planned = told(entered(), LifeEnded(), after=timedelta(days=91))

    assert planned.state.ended is not None
    assert (planned.state.ended.reason, planned.state.ended.detail) == (
        "failed",
        "instanceTimedout",
    )


def test_percentages_hold_over_many_people_and_never_change_for_one() -> None:
    document = welcome()
    node_of(document, "tier")["transitions"] = [
        {"conditionType": "percentage", "percent": 30, "targetNodeId": "call"},
        {"conditionType": "otherwise", "targetNodeId": "rest"},
    ]
    definition = parse(document)

    def where(seed: int) -> str | None:
        return plan(definition, InstanceState(), ENTERED, GOLD, START, seed).state.node_id

    called = sum(where(seed) == "call" for seed in range(2000))
    assert 520 <= called <= 680
    assert all(where(seed) == where(seed) for seed in range(20))


def test_a_path_of_a_hundred_percent_takes_everybody() -> None:
    document = welcome()
    lot = {"conditionType": "percentage", "percent": 100, "targetNodeId": "rest"}
    node_of(document, "tier")["transitions"] = [lot]
    definition = parse(document)

    plans = [plan(definition, InstanceState(), ENTERED, GOLD, START, seed) for seed in range(1000)]

    assert {planned.state.node_id for planned in plans} == {"rest"}


def test_what_comes_after_a_true_path_need_not_be_known() -> None:
    document = welcome()
    node_of(document, "tier")["transitions"].insert(
        1,
        {"expression": "isVip", "targetNodeId": "rest"},
    )

    planned = plan(parse(document), InstanceState(), ENTERED, GOLD, START, 1)

    assert planned.state.node_id == "call"


# Any stimuli, in any order, again and again.

Teller = Callable[[InstanceState, Stimulus | None], tuple[Stimulus, timedelta]]


def _right(outcome: DeliveryOutcome) -> Teller:
    """Tell the instance just what it waits for."""

    def tell(state: InstanceState, _last: Stimulus | None) -> tuple[Stimulus, timedelta]:
        if state.waiting_for in {WaitingFor.TIMER, WaitingFor.REACTION}:
            return TimerFired(state.sequence), timedelta(days=10)
        if state.waiting_for is WaitingFor.DELIVERY and state.node_id:
            return DeliveryEnded(state.node_id, outcome), timedelta(seconds=1)
        return Entered(at=START, event={"n": 1}), timedelta()

    return tell


def _react(interaction: Interaction) -> Teller:
    """Do something with the message of the action at hand, or the one a reaction waits for."""

    def tell(state: InstanceState, _last: Stimulus | None) -> tuple[Stimulus, timedelta]:
        here = (state.node_id or "n1").removesuffix("r")
        return Interacted(here, interaction), timedelta(seconds=1)

    return tell


def _this(stimulus: Stimulus, days: int) -> Teller:
    return lambda _state, _last: (stimulus, timedelta(days=days))


def _again(_state: InstanceState, last: Stimulus | None) -> tuple[Stimulus, timedelta]:
    return last or Entered(at=START), timedelta()


OUTCOMES = st.sampled_from(DeliveryOutcome)
NODE_IDS = st.builds("n{}".format, st.integers(0, 8))
WRONG: st.SearchStrategy[Stimulus] = st.one_of(
    st.builds(Entered, at=st.just(START)),
    st.builds(TimerFired, st.integers(0, 16)),
    st.builds(DeliveryEnded, NODE_IDS, OUTCOMES),
    st.builds(Interacted, NODE_IDS, INTERACTIONS),
    st.builds(EventArrived, st.just("order"), st.just({})),
    st.just(LifeEnded()),
)
LAST: st.SearchStrategy[Stimulus] = st.sampled_from([Stopped(), ProfileErased()])
TELLERS: st.SearchStrategy[list[Teller]] = st.lists(
    st.one_of(
        st.builds(_right, OUTCOMES),
        st.builds(_right, st.just(DeliveryOutcome.SENT)),
        st.builds(_react, INTERACTIONS),
        st.builds(_this, WRONG, st.integers(0, 2)),
        st.builds(_this, LAST, st.just(0)),
        st.just(_again),
    ),
    max_size=30,
)


@dataclass
class Log:
    state: InstanceState = field(default_factory=InstanceState)
    plans: list[tuple[InstanceState, Plan]] = field(default_factory=list)
    seen: dict[str, frozenset[Interaction]] = field(default_factory=dict)
    seen_at_step: list[dict[str, frozenset[Interaction]]] = field(default_factory=list)

    @property
    def steps(self) -> list[Step]:
        return [step for _, planned in self.plans for step in planned.steps]

    def intents(self, of: type) -> list[object]:
        return [it for _, planned in self.plans for it in planned.intents if isinstance(it, of)]


def _run(
    definition: JourneyDefinition,
    tellers: list[Teller],
    results: dict[str, bool],
    seed: int,
    *,
    through_store: bool = False,
) -> Log:
    log, now, last = Log(), START, None
    for tell in tellers:
        last, step = tell(log.state, last)
        now += step
        before = log.state
        if isinstance(last, Interacted):
            log.seen[last.node_id] = log.seen.get(last.node_id, frozenset()) | {last.interaction}
        planned = _planned(definition, before, last, results, log.seen, now, seed)
        log.plans.append((before, planned))
        log.seen_at_step += [dict(log.seen)] * len(planned.steps)
        log.state = planned.state
        if through_store:
            stored = json.encode(state_to_json(planned.state))
            log.state = state_from_json(json.decode(stored))
    return log


def _planned(
    definition: JourneyDefinition,
    state: InstanceState,
    stimulus: Stimulus,
    results: dict[str, bool],
    seen: dict[str, frozenset[Interaction]],
    now: datetime,
    seed: int,
) -> Plan:
    planned = plan(definition, state, stimulus, NO_FACTS, now, seed)
    if planned.facts_wanted is None:
        return planned
    assert (planned.state, planned.steps, planned.intents) == (state, (), ())
    facts = facts_for(planned.facts_wanted, results, seen)
    planned = plan(definition, state, stimulus, facts, now, seed)
    assert planned.facts_wanted is None, "one fetch is enough"
    return planned


RUNS = {
    "definition": definitions(),
    "tellers": TELLERS,
    "results": RESULTS,
    "seed": st.integers(0, 2**63 - 1),
}


@given(**RUNS)
def test_whatever_is_told_there_is_one_entrance_one_end_and_one_dispatch_per_node(
    definition: JourneyDefinition,
    tellers: list[Teller],
    results: dict[str, bool],
    seed: int,
) -> None:
    log = _run(definition, tellers, results, seed)

    entrances = [step for step in log.steps if step.kind is StepKind.ENTRANCE]
    ends = [step for step in log.steps if step.ended]
    called = [it.node_id for it in log.intents(Dispatch) if isinstance(it, Dispatch)]
    assert entrances == log.steps[:1]
    assert ends == (log.steps[-1:] if log.state.ended else [])
    assert len(log.intents(EndInstance)) == len(ends)
    assert len(called) == len(set(called))
    assert called == [step.node_id for step in log.steps if step.ledger_kind == "dispatch"]


@given(**RUNS)
def test_whatever_is_told_steps_are_numbered_without_gaps_and_ignored_ones_change_nothing(
    definition: JourneyDefinition,
    tellers: list[Teller],
    results: dict[str, bool],
    seed: int,
) -> None:
    log = _run(definition, tellers, results, seed)

    assert [step.sequence for step in log.steps] == list(range(1, len(log.steps) + 1))
    for before, planned in log.plans:
        is_ignored = planned.ignored is not None
        assert is_ignored is (planned.state == before and not planned.steps)
        assert before.ended is None or planned.ignored is Ignored.ALREADY_ENDED


@given(**RUNS)
def test_who_is_inside_rests_at_a_node_that_will_move_them_on(
    definition: JourneyDefinition,
    tellers: list[Teller],
    results: dict[str, bool],
    seed: int,
) -> None:
    log = _run(definition, tellers, results, seed)

    for _, planned in log.plans:
        state = planned.state
        node_type = definition.by_id[state.node_id].type.value if state.node_id else None
        assert (state.waiting_for.value, node_type) in {
            ("entry", None),
            ("timer", "wait"),
            ("delivery", "custom_action"),
            ("reaction", "reaction"),
        } or (state.waiting_for is WaitingFor.NOTHING and state.ended is not None)
        is_timed = state.waiting_for in {WaitingFor.TIMER, WaitingFor.REACTION}
        assert (state.due_at is not None) is is_timed
        assert state.ended is None or state.ended.detail != "definitionBroken"


def reaction_by_hand(reaction: Reaction, seen: frozenset[Interaction]) -> bool:
    """Say whether somebody who did all this has reacted as the node waits for."""
    opening = [each for each in seen if each.opens_app]
    pressed = [each for each in seen if each.kind == "customAction"]
    if reaction.action_id is not None:
        pressed = [each for each in pressed if each.action_id == reaction.action_id]
    dismissed = [each for each in seen if each.kind == "dismissed"]
    expected: dict[str, list[Interaction]] = {
        "received": list(seen),
        "opened": opening,
        "customAction": pressed,
        "dismissed": dismissed,
    }
    return bool(expected[reaction.interaction])


@given(**RUNS)
def test_a_reaction_is_left_by_its_way_exactly_when_the_person_reacted_before(
    definition: JourneyDefinition,
    tellers: list[Teller],
    results: dict[str, bool],
    seed: int,
) -> None:
    log = _run(definition, tellers, results, seed)

    for step, seen in zip(log.steps, log.seen_at_step, strict=True):
        node = definition.by_id[step.node_id]
        if isinstance(node, Reaction) and step.ended is None:
            has_reacted = reaction_by_hand(node, seen.get(node.message_node_id, frozenset()))
            is_resting = not step.is_node_processed
            gave_up = step.status is StepStatus.TIMED_OUT
            assert has_reacted is not (is_resting or gave_up)
            assert (step.reaction is not None) is has_reacted


@given(**RUNS)
def test_nobody_rests_for_a_reaction_to_a_message_that_was_not_sent(
    definition: JourneyDefinition,
    tellers: list[Teller],
    results: dict[str, bool],
    seed: int,
) -> None:
    log = _run(definition, tellers, results, seed)

    outcomes = {step.node_id: step.action.outcome for step in log.steps if step.action}
    for step in log.steps:
        node = definition.by_id[step.node_id]
        if isinstance(node, Reaction) and step.ended is None and step.reaction is None:
            outcome = outcomes[node.message_node_id]
            is_waited_for = outcome in {"sent", "unknown", "timedout"}
            assert step.is_message_sent is is_waited_for
            assert step.is_node_processed or is_waited_for


@given(**RUNS)
def test_the_same_call_gives_the_same_plan_also_through_the_store(
    definition: JourneyDefinition,
    tellers: list[Teller],
    results: dict[str, bool],
    seed: int,
) -> None:
    once = _run(definition, tellers, results, seed)
    stored = _run(definition, tellers, results, seed, through_store=True)

    assert [planned for _, planned in once.plans] == [planned for _, planned in stored.plans]
