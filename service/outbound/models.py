"""The rows of outbound: actions, caps, deliveries and attempts."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Float, Index, Integer, String, Text, UniqueConstraint, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At, EncryptedText, JsonType, JsonValue, Key, KeyRef, Moment, SandboxKey


class CustomAction(Base):
    """How a third party is called. Written by ``outbound.actions`` only.

    ``auth`` holds everything but the secret; ``auth_secret`` is ciphertext, ``auth_secret_ref`` a
    reference such as ``env:NAME``. ``settings`` are the adapter's own. ``query``, ``parameters``
    and ``answers`` (how replies are mapped) are empty when the action has none. ``connection`` says
    how it is reached (proxy, client certificate), ``connection_secret`` with what.
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
    query: Mapped[dict[str, object] | None] = mapped_column(JsonType)
    parameters: Mapped[list[object] | None] = mapped_column(JsonType)
    answers: Mapped[dict[str, object] | None] = mapped_column(JsonType)
    connection: Mapped[dict[str, object] | None] = mapped_column(JsonType)
    connection_secret: Mapped[str | None] = mapped_column(EncryptedText())
    timeout_ms: Mapped[int] = mapped_column(Integer())
    max_retries: Mapped[int] = mapped_column(Integer())
    on_unknown: Mapped[str] = mapped_column(String(16))
    on_backlog: Mapped[str] = mapped_column(String(16))
    is_marketing: Mapped[bool]
    created_at: Mapped[At]
    updated_at: Mapped[At]


class EndpointConfig(Base):
    """A capping or throttling configuration: the latest copy, and the deployed one.

    ``kind`` is ``capping`` or ``throttling``. ``state`` is ``created``, ``updated`` or
    ``deployed``. Written by ``outbound.endpoint_configs``.
    """

    __tablename__ = "endpoint_config"

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    kind: Mapped[str] = mapped_column(String(16), default="capping", server_default="capping")
    config: Mapped[JsonValue]
    state: Mapped[str] = mapped_column(String(16))
    deployed: Mapped[dict[str, object] | None] = mapped_column(JsonType)
    deployed_at: Mapped[datetime | None] = mapped_column(Moment())
    created_at: Mapped[At]
    updated_at: Mapped[At]


class PermitCap(Base):
    """One cap's lock row: grants under it are taken one after the other.

    ``paused_until`` is set when the store's clock jumped; nothing is granted before it.
    ``max_calls_count`` and ``period_in_ms`` are what was deployed last, so that a process which has
    not heard of it yet grants by it all the same; empty for the built-in caps.
    """

    __tablename__ = "permit_cap"

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    last_granted_at: Mapped[datetime | None] = mapped_column(Moment())
    paused_until: Mapped[datetime | None] = mapped_column(Moment())
    max_calls_count: Mapped[int | None] = mapped_column(Integer())
    period_in_ms: Mapped[int | None] = mapped_column(Integer())


