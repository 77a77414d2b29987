"""Set statements: one text whatever the number of rows, on both dialects.

A statement names its row sets in braces and is written once. PostgreSQL receives each column of a
set as an array and unnests it; SQLite receives one JSON text. The text never depends on the number
of rows, so the server parses and the driver prepares it once.

    ADD = SetStatement(
        "INSERT INTO thing (sandbox_id, id, at) "
        "SELECT :sandbox_id, r.id, r.at FROM {r} WHERE true ON CONFLICT DO NOTHING RETURNING id",
        rows={"r": {"id": KEY, "at": MOMENT}},
        result={"id": KEY},
    )
    ADD.run(session, {"sandbox_id": 1}, r=[(key, moment), …])

``WHERE true`` is needed by SQLite's parser between a SELECT and ON CONFLICT. ``{lock}`` becomes
``FOR UPDATE`` on PostgreSQL and nothing on SQLite, whose writers are already alone; ``{lock_t}``
locks the rows of the table that the statement calls ``t`` and not those it joins;
``{skip_locked}`` passes over rows that another worker holds.
"""

from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.orm import Session
from sqlalchemy.types import Boolean, Float, Integer, Text, TypeEngine, Uuid

from service.core.json import decode, encode_text
from service.db.types import JsonType, Moment, to_epoch_us


@dataclass(frozen=True, slots=True)
class ColumnKind:
    """How one column of a row set travels.

    Attributes:
        postgres: The array's element type.
        type: The SQLAlchemy type of a single parameter or a result column.
        to_array: Value to its text inside a PostgreSQL array; ``None`` never reaches it.
        to_json: Value to its JSON form for SQLite; ``None`` never reaches it.
        sqlite: Expression over ``{value}`` that gives the column's stored form.
    """

    postgres: str
    type: TypeEngine[Any]
    to_array: Callable[[Any], str]
    to_json: Callable[[Any], Any]
    sqlite: str = "{value}"


def _same(value: Any) -> Any:
    return value


def _hex(value: UUID) -> str:
    return value.hex


def _iso(value: datetime) -> str:
    return value.isoformat()


def _bool(value: object) -> str:
    return "t" if value else "f"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _quoted_json(value: Any) -> str:
    return _quoted(encode_text(value))


KEY = ColumnKind("uuid", Uuid(), _hex, _hex)
TEXT = ColumnKind("text", Text(), _quoted, _same)
MOMENT = ColumnKind("timestamptz", Moment(), _iso, to_epoch_us)
INTEGER = ColumnKind("bigint", Integer(), str, _same)
NUMBER = ColumnKind("float8", Float(), repr, _same)
BOOLEAN = ColumnKind("boolean", Boolean(), _bool, _same)
JSON_OBJECT = ColumnKind("jsonb", JsonType, _quoted_json, encode_text, "json({value})")

Columns = Mapping[str, ColumnKind]
_LOCKS = {
    "postgresql": {
        "lock": "FOR UPDATE",
        "lock_t": "FOR UPDATE OF t",
        "skip_locked": "FOR UPDATE SKIP LOCKED",
    },
    "sqlite": {"lock": "", "lock_t": "", "skip_locked": ""},
}


