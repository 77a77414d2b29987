"""The rows of segments and who is in them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String, Text, UniqueConstraint, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At, Key, Moment, SandboxKey


class Segment(Base):
    """A segment definition. Written by ``segments.definitions`` only.

    ``evaluation`` is ``streaming`` or ``batch``; ``evaluation_reason`` says why.
    """

    __tablename__ = "segment"
    __table_args__ = (UniqueConstraint("sandbox_id", "name"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(256))
    description: Mapped[str] = mapped_column(Text())
    expression_format: Mapped[str] = mapped_column(String(16))
    expression: Mapped[str] = mapped_column(Text())
    evaluation: Mapped[str] = mapped_column(String(16))
    evaluation_reason: Mapped[str] = mapped_column(Text())
    created_at: Mapped[At]
    updated_at: Mapped[At]


class SegmentMembership(Base):
    """Where one profile stands in one segment now. Written by ``segments.memberships`` only.

    ``status`` is ``realized`` or ``exited``; a write applies only where its evaluation is newer
    than ``evaluated_at``.
    """

    __tablename__ = "segment_membership"
    __table_args__ = (Index("ix_segment_membership_profile", "profile_id", "sandbox_id"),)

    sandbox_id: Mapped[SandboxKey]
    segment_id: Mapped[Key]
    profile_id: Mapped[Key]
    status: Mapped[str] = mapped_column(String(16))
    since: Mapped[At]
    evaluated_at: Mapped[At]


class SegmentMembershipInterval(Base):
    """One stay in a segment, with the cause and the event that began and ended it."""

    __tablename__ = "segment_membership_interval"

    sandbox_id: Mapped[SandboxKey]
    segment_id: Mapped[Key]
    profile_id: Mapped[Key]
    entered_at: Mapped[datetime] = mapped_column(Moment(), primary_key=True)
    left_at: Mapped[datetime | None] = mapped_column(Moment())
    cause: Mapped[str] = mapped_column(String(32))
    event_id: Mapped[UUID | None] = mapped_column(Uuid())
    left_cause: Mapped[str | None] = mapped_column(String(32))
    left_event_id: Mapped[UUID | None] = mapped_column(Uuid())
