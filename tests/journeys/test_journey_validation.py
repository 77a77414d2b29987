from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from service.core.errors import InvalidInputError
from service.journeys.document import parse
from service.journeys.graph import longest_waits, on_cycle, reachable
from service.journeys.problems import DefinitionError, Severity, refuse_errors
from service.journeys.validation import Known, validate
from service.outbound.action_parameters import ActionParameter, ParameterKind
from service.outbound.parameter_types import ParameterType
from tests.journeys.worlds import (
    KNOWN,
    accept_expression,
    documents,
    followed,
    node_of,
    welcome,
)

Change = Callable[[dict[str, Any]], None]
DECLARED = (
    ActionParameter("age", ParameterType.INTEGER),
    ActionParameter("note", ParameterType.STRING, is_optional=True),
    ActionParameter("fixed", ParameterType.STRING, ParameterKind.CONSTANT, "a"),
)


def found_in(document: dict[str, Any], known: Known = KNOWN) -> list[tuple[str, str]]:
    problems = validate(parse(document), known, accept_expression)
    return [(problem.path, problem.code.value) for problem in problems]


def test_a_journey_that_can_run_has_no_problems() -> None:
    assert found_in(welcome()) == []


@given(document=documents())
def test_every_drawn_journey_can_run(document: dict[str, Any]) -> None:
    assert found_in(document) == []


def change(node_id: str, key: str, value: object) -> Change:
    return lambda document: node_of(document, node_id).__setitem__(key, value)


def top(key: str, value: object) -> Change:
    return lambda document: document.__setitem__(key, value)


def way(node_id: str, index: int, key: str, value: object) -> Change:
    return lambda document: node_of(document, node_id)["transitions"][index].__setitem__(key, value)


def add_way(node_id: str, **new: object) -> Change:
    return lambda document: node_of(document, node_id).setdefault("transitions", []).append(new)


def add_node(**new: object) -> Change:
    return lambda document: document["nodes"].append(new)


def mapped(*paths: str) -> Change:
    mappings = [{"paramPath": path, "expression": "1"} for path in paths]
    return change("call", "paramMappings", mappings)


ENTRY = {"type": "unitary", "eventID": "order", "transitions": [{"targetNodeId": "done"}]}
LOT = {"conditionType": "percentage", "targetNodeId": "done"}


