"""Writing a rule down in one canonical text."""

import re

from service.segments.pql.calendar_units import Unit
from service.segments.pql.functions import RESERVED
from service.segments.pql.syntax import (
    And,
    Cmp,
    CompareOp,
    Exists,
    Expression,
    In,
    IsNull,
    Lit,
    LiteralKind,
    Not,
    Occurs,
    Or,
    Path,
    Truthy,
)
from service.segments.pql.windows import (
    Anchor,
    Between,
    Beyond,
    Day,
    Distance,
    Period,
    Window,
    Within,
)

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
# Words that begin an aggregate or a quantifier, or mean nothing, when a path begins with them.
_AMBIGUOUS = RESERVED | {
    "sum",
    "average",
    "min",
    "max",
    "count",
    "some",
    "all",
    "none",
    "one",
    "null",
}
_PLURALS = {Unit.CENTURY: "centuries", Unit.MILLENNIUM: "millennia"}
_TIGHTNESS: dict[type, int] = {Or: 1, And: 2, Not: 3}
_LEAF = 4


def render(expression: Expression) -> str:  # noqa: C901 - one case per node
    """Return the canonical text of a rule; parsing it gives an equal tree.

    Event clauses are written as a chain of one step, the form of Adobe's own editor.
    """
    match expression:
        case Or(items):
            return " or ".join(_tighter(item, 1) for item in items)
        case And(items):
            return " and ".join(_tighter(item, 2) for item in items)
        case Not(item):
            return f"not {_tighter(item, 2)}"
        case Exists():
            return _chain(expression)
        case Lit():
            return _literal(expression)
        case Cmp():
            return _comparison(expression)
        case In(path, values, negated):
            word = "notIn" if negated else "in"
            return f"{_path(path)} {word} [{', '.join(_literal(value) for value in values)}]"
        case Truthy(path):
            return _path(path)
        case IsNull(path, negated):
            return f"{_path(path)}.{'isNotNull' if negated else 'isNull'}()"
        case Occurs(path, window):
            return f"{_path(path)} occurs {_window(window)}"


def _tighter(expression: Expression, than: int) -> str:
    text = render(expression)
    return text if _TIGHTNESS.get(type(expression), _LEAF) > than else f"({text})"


def _chain(clause: Exists) -> str:
    first, *more = (_window(window) for window in clause.windows) if clause.windows else (None,)
    parts = [render(clause.condition)]
    if more:
        parts = [] if _is_any(clause.condition) else [_tighter(clause.condition, 1)]
    parts.extend(f"timestamp occurs {window}" for window in more)
    step = f"WHAT({' and '.join(parts)})"
    if first is not None:
        step += f" WHEN({first})"
    if clause.at_least > 1:
        step += f" COUNT({clause.at_least})"
    return f"CHAIN(xEvent, timestamp, [C0: {step}])"


def _is_any(condition: Expression) -> bool:
    return isinstance(condition, Lit) and condition.value is True


def _comparison(leaf: Cmp) -> str:
    right = _literal(leaf.right) if isinstance(leaf.right, Lit) else _path(leaf.right)
    if leaf.case_sensitive:
        return f"{_path(leaf.left)} {leaf.op.value} {right}"
    method = "equals" if leaf.op is CompareOp.EQ else "notEqualTo"
    return f"{_path(leaf.left)}.{method}({right}, false)"


def _path(path: Path) -> str:
    first, *rest = path.names
    is_variable = bool(rest) and first[:1].isupper()
    quoted = first.lower() in _AMBIGUOUS or is_variable
    return ".".join([_name(first, quoted=quoted), *(_name(name, quoted=False) for name in rest)])


def _name(name: str, *, quoted: bool) -> str:
    return name if not quoted and _PLAIN.fullmatch(name) else f"`{name}`"


def _literal(value: Lit) -> str:
    match value.kind:
        case LiteralKind.STRING:
            return f'"{"".join(_escaped(character) for character in str(value.value))}"'
        case LiteralKind.BOOLEAN:
            return "true" if value.value else "false"
    return repr(value.value)


def _escaped(character: str) -> str:
    if character in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[character]
    if character.isprintable() or ord(character) > 0xFFFF:  # noqa: PLR2004 - what \u can say
        return character
    return f"\\u{ord(character):04x}"


def _window(window: Window) -> str:
    match window:
        case Within(anchor):
            return _anchor(anchor)
        case Beyond(direction, anchor):
            return f"{direction.value} {_anchor(anchor)}"
        case Between(first, last):
            return f"between {_anchor(first)} and {_anchor(last)}"
        case Distance(comparison, amount, unit, direction, anchor):
            units = unit.value if amount == 1 else _PLURALS.get(unit, f"{unit.value}s")
            return f"{comparison.value} {amount} {units} {direction.value} {_anchor(anchor)}"


def _anchor(anchor: Anchor) -> str:
    match anchor:
        case Period(which, unit):
            return f"{which.value} {unit.value}"
        case Day(year, month, day):
            return f"date({year}, {month}, {day})"
    return anchor.value
