"""The rows of outbound: actions, caps, deliveries and attempts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, Integer, String, Text, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At, EncryptedText, JsonType, JsonValue, Key, KeyRef, Moment, SandboxKey


class CustomAction(Base):
    """How a third party is called. Written by ``outbound.actions`` only.

    ``auth`` holds everything but the secret; ``auth_secret`` is ciphertext, ``auth_secret_ref`` a
    reference such as ``env:NAME``. ``settings`` are the adapter's own.
    """

    __tablename__ = "custom_action"
    __table_args__ = (UniqueConstraint("sandbox_id", "name"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(64))
    adapter: Mapped[str] = mapped_column(String(32))
    method: Mapped[str] = mapped_column(String(8))
    url: Mapped[str] = mapped_column(Text())
    headers: Mapped[JsonValue]
    payload: Mapped[JsonValue]
    auth: Mapped[JsonValue]
    auth_secret: Mapped[str | None] = mapped_column(EncryptedText())
    auth_secret_ref: Mapped[str | None] = mapped_column(String(256))
    settings: Mapped[JsonValue]
    timeout_ms: Mapped[int] = mapped_column(Integer())
    max_retries: Mapped[int] = mapped_column(Integer())
    on_unknown: Mapped[str] = mapped_column(String(16))
    on_backlog: Mapped[str] = mapped_column(String(16))
    is_marketing: Mapped[bool]
    created_at: Mapped[At]
    updated_at: Mapped[At]


class EndpointConfig(Base):
    """A capping configuration: the latest copy, and the deployed one in ``deployed``.

    ``state`` is ``created``, ``updated`` or ``deployed``. Written by ``outbound.endpoint_configs``.
    """

    __tablename__ = "endpoint_config"

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    config: Mapped[JsonValue]
    state: Mapped[str] = mapped_column(String(16))
    deployed: Mapped[dict[str, object] | None] = mapped_column(JsonType)
    deployed_at: Mapped[datetime | None] = mapped_column(Moment())
    created_at: Mapped[At]
    updated_at: Mapped[At]


class PermitCap(Base):
    """One cap's lock row: grants under it are taken one after the other.

    ``paused_until`` is set when the store's clock jumped; nothing is granted before it.
    """

    __tablename__ = "permit_cap"

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    last_granted_at: Mapped[datetime | None] = mapped_column(Moment())
    paused_until: Mapped[datetime | None] = mapped_column(Moment())


class PermitGrant(Base):
    """Call starts granted together; counted in every window until ``counted_until``."""

    __tablename__ = "permit_grant"
    __table_args__ = (Index("ix_permit_grant_cap", "sandbox_id", "cap_id", "counted_until"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    cap_id: Mapped[KeyRef]
    granted_at: Mapped[At]
    counted_until: Mapped[At]
    count: Mapped[int] = mapped_column(Integer())


class ConnectionLease(Base):
    """A block of connections that one worker may hold open, until ``expires_at``."""

    __tablename__ = "connection_lease"

    sandbox_id: Mapped[SandboxKey]
    cap_id: Mapped[Key]
    worker: Mapped[str] = mapped_column(String(64), primary_key=True)
    slots: Mapped[int] = mapped_column(Integer())
    expires_at: Mapped[At]


class Delivery(Base):
    """One message to one person from one node; the key is derived from instance and node.

    ``state`` is ``waiting``, ``sent``, ``failed``, ``capped``, ``suppressed``, ``expired`` or
    ``unknown``. ``parameters`` is what the node gave to the action.
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index("ix_delivery_identity", "identity_id", "sandbox_id"),
        Index("ix_delivery_created", "sandbox_id", "created_at", "id"),
        Index("ix_delivery_node", "sandbox_id", "journey_version_id", "node_id", "state"),
    )

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    instance_id: Mapped[KeyRef]
    node_id: Mapped[str] = mapped_column(String(64))
    journey_id: Mapped[KeyRef]
    journey_version_id: Mapped[KeyRef]
    action_id: Mapped[KeyRef]
    identity_id: Mapped[KeyRef]
    token_id: Mapped[UUID | None] = mapped_column(Uuid())
    parameters: Mapped[JsonValue]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(64))
    facts: Mapped[dict[str, object] | None] = mapped_column(JsonType)
    attempts: Mapped[int] = mapped_column(Integer())
    vendor_message_id: Mapped[str | None] = mapped_column(String(256))
    created_at: Mapped[At]
    expires_at: Mapped[At]
    ended_at: Mapped[datetime | None] = mapped_column(Moment())
    opened_at: Mapped[datetime | None] = mapped_column(Moment())


class DeliveryDue(Base):
    """A delivery that waits for its next attempt, per destination lane; the claim deletes it.

    ``budget_until`` is the end of the action's time for this delivery, once a first attempt began.
    """

    __tablename__ = "delivery_due"
    __table_args__ = (Index("ix_delivery_due_lane", "lane", "due_at"),)

    sandbox_id: Mapped[SandboxKey]
    delivery_id: Mapped[Key]
    lane: Mapped[str] = mapped_column(String(128))
    due_at: Mapped[At]
    attempt: Mapped[int] = mapped_column(Integer())
    budget_until: Mapped[datetime | None] = mapped_column(Moment())
    origin_error: Mapped[dict[str, object] | None] = mapped_column(JsonType)


class DeliveryInteraction(Base):
    """What a person did with a message that was delivered; from the SDKs' tracking events.

    ``id`` is the tracking event's key. ``kind`` is ``received``, ``opened``, ``dismissed`` or
    ``customAction``; ``action_id`` the button's.
    """

    __tablename__ = "delivery_interaction"

    sandbox_id: Mapped[SandboxKey]
    delivery_id: Mapped[Key]
    id: Mapped[Key]
    kind: Mapped[str] = mapped_column(String(16))
    action_id: Mapped[str | None] = mapped_column(String(255))
    at: Mapped[At]


class DeliveryAttempt(Base):
    """One call. Inserted with its permit, before anything goes on the wire.

    A row without ``ended_at`` whose ``leased_until`` has passed is a doubtful call.
    """

    __tablename__ = "delivery_attempt"
    __table_args__ = (
        Index(
            "ix_delivery_attempt_open",
            "leased_until",
            postgresql_where=text("ended_at IS NULL"),
            sqlite_where=text("ended_at IS NULL"),
        ),
        Index("ix_delivery_attempt_delivery", "sandbox_id", "delivery_id", "number"),
    )

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    delivery_id: Mapped[KeyRef]
    number: Mapped[int] = mapped_column(Integer())
    worker: Mapped[str] = mapped_column(String(64))
    lane: Mapped[str] = mapped_column(String(128))
    cap_id: Mapped[UUID | None] = mapped_column(Uuid())
    leased_until: Mapped[At]
    permitted_at: Mapped[At]
    ended_at: Mapped[datetime | None] = mapped_column(Moment())
    outcome: Mapped[str | None] = mapped_column(String(16))
    status_code: Mapped[int | None] = mapped_column(Integer())
    error_code: Mapped[str | None] = mapped_column(String(64))
    elapsed_ms: Mapped[int | None] = mapped_column(Integer())
