"""The typed parameters of an action: what its author fixes, and what a journey's node must give.

Each is a place in the parameters' JSON, names joined by dots, with a type. A constant has its value
here; a variable gets one from the node that calls the action. Together they are ``parameters`` in
templates, and the body of an action that has no payload of its own.

Source: Journey Optimizer, configure a custom action (define the payload parameters).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.parameter_types import ParameterType, typed
from service.outbound.template_names import Path
from service.outbound.templating import TemplateError, compile_template

MAX_PARAMETERS = 100
_MAX_NAME = 128
_NAME = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*", re.ASCII)


class ParameterKind(StrEnum):
    """Who gives the value: the action, or the journey's node."""

    CONSTANT = "constant"
    VARIABLE = "variable"


class ParameterError(TemplateError):
    """A node's parameter is missing or of another type; ``fields["parameter"]`` names it."""

    reason = "parameter"


@dataclass(frozen=True, slots=True)
class ActionParameter:
    """One declared parameter.

    Attributes:
        name: Its place, such as ``customer.name``.
        value: Of a constant.
        is_optional: A variable without a value is left out.
        allows_null: A variable without a value is sent as null, a list as an empty one.
    """

    name: str
    type: ParameterType
    kind: ParameterKind = ParameterKind.VARIABLE
    value: Any = None
    is_optional: bool = False
    allows_null: bool = False

    @property
    def must_be_given(self) -> bool:
        """Whether a node must say where the value comes from; null may still come of it."""
        return self.kind is ParameterKind.VARIABLE and not self.is_optional

    def stored(self) -> JsonObject:
        """Return it as the API and the store spell it."""
        shown: JsonObject = {"name": self.name, "type": self.type.value, "kind": self.kind.value}
        if self.kind is ParameterKind.CONSTANT:
            return {**shown, "value": self.value}
        return {**shown, "optional": self.is_optional, "allowNull": self.allows_null}


Parameters: TypeAlias = tuple[ActionParameter, ...]


def from_stored(stored: Iterable[Any] | None) -> Parameters:
    """Return what ``ActionParameter.stored`` wrote."""
    return tuple(
        ActionParameter(
            name=each["name"],
            type=ParameterType(each["type"]),
            kind=ParameterKind(each["kind"]),
            value=each.get("value"),
            is_optional=each.get("optional", False),
            allows_null=each.get("allowNull", False),
        )
        for each in stored or ()
    )


def check(parameters: Sequence[ActionParameter]) -> None:
    """Refuse at save time what could never be given.

    Raises:
        InvalidInputError: A name is no name, stands twice or inside another, a constant is not of
            its type, or a variable has what only a constant may have.
    """
    if len(parameters) > MAX_PARAMETERS:
        raise InvalidInputError(f"An action has at most {MAX_PARAMETERS} parameters.")
    taken: dict[str, str] = {}
    for index, each in enumerate(parameters):
        at = f"parameters[{index}]"
        if len(each.name) > _MAX_NAME or not _NAME.fullmatch(each.name):
            raise InvalidInputError(
                f"{at}.name is names joined by dots, without $: customer.name.", at=f"{at}.name"
            )
        clash = next((name for name in taken if clashes(name, each.name)), None)
        if clash is not None:
            raise InvalidInputError(
                f"The parameters {clash} and {each.name} have the same place.", at=f"{at}.name"
            )
        taken[each.name] = at
        if each.kind is ParameterKind.CONSTANT:
            _check_constant(each, at)
        elif each.value is not None:
            raise InvalidInputError(
                f"{at}.value: a variable gets its value from the journey; a constant has one.",
                at=f"{at}.value",
            )
        elif each.type is ParameterType.LIST_ANY:
            raise InvalidInputError(
                f"{at}.type: a list of mixed types can only be a constant.", at=f"{at}.type"
            )


def _check_constant(parameter: ActionParameter, at: str) -> None:
    if parameter.is_optional:
        raise InvalidInputError(f"{at}.optional: a constant is always there.", at=f"{at}.optional")
    if parameter.value is None and not parameter.allows_null:
        raise InvalidInputError(f"{at}.value: the constant has none.", at=f"{at}.value")
    try:
        typed(parameter.type, parameter.value)
    except ValueError as error:
        raise InvalidInputError(f"{at}.value: {error}.", at=f"{at}.value") from error


def check_names(parameters: Sequence[ActionParameter], templates: Iterable[Any]) -> None:
    """Refuse templates that name a parameter which is not declared; without any, all may be.

    Raises:
        InvalidInputError: One does; ``fields`` has the name and those that there are.
    """
    if not parameters:
        return
    declared = [tuple(each.name.split(".")) for each in parameters]
    for path in _reads(templates):
        if path[:1] == ("parameters",) and not any(_fits(path[1:], each) for each in declared):
            known = [each.name for each in parameters]
            raise InvalidInputError(
                f"The action declares no parameter {'.'.join(path[1:])}: it has "
                f"{', '.join(known)}.",
                variable=".".join(path),
                known=known,
            )


def values_of(parameters: Sequence[ActionParameter], given: Mapping[str, Any]) -> JsonObject:
    """Return the parameters of one message: constants, and what the node gave, of the right types.

    Without declared parameters it is what was given; with them what is not declared is passed over.
    Nulls inside lists are dropped.

    Raises:
        ParameterError: A required one is missing, or one has another type.
    """
    if not parameters:
        return dict(given)
    values: JsonObject = {}
    for each in parameters:
        found = each.value
        if each.kind is ParameterKind.VARIABLE:
            found = _found(given, each.name)
            if found is None and not each.allows_null:
                if each.is_optional:
                    continue
                raise ParameterError(f"The parameter {each.name} is missing.", parameter=each.name)
        try:
            _put(values, each.name, typed(each.type, found))
        except ValueError as error:
            detail = f"The parameter {each.name} cannot be sent: {error}."
            raise ParameterError(detail, parameter=each.name) from error
    return values


def unknown_in(parameters: Sequence[ActionParameter], given: Mapping[str, Any]) -> str | None:
    """Return the place of something given that is not declared, if there is any."""
    if not parameters:
        return None
    declared = [tuple(each.name.split(".")) for each in parameters]
    return next(
        (
            name
            for name in _leaves(given)
            if not any(_fits(tuple(name.split(".")), each) for each in declared)
        ),
        None,
    )


def problem_of(parameter: ActionParameter, value: Any) -> str | None:
    """Return why a parameter cannot have a value, ``None`` when it can."""
    if value is None:
        is_needed = not parameter.is_optional and not parameter.allows_null
        return "null is not allowed" if is_needed else None
    try:
        typed(parameter.type, value)
    except ValueError as error:
        return str(error)
    return None


def clashes(one: str, other: str) -> bool:
    """Tell whether two places are the same, or one lies inside the other."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _reads(tree: Any) -> Iterator[Path]:
    if isinstance(tree, str):
        yield from compile_template(tree).reads
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from _reads(value)
    elif isinstance(tree, Iterable):
        for value in tree:
            yield from _reads(value)


def _fits(path: Sequence[str], declared: Sequence[str]) -> bool:
    """Tell whether a path leads to a declared place, into its value, or above it."""
    return all(one == other for one, other in zip(path, declared, strict=False))


def _leaves(given: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for name, value in given.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{path}.")
        elif value is not None:
            yield path


def _found(given: Mapping[str, Any], name: str) -> Any:
    found: Any = given
    for step in name.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _put(values: JsonObject, name: str, value: Any) -> None:
    *parents, last = name.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value
