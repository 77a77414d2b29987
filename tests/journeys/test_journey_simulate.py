from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.journeys.conditions import Facts, FactsWanted
from service.journeys.document import parse
from service.journeys.plans import Ignored
from service.journeys.simulate import (
    FactsSource,
    Script,
    ScriptedOutcome,
    ScriptedReaction,
    SimulationError,
    simulate,
)
from service.journeys.state import InstanceState
from service.journeys.stimuli import DeliveryOutcome, Entered, Stopped
from service.outbound.interactions import Interaction, InteractionKind
from tests.journeys.worlds import (
    INTERACTIONS,
    RESULTS,
    START,
    documents,
    facts_for,
    followed,
    node_of,
    welcome,
)

ENTERED = Entered(at=START, segment={"id": "seg-1", "status": "realized"})


def knowing(results: dict[str, bool]) -> FactsSource:
    def facts(wanted: FactsWanted, _state: InstanceState, _now: datetime) -> Facts:
        return facts_for(wanted, results)

    return facts


def test_a_gold_person_is_done_as_soon_as_the_vendor_answers() -> None:
    answer = ScriptedOutcome(after=timedelta(seconds=2))
    script = Script(ENTERED, knowing({'tier = "gold"': True}), {"call": answer})

    story = simulate(parse(welcome()), script)

    assert story.node_ids == ("start", "tier", "call", "done")
    assert story.ended_at == START + timedelta(seconds=2)
    assert story.steps[-1].ledger_kind == "end:finished"


def test_another_person_waits_three_days_and_a_cap_sends_them_to_the_log() -> None:
    outcomes = {"call": ScriptedOutcome(DeliveryOutcome.CAPPED)}
    script = Script(ENTERED, knowing({}), outcomes)

    story = simulate(parse(welcome()), script)

    assert story.node_ids == ("start", "tier", "rest", "call", "log", "done")
    assert [dispatch.node_id for dispatch in story.dispatches] == ["call", "log"]
    assert story.ended_at == START + timedelta(days=3)


OPENED = Interaction(InteractionKind.OPENED, opens_app=True)
GOLD = knowing({'tier = "gold"': True})


def test_whoever_opens_the_message_in_time_is_done_then() -> None:
    reactions = {"call": ScriptedReaction(OPENED, timedelta(hours=1))}

    story = simulate(parse(followed()), Script(ENTERED, GOLD, reactions=reactions))

    assert story.node_ids == ("start", "tier", "call", "opened", "done")
    assert story.ended_at == START + timedelta(hours=1)


def test_whoever_does_not_goes_the_other_way_when_the_time_is_over() -> None:
    late = {"call": ScriptedReaction(OPENED, timedelta(days=2, seconds=1))}

    story = simulate(parse(followed()), Script(ENTERED, GOLD, reactions=late))

    assert story.node_ids == ("start", "tier", "call", "opened", "log", "done")
    assert story.ended_at == START + timedelta(days=2)


@pytest.mark.parametrize("outcome", list(DeliveryOutcome))
def test_nobody_waits_for_a_reaction_to_what_was_not_sent(outcome: DeliveryOutcome) -> None:
    document = followed()
    node_of(document, "call")["transitions"][1]["targetNodeId"] = "opened"
    outcomes = {"call": ScriptedOutcome(outcome)}

    story = simulate(parse(document), Script(ENTERED, GOLD, outcomes))

    may_have_arrived = outcome in {"sent", "unknown", "timedout"}
    assert story.node_ids == ("start", "tier", "call", "opened", "log", "done")
    assert story.ended_at - START == timedelta(days=2 if may_have_arrived else 0)


def test_an_open_that_is_known_before_the_vendors_answer_counts() -> None:
    outcomes = {"call": ScriptedOutcome(after=timedelta(seconds=5))}
    reactions = {"call": ScriptedReaction(OPENED, timedelta(seconds=1))}

    story = simulate(parse(followed()), Script(ENTERED, GOLD, outcomes, reactions))

    assert story.ignored == (Ignored.NOT_WAITING_FOR_REACTION,)
    assert story.ended_at == START + timedelta(seconds=5)