class SetStatement:
    """One statement over row sets, prepared per dialect at its first use."""

    def __init__(
        self,
        sql: str,
        *,
        rows: Mapping[str, Columns],
        params: Columns | None = None,
        result: Columns | None = None,
    ) -> None:
        self._sql = sql
        self._rows = rows
        self._params = params or {}
        self._result = result
        self._texts: dict[str, Any] = {}
        self._driver_text = ""
        self._row: Callable[[Sequence[Any]], Any] | None = None

    def run(
        self,
        session: Session,
        params: Mapping[str, Any],
        **rows: Sequence[tuple[Any, ...]],
    ) -> Sequence[Any]:
        """Execute once and return the result rows, if the statement has any.

        Every set that the statement names is given as a keyword; tuples follow the order of the
        set's columns. Rows are tuples whose columns have names. The caller commits.
        """
        connection = session.connection()
        dialect = connection.dialect.name
        values: dict[str, Any] = dict(params)
        for name, columns in self._rows.items():
            values.update(_bind(dialect, name, columns, rows[name]))
        if dialect == "postgresql":
            return self._run_on_driver(connection, values)
        statement = self._texts.get(dialect)
        if statement is None:
            statement = self._texts[dialect] = self._prepare(dialect)
        outcome = connection.execute(statement, values)
        return outcome.fetchall() if outcome.returns_rows else ()

    def _run_on_driver(self, connection: Connection, values: Mapping[str, Any]) -> Sequence[Any]:
        """Execute without SQLAlchemy's compiling and typing: psycopg speaks every type itself.

        That part cost more than half of what a small statement costs on the server.
        """
        if not self._driver_text:
            prepared = self._prepare("postgresql")
            self._driver_text = str(prepared.compile(dialect=connection.dialect))
        sent = {
            name: encode_text(value) if self._params.get(name) is JSON_OBJECT else value
            for name, value in values.items()
        }
        outcome = connection.exec_driver_sql(self._driver_text, sent)
        cursor = outcome.cursor
        if cursor is None or cursor.description is None:
            return ()
        if self._row is None:
            self._row = _row_maker([column[0] for column in cursor.description], self._result or {})
        found = [self._row(each) for each in cursor.fetchall()]
        outcome.close()
        return found

    def _prepare(self, dialect: str) -> Any:
        sources = {name: _source(dialect, name, columns) for name, columns in self._rows.items()}
        statement = text(self._sql.format(**_LOCKS[dialect], **sources))
        typed = [bindparam(name, type_=kind.type) for name, kind in self._params.items()]
        statement = statement.bindparams(*typed)
        if self._result is None:
            return statement
        return statement.columns(**{name: kind.type for name, kind in self._result.items()})


def _row_maker(names: Sequence[str], kinds: Columns) -> Callable[[Sequence[Any]], Any]:
    """Return what makes a driver's tuple a named one, its moments in UTC."""
    named: Any = namedtuple  # noqa: PYI024 - a statement names its columns at run time
    row = named("SetRow", names)
    make: Callable[[Sequence[Any]], Any] = row._make
    moments = [at for at, name in enumerate(names) if name in kinds and kinds[name] is MOMENT]
    if not moments:
        return make

    def made(values: Sequence[Any]) -> Any:
        changed = list(values)
        for at in moments:
            if changed[at] is not None:
                changed[at] = changed[at].astimezone(UTC)
        return make(changed)

    return made


def _source(dialect: str, name: str, columns: Columns) -> str:
    if dialect == "postgresql":
        arrays = ", ".join(
            f"CAST(:{name}__{column} AS {kind.postgres}[])" for column, kind in columns.items()
        )
        chosen = ", ".join(columns)
        return f"(SELECT {chosen} FROM unnest({arrays}) AS u({', '.join(columns)})) AS {name}"
    chosen = ", ".join(
        kind.sqlite.format(value=f"json_extract(value, '$[{index}]')") + f" AS {column}"
        for index, (column, kind) in enumerate(columns.items())
    )
    return f"(SELECT {chosen} FROM json_each(:{name}__rows)) AS {name}"


def _bind(
    dialect: str,
    name: str,
    columns: Columns,
    rows: Sequence[tuple[Any, ...]],
) -> dict[str, Any]:
    if dialect == "postgresql":
        arrays = zip(*rows, strict=True) if rows else ((),) * len(columns)
        return {
            f"{name}__{column}": _array(kind, values)
            for (column, kind), values in zip(columns.items(), arrays, strict=True)
        }
    kinds = tuple(columns.values())
    encoded = [
        [
            None if value is None else kind.to_json(value)
            for kind, value in zip(kinds, row, strict=True)
        ]
        for row in rows
    ]
    return {f"{name}__rows": encode_text(encoded)}


def _array(kind: ColumnKind, values: Sequence[Any]) -> str:
    """Return an array literal: the driver's own list dumper costs more than the statement."""
    to_array = kind.to_array
    texts = ["NULL" if value is None else to_array(value) for value in values]
    return "{" + ",".join(texts) + "}"


def decoded_json(value: Any) -> Any:
    """Return a JSON column of an untyped result as a value."""
    return decode(value) if isinstance(value, str) else value
