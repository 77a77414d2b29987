"""The rows that say where data comes from and what it is."""

from sqlalchemy import Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At, EncryptedText, JsonType, JsonValue, Key, KeyRef, SandboxKey


class Dataset(Base):
    """A named store of facts of one XDM class. Written by ``catalog.datasets`` only.

    ``schema_class`` is ``profile`` or ``experienceevent``.
    """

    __tablename__ = "dataset"
    __table_args__ = (UniqueConstraint("sandbox_id", "name"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(256))
    schema_class: Mapped[str] = mapped_column(String(32))
    retention_days: Mapped[int]
    is_system: Mapped[bool]
    created_at: Mapped[At]


class Datastream(Base):
    """What an SDK's ``configId`` names. Written by ``catalog.datastreams`` only.

    ``platform`` is ``mobile`` or ``web``; ``app_ids`` and ``origins`` are lists, empty meaning any.
    ``default_consent`` is ``in``, ``pending`` or ``out``; ``logout_on`` is ``loggedOut`` or
    ``absent``; ``logout_policy`` is ``detach`` or ``keepAnonymous``. ``settings`` holds what
    ``catalog.datastream_settings`` describes, ``login_key`` the secret of its login proofs.
    """

    __tablename__ = "datastream"
    __table_args__ = (
        UniqueConstraint("sandbox_id", "name"),
        Index("ix_datastream_id", "id", unique=True),
    )

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(256))
    platform: Mapped[str] = mapped_column(String(16))
    org_id: Mapped[str] = mapped_column(String(64))
    is_enabled: Mapped[bool]
    app_ids: Mapped[JsonValue]
    origins: Mapped[JsonValue]
    default_consent: Mapped[str] = mapped_column(String(16))
    logout_on: Mapped[str] = mapped_column(String(16))
    logout_policy: Mapped[str] = mapped_column(String(16))
    event_dataset_id: Mapped[KeyRef]
    profile_dataset_id: Mapped[KeyRef]
    settings: Mapped[dict[str, object] | None] = mapped_column(JsonType)
    login_key: Mapped[str | None] = mapped_column(EncryptedText())
    created_at: Mapped[At]
    updated_at: Mapped[At]


class MobileProperty(Base):
    """What an app downloads its configuration by. Written by ``catalog.mobile_properties`` only.

    ``app_id`` is the path of the configuration file without its environment; it is unique over all
    sandboxes, because an SDK names none. ``settings`` holds what each environment differs in.
    """

    __tablename__ = "mobile_property"
    __table_args__ = (
        UniqueConstraint("sandbox_id", "name"),
        Index("ix_mobile_property_app_id", "app_id", unique=True),
    )

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(256))
    app_id: Mapped[str] = mapped_column(String(128))
    settings: Mapped[JsonValue]
    created_at: Mapped[At]
    updated_at: Mapped[At]


class Inlet(Base):
    """A streaming ingestion connection (DCCS). Written by ``catalog.inlets`` only."""

    __tablename__ = "inlet"
    __table_args__ = (
        UniqueConstraint("sandbox_id", "name"),
        Index("ix_inlet_id", "id", unique=True),
    )

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    name: Mapped[str] = mapped_column(String(256))
    org_id: Mapped[str] = mapped_column(String(64))
    is_enabled: Mapped[bool]
    requires_token: Mapped[bool]
    event_dataset_id: Mapped[KeyRef]
    profile_dataset_id: Mapped[KeyRef]
    created_at: Mapped[At]
    updated_at: Mapped[At]
