"""How a vendor's body is put together: references filled in, trees laid over each other, limits."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote_plus

from service.core import json
from service.core.json import JsonObject
from service.outbound.adapters.vendor_document import Limit
from service.outbound.templating import TemplateError

ABSENT = object()
"""What a reference to something that is not there leaves, and what takes its key away."""


def filled(tree: Any, find: Callable[[str], Any]) -> Any:
    """Return a tree with every ``$name`` in it, keys included, replaced by what ``find`` returns.

    A key or an item that is ``ABSENT`` or null is left out.
    """
    if isinstance(tree, str):
        return find(tree) if tree.startswith("$") else tree
    if isinstance(tree, Mapping):
        pairs = ((filled(key, find), filled(value, find)) for key, value in tree.items())
        return {key: value for key, value in pairs if not _is_nothing(key, value)}
    if isinstance(tree, list | tuple):
        return [value for value in (filled(each, find) for each in tree) if not _is_nothing(value)]
    return tree


def without_nulls(tree: Any) -> Any:
    """Return a tree without the keys that are null, at any depth."""
    if isinstance(tree, Mapping):
        return {key: without_nulls(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list | tuple):
        return [without_nulls(value) for value in tree]
    return tree


def laid_over(below: JsonObject, above: JsonObject) -> JsonObject:
    """Return both trees as one; where both say something that is no object, ``above`` holds."""
    found = dict(below)
    for key, value in above.items():
        under = found.get(key)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        found[key] = laid_over(under, value) if both else value  # type: ignore[arg-type]
    return found


def clashes(own: JsonObject, written: JsonObject, at: str = "") -> Iterator[str]:
    """Yield the paths that both trees set, objects apart."""
    for key in own.keys() & written.keys():
        path = f"{at}.{key}" if at else key
        if isinstance(own[key], Mapping) and isinstance(written[key], Mapping):
            yield from clashes(own[key], written[key], path)
        else:
            yield path


def value_at(tree: Any, path: str) -> Any:
    """Return what a dotted path leads to, numbers naming items; ``ABSENT`` when nothing."""
    found = tree
    for step in path.split(".") if path else ():
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            return ABSENT
    return found


def with_parts(payload: JsonObject, parts: Mapping[str, JsonObject]) -> JsonObject:
    """Return a payload whose objects have what is added to them, where it has them."""
    found = payload
    for path, added in parts.items():
        part = value_at(found, path)
        if isinstance(part, Mapping):
            tree: JsonObject = laid_over(added, dict(part))
            for step in reversed(path.split(".")):
                tree = {step: tree}
            found = laid_over(found, tree)
    return found


def form(body: JsonObject) -> bytes:
    """Return a form: lists as repeated fields, objects as JSON, truth as ``true`` or ``false``."""
    pairs = [
        f"{quote_plus(name)}={quote_plus(_field(item))}"
        for name, value in body.items()
        for item in (value if isinstance(value, list) else [value])
    ]
    return "&".join(pairs).encode()


def check_limits(limits: tuple[Limit, ...], body: JsonObject, vendor: str) -> None:
    """Let a body pass that the vendor takes.

    Raises:
        TemplateError: A limit is passed; the message says where, how big and how big it may be.
    """
    for limit in limits:
        value = value_at(body, limit.at)
        if value is ABSENT:
            continue
        text = value if isinstance(value, str) else json.encode_text(value)
        sizes = (
            ("characters", len(text), limit.characters),
            ("bytes", len(text.encode()), limit.bytes),
            ("items", len(value) if isinstance(value, list) else 0, limit.items),
        )
        for unit, size, most in sizes:
            if most is not None and size > most:
                where = limit.at or "The message"
                raise TemplateError(
                    f"{where} is {size} {unit}; {vendor} takes {most}.", at=limit.at, size=size
                )


def _field(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.encode_text(value)


def _is_nothing(*values: Any) -> bool:
    return any(value is ABSENT or value is None for value in values)
