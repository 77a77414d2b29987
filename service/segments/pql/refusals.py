"""The right error for what the grammar reads and this service does not evaluate."""

from service.segments.pql.errors import PqlError, PqlErrorCode
from service.segments.pql.functions import FUNCTIONS, METHODS, nearest, same_but_for_case
from service.segments.pql.source import Branch, Source, arguments, branches, tokens

_NAMES = {
    "lambda_": "`(...) =>`",
    "let_": "`let ... in`",
    "like": "`like`",
    "matches": "`matches`",
    "occurs_ignoring_year": "`occursIgnoringYear`",
    "select": "`select ... from`",
    "object": "an object `{...}`",
    "array": "a list outside of `in`",
    "time_word": "a word of time outside of `occurs`",
    "filter": "a filter `[...]` on anything but xEvent",
}
_ELSEWHERE = {
    "count": "`count()` other than of events and compared with a number",
    "exists": "`exists()` on anything but xEvent",
    "filter": "`filter()` on anything but xEvent",
    "date": "`date()` outside of `occurs`",
}
_CONSTANTS = {"string", "integer", "double"}
_CONDITIONS = {
    "disjunction",
    "conjunction",
    "not_",
    "compare",
    "member",
    "non_member",
    "occurs",
    "quantifier",
    "chain",
}


def refusal(source: Source, tree: Branch) -> PqlError:
    """Return the error for ``tree``, which has no meaning (here, or yet); the caller raises it."""
    match tree.data:
        case "method":
            return _of_call(source, tree, str(tokens(tree, "FIELD")[0]), METHODS)
        case "call":
            return _of_call(source, tree, str(tokens(tree, "NAME")[0]), FUNCTIONS)
        case "sum_" | "product" | "negative":
            return _of_arithmetic(source, tree)
        case "quantifier" | "aggregate":
            word = tokens(tree)[0].lower()
            what = f"`{word} ... from`" if tree.data == "quantifier" else f"`{word} … over`"
            return source.unsupported(what, tree)
    if tree.data in _CONSTANTS:
        return source.error(PqlErrorCode.TYPE, "a constant is not a condition", tree)
    name = "a condition as a value" if tree.data in _CONDITIONS else _NAMES.get(tree.data)
    return source.unsupported(name or "this construct", tree)


def _of_call(source: Source, tree: Branch, name: str, known: frozenset[str]) -> PqlError:
    at = tokens(tree)[0]
    if name in known:
        if name == "inSegment" and [argument.data for argument in arguments(tree)] != ["string"]:
            message = "inSegment takes the id of a segment, in double quotes"
            return source.error(PqlErrorCode.TYPE, message, tree)
        return source.unsupported(_ELSEWHERE.get(name, f"`{name}()`"), at)
    right = same_but_for_case(name, known)
    if right is not None:
        message = f"there is no function {name}"
        return source.error(PqlErrorCode.KEYWORD_CASE, message, at, f"did you mean {right}?")
    other = nearest(name, known)
    hint = None if other is None else f"the nearest name is {other}"
    return source.error(PqlErrorCode.UNKNOWN_FUNCTION, f"there is no function {name}", at, hint)


def _of_arithmetic(source: Source, tree: Branch) -> PqlError:
    signs = tokens(tree)
    sign = str(signs[0]) if signs else "-"
    for operand in branches(tree):
        if operand.data in {"string", "true", "false"}:
            return source.error(PqlErrorCode.TYPE, f"{sign} takes numbers", operand)
    return source.unsupported(f"arithmetic with `{sign}`", tree)
