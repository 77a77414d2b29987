"""Journeys for tests: one written by hand, and any number drawn by Hypothesis."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from service.core.errors import InvalidInputError
from service.journeys.conditions import Facts, FactsWanted
from service.journeys.definitions import JourneyDefinition
from service.journeys.document import parse
from service.journeys.validation import Known
from service.outbound.interactions import Interaction, InteractionKind

BUTTONS = ["Buy", "Later"]
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
KNOWN = Known(
    segment_ids=frozenset({"seg-1"}),
    action_ids=frozenset({"act-1", "act-2"}),
    namespaces=frozenset({"CRMID"}),
)


def accept_expression(text: str) -> None:
    """Accept every expression but one that says it is bad."""
    if text.startswith("bad"):
        raise InvalidInputError(f"cannot read {text!r}")


def welcome() -> dict[str, Any]:
    """Return a journey with every activity: gold people are called, others wait first."""
    return {
        "name": "Welcome",
        "type": "audience_qualification",
        "timeouts": {"actionExecution": 20},
        "reentrance": {"policy": "allow", "durationInSecs": 600},
        "startNodeId": "start",
        "nodes": [
            {
                "id": "start",
                "type": "audience_qualification",
                "name": "Qualified",
                "segmentId": "seg-1",
                "status": "realized",
                "identityNamespace": "CRMID",
                "transitions": [{"targetNodeId": "tier"}],
            },
            {
                "id": "tier",
                "type": "condition",
                "name": "Tier",
                "transitions": [
                    {"name": "gold", "expression": 'tier = "gold"', "targetNodeId": "call"},
                    {"name": "others", "conditionType": "otherwise", "targetNodeId": "rest"},
                ],
            },
            {
                "id": "rest",
                "type": "wait",
                "name": "Rest",
                "delay": "P3D",
                "transitions": [{"targetNodeId": "call"}],
            },
            {
                "id": "call",
                "type": "custom_action",
                "name": "Call",
                "actionId": "act-1",
                "actionName": "push",
                "paramMappings": [
                    {"paramPath": "who.first", "expression": "person.name.firstName"},
                    {"paramPath": "who.kind", "expression": '"VIP"'},
                    {"paramPath": "segment", "expression": "context.segment.id"},
                ],
                "transitions": [
                    {"targetNodeId": "done"},
                    {"targetNodeId": "log", "conditionType": "timeoutOrError"},
                ],
            },
            {
                "id": "log",
                "type": "custom_action",
                "actionId": "act-2",
                "transitions": [{"targetNodeId": "done"}],
            },
            {"id": "done", "type": "end"},
        ],
    }


def followed() -> dict[str, Any]:
    """Return the same journey, but it waits two days for the call's message to be opened."""
    document = welcome()
    node_of(document, "call")["transitions"][0]["targetNodeId"] = "opened"
    reaction: dict[str, Any] = {
        "id": "opened",
        "type": "reaction",
        "name": "Opened",
        "messageNodeId": "call",
        "interaction": "opened",
        "timeout": "P2D",
        "transitions": [
            {"targetNodeId": "done"},
            {"targetNodeId": "log", "conditionType": "timeout"},
        ],
    }
    document["nodes"].insert(4, reaction)
    return document


def node_of(document: dict[str, Any], node_id: str) -> dict[str, Any]:
    """Return one node of a document, to change it."""
    found: dict[str, Any] = next(node for node in document["nodes"] if node["id"] == node_id)
    return found


