"""Message templates: Liquid with limits, text in JSON trees, no way to reach Python objects.

A template sees plain values only: ``profile``, ``event`` and what else its caller names. A variable
that is not there is an error, unless the template gives a ``default``.

Source: Liquid as python-liquid 2.3 implements it.
"""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeAlias

from liquid import BoundTemplate, RenderContext
from liquid.builtin.output import OutputNode
from liquid.exceptions import (
    LiquidError,
    ResourceLimitError,
    UndefinedError,
)
from liquid.undefined import StrictDefaultUndefined, Undefined

from service.core.errors import EdgepostError, InvalidInputError
from service.outbound import template_names
from service.outbound.template_environment import MAX_TEXT, environment_of
from service.outbound.template_names import Names, spelled_out

Variables: TypeAlias = Mapping[str, Any]
Renderer: TypeAlias = Callable[[Variables], Any]

_MAX_DEPTH = 32
_MAX_LOOPS = 50
_CACHED = 2048
_PLAIN_PATH = re.compile(r"\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*")
_LOOP = re.compile(r"\{%-?\s*(?:for|tablerow)\b")
_PIECES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_ABSENT = object()
_MAX_JSON_INTEGER = 2**63
# Filters also let through what Python makes of odd arguments: huge numbers, wrong types.
_TROUBLE = (LiquidError, RecursionError, ArithmeticError, ValueError, TypeError, LookupError)


class TemplateError(EdgepostError):
    """A template that was fine when saved cannot be rendered for this person.

    ``fields["variable"]`` names the variable that was not there, if that is why. ``reason`` is what
    the delivery ends with.
    """

    reason = "template"


def render_text(text: str, variables: Variables) -> str:
    """Return the text with its variables filled in.

    Raises:
        TemplateError: A variable is missing, or a limit was passed.
        InvalidInputError: The text is not a template; ``check_tree`` says so at save time.
    """
    return str(compile_template(text).text(variables))


