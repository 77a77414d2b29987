"""Conditions on one field: comparisons, lists, presence, truth, and the time of an event."""

from service.segments.pql.errors import PqlError, PqlErrorCode
from service.segments.pql.limits import MAX_LEAVES, MAX_LIST_ITEMS, too_complex
from service.segments.pql.literals import constant
from service.segments.pql.moments import window
from service.segments.pql.refusals import refusal
from service.segments.pql.scopes import Frame, path
from service.segments.pql.source import (
    Branch,
    Source,
    arguments,
    branches,
    span_of,
    tokens,
    ungrouped,
)
from service.segments.pql.syntax import (
    MIRRORED,
    TIMESTAMP,
    Cmp,
    CompareOp,
    Expression,
    In,
    IsNull,
    Lit,
    LiteralKind,
    Occurs,
    Path,
    Truthy,
    literal,
)

_FIELDS = frozenset({"name", "field", "up", "parameter"})
_EQUALITY = {"equals": CompareOp.EQ, "notEqualTo": CompareOp.NE}
_NULL_CHECKS = {"isNull": False, "isNotNull": True}
_ORDER = frozenset({CompareOp.LT, CompareOp.LE, CompareOp.GT, CompareOp.GE})


class Leaves:
    """Reads the leaves of one rule and keeps count of them."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._leaf_count = 0
        self._item_count = 0

    def count(self, at: Branch) -> None:
        """Count one leaf.

        Raises:
            PqlError: ``COMPLEXITY`` when it is one too many.
        """
        self._leaf_count += 1
        if self._leaf_count > MAX_LEAVES:
            raise self._too_many(f"the rule has more than {MAX_LEAVES} conditions", at)

    def leaf(self, tree: Branch, frame: Frame) -> Expression:
        """Return the condition on one field that ``tree`` is, or refuse it by name."""
        self.count(tree)
        if tree.data in _FIELDS:
            return Truthy(self._field(tree, frame), span_of(tree))
        match tree.data:
            case "true" | "false":
                return literal(tree.data == "true", span_of(tree))
            case "compare":
                return self._compare(tree, frame)
            case "member" | "non_member":
                return self._member(tree, frame)
            case "occurs":
                return self._occurs(tree, frame)
            case "method":
                return self._method(tree, frame)
        raise refusal(self._source, tree)

    def _method(self, tree: Branch, frame: Frame) -> Cmp | IsNull:
        name = str(tokens(tree, "FIELD")[0])
        if name in _EQUALITY:
            return self._equality(tree, frame, _EQUALITY[name])
        if name in _NULL_CHECKS:
            return self._null_check(tree, frame, negated=_NULL_CHECKS[name])
        raise refusal(self._source, tree)

    def _compare(self, tree: Branch, frame: Frame) -> Cmp:
        left, right = (self._operand(ungrouped(side), frame) for side in branches(tree))
        op = CompareOp(str(tokens(tree, "COMPARE")[0]))
        for side, operand in zip(branches(tree), (left, right), strict=True):
            if op in _ORDER and isinstance(operand, Lit) and not _is_number(operand):
                raise self._source.error(PqlErrorCode.TYPE, f"{op.value} takes numbers", side)
        if isinstance(left, Lit):
            left, right, op = right, left, MIRRORED[op]
        if isinstance(left, Lit):
            raise self._two_constants(tree)
        return Cmp(op, left, right, span=span_of(tree))

    def _equality(self, tree: Branch, frame: Frame, op: CompareOp) -> Cmp:
        given = arguments(tree)
        if not 1 <= len(given) <= len(("value", "case")):
            message = "it takes a string and, after it, true or false for case"
            raise self._source.error(PqlErrorCode.ARITY, message, tokens(tree, "FIELD")[0])
        case_sensitive = self._case_flag(given[1]) if len(given) > 1 else True
        receiver = ungrouped(branches(tree)[0])
        left, right = (self._operand(side, frame) for side in (receiver, given[0]))
        for side, operand in ((receiver, left), (given[0], right)):
            if isinstance(operand, Lit) and operand.kind is not LiteralKind.STRING:
                message = "it compares strings; write = for other values"
                raise self._source.error(PqlErrorCode.TYPE, message, side)
        if isinstance(left, Lit):
            left, right = right, left
        if isinstance(left, Lit):
            raise self._two_constants(tree)
        return Cmp(op, left, right, case_sensitive, span_of(tree))

    def _case_flag(self, tree: Branch) -> bool:
        if tree.data == "string":
            raise self._source.unsupported("`equals()` with several values", tree)
        flag = constant(self._source, tree)
        if flag is None or flag.kind is not LiteralKind.BOOLEAN:
            message = "the second argument is true (case matters) or false"
            raise self._source.error(PqlErrorCode.TYPE, message, tree)
        return bool(flag.value)

    def _null_check(self, tree: Branch, frame: Frame, *, negated: bool) -> IsNull:
        if arguments(tree):
            name = tokens(tree, "FIELD")[0]
            raise self._source.error(PqlErrorCode.ARITY, f"{name} takes no argument", name)
        return IsNull(self._field(ungrouped(branches(tree)[0]), frame), negated, span_of(tree))

    def _member(self, tree: Branch, frame: Frame) -> Expression:
        left, right = (ungrouped(side) for side in branches(tree))
        word = "in" if tree.data == "member" else "notIn"
        if right.data != "array":
            raise self._source.unsupported(f"`{word}` with anything but a list of constants", right)
        values = tuple(dict.fromkeys(self._item(item) for item in arguments(right)))
        subject = self._operand(left, frame)
        if isinstance(subject, Lit):
            raise self._two_constants(tree)
        negated, span = word == "notIn", span_of(tree)
        if not values:
            return (
                IsNull(subject, negated=True, span=span)
                if negated
                else Lit(LiteralKind.BOOLEAN, value=False, span=span)
            )
        if len(values) == 1:
            op = CompareOp.NE if negated else CompareOp.EQ
            return Cmp(op, subject, values[0], span=span)
        return In(subject, values, negated, span)

    def _item(self, tree: Branch) -> Lit:
        self._item_count += 1
        if self._item_count > MAX_LIST_ITEMS:
            raise self._too_many(f"the lists hold more than {MAX_LIST_ITEMS} values", tree)
        value = constant(self._source, tree)
        if value is None:
            raise self._source.unsupported("anything but a constant in a list", tree)
        return value

    def _occurs(self, tree: Branch, frame: Frame) -> Occurs:
        subject, tail = branches(tree)
        when = window(self._source, tail)
        subject = ungrouped(subject)
        if subject.data not in _FIELDS:
            raise refusal(self._source, subject)
        field = path(self._source, subject, frame)
        if field != TIMESTAMP:
            what = "`occurs` on anything but the timestamp of an event"
            raise self._source.unsupported(what, subject)
        return Occurs(field, when, span_of(tree))

    def _operand(self, tree: Branch, frame: Frame) -> Path | Lit:
        return constant(self._source, tree) or self._field(tree, frame)

    def _field(self, tree: Branch, frame: Frame) -> Path:
        field = path(self._source, tree, frame)
        if field == TIMESTAMP:
            raise self._source.unsupported("`timestamp` outside of `occurs`", tree)
        return field

    def _two_constants(self, tree: Branch) -> PqlError:
        message = "both sides are constants: one must be a field"
        return self._source.error(PqlErrorCode.TYPE, message, tree)

    def _too_many(self, message: str, at: Branch) -> PqlError:
        span = span_of(at)
        return too_complex(self._source.text, message, span.start, span.end)


def _is_number(value: Lit) -> bool:
    return value.kind in {LiteralKind.INTEGER, LiteralKind.DOUBLE}
