from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.journeys.definitions import (
    Constant,
    ContextValue,
    CustomAction,
    ProfileValue,
    QualificationEntry,
    Reaction,
    Wait,
)
from service.journeys.document import parse
from service.journeys.durations import parse_duration
from service.journeys.problems import DefinitionError
from service.outbound.interactions import InteractionKind
from tests.journeys.worlds import followed, node_of, welcome

Change = Callable[[dict[str, Any]], None]


def problems_of(document: object, **options: int) -> list[tuple[str, str]]:
    with pytest.raises(DefinitionError) as caught:
        parse(document, **options)
    return [(problem.path, problem.code.value) for problem in caught.value.problems]


def test_a_document_is_read_into_values() -> None:
    definition = parse(welcome())

    start, rest, call = (definition.by_id[node_id] for node_id in ("start", "rest", "call"))
    assert definition.identity_namespace == "CRMID"
    assert definition.reentrance.wait == timedelta(minutes=10)
    assert definition.action_timeout_s == 20
    assert isinstance(start, QualificationEntry)
    assert (start.segment_id, start.status.value) == ("seg-1", "realized")
    assert isinstance(rest, Wait)
    assert rest.duration == timedelta(days=3)
    assert isinstance(call, CustomAction)
    assert [parameter.source for parameter in call.parameters] == [
        ProfileValue("person.name.firstName"),
        Constant("VIP"),
        ContextValue(("segment", "id")),
    ]


def test_a_reaction_is_read_with_its_message_and_its_time() -> None:
    document = followed()
    node_of(document, "opened").update(interaction="customAction", actionID="Buy now", timeout=90)

    reaction = parse(document).by_id["opened"]

    assert isinstance(reaction, Reaction)
    assert (reaction.message_node_id, reaction.interaction) == (
        "call",
        InteractionKind.CUSTOM_ACTION,
    )
    assert (reaction.action_id, reaction.timeout) == ("Buy now", timedelta(seconds=90))


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("interaction", None, "missing"),
        ("interaction", "clicked", "unknownValue"),
        ("timeout", None, "missing"),
        ("timeout", "tomorrow", "badDuration"),
        ("messageNodeId", None, "missing"),
        ("messageNodeId", 5, "wrongType"),
        ("actionID", [], "wrongType"),
        ("actionId", "act-1", "unknownKey"),
        ("delay", "P1D", "unknownKey"),
    ],
)
def test_a_reaction_that_is_not_understood_is_refused(key: str, value: object, code: str) -> None:
    document = followed()
    node_of(document, "opened")[key] = value

    assert problems_of(document) == [(f"/nodes/4/{key}", code)]


def test_what_is_left_out_is_adobes_default() -> None:
    definition = parse({"name": "x"})

    assert definition.nodes == ()
    assert definition.reentrance.is_allowed
    assert definition.reentrance.wait == timedelta(minutes=5)
    assert definition.action_timeout_s == 30


def test_an_answer_of_ours_can_be_read_back() -> None:
    read_only = {"id": "j1", "version": "1", "status": "Draft", "metadata": {"createdAt": "x"}}

    assert parse(welcome() | read_only).nodes == parse(welcome()).nodes


def change(node_id: str, key: str, value: object) -> Change:
    return lambda document: node_of(document, node_id).__setitem__(key, value)


def top(key: str, value: object) -> Change:
    return lambda document: document.__setitem__(key, value)


def mapped(expression: object, path: str = "p") -> Change:
    return change("call", "paramMappings", [{"paramPath": path, "expression": expression}])


