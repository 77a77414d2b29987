"""A set of rules as the statements that evaluate it, built once and used for years.

The text of a statement depends on the rules only: which profiles, which moment and which segments
are parameters. A profile's events are read once, over the widest window of all rules.
Source: service/decisions/0011-segment-evaluation.md.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, TypeAlias, cast
from uuid import UUID

from sqlalchemy import (
    Boolean,
    FromClause,
    Integer,
    Select,
    Table,
    Text,
    Uuid,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
)

from service.db.ordered_join import Lookup, join_aggregates, join_in_order, key, unflattened
from service.db.types import JsonType, Moment
from service.identity.models import Identity
from service.profiles.models import ExperienceEvent, Profile
from service.segments.compiler import Compiler, EventColumns, clauses, half_open, leaves
from service.segments.fields import Sql, engine_of
from service.segments.models import SegmentMembership
from service.segments.pql.calendar_units import EARLIEST, LATEST
from service.segments.pql.parser import parse
from service.segments.pql.reads import Reads, reads
from service.segments.pql.syntax import Expression
from service.segments.pql.windows import clause_bounds

Statement: TypeAlias = Select[Any]

_KEPT_RULES = 8192
_KEPT_PROGRAMS = 512
SANDBOX = bindparam("sandbox_id", type_=Integer())
ATTRIBUTES: Sql = literal_column("p.attributes", JsonType)
EVENT = EventColumns(
    at=literal_column("e.at", Moment()),
    received_at=literal_column("e.received_at", Moment()),
    event_type=literal_column("e.event_type", Text()),
    xdm=literal_column("e.xdm", JsonType),
)
_NOW = bindparam("now", type_=Moment())
_PROFILE = literal_column("p.id", Uuid()).label("id")
_IS_LIVING = literal_column("p.merged_into").is_(None)
_ZERO: Sql = literal_column("0", Integer())


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that was read: its tree and what it depends on."""

    expression: Expression
    reads: Reads
    leaf_count: int


@lru_cache(_KEPT_RULES)
def rule_of(text: str) -> Rule:
    """Return the rule that ``text`` says.

    Raises:
        PqlError: It cannot be used as written.
    """
    expression = parse(text)
    return Rule(expression, reads(expression), len(tuple(leaves(expression))))


@lru_cache(_KEPT_PROGRAMS)
def program_of(dialect: str, texts: tuple[str, ...]) -> "Program":
    """Return the statements for a list of rules on one engine.

    Raises:
        PqlError: A rule cannot be used as written.
    """
    return Program(dialect, [rule_of(text) for text in texts])


class Program:
    """The statements that evaluate rules; columns ``r0``, ``r1``, ... follow their order.

    ``truths`` gives the truth of every rule for the profiles ``ids``. ``changes`` gives those of
    ``ids`` for whom some rule's truth is not their membership in the rule's segment (``s0``, ...),
    with the membership as ``m0``, ...; ``latest`` is the newest evaluation of the profile's
    memberships, and ``newer`` counts its events that came in after now. ``changes_between`` does
    the same for the profiles after ``after`` up to ``through``. Absorbed profiles are left out.
    """

    def __init__(self, dialect: str, rules: Sequence[Rule]) -> None:
        engine = engine_of(dialect)
        compiler = Compiler(engine, ATTRIBUTES, EVENT)
        self._dialect = dialect
        self._engine = engine
        self._rules = rules
        self._moments = compiler.moments
        found = dict.fromkeys(each for rule in rules for each in clauses(rule.expression))
        self._fitting = [
            func.count().filter(compiler.fits(clause)).label(f"c{index}")
            for index, clause in enumerate(found)
        ]
        counts = {clause: _count(f"seen.c{index}") for index, clause in enumerate(found)}
        self._judged: list[Any] = [
            compiler.condition(rule.expression, counts).label(f"r{index}")
            for index, rule in enumerate(rules)
        ]

    @cached_property
    def truths(self) -> Statement:
        """The statement that judges."""
        people = self._engine.keys("ids")
        source = self._source(people)
        return select(_PROFILE, *self._judged).select_from(source).where(_IS_LIVING)

    @cached_property
    def changes(self) -> Statement:
        """The statement that finds changes among given profiles."""
        return self._changes(self._engine.keys("ids"))

    @cached_property
    def changes_between(self) -> Statement:
        """The statement that finds changes in a range of profiles."""
        return self._changes(_between())

    def values(self, now: datetime) -> dict[str, Any]:
        """Return the parameters that depend on now."""
        return {"now": now, "seen_from": first_event_at(self._rules, now)} | self._moments(now)

    def keys_value(self, keys: Collection[UUID]) -> Any:
        """Return what to pass as ``ids``."""
        return self._engine.keys_value(keys)

    def _changes(self, people: FromClause) -> Statement:
        source = self._with_standing(self._source(people), people)
        numbers = range(len(self._judged))
        members = [(_count(f"standing.m{index}") > _ZERO).label(f"m{index}") for index in numbers]
        latest = literal_column("standing.latest", Moment()).label("latest")
        newer = (_count("seen.newer") if self._fitting else _ZERO).label("newer")
        judged = (
            select(_PROFILE, latest, newer, *self._judged, *members)
            .select_from(source)
            .where(_IS_LIVING)
            .subquery("judged")
        )
        differs = or_(*(judged.c[f"r{index}"] != judged.c[f"m{index}"] for index in numbers))
        return select(judged).where(differs)

    def _source(self, people: FromClause) -> FromClause:
        """Return the profiles, each with the counts of its events if any rule wants them."""
        source = with_profiles(self._dialect, people)
        if not self._fitting:
            return source
        newer = func.count().filter(EVENT.received_at > _NOW).label("newer")
        return with_counts(self._dialect, source, people, [*self._fitting, newer])

    def _with_standing(self, source: FromClause, people: FromClause) -> FromClause:
        """Return ``source`` with where each profile stands in the rules' segments."""
        rows = cast("Table", SegmentMembership.__table__).alias("m")
        segment = literal_column("m.segment_id", Uuid())
        is_realized = literal_column("m.status = 'realized'", Boolean())
        members = [
            func.count()
            .filter(and_(segment == bindparam(f"s{index}", type_=Uuid()), is_realized))
            .label(f"m{index}")
            for index in range(len(self._rules))
        ]
        latest = func.max(literal_column("m.evaluated_at", Moment())).label("latest")
        of_profile = rows.c.profile_id == _key(self._dialect)
        columns = ("profile_id", "segment_id", "status", "evaluated_at")
        return join_aggregates(
            self._dialect,
            source,
            people,
            [Lookup(rows, and_(rows.c.sandbox_id == SANDBOX, of_profile), columns)],
            [latest, *members],
            owner=literal_column("m.profile_id", Uuid()),
            name="standing",
        )


