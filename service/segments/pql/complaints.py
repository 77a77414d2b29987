"""What the parser could not read, said in words a rule's author can use."""

import re

from lark import Token, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from service.segments.pql.errors import PqlError, PqlErrorCode
from service.segments.pql.functions import OPERATORS_WITH_CASE, same_but_for_case

_QUOTES = "'‘’‚‛“”„‟«»‹›´"  # noqa: RUF001 - the marks that people paste
_CHARACTER_HINTS = {
    "&": "write and",
    "|": "write or",
    "\\": "a backslash is allowed inside double quotes only",
    ";": "a rule is one expression",
}
_WORDS = {
    "COMPARE": "an operator",
    "UNIT": "a unit of time such as days",
    "INT": "a whole number",
    "DIRECTION": "before or after",
    "DECLARED_NAME": "a name followed by from",
    "FIELD": "a field name",
    "STEP_NOT": "a step such as C0: WHAT(...)",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "RBRACE": "`}`",
    "COMMA": "`,`",
    "COLON": "`:`",
    "_AND": "`and`",
    "_FROM": "`from`",
    "_OVER": "`over`",
    "_WHAT": "WHAT(...)",
    "$END": "the end",
}
_STARTS_OPERAND = {"STRING", "PARAMETER", "TIME_WORD"}
_NAME = frozenset({"NAME"})
_BRACKETS = {")": "(", "]": "[", "}": "{"}


def explain(error: UnexpectedInput, text: str) -> PqlError:
    """Return what ``error`` means for ``text``; the caller raises it."""
    if isinstance(error, UnexpectedToken):
        return _unexpected_token(error, text)
    if isinstance(error, UnexpectedCharacters):
        return _unexpected_character(error.pos_in_stream or 0, text)
    return _fault(PqlErrorCode.PARSE, "the rule ends too early", len(text), 0, text)


def _unexpected_character(at: int, text: str) -> PqlError:
    character = text[at]
    if character in _QUOTES:
        hint = 'write "text"'
        return _fault(PqlErrorCode.LEX_QUOTE, "strings take double quotes", at, 1, text, hint)
    if character == '"':
        hint = 'end it with ", on the same line'
        return _fault(PqlErrorCode.LEX_QUOTE, "the string is not closed", at, 1, text, hint)
    if character.isalnum() or character in "_`":
        word = re.match(r"\w+|.", text[at:])
        length = word.end() if word else 1
        return _fault(PqlErrorCode.PARSE, "this word cannot stand here", at, length, text)
    shown = f"`{character}`" if character.isprintable() else f"the character U+{ord(character):04X}"
    hint_for_character = _CHARACTER_HINTS.get(character)
    message = f"{shown} is not part of the language"
    return _fault(PqlErrorCode.LEX_CHAR, message, at, 1, text, hint_for_character)


def _unexpected_token(error: UnexpectedToken, text: str) -> PqlError:
    token: Token = error.token
    accepted = frozenset(error.accepts or error.expected)
    if token.type == "$END":
        opened = _innermost_open(text)
        hint = None if opened is None else f"`{opened}` is not closed"
        message = f"the rule ends too early; expected: {_in_words(accepted)}"
        return _fault(PqlErrorCode.PARSE, message, len(text), 0, text, hint)
    at, length = token.start_pos or 0, len(token)
    right = same_but_for_case(str(token), OPERATORS_WITH_CASE)
    if right is not None:
        message = f"`{token}` is not an operator"
        hint = f"did you mean {right}?"
        return _fault(PqlErrorCode.KEYWORD_CASE, message, at, length, text, hint)
    message = f"`{token}` cannot stand here; expected: {_in_words(accepted)}"
    return _fault(PqlErrorCode.PARSE, message, at, length, text, _hint(token, at, accepted, text))


def _hint(token: Token, at: int, accepted: frozenset[str], text: str) -> str | None:
    """Return what to write instead, for the slips that people make."""
    slips = (
        (token.startswith("=") and text[at - 1 : at] == "=", "equality is a single ="),
        (token.startswith(">") and text[at - 1 : at] == "<", "write !="),
        (
            re.match(r"not\s+in\b", text[at:], re.IGNORECASE) is not None,
            "the operator is one word: notIn",
        ),
        (
            token.type == "COMPARE" and "_AND" in accepted,
            "comparisons do not chain: join two of them with and",
        ),
        (accepted == {"INT"}, "the amount is a whole number, zero or more"),
        (accepted == _NAME, "a chain is CHAIN(xEvent, timestamp, [C0: WHAT(...)])"),
    )
    return next((hint for applies, hint in slips if applies), None)


def _in_words(accepted: frozenset[str]) -> str:
    if accepted >= _STARTS_OPERAND:
        return "a field or a value"
    if accepted == _NAME:
        return "a name"
    words = [word for name, word in _WORDS.items() if name in accepted]
    return " or ".join(words) if words else "something else"


def _innermost_open(text: str) -> str | None:
    opened: list[str] = []
    for found in re.finditer(r'"(?:[^"\\\n]|\\.)*"|`[^`\n]+`|[()\[\]{}]', text):
        mark = found.group()
        if mark in _BRACKETS and opened and opened[-1] == _BRACKETS[mark]:
            opened.pop()
        elif mark in _BRACKETS.values():
            opened.append(mark)
    return opened[-1] if opened else None


def _fault(
    code: PqlErrorCode, message: str, at: int, length: int, text: str, hint: str | None = None
) -> PqlError:
    return PqlError(code, message, start=at, end=at + length, text=text, hint=hint)
