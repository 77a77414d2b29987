"""Look-ups that are done in the order written, whatever the engine knows of its tables.

Both planners choose by statistics, and in a store that is young or was never analysed they read all
events of a sandbox for each profile. SQLite keeps the order of a CROSS JOIN; PostgreSQL looks up
rows in a LATERAL subquery that OFFSET 0 keeps it from flattening.

Since a joined table is another object on each engine, its columns are named by text:
``literal_column("e.at")``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Join, Select, literal_column, select, true
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import NamedFromClause

_NO_FLATTENING: ColumnElement[int] = literal_column("0")


@dataclass(frozen=True, slots=True)
class Lookup:
    """Rows of an aliased table, found by a condition on what was found before them.

    Attributes:
        columns: Those of its columns that anything reads.
    """

    rows: NamedFromClause[Any]
    condition: ColumnElement[bool]
    columns: tuple[str, ...]


class _CrossJoin(Join):
    """An inner join that SQLite does not reorder."""

    inherit_cache = True


@compiles(_CrossJoin)
def _render(join: _CrossJoin, compiler: SQLCompiler, **options: Any) -> str:
    options |= {"asfrom": True, "from_linter": None}
    left, right = (compiler.process(side, **options) for side in (join.left, join.right))
    assert join.onclause is not None  # noqa: S101 - a look-up always has a condition
    condition = compiler.process(join.onclause, **options | {"asfrom": False})
    return f"{left} CROSS JOIN {right} ON {condition}"


def unflattened(rows: Select[Any], name: str) -> FromClause:
    """Return a subquery whose conditions stay inside it."""
    return rows.offset(_NO_FLATTENING).subquery(name)


def join_in_order(dialect: str, left: FromClause, found: Lookup) -> FromClause:
    """Return ``left`` joined with what is looked up for each of its rows."""
    if dialect == "postgresql":
        return left.join(_looked_up(found).lateral(found.rows.name), true())
    return _CrossJoin(left, found.rows, found.condition)


def join_aggregates(
    dialect: str,
    left: FromClause,
    people: FromClause,
    lookups: Sequence[Lookup],
    columns: Sequence[ColumnElement[Any]],
    *,
    owner: ColumnElement[Any],
    name: str,
) -> FromClause:
    """Return ``left`` with aggregates, called ``name``, over what is looked up for each profile.

    ``left`` holds the profiles as ``p``. The first look-up starts from ``key(dialect)``, which is
    ``owner`` in the rows found. Counts are NULL or 0 where nothing is found.
    """
    if dialect == "postgresql":
        first, *others = lookups
        chain: FromClause = _looked_up(first).subquery(first.rows.name)
        for each in others:
            chain = join_in_order(dialect, chain, each)
        return left.outerjoin(select(*columns).select_from(chain).lateral(name), true())
    chain = people
    for each in lookups:
        chain = join_in_order(dialect, chain, each)
    found = select(owner.label("owner"), *columns).select_from(chain).group_by(owner).subquery(name)
    return left.outerjoin(found, found.c.owner == literal_column("p.id"))


def key(dialect: str) -> str:
    """Return what the first look-up of ``join_aggregates`` calls the profile's key."""
    return "p.id" if dialect == "postgresql" else "ids.id"


def _looked_up(found: Lookup) -> Select[Any]:
    chosen = select(*(found.rows.c[name] for name in found.columns)).where(found.condition)
    return chosen.correlate_except(found.rows).offset(_NO_FLATTENING)