def facts_for(
    wanted: FactsWanted,
    results: dict[str, bool],
    seen: Mapping[str, frozenset[Interaction]] | None = None,
) -> Facts:
    """Return what was wanted: results by the test's table, each path as its own value."""
    done = seen or {}
    return Facts(
        results={text: results.get(text, False) for text in wanted.expressions},
        values={path: f"<{path}>" for path in wanted.paths},
        interactions={node: done.get(node, frozenset()) for node in wanted.messages},
    )


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a journey that can run: every way leads forward, nothing is unreachable."""
    count = draw(st.integers(1, 8))
    ids = ["n0", *(f"n{index}" for index in range(1, count)), "end"]
    nodes: list[dict[str, Any]] = []
    for index in range(count):
        later = st.sampled_from(ids[index + 1 :])
        nodes.append(_drawn_node(draw, index, later))
        if nodes[-1]["type"] == "custom_action" and draw(st.booleans()):
            nodes.append(_drawn_reaction(draw, nodes[-1], later))
    nodes.append({"id": "end", "type": "end"})
    return {
        "name": "Drawn",
        "identityNamespace": "CRMID",
        "nodes": [node for node in nodes if node["id"] in _reached(nodes)],
    }


def _drawn_node(draw: st.DrawFn, index: int, later: st.SearchStrategy[str]) -> dict[str, Any]:
    node: dict[str, Any] = {"id": f"n{index}", "transitions": [{"targetNodeId": draw(later)}]}
    if index == 0:
        return node | {"type": "unitary", "eventID": "order"}
    match draw(st.sampled_from(["condition", "percentage", "wait", "action"])):
        case "condition":
            paths: list[dict[str, Any]] = [
                {"expression": f"e{draw(st.integers(0, 4))}{number}", "targetNodeId": draw(later)}
                for number in range(draw(st.integers(1, 3)))
            ]
            if draw(st.booleans()):
                paths.append({"conditionType": "otherwise", "targetNodeId": draw(later)})
            return node | {"type": "condition", "transitions": paths}
        case "percentage":
            lot = {"conditionType": "percentage", "percent": draw(st.integers(1, 99))}
            other = {"conditionType": "otherwise", "targetNodeId": draw(later)}
            paths = [lot | {"targetNodeId": draw(later)}, other]
            return node | {"type": "condition", "transitions": paths}
        case "wait":
            return node | {"type": "wait", "delay": draw(st.integers(1, 10 * 86_400))}
    mapping = {"paramPath": "p", "expression": draw(st.sampled_from(["1", "a.b", "context.event"]))}
    if draw(st.booleans()):
        node["transitions"].append(
            {"conditionType": "timeoutOrError", "targetNodeId": draw(later)},
        )
    return node | {"type": "custom_action", "actionId": "act-1", "paramMappings": [mapping]}


def _drawn_reaction(
    draw: st.DrawFn, action: dict[str, Any], later: st.SearchStrategy[str]
) -> dict[str, Any]:
    """Put a reaction between an action and what follows it."""
    after = action["transitions"][0]["targetNodeId"]
    reaction = {
        "id": f"{action['id']}r",
        "type": "reaction",
        "messageNodeId": action["id"],
        "interaction": draw(st.sampled_from(list(InteractionKind))).value,
        "timeout": draw(st.integers(1, 86_400)),
        "transitions": [
            {"targetNodeId": after},
            {"conditionType": "timeout", "targetNodeId": draw(later)},
        ],
    }
    action["transitions"][0]["targetNodeId"] = reaction["id"]
    if reaction["interaction"] == InteractionKind.CUSTOM_ACTION and draw(st.booleans()):
        reaction["actionID"] = draw(st.sampled_from(BUTTONS))
    return reaction


def _reached(nodes: list[dict[str, Any]]) -> set[str]:
    """Return the ids reached from the first node; nodes lead only forward."""
    reached = {"n0"}
    for node in nodes:
        if node["id"] in reached:
            reached |= {way["targetNodeId"] for way in node.get("transitions", ())}
    return reached


def definitions() -> st.SearchStrategy[JourneyDefinition]:
    """Draw a parsed journey that can run."""
    return documents().map(parse)


INTERACTIONS = st.one_of(
    st.sampled_from([InteractionKind.RECEIVED, InteractionKind.DISMISSED]).map(Interaction),
    st.just(Interaction(InteractionKind.OPENED, opens_app=True)),
    st.builds(
        Interaction,
        st.just(InteractionKind.CUSTOM_ACTION),
        st.sampled_from([*BUTTONS, None]),
        st.booleans(),
    ),
)
RESULTS = st.dictionaries(
    st.builds("e{}{}".format, st.integers(0, 4), st.integers(0, 2)),
    st.booleans(),
)
