"""Column types that mean the same on PostgreSQL and SQLite."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, Integer, Text, TypeDecorator, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import mapped_column
from sqlalchemy.types import TypeEngine

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_epoch_us(moment: datetime) -> int:
    """Return whole microseconds since 1970 UTC, the form in which SQLite stores a moment."""
    return (moment - _EPOCH) // _MICROSECOND


def from_epoch_us(value: int) -> datetime:
    """Return the moment, aware, in UTC."""
    return _EPOCH + timedelta(microseconds=value)


class Moment(TypeDecorator[datetime]):
    """An aware UTC moment: ``timestamptz`` on PostgreSQL, integer microseconds on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the stored type of the engine at hand."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(BigInteger())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse a naive moment; a zone left out is a bug, not a default."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment must carry its zone")
        return to_epoch_us(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the moment in UTC, whatever zone the connection speaks."""
        if value is None:
            return None
        if dialect.name == "sqlite":
            return from_epoch_us(value)
        return value.astimezone(UTC)  # type: ignore[no-any-return]


class EncryptedText(TypeDecorator[str]):
    """Ciphertext of ``core.secret.Keyring``; the type marks what key rotation must visit."""

    impl = Text
    cache_ok = True


JsonType = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

Key = Annotated[UUID, mapped_column(Uuid(), primary_key=True)]
KeyRef = Annotated[UUID, mapped_column(Uuid())]
SandboxKey = Annotated[int, mapped_column(Integer(), primary_key=True)]
At = Annotated[datetime, mapped_column(Moment())]
JsonValue = Annotated[Any, mapped_column(JsonType)]
Ciphertext = Annotated[str, mapped_column(EncryptedText())]
