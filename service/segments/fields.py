"""Fields of JSON documents as SQL expressions, one reading per engine.

A field has one of three faces: text, number or boolean. Each is NULL unless the stored value is of
that type, so a comparison can neither raise nor compare values of two types, and whoever wraps it
in COALESCE gets the two-valued logic of the rule language. Nothing that a rule's author wrote
becomes part of the SQL text: names and constants are bound.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BindParameter,
    Boolean,
    ColumnElement,
    Float,
    FromClause,
    Integer,
    Numeric,
    String,
    Text,
    Uuid,
    all_,
    any_,
    bindparam,
    case,
    cast,
    column,
    false,
    func,
    literal_column,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

from service.core.json import encode_text
from service.db.folding import letters
from service.db.sqlite_functions import FOLD, MEMBER

Sql: TypeAlias = ColumnElement[Any]
Truth: TypeAlias = ColumnElement[bool]

# PostgreSQL reads such a step of a path as a place in an array.
_LIKE_A_PLACE = re.compile(r"\s*[+-]?\d+\s*")
# Characters that a JSON document escapes, so that a path of SQLite never meets them.
_NOT_IN_A_PATH = re.compile(r'["\\\x00-\x1f]')


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a document.

    Attributes:
        text: Its value when that is a string, else NULL; ``number`` and ``boolean`` likewise. None
            where the field can never be of the type.
        is_present: Whether it is there and not JSON null; never NULL.
        is_true: Its truth as a condition; never NULL.
        shown: Its value as JSON text, for people; an event's type as it is.
    """

    text: Sql
    number: Sql | None
    boolean: Sql | None
    is_present: Truth
    is_true: Truth
    shown: Sql


class Binds:
    """The constants of a statement, each bound once."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], BindParameter[Any]] = {}

    def of(self, value: Any, type_: TypeEngine[Any]) -> BindParameter[Any]:
        """Return the parameter that carries ``value``."""
        content = tuple(value) if isinstance(value, list) else value
        key = (repr(type_), type(value), content)
        if key not in self._made:
            self._made[key] = bindparam(f"v{len(self._made)}", value, type_)
        return self._made[key]


class Engine(Protocol):
    """How one engine reads fields, constants and sets of keys."""

    def field(self, document: Sql, names: Sequence[str]) -> Field:
        """Return the field under ``names``, each a whole key; no step enters an array."""
        ...

    def number(self, value: float) -> Sql:
        """Return a number as a constant."""
        ...

    def text(self, value: str) -> Sql:
        """Return a string as a constant."""
        ...

    def boolean(self, *, value: bool) -> Sql:
        """Return a boolean as a constant."""
        ...

    def count(self, value: int) -> Sql:
        """Return a number of events as a constant."""
        ...

    def folded(self, text: Sql) -> Sql:
        """Return ``text`` without case, as ``db.folding.fold`` does."""
        ...

    def is_folded(self, text: Sql, wanted: str) -> Truth:
        """Tell whether ``text`` without case is ``wanted``; NULL for NULL."""
        ...

    def among(self, value: Sql, values: Collection[Any], *, negated: bool) -> Truth:
        """Tell whether ``value`` is one (or none) of constants of its type; NULL for NULL."""
        ...

    def keys(self, name: str) -> FromClause:
        """Return a set whose column ``id`` holds the keys given as parameter ``name``."""
        ...

    def keys_value(self, keys: Collection[UUID]) -> Any:
        """Return what to pass for a parameter of ``keys``."""
        ...


def engine_of(dialect: str) -> Engine:
    """Return the reading of a dialect; used for one statement or one set of rules."""
    return _Postgres() if dialect == "postgresql" else _Sqlite()


def type_field(event_type: Sql) -> Field:
    """Return an event's type as a field; it has a column of its own."""
    is_present = event_type.is_not(None)
    return Field(event_type, None, None, is_present, is_present, event_type)


class _Constants:
    """Constants that both engines bind alike."""

    def __init__(self) -> None:
        self.binds = Binds()

    def text(self, value: str) -> Sql:
        return self.binds.of(value, Text())

    def boolean(self, *, value: bool) -> Sql:
        return self.binds.of(value, Boolean())

    def count(self, value: int) -> Sql:
        return self.binds.of(value, Integer())


