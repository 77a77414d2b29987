"""The rows of profiles: the merged view, fragments, push tokens and events."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, String, Text, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At, JsonType, JsonValue, Key, KeyRef, Moment, SandboxKey


class Profile(Base):
    """What the graph says of one person today. Written by ``profiles.merging`` only.

    The key is the root identity's key. An absorbed profile keeps its row with ``merged_into``.
    """

    __tablename__ = "profile"

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    attributes: Mapped[JsonValue]
    is_test: Mapped[bool]
    merged_into: Mapped[UUID | None] = mapped_column(Uuid())
    created_at: Mapped[At]
    updated_at: Mapped[At]


class MergePolicy(Base):
    """How fragments become one view. One default exists in every sandbox from its creation."""

    __tablename__ = "merge_policy"

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(256))
    attribute_merge: Mapped[str] = mapped_column(String(32))
    identity_graph: Mapped[str] = mapped_column(String(16))
    is_default: Mapped[bool]
    created_at: Mapped[At]


class ProfileFragment(Base):
    """What one dataset says of one identity, in versions; the open one has no ``valid_to``.

    ``stamps`` gives for each leaf of ``attributes``, by JSON pointer, when it was last said
    (microseconds since 1970), because the newest saying of a field wins over all fragments.
    """

    __tablename__ = "profile_fragment"

    sandbox_id: Mapped[SandboxKey]
    identity_id: Mapped[Key]
    dataset_id: Mapped[Key]
    valid_from: Mapped[datetime] = mapped_column(Moment(), primary_key=True)
    valid_to: Mapped[datetime | None] = mapped_column(Moment())
    attributes: Mapped[JsonValue]
    stamps: Mapped[JsonValue]


class PushToken(Base):
    """One address at a push provider. Written by ``profiles.push_tokens`` only.

    The key is derived from app, platform and token, which makes the three unique. ``device_id`` is
    the ECID that announced it last; ``owner_id`` the identity that it belongs to now, empty after a
    logout that detaches or when a newer token replaced it.
    """

    __tablename__ = "push_token"
    __table_args__ = (
        Index("ix_push_token_device", "device_id", "sandbox_id"),
        Index("ix_push_token_owner", "owner_id", "sandbox_id"),
    )

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    app_id: Mapped[str] = mapped_column(String(255))
    platform: Mapped[str] = mapped_column(String(16))
    token: Mapped[str] = mapped_column(String(4096))
    device_id: Mapped[KeyRef]
    announced_at: Mapped[At]
    announced_event: Mapped[str] = mapped_column(String(256))
    logout_policy: Mapped[str] = mapped_column(String(16))
    owner_id: Mapped[UUID | None] = mapped_column(Uuid())
    registered_at: Mapped[At]
    denylisted_at: Mapped[datetime | None] = mapped_column(Moment())
    denylist_reason: Mapped[str | None] = mapped_column(String(64))


class PushTokenSlot(Base):
    """When a device last announced any token of an app and platform.

    The token of that announcement is the device's current one; older ones stay replaced even when
    it moves on to another device. Written by ``profiles.push_tokens`` only.
    """

    __tablename__ = "push_token_slot"

    sandbox_id: Mapped[SandboxKey]
    device_id: Mapped[Key]
    app_id: Mapped[str] = mapped_column(String(255), primary_key=True)
    platform: Mapped[str] = mapped_column(String(16), primary_key=True)
    announced_at: Mapped[At]
    announced_event: Mapped[str] = mapped_column(String(256))


class PushTokenOwner(Base):
    """Who a token belonged to, from when to when, and what ended or began it."""

    __tablename__ = "push_token_owner"

    sandbox_id: Mapped[SandboxKey]
    token_id: Mapped[Key]
    from_at: Mapped[datetime] = mapped_column(Moment(), primary_key=True)
    id: Mapped[Key]
    identity_id: Mapped[KeyRef]
    to_at: Mapped[datetime | None] = mapped_column(Moment())
    cause: Mapped[str] = mapped_column(String(32))
    end_cause: Mapped[str | None] = mapped_column(String(32))


class LiveActivityToken(Base):
    """Where a device's live activities are started or updated. Newest announcement wins.

    ``kind`` is ``start`` (``name`` is the attribute type) or ``update`` (``name`` is the live
    activity's id). It belongs to whoever is logged in on ``device_id``, as long as
    ``LiveActivityOwner`` says that the token is still this device's. ``token_id`` is derived from
    app, kind, name and token. Written by ``profiles.live_activities`` only.
    """

    __tablename__ = "live_activity_token"
    __table_args__ = (Index("ix_live_activity_token_token", "token_id", "sandbox_id"),)

    sandbox_id: Mapped[SandboxKey]
    device_id: Mapped[Key]
    kind: Mapped[str] = mapped_column(String(8), primary_key=True)
    name: Mapped[str] = mapped_column(String(255), primary_key=True)
    app_id: Mapped[str | None] = mapped_column(String(255))
    platform: Mapped[str | None] = mapped_column(String(16))
    token: Mapped[str | None] = mapped_column(String(4096))
    token_id: Mapped[UUID | None] = mapped_column(Uuid())
    announced_at: Mapped[At]
    announced_event: Mapped[str] = mapped_column(String(256))
    registered_at: Mapped[At]
    denylisted_at: Mapped[datetime | None] = mapped_column(Moment())


class LiveActivityOwner(Base):
    """Which device announced a live activity token last: it has it, and no other device.

    Written by ``profiles.live_activities`` only.
    """

    __tablename__ = "live_activity_owner"

    sandbox_id: Mapped[SandboxKey]
    token_id: Mapped[Key]
    device_id: Mapped[KeyRef]
    kind: Mapped[str] = mapped_column(String(8))
    announced_at: Mapped[At]
    announced_event: Mapped[str] = mapped_column(String(256))
    registered_at: Mapped[At]


class ExperienceEvent(Base):
    """One XDM ExperienceEvent, on the identity it names. Written by ``profiles.events`` only.

    The key is derived from source and ``_id``, so an event is stored once. ``source_id`` is the
    datastream or inlet.
    """

    __tablename__ = "experience_event"
    __table_args__ = (
        Index("ix_experience_event_identity", "identity_id", "sandbox_id", "at"),
        Index("ix_experience_event_received", "received_at", postgresql_using="brin"),
    )

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    identity_id: Mapped[KeyRef]
    source_id: Mapped[KeyRef]
    dataset_id: Mapped[KeyRef]
    event_id: Mapped[str] = mapped_column(Text())
    event_type: Mapped[str | None] = mapped_column(Text())
    at: Mapped[At]
    received_at: Mapped[At]
    xdm: Mapped[JsonValue]
    data: Mapped[dict[str, object] | None] = mapped_column(JsonType)
