"""The parse tree as the binding stage reads it: ranges, and errors at a place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

from lark import Token, Tree

from service.segments.pql.errors import PqlError, PqlErrorCode
from service.segments.pql.syntax import Span

Branch: TypeAlias = Tree[Token]


@dataclass(frozen=True, slots=True)
class Source:
    """The text of one rule."""

    text: str

    def error(
        self, code: PqlErrorCode, message: str, at: Branch | Token | Span, hint: str | None = None
    ) -> PqlError:
        """Return an error at the place of ``at``; the caller raises it."""
        span = at if isinstance(at, Span) else span_of(at)
        return PqlError(code, message, start=span.start, end=span.end, text=self.text, hint=hint)

    def unsupported(self, what: str, at: Branch | Token | Span) -> PqlError:
        """Return the refusal of something PQL has and this service does not evaluate."""
        return self.error(PqlErrorCode.UNSUPPORTED, f"{what} is not supported yet", at)


def span_of(at: Branch | Token) -> Span:
    """Return the range of a token or a branch; branches without a token do not occur."""
    if isinstance(at, Token):
        start = at.start_pos or 0
        return Span(start, start + len(at))
    return Span(at.meta.start_pos, at.meta.end_pos)


def branches(tree: Branch) -> list[Branch]:
    """Return the children that are branches, in the order of the text."""
    return [child for child in _children(tree) if isinstance(child, Tree)]


def tokens(tree: Branch, kind: str | None = None) -> list[Token]:
    """Return the children that are tokens (of one kind), in the order of the text."""
    found = [child for child in _children(tree) if isinstance(child, Token)]
    return [token for token in found if kind is None or token.type == kind]


def ungrouped(tree: Branch) -> Branch:
    """Return the expression inside any parentheses around ``tree``."""
    while tree.data == "group":
        tree = branches(tree)[0]
    return tree


def arguments(tree: Branch) -> list[Branch]:
    """Return the arguments of a call, a method or an array, without their parentheses."""
    lists = [child for child in branches(tree) if child.data == "arguments"]
    return [ungrouped(argument) for argument in branches(lists[0])] if lists else []


def _children(tree: Branch) -> Sequence[Any]:
    return cast("Sequence[Any]", tree.children)