@pytest.mark.parametrize(
    ("wrong", "path", "code"),
    [
        (top("name", 5), "/name", "wrongType"),
        (top("name", None), "/name", "missing"),
        (top("type", "business"), "/type", "unknownValue"),
        (top("nodes", {}), "/nodes", "wrongType"),
        (top("nodes", [5]), "/nodes/0", "wrongType"),
        (top("schedule", {"endDate": "2026"}), "/schedule", "notSupported"),
        (top("colour", 1), "/colour", "unknownKey"),
        (top("a/b~c", 1), "/a~1b~0c", "unknownKey"),
        (top("timeouts", {"actionExecution": "20"}), "/timeouts/actionExecution", "wrongType"),
        (top("reentrance", {"policy": "maybe"}), "/reentrance/policy", "unknownValue"),
        (top("reentrance", {"durationInSecs": True}), "/reentrance/durationInSecs", "wrongType"),
        (top("reentrance", {"durationInSecs": -1}), "/reentrance/durationInSecs", "wrongType"),
        (top("identityNamespace", "Email"), "/nodes/0/identityNamespace", "unknownValue"),
        (change("start", "type", "read_audience"), "/nodes/0/type", "unknownValue"),
        (change("start", "type", None), "/nodes/0/type", "missing"),
        (change("start", "status", "existing"), "/nodes/0/status", "unknownValue"),
        (change("start", "throttlingRate", 5), "/nodes/0/throttlingRate", "notSupported"),
        (change("rest", "delay", None), "/nodes/2/delay", "missing"),
        (change("rest", "delay", "3 days"), "/nodes/2/delay", "badDuration"),
        (change("rest", "segmentId", "x"), "/nodes/2/segmentId", "unknownKey"),
        (mapped("person name"), "/nodes/3/paramMappings/0/expression", "badParameter"),
        (mapped('"\\ud800"'), "/nodes/3/paramMappings/0/expression", "badParameter"),
        (mapped('"\\u0000"'), "/nodes/3/paramMappings/0/expression", "badParameter"),
        (mapped("1", "$a"), "/nodes/3/paramMappings/0/paramPath", "badParameter"),
        (
            change("call", "fallbackOnTimeoutOrError", value=False),
            "/nodes/3/fallbackOnTimeoutOrError",
            "wrongTransition",
        ),
        (
            change("call", "transitions", [{"conditionType": "date"}]),
            "/nodes/3/transitions/0/conditionType",
            "unknownValue",
        ),
    ],
)
def test_what_is_not_understood_is_refused_at_its_place(
    wrong: Change,
    path: str,
    code: str,
) -> None:
    document = welcome()
    wrong(document)

    assert problems_of(document) == [(path, code)]


def test_everything_wrong_is_told_at_once() -> None:
    document = welcome() | {"name": 5, "colour": 1}
    node_of(document, "rest")["delay"] = "P1M"

    found = [("/name", "wrongType"), ("/nodes/2/delay", "badDuration"), ("/colour", "unknownKey")]
    assert problems_of(document) == found


def deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "x",
        {"name": "\ud800"},
        {"name": "a\0b"},
        {"name": "x", "metadata": {"a": "\0"}},
        {"name": "x", "metadata": deep(20_000)},
    ],
)
def test_what_no_store_can_keep_is_refused(document: object) -> None:
    assert problems_of(document) == [("", "wrongType")]


def test_a_text_that_only_spells_an_escape_is_kept() -> None:
    assert parse({"name": r"C:\u0000"}).name == r"C:\u0000"


def test_a_document_over_the_limit_is_refused_and_its_largest_node_named() -> None:
    document = welcome()
    size = parse(document).size_bytes

    assert parse(document, max_bytes=size).size_bytes == size
    with pytest.raises(DefinitionError, match="'call'"):
        parse(document, max_bytes=size - 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
POINTERS = ["name", "type", "nodes", "timeouts", "reentrance", "startNodeId"]


@given(st.sampled_from(POINTERS), JSON)
def test_any_value_anywhere_is_read_or_refused(key: str, value: object) -> None:
    with suppress(DefinitionError):
        assert parse(welcome() | {key: value}).size_bytes


@given(st.integers(0, 5), st.sampled_from(["id", "type", "transitions", "delay", "x"]), JSON)
def test_any_value_in_a_node_is_read_or_refused(
    index: int,
    key: str,
    value: object,
) -> None:
    document = deepcopy(welcome())
    document["nodes"][index][key] = value

    with suppress(DefinitionError):
        assert parse(document).size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT10S", 10),
        ("PT5M", 300),
        ("P3D", 259_200),
        ("P1DT2H3M4S", 93_784),
        ("P2W", 1_209_600),
        ("P0D", 0),
        (90, 90),
    ],
)
def test_a_duration_is_read(text: object, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "P", "PT", "P1DT", "P1M", "P1Y", "-P1D", "P1D ", "PT1.5S", "1", "P٣D", "P1234567890D"],
)
def test_a_text_that_is_no_fixed_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|days"):
        parse_duration(text)


@pytest.mark.parametrize("value", [-1, True, 1.5, None, 10**20, []])
def test_a_value_that_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected|seconds"):
        parse_duration(value)