@pytest.mark.parametrize(
    ("wrong", "path", "code"),
    [
        (top("name", ""), "/name", "badName"),
        (top("name", " padded"), "/name", "badName"),
        (top("name", "x" * 257), "/name", "badName"),
        (top("name", "two\nlines"), "/name", "badName"),
        (top("type", "unitary"), "/type", "wrongJourneyType"),
        (top("startNodeId", "call"), "/startNodeId", "wrongStartNode"),
        (top("timeouts", {"actionExecution": 0}), "/timeouts/actionExecution", "badTimeout"),
        (top("timeouts", {"actionExecution": 31}), "/timeouts/actionExecution", "badTimeout"),
        (
            top("reentrance", {"durationInSecs": 90 * 86_400 + 1}),
            "/reentrance/durationInSecs",
            "badReentrance",
        ),
        (change("start", "identityNamespace", None), "/identityNamespace", "noNamespace"),
        (change("start", "identityNamespace", "X"), "/identityNamespace", "unknownNamespace"),
        (change("start", "segmentId", "seg-2"), "/nodes/0/segmentId", "unknownSegment"),
        (change("start", "segmentId", None), "/nodes/0/segmentId", "unknownSegment"),
        (change("start", "transitions", []), "/nodes/0/transitions", "deadEnd"),
        (change("call", "actionId", "act-9"), "/nodes/3/actionId", "unknownAction"),
        (change("call", "actionId", None), "/nodes/3/actionId", "unknownAction"),
        (change("call", "name", "x" * 257), "/nodes/3/name", "badName"),
        (mapped("a", "a"), "/nodes/3/paramMappings/1/paramPath", "duplicateParameter"),
        (mapped("a.b", "a"), "/nodes/3/paramMappings/1/paramPath", "duplicateParameter"),
        (mapped("a", "a.b"), "/nodes/3/paramMappings/1/paramPath", "duplicateParameter"),
        (change("rest", "delay", "P90DT1S"), "/nodes/2/delay", "waitTooLong"),
        (change("rest", "delay", "PT0S"), "/nodes/2/delay", "waitTooShort"),
        (change("rest", "transitions", []), "/nodes/2/transitions", "deadEnd"),
        (
            add_way("done", targetNodeId="log"),
            "/nodes/5/transitions/0/conditionType",
            "wrongTransition",
        ),
        (
            add_way("rest", targetNodeId="done"),
            "/nodes/2/transitions/1/conditionType",
            "wrongTransition",
        ),
        (
            add_way("rest", targetNodeId="done", conditionType="otherwise"),
            "/nodes/2/transitions/1/conditionType",
            "wrongTransition",
        ),
        (way("rest", 0, "expression", "x"), "/nodes/2/transitions/0/expression", "wrongTransition"),
        (way("rest", 0, "percent", 5), "/nodes/2/transitions/0/percent", "wrongTransition"),
        (
            way("rest", 0, "targetNodeId", "nowhere"),
            "/nodes/2/transitions/0/targetNodeId",
            "unknownTarget",
        ),
        (
            way("rest", 0, "targetNodeId", "start"),
            "/nodes/2/transitions/0/targetNodeId",
            "entryAsTarget",
        ),
        (
            way("call", 1, "targetNodeId", None),
            "/nodes/3/transitions/1/targetNodeId",
            "deadEnd",
        ),
        (
            way("tier", 1, "targetNodeId", None),
            "/nodes/1/transitions/1/targetNodeId",
            "deadConditionPath",
        ),
        (
            way("tier", 0, "expression", None),
            "/nodes/1/transitions/0/expression",
            "deadConditionPath",
        ),
        (
            way("tier", 0, "expression", "bad ("),
            "/nodes/1/transitions/0/expression",
            "invalidExpression",
        ),
        (
            add_way("tier", expression=' tier = "gold" ', targetNodeId="done"),
            "/nodes/1/transitions/2/expression",
            "deadConditionPath",
        ),
        (
            add_way("tier", conditionType="otherwise", targetNodeId="done"),
            "/nodes/1/transitions/2/conditionType",
            "wrongTransition",
        ),
        (add_way("tier", **LOT, percent=10), "/nodes/1/transitions", "wrongTransition"),
        (add_node(id="done", type="end"), "/nodes/5/id", "duplicateNodeId"),
        (add_node(id="lost", type="end"), "/nodes/6", "unreachableNode"),
        (add_node(id="no spaces", type="end"), "/nodes/6/id", "badNodeId"),
        (add_node(id="second", **ENTRY), "/nodes", "severalEntries"),
        (add_node(id="second", **ENTRY | {"eventID": ""}), "/nodes/6/eventID", "badName"),
        (add_node(id="second", **ENTRY | {"eventID": "x" * 129}), "/nodes/6/eventID", "badName"),
    ],
)
def test_what_cannot_run_is_named_at_its_place(wrong: Change, path: str, code: str) -> None:
    document = welcome()
    wrong(document)

    assert (path, code) in found_in(document)


def given_to(**parameters: str) -> Change:
    mappings = [{"paramPath": path, "expression": text} for path, text in parameters.items()]
    return change("call", "paramMappings", mappings)


