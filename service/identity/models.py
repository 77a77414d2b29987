"""The rows of the identity graph."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, Integer, String, Uuid
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At, Key, KeyRef, Moment, SandboxKey


class IdentityNamespace(Base):
    """A kind of identifier. Written by ``identity.namespaces`` only.

    ``priority`` 1 is the most important; a person namespace is unique in a graph.
    """

    __tablename__ = "identity_namespace"

    sandbox_id: Mapped[SandboxKey]
    code: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(256))
    id_type: Mapped[str] = mapped_column(String(32))
    priority: Mapped[int] = mapped_column(Integer())
    is_unique: Mapped[bool]
    created_at: Mapped[At]


class Identity(Base):
    """One identifier and where it hangs in the graph. Written by ``identity.graph`` only.

    The key is derived from namespace and value. Two last-writer-wins registers say which more
    important identity it was seen with: ``login_*`` from authenticated claims (a logout writes an
    empty one), ``ambiguous_*`` from ambiguous ones; ``…_at`` and ``…_event`` are their order keys.
    ``graph_id`` is the root that the registers lead to; ``parent_id`` the link in force, without
    those that would break a unique namespace; ``profile_id`` the root of those in force.
    ``consent`` is what it last said of collecting: ``in``, ``pending`` or ``out``.
    Source: service/decisions/0002-identity.md.
    """

    __tablename__ = "identity"
    __table_args__ = (Index("ix_identity_graph", "graph_id", "sandbox_id"),)

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    namespace: Mapped[str] = mapped_column(String(64))
    value: Mapped[str] = mapped_column(String(1024))
    graph_id: Mapped[KeyRef]
    profile_id: Mapped[KeyRef]
    parent_id: Mapped[UUID | None] = mapped_column(Uuid())
    login_id: Mapped[UUID | None] = mapped_column(Uuid())
    login_at: Mapped[datetime | None] = mapped_column(Moment())
    login_event: Mapped[str | None] = mapped_column(String(256))
    ambiguous_id: Mapped[UUID | None] = mapped_column(Uuid())
    ambiguous_at: Mapped[datetime | None] = mapped_column(Moment())
    ambiguous_event: Mapped[str | None] = mapped_column(String(256))
    had_login: Mapped[bool]
    consent: Mapped[str | None] = mapped_column(String(8))
    consent_at: Mapped[datetime | None] = mapped_column(Moment())
    created_at: Mapped[At]


class IdentityLink(Base):
    """A fact: these two were seen together. Kept when superseded, never traversed then.

    ``state`` is ``active``, ``superseded`` or ``ended``; ``source_id`` the datastream or inlet.
    """

    __tablename__ = "identity_link"

    sandbox_id: Mapped[SandboxKey]
    child_id: Mapped[Key]
    parent_id: Mapped[Key]
    strength: Mapped[str] = mapped_column(String(16), primary_key=True)
    state: Mapped[str] = mapped_column(String(16))
    source_id: Mapped[KeyRef]
    first_seen_at: Mapped[At]
    last_seen_at: Mapped[At]
    last_event: Mapped[str] = mapped_column(String(256))