def first_event_at(rules: Sequence[Rule], now: datetime) -> datetime:
    """Return the first moment at which an event can matter to any of ``rules``."""
    starts = [LATEST]
    for rule in rules:
        back = rule.reads.lookback
        limit = EARLIEST if back is None or back > now - EARLIEST else now - back
        starts.extend(
            max(limit, half_open(clause_bounds(clause.windows, now))[0])
            for clause in clauses(rule.expression)
        )
    return min(starts)


def with_profiles(dialect: str, people: FromClause) -> FromClause:
    """Return the profiles (``p``) of the keys in ``people``."""
    rows = cast("Table", Profile.__table__).alias("p")
    condition = and_(rows.c.sandbox_id == SANDBOX, rows.c.id == people.c.id)
    return join_in_order(
        dialect, people, Lookup(rows, condition, ("id", "attributes", "merged_into"))
    )


def with_counts(
    dialect: str,
    source: FromClause,
    people: FromClause,
    counts: Sequence[Sql],
) -> FromClause:
    """Return ``source`` with counts, as ``seen``, of each profile's events since ``seen_from``.

    A profile's key is that of its root identity; its events hang on any identity of the same graph
    that belongs to it.
    """
    root = cast("Table", Identity.__table__).alias("root")
    node = cast("Table", Identity.__table__).alias("node")
    events = cast("Table", ExperienceEvent.__table__).alias("e")
    root_id, graph_id = literal_column("root.id", Uuid()), literal_column("root.graph_id", Uuid())
    of_root = and_(root.c.sandbox_id == SANDBOX, root.c.id == _key(dialect))
    of_node = and_(
        node.c.sandbox_id == SANDBOX,
        node.c.graph_id == graph_id,
        node.c.profile_id == root_id,
    )
    of_event = and_(
        events.c.sandbox_id == SANDBOX,
        events.c.identity_id == literal_column("node.id", Uuid()),
        events.c.at >= bindparam("seen_from", type_=Moment()),
    )
    lookups = (
        Lookup(root, of_root, ("id", "graph_id")),
        Lookup(node, of_node, ("id", "profile_id")),
        Lookup(events, of_event, ("at", "received_at", "event_type", "xdm")),
    )
    owner = literal_column("node.profile_id", Uuid())
    return join_aggregates(dialect, source, people, lookups, counts, owner=owner, name="seen")


def segment_values(segment_ids: Sequence[UUID]) -> dict[str, UUID]:
    """Return the parameters that say which segment each rule belongs to."""
    return {f"s{index}": key for index, key in enumerate(segment_ids)}


def _between() -> FromClause:
    rows = cast("Table", Profile.__table__).alias("chosen")
    chosen = select(rows.c.id).where(
        rows.c.sandbox_id == SANDBOX,
        rows.c.id > bindparam("after", type_=Uuid()),
        rows.c.id <= bindparam("through", type_=Uuid()),
    )
    return unflattened(chosen, "ids")


def _key(dialect: str) -> Sql:
    return literal_column(key(dialect), Uuid())


def _count(column: str) -> Sql:
    return func.coalesce(literal_column(column, Integer()), _ZERO)
