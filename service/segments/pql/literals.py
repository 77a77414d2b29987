"""Constants of a rule, from their text."""

import math
import re

from service.segments.pql.errors import PqlErrorCode
from service.segments.pql.limits import MAX_INTEGER
from service.segments.pql.source import Branch, Source, branches, span_of, tokens, ungrouped
from service.segments.pql.syntax import Lit, Span, literal

_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_MOST_DIGITS = len(str(MAX_INTEGER))


def constant(source: Source, tree: Branch) -> Lit | None:
    """Return the constant that ``tree`` is, with its sign; None when it is something else.

    Raises:
        PqlError: ``TYPE`` for a number out of range, ``LEX_CHAR`` for a bad escape in a string.
    """
    span = span_of(tree)
    negative = False
    while tree.data == "negative":
        negative = not negative
        tree = ungrouped(branches(tree)[0])
    match tree.data:
        case "integer":
            value = whole(source, tree)
            return literal(-value if negative else value, span)
        case "double":
            number = float(str(tokens(tree)[0]))
            if math.isinf(number):
                raise source.error(PqlErrorCode.TYPE, "the number is too large", tree)
            return literal(-number if negative else number, span)
        case "string" if not negative:
            return literal(_unescape(source, tree), span)
        case "true" | "false" if not negative:
            return literal(tree.data == "true", span)
    return None


def whole(source: Source, tree: Branch) -> int:
    """Return the whole number of the first INT of ``tree``; it fits 64 bits."""
    token = tokens(tree, "INT")[0]
    digits = token.lstrip("0") or "0"
    if len(digits) > _MOST_DIGITS or int(digits) > MAX_INTEGER:
        raise source.error(PqlErrorCode.TYPE, "the number is too large", token)
    return int(digits)


def _unescape(source: Source, tree: Branch) -> str:
    first = span_of(tree).start + 1

    def plain(found: re.Match[str]) -> str:
        escaped = found.group(1)
        if len(escaped) > 1:
            return chr(int(escaped[1:], 16))
        if escaped not in _ESCAPES:
            raise source.error(
                PqlErrorCode.LEX_CHAR,
                f"there is no escape \\{escaped}",
                Span(first + found.start(), first + found.end()),
                'a backslash is written \\\\, a quote \\"',
            )
        return _ESCAPES[escaped]

    value = _ESCAPE.sub(plain, str(tokens(tree)[0])[1:-1])
    try:
        value = value.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        message = "the string holds half of a surrogate pair"
        raise source.error(PqlErrorCode.LEX_CHAR, message, tree) from None
    if "\0" in value:
        raise source.error(PqlErrorCode.LEX_CHAR, "a string cannot hold U+0000", tree)
    return value
