from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import InvalidInputError
from service.outbound import action_parameters
from service.outbound.action_parameters import (
    ActionParameter,
    ParameterError,
    ParameterKind,
    from_stored,
    values_of,
)
from service.outbound.parameter_types import ParameterType, typed

T = ParameterType


def variable(
    name: str,
    kind: ParameterType = T.STRING,
    *,
    is_optional: bool = False,
    allows_null: bool = False,
) -> ActionParameter:
    return ActionParameter(name, kind, is_optional=is_optional, allows_null=allows_null)


def constant(name: str, value: Any, kind: ParameterType = T.STRING) -> ActionParameter:
    return ActionParameter(name, kind, ParameterKind.CONSTANT, value)


@pytest.mark.parametrize(
    ("wanted", "value", "sent"),
    [
        (T.STRING, "a", "a"),
        (T.STRING, "", ""),
        (T.INTEGER, 5, 5),
        (T.INTEGER, 5.0, 5),
        (T.DECIMAL, 5, 5),
        (T.DECIMAL, 0.5, 0.5),
        (T.BOOLEAN, False, False),
        (T.DATE_TIME, "2026-07-01T10:00:00Z", "2026-07-01T10:00:00Z"),
        (T.DATE_TIME, "2026-07-01T10:00:00.123+02:00", "2026-07-01T10:00:00.123+02:00"),
        (T.DATE_TIME_ONLY, "2026-07-01T10:00", "2026-07-01T10:00"),
        (T.DATE_ONLY, "2026-02-28", "2026-02-28"),
        (T.LIST_INTEGER, [1, None, 2.0], [1, 2]),
        (T.LIST_STRING, [], []),
        (T.LIST_STRING, None, []),
        (T.LIST_ANY, [1, "a", None, True], [1, "a", True]),
        (T.STRING, None, None),
    ],
)
def test_a_value_of_its_type_is_sent(wanted: ParameterType, value: Any, sent: Any) -> None:
    found = typed(wanted, value)

    assert (found, type(found)) == (sent, type(sent))


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (T.STRING, 5),
        (T.INTEGER, "5"),
        (T.INTEGER, 5.5),
        (T.INTEGER, True),
        (T.INTEGER, float("nan")),
        (T.DECIMAL, float("inf")),
        (T.DECIMAL, "0.5"),
        (T.BOOLEAN, 1),
        (T.BOOLEAN, "true"),
        (T.DATE_TIME, "2026-07-01T10:00:00"),
        (T.DATE_TIME, "2026-07-01"),
        (T.DATE_TIME, "2026-13-01T10:00:00Z"),
        (T.DATE_TIME_ONLY, "2026-07-01T10:00:00Z"),
        (T.DATE_ONLY, "2026-02-30"),
        (T.DATE_ONLY, "2026-07-01T10:00"),
        (T.LIST_STRING, "a"),
        (T.LIST_STRING, ["a", 1]),
        (T.LIST_ANY, [[1]]),
        (T.LIST_ANY, [{"a": 1}]),
    ],
)
def test_a_value_of_another_type_is_refused(wanted: ParameterType, value: Any) -> None:
    with pytest.raises(ValueError, match="expected"):
        typed(wanted, value)