@pytest.mark.parametrize(
    ("wrong", "path", "code"),
    [
        (given_to(age="5", extra="1"), "/1/paramPath", "unknownParameter"),
        (given_to(age="5", fixed='"b"'), "/1/paramPath", "unknownParameter"),
        (given_to(note='"a"'), "", "missingParameter"),
        (given_to(age='"5"'), "/0/expression", "wrongParameterType"),
        (given_to(age="5.5"), "/0/expression", "wrongParameterType"),
        (given_to(age="null"), "/0/expression", "wrongParameterType"),
        (given_to(age="5", note="1"), "/1/expression", "wrongParameterType"),
    ],
)
def test_a_node_gives_the_parameters_that_its_action_declares(
    wrong: Change, path: str, code: str
) -> None:
    document = welcome()
    wrong(document)
    known = replace(KNOWN, parameters={"act-1": DECLARED})

    assert found_in(document, known) == [(f"/nodes/3/paramMappings{path}", code)]


@pytest.mark.parametrize(
    "sound",
    [
        given_to(age="5"),
        given_to(age="person.age", note="context.event.note"),
        given_to(age="5", note="null"),
    ],
)
def test_a_node_that_fits_its_action_can_be_published(sound: Change) -> None:
    document = welcome()
    sound(document)

    assert found_in(document, replace(KNOWN, parameters={"act-1": DECLARED})) == []


@pytest.mark.parametrize(
    ("wrong", "path", "code"),
    [
        (change("opened", "messageNodeId", "nowhere"), "/messageNodeId", "unknownMessage"),
        (change("opened", "messageNodeId", "rest"), "/messageNodeId", "unknownMessage"),
        (change("opened", "messageNodeId", "log"), "/messageNodeId", "messageNotBefore"),
        (way("rest", 0, "targetNodeId", "opened"), "/messageNodeId", "messageNotBefore"),
        (change("opened", "timeout", "P30DT1S"), "/timeout", "waitTooLong"),
        (change("opened", "timeout", 0), "/timeout", "waitTooShort"),
        (change("opened", "actionID", "Buy"), "/actionID", "badReaction"),
        (change("opened", "transitions", [{"targetNodeId": "done"}]), "/transitions", "deadEnd"),
        (
            change("opened", "transitions", [{"targetNodeId": "log", "conditionType": "timeout"}]),
            "/transitions",
            "deadEnd",
        ),
        (
            way("opened", 1, "conditionType", "timeoutOrError"),
            "/transitions/1/conditionType",
            "wrongTransition",
        ),
        (
            add_way("opened", targetNodeId="log", conditionType="timeout"),
            "/transitions/2/conditionType",
            "wrongTransition",
        ),
    ],
)
def test_a_reaction_that_cannot_be_waited_for_is_named_at_its_place(
    wrong: Change, path: str, code: str
) -> None:
    document = followed()
    wrong(document)

    assert (f"/nodes/4{path}", code) in found_in(document)


def test_a_reaction_may_follow_its_message_at_a_distance() -> None:
    document = followed()
    pause = {"id": "pause", "type": "wait", "delay": 60}
    document["nodes"].append(pause | {"transitions": [{"targetNodeId": "opened"}]})
    node_of(document, "call")["transitions"][0]["targetNodeId"] = "pause"

    assert found_in(document) == []


def test_a_button_is_named_for_custom_actions_only_and_no_longer_than_it_is_kept() -> None:
    document = followed()
    node_of(document, "opened").update(interaction="customAction", actionID="x" * 255)
    longest = found_in(document)
    node_of(document, "opened")["actionID"] = "x" * 256

    assert (longest, found_in(document)) == ([], [("/nodes/4/actionID", "badReaction")])


def test_the_time_of_a_reaction_counts_into_the_life_of_the_instance() -> None:
    document = followed()
    node_of(document, "rest")["delay"] = "P89D"
    in_time = found_in(document)
    node_of(document, "rest")["delay"] = "P90D"

    assert in_time == []
    assert found_in(document) == [("/nodes/4/timeout", "waitsExceedInstanceLife")]


def test_a_journey_without_nodes_has_no_entry() -> None:
    assert ("/nodes", "noEntry") in found_in({"name": "x", "identityNamespace": "CRMID"})


def test_a_cycle_is_named_at_its_nodes_and_not_at_what_follows_it() -> None:
    document = welcome()
    node_of(document, "log")["transitions"] = [{"targetNodeId": "rest"}]

    found = found_in(document)

    assert [path for path, code in found if code == "cycle"] == ["/nodes/2", "/nodes/3", "/nodes/4"]


