"""Fails a statement that touches a scoped table without naming its sandbox.

Every statement of every test is parsed once. A scoped table needs, in the SELECT, UPDATE or DELETE
that names it, a condition on its own ``sandbox_id`` (or an unqualified one); an INSERT must fill
the column. The statements that may look across sandboxes are listed by the comment they carry.
"""

import re
from functools import lru_cache
from typing import Any

import sqlglot
from sqlalchemy import Engine, event
from sqlglot import expressions as sql

from service.db.base import Base

ACROSS_SANDBOXES = frozenset(
    {
        "find-datastream",
        "find-inlet",
        "find-mobile-property",
        "find-receipt-source",
        "claim-stimuli",
        "claim-jobs",
        "doubtful-attempts",
        "oldest-due",
        "due-lanes",
        "rotate-secrets",
        "check-keys",
        "fill-live-activity-owner",
    },
)
_QUERIES = (sql.Select, sql.Update, sql.Delete)
_PARAMETER = re.compile(
    r"%\((\w+)\)s(::[A-Za-z]+( WITH(OUT)? TIME ZONE| PRECISION| VARYING)?(\[\])?)?",
)
_MARK = re.compile(r"/\* across sandboxes: ([a-z-]+) \*/")
_IGNORED = (
    "PRAGMA",
    "CREATE",
    "ALTER",
    "DROP",
    "SAVEPOINT",
    "RELEASE",
    "ROLLBACK",
    "ANALYZE",
    "TRUNCATE",
    "COPY",
    "SET",
    "SHOW",
    "BEGIN",
    "COMMIT",
    "NOTIFY",
    "LISTEN",
    "EXPLAIN",
)


class UnscopedStatementError(AssertionError):
    """A statement could see rows of another sandbox."""


def watch() -> None:
    """Check every statement of every engine from now on."""
    event.listen(Engine, "before_cursor_execute", _check)


def _check(
    _connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: Any
) -> None:
    dialect = "sqlite" if context is not None and context.dialect.name == "sqlite" else "postgres"
    problem = unscoped(statement, dialect)
    if problem:
        raise UnscopedStatementError(f"{problem}: {statement}")


@lru_cache(maxsize=4096)
def unscoped(statement: str, dialect: str) -> str | None:
    """Return what is wrong with a statement, or ``None``."""
    if statement.lstrip().upper().startswith(_IGNORED):
        return None
    mark = _MARK.search(statement)
    if mark:
        return None if mark[1] in ACROSS_SANDBOXES else f"{mark[1]} is not listed"
    readable = _PARAMETER.sub(r":\1", statement)
    tree = sqlglot.parse_one(readable, read=dialect)
    for table in tree.find_all(sql.Table):
        if table.name in _scoped_tables() and not _is_scoped(table):
            return f"{table.name} is read without its sandbox"
    return None


@lru_cache(maxsize=1)
def _scoped_tables() -> frozenset[str]:
    return frozenset(
        name for name, table in Base.metadata.tables.items() if "sandbox_id" in table.columns
    )


def _is_scoped(table: sql.Table) -> bool:
    insert = table.find_ancestor(sql.Insert)
    if insert is not None and insert.this.find(sql.Table) is table:
        return any(column.name == "sandbox_id" for column in insert.this.find_all(sql.Identifier))
    owner = table.find_ancestor(*_QUERIES)
    return owner is not None and any(
        column.name == "sandbox_id" and column.table in {"", table.alias_or_name}
        for condition in _conditions(owner)
        for column in condition.find_all(sql.Column)
        if column.table or column.find_ancestor(*_QUERIES) is owner
    )


def _conditions(owner: sql.Expression) -> list[sql.Expression]:
    joins = [join.args["on"] for join in owner.args.get("joins") or [] if join.args.get("on")]
    where = owner.args.get("where")
    return [*joins, *([where] if where else [])]
