"""URLs with a static host and a dynamic path and query: a value can fill a place, never open one.

In the path ``{{ expressions }}`` may stand inside segments; what comes of them is percent-encoded.
The query is apart, so that its values are encoded too.

Source: Journey Optimizer, configure a custom action (dynamic path); RFC 3986, 2.1 and 3.3.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, unquote

from service.core.errors import InvalidInputError
from service.outbound.template_names import Names
from service.outbound.templating import TemplateError, Variables, check_tree, render_text
from service.outbound.transport import Headers

STANDS_FOR_ANY = "*"
_LONGEST = 8000
_OUTPUT = re.compile(r"(\{\{.*?\}\})", re.DOTALL)
_ORIGIN = re.compile(r"https?://[^/?#\\{}]+/", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DOTS = frozenset({".", ".."})


def starred(url: str) -> str:
    """Return a URL with ``*`` where its templates stand, as limits are looked up by it."""
    return _OUTPUT.sub(STANDS_FOR_ANY, url)


def check(url: str, query: Headers, names: Names) -> None:
    """Refuse at save time templates in places where none may stand; the rest is the guard's.

    Raises:
        InvalidInputError: Scheme, host, port, the URL's own query or a query name hold a template,
            or one in the path or in ``query`` cannot be used.
    """
    _check_path(url, names)
    for name, template in query:
        at = f"query.{name}"
        if not name or name[0] in ".$" or _CONTROL.search(name):
            raise InvalidInputError(
                f"{name!r} is not a query parameter's name: none begins with . or $.", at=at
            )
        check_tree(template, names, at=at)


def render(url: str, query: Headers, values: Variables) -> str:
    """Return the URL of one message.

    Raises:
        TemplateError: A variable is missing, leaves a segment of the path empty, would lead up in
            it, holds a control character, or makes the URL too long.
    """
    if not query and "{{" not in url:
        return url
    pieces = _OUTPUT.split(url)
    pieces[1::2] = [_encoded(render_text(piece, values), "url") for piece in pieces[1::2]]
    filled = "".join(pieces)
    _check_segments(starred(url), filled)
    pairs = [
        f"{quote(name, safe='')}={_encoded(render_text(template, values), f'query.{name}')}"
        for name, template in query
    ]
    if pairs:
        filled += ("&" if "?" in filled else "?") + "&".join(pairs)
    if len(filled) > _LONGEST:
        raise TemplateError(f"The URL would have more than {_LONGEST} characters.")
    return filled


def _check_path(url: str, names: Names) -> None:
    if "{%" in url:
        raise InvalidInputError(
            "The URL's path takes {{ expressions }} and no tags: put conditions into filters, the "
            "payload or a header.",
            at="url",
        )
    literals, templates = _OUTPUT.split(url)[::2], _OUTPUT.split(url)[1::2]
    if any("{{" in literal for literal in literals):
        raise InvalidInputError("A template in the URL is not closed.", at="url")
    if not templates:
        return
    if not _ORIGIN.match(literals[0]):
        raise InvalidInputError(
            "The URL's scheme, host and port are static: templates may stand in its path.", at="url"
        )
    if any(mark in literal for literal in literals[:-1] for mark in "?#"):
        raise InvalidInputError(
            "A template in the URL's own query is not encoded: write it in query.", at="url"
        )
    for template in templates:
        check_tree(template, names, at="url")


def _check_segments(pattern: str, filled: str) -> None:
    written, made = (text.partition("?")[0].split("/") for text in (pattern, filled))
    for before, after in zip(written, made, strict=True):
        if before == after:
            continue
        if not after:
            raise TemplateError("A segment of the URL's path would be empty.", at="url")
        if _leads_up(unquote(after)):
            raise TemplateError("A value would lead elsewhere in the URL's path.", at="url")


def _leads_up(segment: str) -> bool:
    """Tell whether a segment, decoded by a careless server, holds ``.`` or ``..`` as a step."""
    return not _DOTS.isdisjoint(_steps(segment)) or not _DOTS.isdisjoint(_steps(unquote(segment)))


def _steps(segment: str) -> Iterable[str]:
    return segment.replace("\\", "/").split("/")


def _encoded(value: Any, at: str) -> str:
    text = str(value)
    if _CONTROL.search(text):
        raise TemplateError("A value in the URL would hold a control character.", at=at)
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise TemplateError("A value in the URL is no Unicode text.", at=at) from error