def test_a_node_that_leads_to_itself_is_a_cycle() -> None:
    document = welcome()
    node_of(document, "rest")["transitions"] = [{"targetNodeId": "rest"}]

    assert ("/nodes/2", "cycle") in found_in(document)


def test_a_condition_that_decides_nothing_is_dead() -> None:
    document = welcome()
    node_of(document, "tier")["transitions"] = [
        {"conditionType": "otherwise", "targetNodeId": "rest"},
    ]

    assert found_in(document) == [("/nodes/1/transitions", "deadConditionPath")]


@pytest.mark.parametrize(
    ("percents", "path"),
    [
        ((0, 50), "/nodes/1/transitions/0/percent"),
        ((60, 50), "/nodes/1/transitions/1/percent"),
        ((50, 50), "/nodes/1/transitions/2"),
    ],
)
def test_percentages_leave_somebody_for_each_path(percents: tuple[int, int], path: str) -> None:
    document = welcome()
    node_of(document, "tier")["transitions"] = [
        *({**LOT, "percent": percent, "targetNodeId": "rest"} for percent in percents),
        {"conditionType": "otherwise", "targetNodeId": "call"},
    ]

    assert (path, "deadConditionPath") in found_in(document)


def chain(waits: list[int], *, branch: bool = False) -> dict[str, Any]:
    """Waits of so many days, one after the other, or beside one another."""
    nodes: list[dict[str, Any]] = [{"id": "start", "type": "unitary", "eventID": "order"}]
    for index, days in enumerate(waits):
        following = "end" if branch or index + 1 == len(waits) else f"w{index + 1}"
        wait = {"id": f"w{index}", "type": "wait", "delay": f"P{days}D"}
        nodes.append(wait | {"transitions": [{"targetNodeId": following}]})
    ways = [{"expression": f"e{index}", "targetNodeId": f"w{index}"} for index in range(len(waits))]
    nodes[0]["transitions"] = [{"targetNodeId": "split" if branch else "w0"}]
    if branch:
        nodes.append({"id": "split", "type": "condition", "transitions": ways})
    nodes.append({"id": "end", "type": "end"})
    return {"name": "Chain", "identityNamespace": "CRMID", "nodes": nodes}


def test_waits_on_one_way_may_not_outlive_the_instance() -> None:
    assert found_in(chain([45, 46])) == []
    assert found_in(chain([45, 47])) == [("/nodes/2/delay", "waitsExceedInstanceLife")]
    assert found_in(chain([45, 47], branch=True)) == []


def test_fifty_activities_are_allowed_and_the_end_is_none() -> None:
    assert found_in(chain([1] * 49)) == []
    assert found_in(chain([1] * 50)) == [("/nodes", "tooManyActivities")]


def test_a_journey_near_the_size_limit_is_warned_of_and_may_be_published() -> None:
    definition = parse(welcome())

    problems = validate(definition, KNOWN, accept_expression, max_bytes=definition.size_bytes)

    assert [problem.severity for problem in problems] == [Severity.WARNING]
    refuse_errors(problems)


def test_publishing_is_refused_with_every_error() -> None:
    document = welcome()
    node_of(document, "start")["segmentId"] = "gone"
    node_of(document, "call")["actionId"] = "gone"

    with pytest.raises(InvalidInputError) as caught:
        refuse_errors(validate(parse(document), KNOWN, accept_expression))
    assert isinstance(caught.value, DefinitionError)
    codes = [problem["code"] for problem in caught.value.fields["problems"]]
    assert codes == ["unknownSegment", "unknownAction"]


def test_a_large_draft_is_judged_without_recursion() -> None:
    definition = parse(chain([1] * 20_000))

    assert len(reachable(definition)) == 20_002
    assert on_cycle(definition) == frozenset()
    assert longest_waits(definition)[0].days == 20_000
