"""The tree of a rule, in its normal form: what the compiler, the printer and explain read.

Several ways of writing come to one tree. ``a.equals("x")`` is ``a = "x"``; a literal stands right
of its field; ``in`` with one value is ``=``; ``exists E from xEvent``, ``xEvent[...]``,
``.exists(...)``, ``.count() >= n`` and a chain of one step are all one ``Exists``; ``and`` in
``and`` is flat.
Every condition is two-valued: absent and null make a comparison false, never unknown.

Nodes carry the range of their text, which equality leaves out.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from service.segments.pql.windows import Window


@dataclass(frozen=True, slots=True)
class Span:
    """A range of the rule's text: offsets in characters, the end not included."""

    start: int
    end: int


NOWHERE = Span(0, 0)


class Scope(StrEnum):
    """What a path starts from. Event paths occur inside ``Exists`` only, profile paths outside."""

    PROFILE = "profile"
    EVENT = "event"


class LiteralKind(StrEnum):
    """The type a literal was written with; integer and double compare as one kind of number."""

    STRING = "string"
    INTEGER = "integer"
    DOUBLE = "double"
    BOOLEAN = "boolean"


class CompareOp(StrEnum):
    """A comparison, spelled as in PQL."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


MIRRORED = {
    CompareOp.EQ: CompareOp.EQ,
    CompareOp.NE: CompareOp.NE,
    CompareOp.LT: CompareOp.GT,
    CompareOp.LE: CompareOp.GE,
    CompareOp.GT: CompareOp.LT,
    CompareOp.GE: CompareOp.LE,
}


@dataclass(frozen=True, slots=True)
class Lit:
    """A constant; as a condition only the booleans occur."""

    kind: LiteralKind
    value: str | int | float | bool
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Path:
    """A field. ``names`` are whole keys, dots and quotes included: never join them by dots."""

    scope: Scope
    names: tuple[str, ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Cmp:
    """True when both sides are present, of one type, and compare so; ``NE`` too.

    Types are string, number and boolean; anything else compares false. The order operators take
    numbers only. ``case_sensitive`` false compares strings only, and only by ``EQ`` and ``NE``.
    """

    op: CompareOp
    left: Path
    right: Path | Lit
    case_sensitive: bool = True
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class In:
    """The field's value is (or, negated, is not) one of two or more distinct values.

    Negated it still needs a value, of a type that occurs among the values.
    """

    path: Path
    values: tuple[Lit, ...]
    negated: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Truthy:
    """A field as a condition: false when absent, null, false or an empty array, else true."""

    path: Path
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class IsNull:
    """The field is absent or JSON null; negated, it is neither."""

    path: Path
    negated: bool = False
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Occurs:
    """The moment in the field lies within the window. The field is the event's timestamp."""

    path: Path
    window: Window
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Not:
    """The item is false."""

    item: "Expression"
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class And:
    """Every item is true; two items or more, none of them an ``And``."""

    items: tuple["Expression", ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Or:
    """Some item is true; two items or more, none of them an ``Or``."""

    items: tuple["Expression", ...]
    span: Span = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Exists:
    """At least ``at_least`` (one or more) of the profile's events fit.

    An event fits when its timestamp lies in all of ``windows`` and ``condition`` holds for it.
    Windows that each fitting event must keep are in ``windows``, never a conjunct of ``condition``.
    A rule holds at most one such clause.
    """

    condition: "Expression"
    windows: tuple[Window, ...] = ()
    at_least: int = 1
    span: Span = field(default=NOWHERE, compare=False, repr=False)


Expression: TypeAlias = Cmp | In | Truthy | IsNull | Occurs | Not | And | Or | Exists | Lit

TIMESTAMP = Path(Scope.EVENT, ("timestamp",))
EVENT_TYPE = Path(Scope.EVENT, ("eventType",))


def literal(value: str | float | bool, span: Span = NOWHERE) -> Lit:  # noqa: FBT001 - a value
    """Return the literal for a Python value."""
    if isinstance(value, bool):
        return Lit(LiteralKind.BOOLEAN, value, span)
    if isinstance(value, str):
        return Lit(LiteralKind.STRING, value, span)
    if isinstance(value, int):
        return Lit(LiteralKind.INTEGER, value, span)
    return Lit(LiteralKind.DOUBLE, value, span)