class _Postgres(_Constants):
    def field(self, document: Sql, names: Sequence[str]) -> Field:
        value = self._value(document, names)
        kind = func.jsonb_typeof(value)
        whole = literal_column("'{}'::text[]", ARRAY(Text()))
        return Field(
            text=case((kind == _word("string"), value.op("#>>", return_type=Text())(whole))),
            number=case((kind == _word("number"), cast(value, Numeric()))),
            boolean=case((kind == _word("boolean"), cast(value, Boolean()))),
            is_present=func.coalesce(kind != _word("null"), false(), type_=Boolean()),
            is_true=case(
                (kind == _word("boolean"), cast(value, Boolean())),
                (kind == _word("array"), func.jsonb_array_length(value) > literal_column("0")),
                else_=func.coalesce(kind != _word("null"), false(), type_=Boolean()),
            ),
            shown=cast(value, Text()),
        )

    def _value(self, document: Sql, names: Sequence[str]) -> Sql:
        if not any(_LIKE_A_PLACE.fullmatch(name) for name in names):
            path = self.binds.of(list(names), ARRAY(Text()))
            return document.op("#>", return_type=JSONB())(path)
        for name in names:
            document = document.op("->", return_type=JSONB())(self.text(name))
        return document

    def number(self, value: float) -> Sql:
        return self.binds.of(_decimal(value), Numeric())

    def folded(self, text: Sql) -> Sql:
        upper, lower = letters()
        ascii_folded = func.lower(text.collate("C"))
        return case(
            (func.octet_length(text) == func.char_length(text), ascii_folded),
            else_=func.translate(ascii_folded, _word(upper), _word(lower)),
        )

    def is_folded(self, text: Sql, wanted: str) -> Truth:
        # Only letters that become one of the wanted ones matter: for most rules, none but ASCII.
        pairs = [pair for pair in zip(*letters(), strict=True) if pair[1] in wanted]
        if pairs:
            upper, lower = ("".join(side) for side in zip(*pairs, strict=True))
            text = func.translate(text, _word(upper), _word(lower))
        return func.lower(text.collate("C")) == self.text(wanted)

    def among(self, value: Sql, values: Collection[Any], *, negated: bool) -> Truth:
        kind: TypeEngine[Any] = Text() if _are_texts(values) else Numeric()
        constants = list(values) if _are_texts(values) else [_decimal(each) for each in values]
        given = self.binds.of(constants, ARRAY(kind))
        return value != all_(given) if negated else value == any_(given)

    def keys(self, name: str) -> FromClause:
        given = bindparam(name, type_=ARRAY(Uuid()))
        return func.unnest(given).table_valued(column("id", Uuid()), name=name).render_derived()

    def keys_value(self, keys: Collection[UUID]) -> list[UUID]:
        return list(keys)


class _Sqlite(_Constants):
    def field(self, document: Sql, names: Sequence[str]) -> Field:
        document, path = self._place(document, names)
        kind, value = func.json_type(document, path), func.json_extract(document, path)
        is_present = func.coalesce(kind != _word("null"), false(), type_=Boolean())
        length = func.json_array_length(document, path)
        return Field(
            text=case((kind == _word("text"), value)),
            number=case((kind.in_([_word("integer"), _word("real")]), value)),
            boolean=case((kind == _word("true"), true()), (kind == _word("false"), false())),
            is_present=is_present,
            is_true=case(
                (kind == _word("false"), false()),
                (kind == _word("array"), length > literal_column("0")),
                else_=is_present,
            ),
            shown=document.op("->", return_type=Text())(path),
        )

    def _place(self, document: Sql, names: Sequence[str]) -> tuple[Sql, Sql]:
        path = "$"
        for name in names:
            if _NOT_IN_A_PATH.search(name):
                holder = document.op("->", return_type=Text())(self.text(path))
                document = getattr(func, MEMBER)(holder, self.text(name))
                path = "$"
            else:
                path += f'."{name}"'
        return document, self.text(path)

    def number(self, value: float) -> Sql:
        return self.binds.of(value, Integer() if isinstance(value, int) else Float())

    def folded(self, text: Sql) -> Sql:
        folded: Sql = getattr(func, FOLD)(text, type_=Text())
        return folded

    def is_folded(self, text: Sql, wanted: str) -> Truth:
        return self.folded(text) == self.text(wanted)

    def among(self, value: Sql, values: Collection[Any], *, negated: bool) -> Truth:
        given = self.binds.of(encode_text(list(values)), Text())
        rows = func.json_each(given).table_valued("value", name="given")
        chosen = select(rows.c.value)
        return value.not_in(chosen) if negated else value.in_(chosen)

    def keys(self, name: str) -> FromClause:
        rows = func.json_each(bindparam(name, type_=Text())).table_valued(
            column("value", String()),
            name=f"{name}_rows",
        )
        return select(rows.c.value.label("id")).subquery(name)

    def keys_value(self, keys: Collection[UUID]) -> str:
        return encode_text([key.hex for key in keys])


def _word(text: str) -> Sql:
    """Return one of our own words as part of the SQL text."""
    return literal_column(f"'{text}'", Text())


def _decimal(value: float) -> Decimal:
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def _are_texts(values: Collection[Any]) -> bool:
    return all(isinstance(value, str) for value in values)
