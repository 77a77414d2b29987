"""The rows of journeys."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, Integer, String, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At, JsonValue, Key, KeyRef, Moment, SandboxKey


class Journey(Base):
    """A journey over all its versions. Written by ``journeys.versions`` only."""

    __tablename__ = "journey"
    __table_args__ = (UniqueConstraint("sandbox_id", "name"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(256))
    created_at: Mapped[At]


class JourneyVersion(Base):
    """One version. ``state`` is ``draft``, ``live``, ``closed``, ``stopped`` or ``finished``.

    ``entry_kind`` is ``audience_qualification`` or ``unitary``; ``entry_ref`` the segment's id or
    the orchestration ``eventID``. Written by ``journeys.versions`` only.
    """

    __tablename__ = "journey_version"
    __table_args__ = (
        UniqueConstraint("sandbox_id", "journey_id", "version"),
        Index("ix_journey_version_entry", "sandbox_id", "entry_ref"),
    )

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    journey_id: Mapped[KeyRef]
    version: Mapped[int] = mapped_column(Integer())
    name: Mapped[str] = mapped_column(String(256))
    definition: Mapped[JsonValue]
    state: Mapped[str] = mapped_column(String(16))
    entry_kind: Mapped[str] = mapped_column(String(32))
    entry_ref: Mapped[str] = mapped_column(String(128))
    entry_status: Mapped[str] = mapped_column(String(16))
    namespace: Mapped[str] = mapped_column(String(64))
    reentrance_s: Mapped[int | None] = mapped_column(Integer())
    created_at: Mapped[At]
    published_at: Mapped[datetime | None] = mapped_column(Moment())
    ended_at: Mapped[datetime | None] = mapped_column(Moment())


class JourneyInstance(Base):
    """One person in one version, pinned to it. Written by ``journeys.instances`` only.

    Keyed to an identity (namespace:value), never to a profile, so a merge cannot make two.
    ``status`` is ``inside``, ``finished``, ``exited``, ``stopped`` or ``failed``.
    """

    __tablename__ = "journey_instance"
    __table_args__ = (
        Index(
            "uq_journey_instance_open",
            "sandbox_id",
            "journey_id",
            "identity_id",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
            sqlite_where=text("ended_at IS NULL"),
        ),
        Index("ix_journey_instance_identity", "identity_id", "sandbox_id", "journey_id"),
        Index(
            "ix_journey_instance_life",
            "sandbox_id",
            "expires_at",
            postgresql_where=text("ended_at IS NULL"),
            sqlite_where=text("ended_at IS NULL"),
        ),
    )

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    journey_id: Mapped[KeyRef]
    version_id: Mapped[KeyRef]
    identity_id: Mapped[KeyRef]
    state: Mapped[JsonValue]
    status: Mapped[str] = mapped_column(String(16))
    seed: Mapped[int] = mapped_column(BigInteger())
    entered_at: Mapped[At]
    ended_at: Mapped[datetime | None] = mapped_column(Moment())
    expires_at: Mapped[At]


class JourneyStimulus(Base):
    """Something an instance must be told, not before ``due_at``; the claim deletes it."""

    __tablename__ = "journey_stimulus"
    __table_args__ = (Index("ix_journey_stimulus_due", "due_at"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    instance_id: Mapped[KeyRef]
    kind: Mapped[str] = mapped_column(String(32))
    due_at: Mapped[At]
    payload: Mapped[JsonValue]


class StepEvent(Base):
    """One step of one instance, in Adobe's field names in ``body``; stored exactly once.

    The key is derived from instance and sequence. ``kind`` is what the ledger counts:
    ``entrance``, ``dispatch``, ``end:<status>`` or ``step``. What people did with messages stands
    beside the steps as ``interaction``, under sequence 0 and the key of its event.
    """

    __tablename__ = "step_event"
    __table_args__ = (Index("ix_step_event_instance", "sandbox_id", "instance_id", "sequence"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    instance_id: Mapped[KeyRef]
    journey_version_id: Mapped[KeyRef]
    node_id: Mapped[str] = mapped_column(String(64))
    sequence: Mapped[int] = mapped_column(Integer())
    kind: Mapped[str] = mapped_column(String(16))
    at: Mapped[At]
    body: Mapped[JsonValue]
    delivery_id: Mapped[UUID | None] = mapped_column(Uuid())
