"""How large a rule may be, checked on the plain text before anything costlier looks at it.

A refusal takes a few milliseconds however large or deep the text is.
"""

import re

from service.segments.pql.errors import PqlError, PqlErrorCode

MAX_BYTES = 20_000
MAX_DEPTH = 40
MAX_LEAVES = 300
MAX_LIST_ITEMS = 1_000
MAX_INTEGER = 2**63 - 1
# Parentheses need not nest anything, so they may go deeper than conditions.
_MAX_BRACKETS = 80
_MAX_WORDS = 6_000
_WORD = re.compile(
    r'"(?:[^"\\\n]|\\.)*"|`[^`\n]+`|(?P<field>\.\s*[A-Za-z_][A-Za-z0-9_]*)'
    r"|(?P<join>\b(?:and|or)\b)|\w+|(?P<open>[(\[{])|(?P<close>[)\]}])|[^\s\w]",
    re.IGNORECASE,
)
_REFUSED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def check_text(text: str) -> None:
    """Refuse a text that is too large, nested too deep, or holds characters no store can keep.

    Raises:
        PqlError: ``COMPLEXITY`` or ``LEX_CHAR``.
    """
    bad = _REFUSED.search(text[: MAX_BYTES + 1])
    if bad is not None:
        raise PqlError(
            PqlErrorCode.LEX_CHAR,
            f"the character U+{ord(bad.group()):04X} cannot be part of a rule",
            start=bad.start(),
            end=bad.end(),
            text=text,
        )
    if len(text) > MAX_BYTES or len(text.encode()) > MAX_BYTES:
        raise too_complex(text, f"the rule is longer than {MAX_BYTES} bytes", 0, 0)
    _check_words(text)


def too_complex(text: str, message: str, start: int, end: int) -> PqlError:
    """Return the error for a rule beyond a limit; the caller raises it."""
    return PqlError(
        PqlErrorCode.COMPLEXITY,
        message,
        start=start,
        end=end,
        text=text,
        hint="split the rule into several segments",
    )


def _check_words(text: str) -> None:
    depth = fields = joins = 0
    for count, word in enumerate(_WORD.finditer(text)):
        depth += (word.lastgroup == "open") - (word.lastgroup == "close")
        joins += word.lastgroup == "join"
        fields = fields + 1 if word.lastgroup == "field" else 0
        start, end = word.span()
        if depth > _MAX_BRACKETS:
            raise too_complex(text, "brackets are nested too deep", start, end)
        if joins >= MAX_LEAVES:
            raise too_complex(text, f"the rule has more than {MAX_LEAVES} conditions", start, end)
        if fields >= MAX_DEPTH:
            raise too_complex(text, f"a path has more than {MAX_DEPTH} names", start, end)
        if count >= _MAX_WORDS:
            raise too_complex(text, f"the rule has more than {_MAX_WORDS} words", start, end)
