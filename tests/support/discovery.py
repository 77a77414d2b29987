"""A validator of Google's discovery documents: every field is known and has its type."""

import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

_DURATION = re.compile(r"\d+(\.\d{1,9})?s")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "array": (list,),
    "object": (dict,),
}


def discovery_document(name: str) -> dict[str, Any]:
    """Return a document that ships with Google's API client, such as ``fcm.v1``."""
    folder = resources.files("googleapiclient").joinpath("discovery_cache/documents")
    document: dict[str, Any] = json.loads(folder.joinpath(f"{name}.json").read_text())
    return document


def problems(document: Mapping[str, Any], schema: str, value: Any) -> list[str]:
    """Return what in a value is not as the document's schema of that name says."""
    return list(_object(document["schemas"], schema, value, schema))


def _object(schemas: Mapping[str, Any], name: str, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no object"
        return
    known = schemas[name].get("properties", {})
    for key, each in value.items():
        rule = known.get(key) or known.get(_camel(key))
        if rule is None:
            yield f"{at}.{key} is unknown"
        else:
            yield from _value(schemas, rule, each, f"{at}.{key}")


def _value(
    schemas: Mapping[str, Any], rule: Mapping[str, Any], value: Any, at: str
) -> Iterator[str]:
    if "$ref" in rule:
        yield from _object(schemas, rule["$ref"], value, at)
        return
    kind = rule["type"]
    if kind != "any" and (
        not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")
    ):
        yield f"{at} is no {kind}"
        return
    if "enum" in rule and value not in rule["enum"]:
        yield f"{at} is none of {rule['enum']}"
    if rule.get("format") == "google-duration" and not _DURATION.fullmatch(value):
        yield f"{at} is no duration"
    if kind == "array":
        for index, item in enumerate(value):
            yield from _value(schemas, rule["items"], item, f"{at}[{index}]")
    if kind == "object" and isinstance(rule.get("additionalProperties"), Mapping):
        for key, item in value.items():
            yield from _value(schemas, rule["additionalProperties"], item, f"{at}.{key}")


def _camel(name: str) -> str:
    """Return a field's JSON name; Google's parsers take its own name, with underscores, too."""
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)