def test_a_stop_in_the_middle_of_a_wait_ends_it_there() -> None:
    stop = (START + timedelta(days=1), Stopped())

    story = simulate(parse(welcome()), Script(ENTERED, knowing({}), also=[stop]))

    assert story.node_ids == ("start", "tier", "rest")
    assert story.ended_at == START + timedelta(days=1)


def test_a_vendor_that_never_answers_keeps_the_person_for_91_days() -> None:
    outcomes = {"call": ScriptedOutcome(None)}

    story = simulate(parse(welcome()), Script(ENTERED, knowing({'tier = "gold"': True}), outcomes))

    assert story.ended_at == START + timedelta(days=91)
    assert story.steps[-1].ledger_kind == "end:failed"


def test_an_entrance_that_comes_twice_changes_nothing() -> None:
    again = (START, ENTERED)

    story = simulate(parse(welcome()), Script(ENTERED, knowing({}), also=[again]))

    assert story.ignored == (Ignored.ALREADY_ENTERED,)
    assert [step.ledger_kind for step in story.steps].count("entrance") == 1


def test_a_script_without_the_facts_is_refused() -> None:
    with pytest.raises(SimulationError):
        simulate(parse(welcome()), Script(ENTERED))


def does_answer(node: dict[str, Any], done: Interaction) -> bool:
    match node["interaction"]:
        case "received":
            return True
        case "opened":
            return done.opens_app
        case kind:
            return bool(done.kind == kind) and node.get("actionID") in {None, done.action_id}


def read_by_hand(
    document: dict[str, Any],
    results: dict[str, bool],
    outcomes: dict[str, DeliveryOutcome],
    reactions: dict[str, Interaction],
) -> tuple[list[str], str]:
    """Follow a document with a finger: the nodes passed and the column it ends in."""
    nodes = {node["id"]: node for node in document["nodes"]}
    here, passed = "n0", []
    while True:
        passed.append(here)
        node = nodes[here]
        ways = node.get("transitions", [])
        plain = [way for way in ways if "conditionType" not in way]
        if node["type"] == "end":
            return passed, "end:finished"
        if node["type"] == "custom_action":
            outcome = outcomes.get(here, DeliveryOutcome.SENT)
            if outcome not in {"sent", "suppressed"}:
                plain = [way for way in ways if way.get("conditionType") == "timeoutOrError"]
            if not plain:
                return passed, "end:failed"
        elif node["type"] == "reaction":
            done = reactions.get(node["messageNodeId"])
            outcome = outcomes.get(node["messageNodeId"], DeliveryOutcome.SENT)
            was_sent = outcome in {"sent", "unknown", "timedout"}
            if done is None or not does_answer(node, done) or not was_sent:
                plain = [way for way in ways if way.get("conditionType") == "timeout"]
        elif node["type"] == "condition":
            true = [way for way in ways if results.get(way.get("expression", ""), False)]
            rest = [way for way in ways if way.get("conditionType") == "otherwise"]
            plain = [*true, *rest]
            if not plain:
                return passed, "end:exited"
        here = plain[0]["targetNodeId"]


@given(
    document=documents(),
    results=RESULTS,
    outcomes=st.dictionaries(
        st.builds("n{}".format, st.integers(1, 8)), st.sampled_from(DeliveryOutcome)
    ),
    reactions=st.dictionaries(st.builds("n{}".format, st.integers(1, 8)), INTERACTIONS),
)
def test_a_story_is_what_a_reader_of_the_document_would_tell(
    document: dict[str, Any],
    results: dict[str, bool],
    outcomes: dict[str, DeliveryOutcome],
    reactions: dict[str, Interaction],
) -> None:
    for node in document["nodes"]:  # a lot cannot be read by hand
        node["transitions"] = [
            way for way in node.get("transitions", []) if way.get("conditionType") != "percentage"
        ]
    scripted = {node: ScriptedOutcome(outcome) for node, outcome in outcomes.items()}

    done = {node: ScriptedReaction(each) for node, each in reactions.items()}
    script = Script(Entered(START), knowing(results), scripted, done)

    story = simulate(parse(document), script)

    told = (list(story.node_ids), story.steps[-1].ledger_kind)
    assert told == read_by_hand(document, results, outcomes, reactions)
