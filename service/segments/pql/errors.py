"""What can be wrong with a rule, and where in its text."""

from enum import StrEnum

from service.core.errors import InvalidInputError

_SHOWN_BEFORE = 60
_SHOWN_AFTER = 60


class PqlErrorCode(StrEnum):
    """Why a rule is refused; part of the public API, so names never change."""

    LEX_QUOTE = "PQL-LEX-QUOTE"
    LEX_CHAR = "PQL-LEX-CHAR"
    PARSE = "PQL-PARSE"
    KEYWORD_CASE = "PQL-KEYWORD-CASE"
    UNKNOWN_FUNCTION = "PQL-UNKNOWN-FUNCTION"
    ARITY = "PQL-ARITY"
    TYPE = "PQL-TYPE"
    UNBOUND_VAR = "PQL-UNBOUND-VAR"
    FORWARD_VAR = "PQL-FORWARD-VAR"
    UP = "PQL-UP"
    NULL = "PQL-NULL"
    DATE = "PQL-DATE"
    WINDOW = "PQL-WINDOW"
    CHAIN_STEPS = "PQL-CHAIN-STEPS"
    CHAIN_LABEL = "PQL-CHAIN-LABEL"
    CHAIN_NEGATED = "PQL-CHAIN-NEGATED"
    COMPLEXITY = "PQL-COMPLEXITY"
    UNSUPPORTED = "PQL-UNSUPPORTED"


class PqlError(InvalidInputError):
    """The rule cannot be used as written; nothing of it was evaluated or kept.

    Attributes:
        code: Which kind of fault it is.
        message: One sentence, without the position.
        start: Offset of the first character at fault, counted in characters from 0.
        end: Offset after the last one; equal to ``start`` at the end of the text.
        line: Line of ``start``, from 1.
        column: Character within that line, from 1.
        hint: What to write instead, where that is known.
    """

    def __init__(
        self,
        code: PqlErrorCode,
        message: str,
        *,
        start: int,
        end: int,
        text: str,
        hint: str | None = None,
    ) -> None:
        line = text.count("\n", 0, start) + 1
        column = start - (text.rfind("\n", 0, start) + 1) + 1
        super().__init__(
            f"{message} (line {line}, column {column})",
            code=code.value,
            range={"start": start, "end": end, "line": line, "column": column},
            **({} if hint is None else {"hint": hint}),
        )
        self.code = code
        self.message = message
        self.start = start
        self.end = end
        self.line = line
        self.column = column
        self.hint = hint

    def caret(self, text: str) -> str:
        """Render the line at fault of ``text`` with a caret under the fault.

        A long line is cut around the fault, with an ellipsis on each side that was cut.
        """
        begins = text.rfind("\n", 0, self.start) + 1
        ends = text.find("\n", self.start)
        ends = len(text) if ends < 0 else ends
        first = max(begins, self.start - _SHOWN_BEFORE)
        last = min(ends, self.start + _SHOWN_AFTER)
        shown = "".join(c if c.isprintable() else " " for c in text[first:last])
        lead = "…" if first > begins else ""
        tail = "…" if last < ends else ""
        width = max(1, min(self.end, last) - self.start)
        pad = " " * (len(lead) + self.start - first)
        return f"{lead}{shown}{tail}\n{pad}{'^' * width}"
