"""What a custom action's settings, parameters and answers look like."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load

from service.core import json
from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.action_parameters import ActionParameter, ParameterKind
from service.outbound.adapters.registry import ADAPTERS
from service.outbound.answer_fields import MAX_FIELDS, parse_answers
from service.outbound.parameter_types import ParameterType
from service.outbound.token_choice import PLATFORMS
from service.web.payloads.base import NOT_AN_OBJECT, Choice, Flag, Payload

_ADDRESS: JsonObject = {
    "appId": {"type": ["string", "null"], "description": "Tokens of this app; left out, of any."},
    "platform": {
        "enum": [*sorted(PLATFORMS), None],
        "description": "Tokens of this platform; left out, of any. The adapter fcm takes `fcm`.",
    },
}
_SAID: dict[str, str | list[Any] | dict[Any, Any]] = {"invalid": NOT_AN_OBJECT}
_TYPES = [each.value for each in ParameterType]


def setting_properties() -> JsonObject:
    """Return the JSON Schema of every setting of any adapter, with whose it is."""
    found: dict[str, dict[str, tuple[JsonObject, list[str]]]] = {}
    for adapter in ADAPTERS.values():
        for name, schema in adapter.setting_descriptions.items():
            spelled = json.encode_text(schema)
            found.setdefault(name, {}).setdefault(spelled, (schema, []))[1].append(adapter.name)
    own = {name: _merged(list(variants.values())) for name, variants in sorted(found.items())}
    return {**_ADDRESS, **own}


def _merged(variants: list[tuple[JsonObject, list[str]]]) -> JsonObject:
    if len(variants) == 1:
        schema, adapters = variants[0]
        said = str(schema.get("description", "")).strip()
        return {**schema, "description": f"{said} Of {', '.join(adapters)}.".strip()}
    return {"anyOf": [{**schema, "title": ", ".join(adapters)} for schema, adapters in variants]}


class ActionParameterSchema(Payload):
    """One parameter that an action declares."""

    name = fields.String(
        required=True,
        metadata={"description": "Its place, names joined by dots: `customer.name`."},
    )
    type = Choice(ParameterType, required=True, metadata={"description": "What its value must be."})
    kind = Choice(
        ParameterKind,
        load_default=ParameterKind.VARIABLE,
        metadata={"description": "A constant has its value here, a variable from the journey."},
    )
    value = fields.Raw(allow_none=True, metadata={"description": "Of a constant."})
    optional = Flag(
        load_default=False,
        metadata={"description": "Without a value it is left out, instead of failing the message."},
    )
    allow_null = Flag(
        load_default=False,
        data_key="allowNull",
        metadata={"description": "Without a value it is null, a list an empty one."},
    )

    @post_load
    def make(self, values: dict[str, Any], **_: Any) -> ActionParameter:
        """Return the parameter."""
        return ActionParameter(
            name=values["name"],
            type=values["type"],
            kind=values["kind"],
            value=values.get("value"),
            is_optional=values["optional"],
            allows_null=values["allow_null"],
        )


def _check_answers(value: Mapping[str, Any]) -> None:
    try:
        parse_answers(value)
    except InvalidInputError as error:
        raise ValidationError(error.detail) from error


def answers_field() -> fields.Dict:
    """Return the field that says how answers are mapped."""
    mapped = {
        "type": "object",
        "maxProperties": MAX_FIELDS,
        "propertyNames": {"pattern": r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"},
        "additionalProperties": {
            "type": "object",
            "required": ["path"],
            "properties": {
                "path": {"type": "string", "maxLength": 256},
                "type": {"enum": _TYPES, "default": "string"},
            },
            "additionalProperties": False,
        },
    }
    return fields.Dict(
        load_default=dict,
        error_messages=_SAID,
        validate=_check_answers,
        metadata={
            "properties": {"response": mapped, "errorResponse": mapped},
            "additionalProperties": False,
            "description": (
                "The fields of the answer that the journey may read afterwards, by name, as "
                "`context.action.<node id>.response.<name>` and, on the error path, "
                "`….errorResponse.<name>`; `path` is like `items[0].id`. Left out, a small answer "
                "is `context.lastAction.response` whole."
            ),
        },
    )
