"""A journey waits for what people do with a message, or for the end of its time."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from service.journeys.conditions import Facts
from service.journeys.definitions import Reaction
from service.journeys.document import parse
from service.journeys.planner import plan
from service.journeys.plans import EndInstance, Ignored, Plan, SetTimer
from service.journeys.reactions import answering
from service.journeys.state import InstanceState, WaitingFor
from service.journeys.step_events import Run, StepStatus, step_to_xdm
from service.journeys.stimuli import (
    DeliveryEnded,
    DeliveryOutcome,
    Entered,
    Interacted,
    LifeEnded,
    Stimulus,
    Stopped,
    TimerFired,
)
from service.outbound.interactions import Interaction, InteractionKind
from tests.journeys.worlds import START, followed, node_of

RECEIVED = Interaction(InteractionKind.RECEIVED)
OPENED = Interaction(InteractionKind.OPENED, opens_app=True)
DISMISSED = Interaction(InteractionKind.DISMISSED)
BUY = Interaction(InteractionKind.CUSTOM_ACTION, "Buy", opens_app=True)
LATER = Interaction(InteractionKind.CUSTOM_ACTION, "Later")
SENT = DeliveryEnded("call", DeliveryOutcome.SENT)
TWO_DAYS = timedelta(days=2)
RUN = Run(UUID(int=1), UUID(int=2), UUID(int=3), 4, "Welcome", "CRMID:ada", "p-1")


def gold(*seen: Interaction) -> Facts:
    return Facts(
        {'tier = "gold"': True},
        {"person.name.firstName": "Ada"},
        {"call": frozenset(seen)},
    )


def told(
    state: InstanceState,
    stimulus: Stimulus,
    *seen: Interaction,
    after: timedelta = timedelta(),
) -> Plan:
    return plan(parse(followed()), state, stimulus, gold(*seen), START + after, 1)


def calling() -> InstanceState:
    return told(InstanceState(), Entered(START)).state


def waiting() -> InstanceState:
    return told(calling(), SENT).state


def test_whoever_has_not_reacted_rests_until_the_time_is_over() -> None:
    planned = told(calling(), SENT)

    assert (planned.state.waiting_for, planned.state.node_id) == (WaitingFor.REACTION, "opened")
    assert planned.intents == (SetTimer(START + TWO_DAYS, planned.state.sequence),)
    assert [step.node_id for step in planned.steps] == ["call", "opened"]
    assert not planned.steps[-1].is_node_processed


def test_what_is_known_already_is_asked_for_before_anybody_rests() -> None:
    nothing_known = Facts({'tier = "gold"': True}, {"person.name.firstName": "Ada"})

    planned = plan(parse(followed()), calling(), SENT, nothing_known, START, 1)

    assert planned.facts_wanted is not None
    assert planned.facts_wanted.messages == ("call",)
    assert (planned.state, planned.steps) == (calling(), ())


def test_whoever_reacted_before_passes_at_once() -> None:
    planned = told(calling(), SENT, OPENED)

    assert [step.node_id for step in planned.steps] == ["call", "opened", "done"]
    assert planned.steps[1].reaction == OPENED


@pytest.mark.parametrize("outcome", ["suppressed", "capped", "failed", "expired"])
def test_a_message_that_was_not_sent_is_not_waited_for(outcome: str) -> None:
    document = followed()
    node_of(document, "call")["transitions"][1]["targetNodeId"] = "opened"
    ended = DeliveryEnded("call", DeliveryOutcome(outcome))

    planned = plan(parse(document), calling(), ended, gold(), START, 1)

    assert [step.node_id for step in planned.steps] == ["call", "opened", "log"]
    assert planned.steps[1].status is StepStatus.TIMED_OUT
    assert fields_of(planned, 1)["messageNotSent"] is True


def test_whoever_reacted_to_what_seemed_lost_goes_their_way() -> None:
    planned = told(calling(), DeliveryEnded("call", DeliveryOutcome.SUPPRESSED), OPENED)

    assert [step.node_id for step in planned.steps] == ["call", "opened", "done"]


def test_a_reaction_that_is_told_moves_the_person_on() -> None:
    planned = told(waiting(), Interacted("call", OPENED), after=timedelta(hours=1))

    assert [step.node_id for step in planned.steps] == ["opened", "done"]
    assert planned.steps[0].processing_ms == 3_600_000
    assert planned.steps[0].event_id == "pushTracking.applicationOpened"


def test_when_the_time_is_over_the_other_way_is_taken() -> None:
    resting = waiting()

    planned = told(resting, TimerFired(resting.sequence), after=TWO_DAYS)

    assert [step.node_id for step in planned.steps] == ["opened", "log"]
    assert planned.steps[0].status is StepStatus.TIMED_OUT
    assert planned.steps[1].parent is not None
    assert planned.steps[1].parent.transition_id == "on-timeout"


def test_a_timer_that_overtakes_the_news_of_a_reaction_does_not_win() -> None:
    resting = waiting()

    planned = told(resting, TimerFired(resting.sequence), OPENED, after=TWO_DAYS)

    assert [step.node_id for step in planned.steps] == ["opened", "done"]


def test_the_timer_asks_for_reactions_and_for_both_ways_on() -> None:
    resting = waiting()
    document = followed()
    node_of(document, "log")["paramMappings"] = [{"paramPath": "p", "expression": "a.b"}]

    fired = TimerFired(resting.sequence)
    planned = plan(parse(document), resting, fired, Facts(), START + TWO_DAYS, 1)

    assert planned.facts_wanted is not None
    assert planned.facts_wanted.messages == ("call",)
    assert planned.facts_wanted.paths == ("a.b",)


@pytest.mark.parametrize(
    ("stimulus", "why"),
    [
        (Interacted("call", DISMISSED), Ignored.OTHER_REACTION),
        (Interacted("log", OPENED), Ignored.OTHER_REACTION),
        (SENT, Ignored.NOT_WAITING_FOR_DELIVERY),
        (TimerFired(1), Ignored.TIMER_OF_OTHER_STEP),
        (LifeEnded(), Ignored.TOO_EARLY),
    ],
)
def test_what_is_not_waited_for_changes_nothing(stimulus: Stimulus, why: Ignored) -> None:
    resting = waiting()

    assert told(resting, stimulus) == Plan(resting, ignored=why)


def test_a_stop_ends_the_wait_and_no_delivery_is_taken_back() -> None:
    planned = told(waiting(), Stopped())

    assert planned.state.ended is not None
    assert planned.intents == (EndInstance(planned.state.ended),)


def test_a_reaction_that_could_outlive_the_instance_is_not_waited_for() -> None:
    planned = told(calling(), SENT, after=timedelta(days=89, seconds=1))

    assert planned.state.ended is not None
    assert planned.state.ended.detail == "instanceTimedout"


@pytest.mark.parametrize(
    ("waits_for", "button", "answered_by"),
    [
        ("received", None, [RECEIVED, OPENED, DISMISSED, BUY, LATER]),
        ("opened", None, [OPENED, BUY]),
        ("dismissed", None, [DISMISSED]),
        ("customAction", None, [BUY, LATER]),
        ("customAction", "Later", [LATER]),
    ],
)
def test_each_kind_is_answered_by_what_implies_it(
    waits_for: str, button: str | None, answered_by: list[Interaction]
) -> None:
    document = followed()
    node_of(document, "opened").update(interaction=waits_for, actionID=button)
    reaction = parse(document).by_id["opened"]

    assert isinstance(reaction, Reaction)
    every = [RECEIVED, OPENED, DISMISSED, BUY, LATER]
    assert [each for each in every if answering(reaction, [each])] == answered_by


def fields_of(planned: Plan, place: int) -> dict[str, Any]:
    event = step_to_xdm(planned.steps[place], RUN)
    fields: dict[str, Any] = event["_experience"]["journeyOrchestration"]["stepEvents"]
    return {**fields, **event.get("_edgepost", {})}


def test_the_steps_of_a_reaction_say_what_was_done() -> None:
    document = followed()
    node_of(document, "opened").update(interaction="customAction")
    reacted = plan(parse(document), waiting(), Interacted("call", BUY), gold(), START + TWO_DAYS, 1)

    fields = fields_of(reacted, 0)

    assert fields["nodeType"] == "reaction"
    assert fields["stepType"] == "ReactionStep"
    assert fields["isExternalEvent"] is True
    assert fields["eventID"] == "pushTracking.customAction"
    assert (fields["interaction"], fields["interactionActionID"]) == ("customAction", "Buy")


def test_a_dispatch_says_whether_somebody_listens() -> None:
    first = told(InstanceState(), Entered(START))
    resting = waiting()
    timed_out = told(resting, TimerFired(resting.sequence), after=TWO_DAYS)

    assert fields_of(first, -1)["awaitsReaction"] is True
    assert "awaitsReaction" not in fields_of(timed_out, -1)
