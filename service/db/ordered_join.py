"""Joins that are done from left to right, whatever the engine knows of its tables.

Both planners choose by statistics, and in a store that is young or was never analysed they walk
all events of a sandbox for each profile. SQLite keeps the order of a CROSS JOIN; PostgreSQL looks
up the right side for each row of the left in a LATERAL subquery that it may not flatten.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Join,
    literal_column,
    select,
    true,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.selectable import NamedFromClause


class _CrossJoin(Join):
    """An inner join that SQLite does not reorder."""

    inherit_cache = True


@compiles(_CrossJoin)
def _render(join: _CrossJoin, compiler: SQLCompiler, **options: Any) -> str:
    options |= {"asfrom": True, "from_linter": None}
    left, right = (compiler.process(side, **options) for side in (join.left, join.right))
    assert join.onclause is not None  # noqa: S101 - join_in_order always gives one
    condition = compiler.process(join.onclause, **options | {"asfrom": False})
    return f"{left} CROSS JOIN {right} ON {condition}"


def join_in_order(
    dialect: str,
    left: FromClause,
    right: NamedFromClause[Any],
    condition: ColumnElement[bool],
    columns: Sequence[str],
) -> FromClause:
    """Return ``left`` joined with the rows of ``right`` that fit ``condition``.

    Name ``columns`` of ``right`` by text (``literal_column("e.at")``), under its alias: what they
    are columns of differs from engine to engine.
    """
    if dialect != "postgresql":
        return _CrossJoin(left, right, condition)
    chosen = select(*(right.c[name] for name in columns)).where(condition)
    rows = chosen.correlate_except(right).offset(literal_column("0")).lateral(right.name)
    return left.join(rows, true())