@given(st.text(max_size=30))
def test_a_refusal_quotes_nothing_of_the_value(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected integer, got a text$"):
        typed(T.INTEGER, text)


def test_constants_and_variables_stand_in_their_places() -> None:
    declared = (
        variable("customer.name"),
        variable("customer.age", T.INTEGER),
        constant("customer.kind", "VIP"),
        constant("tags", ["a", 1], T.LIST_ANY),
    )

    values = values_of(declared, {"customer": {"name": "Ann", "age": 41}, "other": 1})

    assert values == {"customer": {"name": "Ann", "age": 41, "kind": "VIP"}, "tags": ["a", 1]}


@pytest.mark.parametrize(
    ("parameter", "sent"),
    [
        (variable("x", is_optional=True), {}),
        (variable("x", allows_null=True), {"x": None}),
        (variable("x", is_optional=True, allows_null=True), {"x": None}),
        (variable("x", T.LIST_STRING, allows_null=True), {"x": []}),
        (variable("x.y", is_optional=True), {}),
    ],
)
@pytest.mark.parametrize("given_", [{}, {"x": None}], ids=["absent", "null"])
def test_what_has_no_value_is_left_out_or_null(
    parameter: ActionParameter, sent: Any, given_: dict[str, Any]
) -> None:
    assert values_of((parameter,), given_) == sent


@pytest.mark.parametrize(
    ("parameter", "given_", "says"),
    [
        (variable("x"), {}, "The parameter x is missing"),
        (variable("x"), {"x": None}, "The parameter x is missing"),
        (variable("x.y"), {"x": 1}, r"The parameter x\.y is missing"),
        (variable("x", T.INTEGER), {"x": "Ann"}, "x cannot be sent: expected integer, got a text"),
        (variable("x", is_optional=True), {"x": {"y": 1}}, "expected string, got an object"),
    ],
)
def test_a_value_that_cannot_be_sent_stops_the_message_and_is_named(
    parameter: ActionParameter, given_: dict[str, Any], says: str
) -> None:
    with pytest.raises(ParameterError, match=says) as caught:
        values_of((parameter,), given_)

    assert (caught.value.reason, caught.value.fields) == (
        "parameter",
        {"parameter": parameter.name},
    )


def test_an_action_that_declares_nothing_takes_what_it_is_given() -> None:
    assert values_of((), {"a": {"b": object}}) == {"a": {"b": object}}


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ([variable("$x")], "names joined by dots"),
        ([variable("x.")], "names joined by dots"),
        ([variable("")], "names joined by dots"),
        ([variable("x" * 129)], "names joined by dots"),
        ([variable("x"), variable("x")], "same place"),
        ([variable("x"), variable("x.y")], "same place"),
        ([constant("x", "a", T.INTEGER)], "expected integer"),
        ([constant("x", None)], "has none"),
        ([variable("x", T.LIST_ANY)], "only be a constant"),
        ([ActionParameter("x", T.STRING, value="a")], "gets its value from the journey"),
        (
            [ActionParameter("x", T.STRING, ParameterKind.CONSTANT, "a", is_optional=True)],
            "always there",
        ),
        ([variable(f"x{number}") for number in range(101)], "at most 100"),
    ],
)
def test_what_could_never_be_given_is_refused_when_it_is_saved(
    declared: list[ActionParameter], says: str
) -> None:
    with pytest.raises(InvalidInputError, match=says):
        action_parameters.check(declared)


def test_a_template_names_declared_parameters_only() -> None:
    declared = (variable("who.first"), variable("tags", T.LIST_STRING))
    sound = "{{ parameters.who.first }}{{ parameters.tags.first }}{{ parameters.who }}"

    action_parameters.check_names(declared, [sound, {"a": ["{{ profile.x }}"]}])
    action_parameters.check_names((), ["{{ parameters.anything }}"])
    with pytest.raises(InvalidInputError, match=r"no parameter who\.last: it has who\.first, tags"):
        action_parameters.check_names(declared, [{"a": ["{{ parameters.who.last }}"]}])


@pytest.mark.parametrize(
    ("given_", "unknown"),
    [
        ({"who": {"first": "a"}}, None),
        ({"who": {"last": "a"}}, "who.last"),
        ({"extra": 1}, "extra"),
        ({"extra": None}, None),
    ],
)
def test_what_is_not_declared_is_found(given_: dict[str, Any], unknown: str | None) -> None:
    assert action_parameters.unknown_in((variable("who.first"),), given_) == unknown


def test_what_is_stored_is_read_back() -> None:
    declared = (
        variable("a", T.LIST_DATE_ONLY, is_optional=True),
        variable("b", allows_null=True),
        constant("c", 5, T.INTEGER),
    )

    assert from_stored([each.stored() for each in declared]) == declared
    assert from_stored(None) == ()
