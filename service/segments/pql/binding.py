"""From what the parser read to the checked tree of ``service.segments.pql.syntax``."""

from service.segments.pql import event_clauses
from service.segments.pql.errors import PqlErrorCode
from service.segments.pql.event_clauses import Clause
from service.segments.pql.leaves import Leaves
from service.segments.pql.limits import MAX_DEPTH, too_complex
from service.segments.pql.literals import constant
from service.segments.pql.moments import window
from service.segments.pql.reach import never_opens, opens_in_the_future
from service.segments.pql.scopes import Frame
from service.segments.pql.source import Branch, Source, branches, span_of, tokens, ungrouped
from service.segments.pql.syntax import (
    MIRRORED,
    And,
    CompareOp,
    Exists,
    Expression,
    LiteralKind,
    Not,
    Occurs,
    Or,
    literal,
)
from service.segments.pql.windows import Window


class Binder:
    """Reads one rule; used once."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._leaves = Leaves(source)
        self._has_clause = False

    def condition(self, tree: Branch, frame: Frame, depth: int = 1) -> Expression:
        """Return the condition that ``tree`` is at a place with ``frame``.

        Raises:
            PqlError: It is wrong, too large, or not evaluated by this service.
        """
        tree = ungrouped(tree)
        span = span_of(tree)
        if depth > MAX_DEPTH:
            message = f"conditions are nested more than {MAX_DEPTH} deep"
            raise too_complex(self._source.text, message, span.start, span.end)
        if tree.data == "not_":
            return Not(self.condition(branches(tree)[0], frame, depth + 1), span)
        if tree.data in {"disjunction", "conjunction"}:
            joined = Or if tree.data == "disjunction" else And
            items: list[Expression] = []
            for child in branches(tree):
                item = self.condition(child, frame, depth + 1)
                items.extend(item.items if isinstance(item, joined) else (item,))
            return joined(tuple(items), span)
        return self._of_events(tree, frame, depth) or self._leaves.leaf(tree, frame)

    def _of_events(self, tree: Branch, frame: Frame, depth: int) -> Expression | None:
        """Return the event clause that ``tree`` is, or None."""
        match tree.data:
            case "compare":
                return self._of_count(tree, frame, depth)
            case "quantifier":
                clause = event_clauses.of_quantifier(self._source, tree, frame)
            case "chain":
                clause = event_clauses.of_chain(self._source, tree, frame)
            case _:
                found = event_clauses.of_selection(self._source, tree, frame)
                if found is None:
                    return None
                clause = found
        return self._exists(tree, clause, frame, depth)

    def _of_count(self, tree: Branch, frame: Frame, depth: int) -> Expression | None:
        left, right = (ungrouped(side) for side in branches(tree))
        op = CompareOp(str(tokens(tree, "COMPARE")[0]))
        clause = event_clauses.of_count(self._source, left, frame)
        if clause is None:
            clause = event_clauses.of_count(self._source, right, frame)
            op, right = MIRRORED[op], left
        if clause is None:
            return None
        amount = constant(self._source, right)
        if amount is None:
            raise self._source.unsupported("a count compared with anything but a number", right)
        if amount.kind is not LiteralKind.INTEGER:
            message = "a count is compared with a whole number"
            raise self._source.error(PqlErrorCode.TYPE, message, right)
        asked = event_clauses.counted(self._source, op, int(amount.value), tree)
        found = self._exists(tree, clause, frame, depth, at_least=asked.at_least)
        return Not(found, span_of(tree)) if asked.negated else found

    def _exists(
        self, tree: Branch, clause: Clause, frame: Frame, depth: int, at_least: int | None = None
    ) -> Exists:
        if frame.in_clause:
            raise self._source.unsupported("an event clause inside an event clause", tree)
        if self._has_clause:
            raise self._source.unsupported("a second event clause", tree)
        self._has_clause = True
        windows: list[Window] = []
        if clause.when is not None:
            self._leaves.count(clause.when)
            windows.append(window(self._source, clause.when))
        condition: Expression = literal(value=True)
        if clause.condition is not None:
            inside = self.condition(clause.condition, clause.frame, depth + 1)
            condition, pulled = _pull_windows(inside)
            windows.extend(pulled)
        if clause.second is not None:
            raise self._source.unsupported("a second declaration after a comma", clause.second)
        self._check_windows(tuple(windows), tree)
        count = clause.at_least if at_least is None else at_least
        return Exists(condition, tuple(windows), count, span_of(tree))

    def _check_windows(self, windows: tuple[Window, ...], at: Branch) -> None:
        if never_opens(windows):
            message = "the windows of the event exclude each other"
            raise self._source.error(PqlErrorCode.WINDOW, message, at)
        if opens_in_the_future(windows):
            message = "the window starts in the future, where no event has happened"
            raise self._source.error(PqlErrorCode.WINDOW, message, at)


def _pull_windows(condition: Expression) -> tuple[Expression, tuple[Window, ...]]:
    """Split a condition into what is left and the windows each fitting event must keep."""
    items = condition.items if isinstance(condition, And) else (condition,)
    windows = tuple(item.window for item in items if isinstance(item, Occurs))
    rest = tuple(item for item in items if not isinstance(item, Occurs))
    match rest:
        case ():
            return literal(value=True), windows
        case (only,):
            return only, windows
    return And(rest, condition.span), windows
