"""The rows of background work."""

from datetime import datetime

from sqlalchemy import BigInteger, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At, JsonValue, Key, Moment, SandboxKey


class Job(Base):
    """One piece of coarse work. Written by ``jobs.queue`` only.

    ``dedupe_key`` names the slot or the cause, so the same work is never enqueued twice.
    """

    __tablename__ = "job"
    __table_args__ = (
        UniqueConstraint("sandbox_id", "kind", "dedupe_key"),
        Index("ix_job_due", "state", "due_at"),
    )

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    kind: Mapped[str] = mapped_column(String(64))
    dedupe_key: Mapped[str] = mapped_column(String(256))
    payload: Mapped[JsonValue]
    state: Mapped[str] = mapped_column(String(16))
    due_at: Mapped[At]
    attempts: Mapped[int]
    lease_owner: Mapped[str | None] = mapped_column(String(64))
    leased_until: Mapped[datetime | None] = mapped_column(Moment())
    result: Mapped[JsonValue | None]
    error: Mapped[str | None] = mapped_column(Text())
    created_at: Mapped[At]
    ended_at: Mapped[datetime | None] = mapped_column(Moment())


class Schedule(Base):
    """When a kind of job recurs. Slots are UTC moments, so a DST hour runs once."""

    __tablename__ = "schedule"
    __table_args__ = (UniqueConstraint("sandbox_id", "name"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(64))
    cron: Mapped[str] = mapped_column(String(128))
    payload: Mapped[JsonValue]
    is_active: Mapped[bool]
    next_slot_at: Mapped[datetime | None] = mapped_column(Moment())
    created_at: Mapped[At]


class ProcessLease(Base):
    """Which process leads. One row per role, for all sandboxes; ``fence`` grows at each change."""

    __tablename__ = "process_lease"

    role: Mapped[str] = mapped_column(String(64), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[At]
    fence: Mapped[int] = mapped_column(BigInteger())
