"""Whether an action's settings are those that a vendor's file asks for."""

import re
from collections.abc import Mapping
from typing import Any

from service.core.errors import InvalidInputError
from service.core.json import JsonObject
from service.outbound.adapters.vendor_document import Plain, Setting

_TYPES: Mapping[str, type] = {"string": str, "integer": int, "boolean": bool}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_TEMPLATE = re.compile(r"\{[{%]")


def read(settings: Mapping[str, Any], known: Mapping[str, Setting]) -> dict[str, Plain]:
    """Return the settings with their defaults; null is as good as left out."""
    found = {name: each.default for name, each in known.items()}
    found.update({name: value for name, value in settings.items() if value is not None})
    return {name: value for name, value in found.items() if value is not None}


def check(
    vendor: str,
    settings: Mapping[str, Any],
    known: Mapping[str, Setting],
    one_of: tuple[tuple[str, ...], ...],
    templates: frozenset[str],
) -> None:
    """Let settings pass that the vendor can be called with.

    Args:
        vendor: The adapter's name.
        settings: As written.
        known: Those that there are.
        one_of: Groups of which one must be given.
        templates: Those that may be templates.

    Raises:
        InvalidInputError: One is missing, of another type, out of range or not of its pattern.
    """
    found = read(settings, known)
    for name, setting in known.items():
        if setting.required and name not in found:
            raise _refusal(name, f"The adapter {vendor} needs it: {setting.description}")
        if name in found:
            _check_one(name, found[name], setting, is_template=name in templates)
    for group in one_of:
        if not any(name in found for name in group):
            raise _refusal(group[0], f"The adapter {vendor} needs {' or '.join(group)}.")


def schema(known: Mapping[str, Setting]) -> dict[str, JsonObject]:
    """Return the settings as properties of a JSON Schema."""
    return {name: _property(each) for name, each in known.items()}


def _property(setting: Setting) -> JsonObject:
    found: JsonObject = {"type": setting.type, "description": setting.description}
    for word in ("default", "pattern", "format", "minimum", "maximum"):
        value = getattr(setting, word)
        if value is not None:
            found[word] = f"^(?:{value})$" if word == "pattern" else value
    return {**found, "enum": list(setting.enum)} if setting.enum else found


def _check_one(name: str, value: Any, setting: Setting, *, is_template: bool) -> None:
    wanted = _TYPES[setting.type]
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise _refusal(name, f"It must be of the type {setting.type}.")
    if isinstance(value, int):
        low, high = setting.minimum, setting.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            raise _refusal(name, f"It must be from {low} to {high}.")
    if not isinstance(value, str):
        return
    if not value.strip() or _CONTROL.search(value):
        raise _refusal(name, "It must be a text on one line, not empty.")
    if not is_template and _TEMPLATE.search(value):
        raise _refusal(name, "It is the same for everyone and cannot hold a template.")
    if setting.enum and value not in setting.enum:
        raise _refusal(name, f"It must be one of {', '.join(setting.enum)}.")
    if setting.pattern is not None and not re.fullmatch(setting.pattern, value):
        raise _refusal(name, f"It does not look right: {setting.description}")


def _refusal(name: str, why: str) -> InvalidInputError:
    return InvalidInputError(f"settings.{name}: {why}", at=f"settings.{name}", setting=name)