class PermitGrant(Base):
    """Call starts granted together; counted in every window until ``counted_until``.

    ``shares`` says who asked for how many and got how many, where journeys compete.
    """

    __tablename__ = "permit_grant"
    __table_args__ = (Index("ix_permit_grant_cap", "sandbox_id", "cap_id", "counted_until"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    cap_id: Mapped[KeyRef]
    granted_at: Mapped[At]
    counted_until: Mapped[At]
    count: Mapped[int] = mapped_column(Integer())
    shares: Mapped[dict[str, object] | None] = mapped_column(JsonType)


class Destination(Base):
    """How a destination fares, shared by all processes: its breaker and the pace it bears.

    ``breaker`` is ``closed``, ``open`` or ``halfOpen``; ``pace`` is the share of the cap that is
    used, 1 for all of it. ``not_before`` is what the vendor asked for with ``Retry-After``.
    """

    __tablename__ = "destination"

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    host: Mapped[str] = mapped_column(String(255))
    breaker: Mapped[str] = mapped_column(String(16))
    breaker_until: Mapped[datetime | None] = mapped_column(Moment())
    probed_at: Mapped[datetime | None] = mapped_column(Moment())
    not_before: Mapped[datetime | None] = mapped_column(Moment())
    pace: Mapped[float] = mapped_column(Float())
    latency_ms: Mapped[int | None] = mapped_column(Integer())
    reason: Mapped[str | None] = mapped_column(String(64))
    updated_at: Mapped[At]


class VendorToken(Base):
    """An access token got from a vendor, for every process; ``id`` is derived from its credential.

    One process at a time renews it: ``renewing_until`` is its lease.
    """

    __tablename__ = "vendor_token"

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    token: Mapped[str | None] = mapped_column(EncryptedText())
    refresh_at: Mapped[datetime | None] = mapped_column(Moment())
    expires_at: Mapped[datetime | None] = mapped_column(Moment())
    renewing_until: Mapped[datetime | None] = mapped_column(Moment())
    updated_at: Mapped[At]


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
    ``unknown``. ``parameters`` is what the node gave to the action. ``feedback`` is the vendor's
    last word after the send, in Adobe's spelling (``delivered``, ``bounce``, ``error``, ``read``).
    ``replay_of`` is the delivery that this one repeats.
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
    feedback: Mapped[str | None] = mapped_column(String(16))
    feedback_at: Mapped[datetime | None] = mapped_column(Moment())
    feedback_reason: Mapped[str | None] = mapped_column(String(64))
    replay_of: Mapped[UUID | None] = mapped_column(Uuid())


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
    __table_args__ = (Index("ix_delivery_interaction_at", "at", "sandbox_id"),)

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


class DeadLetter(Base):
    """A delivery that ended without being sent, with what would send it again, until it expires.

    ``context`` is ciphertext: the event and parameters that the message is made of.
    """

    __tablename__ = "dead_letter"
    __table_args__ = (Index("ix_dead_letter_created", "sandbox_id", "created_at", "delivery_id"),)

    sandbox_id: Mapped[SandboxKey]
    delivery_id: Mapped[Key]
    action_id: Mapped[KeyRef]
    journey_id: Mapped[KeyRef]
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(64))
    context: Mapped[str | None] = mapped_column(EncryptedText())
    replay_id: Mapped[UUID | None] = mapped_column(Uuid())
    replayed_at: Mapped[datetime | None] = mapped_column(Moment())
    created_at: Mapped[At]
    expires_at: Mapped[At]


class Halt(Base):
    """A kill switch that is on: nothing is sent for its subject until ``lifted_at``.

    ``kind`` is ``journey``, ``action`` or ``destination``; ``subject`` its id, or the host.
    """

    __tablename__ = "halt"

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    kind: Mapped[str] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(255))
    reason: Mapped[str | None] = mapped_column(String(256))
    numbers: Mapped[JsonValue]
    created_at: Mapped[At]
    lifted_at: Mapped[datetime | None] = mapped_column(Moment())


class Incident(Base):
    """Something an operator must decide about one action; open until ``closed_at``.

    ``kind`` is ``massInvalidation``: so many tokens were called dead at once that the verdicts are
    held in ``held_verdict`` instead of being believed.
    """

    __tablename__ = "incident"
    __table_args__ = (Index("ix_incident_action", "sandbox_id", "action_id", "closed_at"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    kind: Mapped[str] = mapped_column(String(32))
    action_id: Mapped[KeyRef]
    facts: Mapped[JsonValue]
    verdict: Mapped[str | None] = mapped_column(String(16))
    opened_at: Mapped[At]
    closed_at: Mapped[datetime | None] = mapped_column(Moment())


class HeldVerdict(Base):
    """A vendor's word that a token is dead, not believed until its incident is decided."""

    __tablename__ = "held_verdict"

    sandbox_id: Mapped[SandboxKey]
    incident_id: Mapped[Key]
    token_id: Mapped[Key]
    reason: Mapped[str] = mapped_column(String(64))
    called_at: Mapped[At]


class ReceiptSource(Base):
    """Where a vendor posts what became of messages after it took them.

    ``secret`` is what its signatures are checked with.
    """

    __tablename__ = "receipt_source"
    __table_args__ = (UniqueConstraint("sandbox_id", "name"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(64))
    provider: Mapped[str] = mapped_column(String(32))
    settings: Mapped[JsonValue]
    secret: Mapped[str | None] = mapped_column(EncryptedText())
    created_at: Mapped[At]
    updated_at: Mapped[At]
