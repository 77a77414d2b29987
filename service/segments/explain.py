"""Why a profile is in a segment or not: every condition with what it saw.

The lines come from the expressions that evaluation itself uses, selected one by one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Integer, func, literal_column, select
from sqlalchemy.orm import Session

from service.core.errors import NotFoundError
from service.core.json import JsonObject, decode
from service.sandboxes.scope import Scope
from service.segments import definitions
from service.segments.compiler import Compiler, clauses, leaves
from service.segments.fields import Sql, engine_of
from service.segments.models import SegmentMembership
from service.segments.pql.printer import render
from service.segments.pql.syntax import (
    And,
    Cmp,
    Exists,
    Expression,
    In,
    IsNull,
    Lit,
    LiteralKind,
    Not,
    Or,
    Path,
    Span,
    Truthy,
)
from service.segments.programs import (
    ATTRIBUTES,
    EVENT,
    first_event_at,
    rule_of,
    with_counts,
    with_profiles,
)

_ANY = Lit(LiteralKind.BOOLEAN, value=True)


class Basis(StrEnum):
    """Where a statement of an explanation comes from."""

    RECORDED = "recorded"
    EVALUATED_NOW = "evaluatedNow"


@dataclass(frozen=True, slots=True)
class Line:
    """One condition of the rule.

    Attributes:
        text: The condition in canonical PQL.
        span: Where it stands in the rule's text.
        is_true: Its truth now; of a condition on events, whether it holds for any of them.
        seen: The values it read, by field; an absent field is left out. Of conditions on events:
            ``fitting``, how many fit, ``of``, how many lie in the windows, ``needed`` of a clause.
    """

    text: str
    span: Span
    is_true: bool
    seen: JsonObject
    basis: Basis = Basis.EVALUATED_NOW


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a profile stands in a segment, by record and by the rule now.

    The two differ where time alone changed the truth since the last evaluation.
    """

    recorded: SegmentMembership | None
    is_true: bool
    lines: tuple[Line, ...]


def explain(
    session: Session,
    scope: Scope,
    segment_id: UUID,
    profile_id: UUID,
    *,
    now: datetime,
) -> Explanation:
    """Return every condition of a segment's rule with its truth for one profile.

    Raises:
        NotFoundError: The sandbox has no such segment, or no such profile (any more).
    """
    segment = definitions.get(session, scope, segment_id)
    rule = rule_of(segment.expression)
    question = _Question(session.get_bind().dialect.name, rule.expression)
    row = (
        session.execute(
            select(*question.columns).select_from(question.source),
            question.moments(now)
            | {
                "sandbox_id": scope.sandbox_id,
                "ids": question.keys_value([profile_id]),
                "seen_from": first_event_at([rule], now),
            },
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFoundError(f"There is no profile {profile_id}.")
    recorded = session.get(SegmentMembership, (scope.sandbox_id, segment_id, profile_id))
    return Explanation(recorded, row["is_true"], tuple(question.lines(row)))


class _Question:
    """The columns that explain one rule, and how to read their row."""

    def __init__(self, dialect: str, expression: Expression) -> None:
        engine = engine_of(dialect)
        self._compiler = Compiler(engine, ATTRIBUTES, EVENT)
        self._clauses = list(clauses(expression))
        self._on_profile = list(_outside_clauses(expression))
        self.keys_value = engine.keys_value
        self.moments = self._compiler.moments
        people = engine.keys("ids")
        self.source = with_profiles(dialect, people)
        counts = [
            func.count().filter(self._compiler.fits(asked)).label(name)
            for index, clause in enumerate(self._clauses)
            for name, asked in _asked(index, clause)
        ]
        if counts:
            self.source = with_counts(dialect, self.source, people, counts)
        fitting: dict[Exists, Sql] = {
            clause: _counted(f"fitting{index}") for index, clause in enumerate(self._clauses)
        }
        self.columns: list[Any] = [
            self._compiler.condition(expression, fitting).label("is_true"),
            *(_counted(count.name).label(count.name) for count in counts),
            *self._leaf_columns(),
        ]

    def _leaf_columns(self) -> Iterator[Any]:
        for index, leaf in enumerate(self._on_profile):
            yield self._compiler.condition(leaf, {}).label(f"truth{index}")
            for place, path in enumerate(_paths(leaf)):
                yield self._compiler.field(path).shown.label(f"value{index}_{place}")

    def lines(self, row: Mapping[Any, Any]) -> Iterator[Line]:
        """Yield what ``row`` says, in the order of the rule's text."""
        found = [*self._lines_on_profile(row), *self._lines_on_events(row)]
        yield from sorted(found, key=lambda line: (line.span.start, -line.span.end))

    def _lines_on_profile(self, row: Mapping[Any, Any]) -> Iterator[Line]:
        for index, leaf in enumerate(self._on_profile):
            values = {
                render(Truthy(path)): row[f"value{index}_{place}"]
                for place, path in enumerate(_paths(leaf))
            }
            seen = {name: decode(text) for name, text in values.items() if text is not None}
            yield Line(render(leaf), leaf.span, row[f"truth{index}"], seen)

    def _lines_on_events(self, row: Mapping[Any, Any]) -> Iterator[Line]:
        for index, clause in enumerate(self._clauses):
            count, fitting = row[f"of{index}"], row[f"fitting{index}"]
            seen = {"fitting": fitting, "of": count, "needed": clause.at_least}
            yield Line(render(clause), clause.span, fitting >= clause.at_least, seen)
            for place, leaf in enumerate(leaves(clause.condition)):
                held = row[f"leaf{index}_{place}"]
                yield Line(render(leaf), leaf.span, held > 0, {"fitting": held, "of": count})


def _asked(index: int, clause: Exists) -> Iterator[tuple[str, Exists]]:
    """Yield what is counted of a clause: fitting events, all in its windows, and by condition."""
    yield f"fitting{index}", clause
    yield f"of{index}", Exists(_ANY, clause.windows)
    for place, leaf in enumerate(leaves(clause.condition)):
        yield f"leaf{index}_{place}", Exists(leaf, clause.windows)


def _outside_clauses(expression: Expression) -> Iterator[Expression]:
    match expression:
        case Exists():
            return
        case Not(item):
            yield from _outside_clauses(item)
        case And(items) | Or(items):
            for item in items:
                yield from _outside_clauses(item)
        case _:
            yield expression


def _paths(leaf: Expression) -> tuple[Path, ...]:
    match leaf:
        case Cmp(_, left, Path() as right):
            return left, right
        case Cmp(left=path) | In(path) | Truthy(path) | IsNull(path):
            return (path,)
    return ()


def _counted(name: str) -> Sql:
    return func.coalesce(literal_column(f"seen.{name}", Integer()), literal_column("0"))