def render_json(tree: Any, variables: Variables) -> Any:
    """Return a JSON tree with every string in it rendered; keys stay as they are.

    A string that is exactly one ``{{ expression }}`` becomes that value with its JSON type; any
    other string stays a string. The tree that was given is not changed.

    Raises:
        TemplateError: A variable is missing, or a limit was passed.
        InvalidInputError: A string is not a template; ``check_tree`` says so at save time.
    """
    if isinstance(tree, str):
        return compile_template(tree).value(variables)
    if isinstance(tree, Mapping):
        return {key: render_json(value, variables) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [render_json(value, variables) for value in tree]
    return tree


def check_tree(tree: Any, names: Names | None = None, *, at: str = "payload") -> None:
    """Refuse at save time a tree that could not be rendered for anyone.

    Raises:
        InvalidInputError: A string is not a template, names what is not among ``names`` or passes a
            limit whatever the person, or the tree is nested too deep or has too many loops;
            ``fields`` has the place as ``at``.
    """
    _check_branch(tree, names, at, 0)
    loops = _loops_of(tree)
    if loops > _MAX_LOOPS:
        raise InvalidInputError(
            f"{at} has {loops} loops; all its templates together may have {_MAX_LOOPS}.", at=at
        )
    _try_out(tree, at)


def _check_branch(tree: Any, names: Names | None, at: str, depth: int) -> None:
    if depth > _MAX_DEPTH:
        raise InvalidInputError(f"{at} is nested deeper than {_MAX_DEPTH} levels.", at=at)
    if isinstance(tree, str):
        try:
            template = compile_template(tree)
            if names is not None:
                template_names.check(template.reads, names)
        except InvalidInputError as error:
            raise InvalidInputError(f"{at}: {error.detail}", at=at, **error.fields) from error
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            _check_branch(value, names, f"{at}.{key}", depth + 1)
    elif isinstance(tree, list | tuple):
        for index, value in enumerate(tree):
            _check_branch(value, names, f"{at}[{index}]", depth + 1)


def _loops_of(tree: Any) -> int:
    if isinstance(tree, str):
        return len(_LOOP.findall(tree))
    if isinstance(tree, Mapping):
        return sum(map(_loops_of, tree.values()))
    return sum(map(_loops_of, tree)) if isinstance(tree, list | tuple) else 0


def _try_out(tree: Any, at: str) -> None:
    """Render each template with tags for nobody: what passes a limit then does so for everybody."""
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            _try_out(value, f"{at}.{key}")
    elif isinstance(tree, list | tuple):
        for index, value in enumerate(tree):
            _try_out(value, f"{at}[{index}]")
    elif isinstance(tree, str) and "{%" in tree:
        try:
            environment_of(Undefined).from_string(tree).render()
        except ResourceLimitError as error:
            raise InvalidInputError(
                f"{at}: the template would never be rendered, {_sentence(error)}.", at=at
            ) from error
        except _TROUBLE:
            return  # for somebody whose variables are there it may well go on


class Template:
    """A parsed template.

    Attributes:
        text: Returns the rendered string.
        value: Returns the value of a template that is one expression, else the rendered string.
        reads: The paths it names, as far as they are spelled out; not what it assigns itself.
    """

    __slots__ = ("reads", "text", "value")

    def __init__(
        self, source: str, parsed: BoundTemplate, reads: tuple[tuple[str, ...], ...] = ()
    ) -> None:
        self.reads = reads
        pieces = _PIECES.split(source)
        paths = [_PLAIN_PATH.fullmatch(piece) for piece in pieces[1::2]]
        self.text: Renderer = lambda variables: _liquid_text(parsed, variables)
        self.value: Renderer = self.text
        if "{%" not in source and all(paths):
            self.text = _spliced(pieces[::2], [_steps(path) for path in paths], self.text)
            self.value = self.text
        if len(parsed.nodes) == 1 and isinstance(parsed.nodes[0], OutputNode):
            expression = parsed.nodes[0].expression
            self.value = lambda variables: _liquid_value(parsed, expression, variables)
            if paths and paths[0] is not None:
                self.value = _looked_up(_steps(paths[0]), self.value)


@lru_cache(maxsize=_CACHED)
def compile_template(text: str) -> Template:
    """Return the parsed template; the same text is parsed once.

    Raises:
        InvalidInputError: The text is too long, not Liquid, or names an unknown filter.
    """
    if len(text) > MAX_TEXT:
        raise InvalidInputError(f"A template may hold at most {MAX_TEXT} characters.")
    environment = environment_of(StrictDefaultUndefined)
    try:
        parsed = environment.from_string(text)
        analysis = parsed.analyze()
        unknown = sorted(analysis.filters.keys() - environment.filters.keys())
    except LiquidError as error:
        raise InvalidInputError(f"This is not a valid template: {_sentence(error)}.") from error
    if unknown:
        raise InvalidInputError(f"There is no filter {unknown[0]}.")
    named = (variable.segments for each in analysis.globals.values() for variable in each)
    return Template(text, parsed, tuple(spelled_out(segments) for segments in named))


def _steps(path: "re.Match[str] | None") -> tuple[str, ...]:
    return tuple(path.group(1).split(".")) if path else ()


def _find(steps: tuple[str, ...], variables: Variables) -> Any:
    found: Any = variables
    for step in steps:
        if not isinstance(found, Mapping) or step not in found:
            return _ABSENT
        found = found[step]
    return found


def _looked_up(steps: tuple[str, ...], otherwise: Renderer) -> Renderer:
    """Return a renderer of one path that leaves everything unusual to Liquid."""

    def look_up(variables: Variables) -> Any:
        found = _find(steps, variables)
        return otherwise(variables) if found is _ABSENT else found

    return look_up


def _spliced(texts: list[str], paths: list[tuple[str, ...]], otherwise: Renderer) -> Renderer:
    """Return a renderer of text around paths; all but short strings is left to Liquid."""

    def splice(variables: Variables) -> Any:
        pieces = [texts[0]]
        for steps, text in zip(paths, texts[1:], strict=True):
            found = _find(steps, variables)
            if not isinstance(found, str):
                return otherwise(variables)
            pieces += (found, text)
        whole = "".join(pieces)
        return whole if len(whole) * 4 <= MAX_TEXT else otherwise(variables)

    return splice


def _liquid_text(parsed: BoundTemplate, variables: Variables) -> str:
    try:
        return parsed.render(variables)
    except _TROUBLE as error:
        raise _template_error(error) from error


def _liquid_value(parsed: BoundTemplate, expression: Any, variables: Variables) -> Any:
    context = RenderContext(parsed, globals=variables)
    try:
        value = expression.evaluate(context)
        if isinstance(value, StrictDefaultUndefined):
            value.poke()
    except _TROUBLE as error:
        raise _template_error(error) from error
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, int) and abs(value) >= _MAX_JSON_INTEGER:
        return _liquid_text(parsed, variables)
    if value is None or isinstance(value, bool | int | float | list | dict):
        return value
    return _liquid_text(parsed, variables)


def _template_error(error: Exception) -> TemplateError:
    sentence = _sentence(error)
    if isinstance(error, UndefinedError):
        variable = sentence.removesuffix(" is undefined").strip("'")
        return TemplateError(f"The variable {variable} is not there.", variable=variable)
    return TemplateError(f"The template could not be rendered: {sentence}.")


def _sentence(error: Exception) -> str:
    """Return what went wrong without the excerpt of the template."""
    return str(error.args[0]).splitlines()[0].rstrip(".") if error.args else type(error).__name__
