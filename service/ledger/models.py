"""The rows of the two ledgers."""

from sqlalchemy import BigInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At, Key, KeyRef, SandboxKey


class LedgerDelta(Base):
    """A change of one count, appended in the transaction that made it true.

    ``book`` is ``people`` or ``deliveries``; ``entry`` names the column of the balance. Nothing is
    counted in place, so writers never wait for each other.
    """

    __tablename__ = "ledger_delta"

    sandbox_id: Mapped[SandboxKey]
    id: Mapped[Key]
    book: Mapped[str] = mapped_column(String(16))
    journey_version_id: Mapped[KeyRef]
    node_id: Mapped[str] = mapped_column(String(64))
    entry: Mapped[str] = mapped_column(String(16))
    amount: Mapped[int] = mapped_column(BigInteger())
    at: Mapped[At]


class LedgerTotal(Base):
    """What housekeeping has rolled up; the balance is totals plus the deltas that remain."""

    __tablename__ = "ledger_total"

    sandbox_id: Mapped[SandboxKey]
    journey_version_id: Mapped[Key]
    book: Mapped[str] = mapped_column(String(16), primary_key=True)
    node_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    entry: Mapped[str] = mapped_column(String(16), primary_key=True)
    amount: Mapped[int] = mapped_column(BigInteger())
