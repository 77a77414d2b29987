"""The rows of API access; they stand above sandboxes."""

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At, Ciphertext, JsonValue, Moment


class ApiCredential(Base):
    """One OAuth2 client. The secret is stored as a salted hash and shown once, at creation.

    ``scopes`` and ``sandboxes`` are lists; ``*`` among the sandboxes means all of them.
    """

    __tablename__ = "api_credential"

    client_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(128))
    secret_hash: Mapped[str] = mapped_column(Text())
    scopes: Mapped[JsonValue]
    sandboxes: Mapped[JsonValue]
    created_at: Mapped[At]
    revoked_at: Mapped[datetime | None] = mapped_column(Moment())


class SigningKey(Base):
    """A key that signs access tokens, named by ``kid``; the newest signs, unretired ones verify."""

    __tablename__ = "signing_key"

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    secret: Mapped[Ciphertext]
    created_at: Mapped[At]
    retired_at: Mapped[datetime | None] = mapped_column(Moment())
