"""The rows that explain: audit entries, gate traces and quarantined bodies."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At, Ciphertext, JsonValue, Key, KeyRef, Moment, SandboxKey


class AuditEntry(Base):
    """One thing that was refused, dropped or changed. Written by ``audit.entries`` only."""

    __tablename__ = "audit_entry"
    __table_args__ = (Index("ix_audit_entry_at", "sandbox_id", "at"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    at: Mapped[At]
    actor: Mapped[str] = mapped_column(String(128))
    action: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(256))
    reason: Mapped[str] = mapped_column(String(64))
    facts: Mapped[JsonValue]


class GateTrace(Base):
    """A verdict that stopped an entry or a send, with the values it saw.

    Written when it happens, so explain reads it and never guesses. ``identity_id`` is the key
    identity of the journey.
    """

    __tablename__ = "gate_trace"
    __table_args__ = (Index("ix_gate_trace_identity", "sandbox_id", "identity_id", "journey_id"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    identity_id: Mapped[KeyRef]
    journey_id: Mapped[KeyRef]
    instance_id: Mapped[UUID | None] = mapped_column(Uuid())
    node_id: Mapped[str | None] = mapped_column(String(64))
    gate: Mapped[str] = mapped_column(String(32))
    passed: Mapped[bool]
    reason: Mapped[str] = mapped_column(String(64))
    facts: Mapped[JsonValue]
    at: Mapped[At]


class QuarantinedBody(Base):
    """The body of a request that the store refused, encrypted, for the operator to look at."""

    __tablename__ = "quarantine"

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    source_id: Mapped[KeyRef]
    received_at: Mapped[At]
    error: Mapped[str] = mapped_column(Text())
    body: Mapped[Ciphertext]
    released_at: Mapped[datetime | None] = mapped_column(Moment())
