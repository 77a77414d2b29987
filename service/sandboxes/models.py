"""The rows of tenancy."""

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from service.db.base import Base
from service.db.types import At


class Sandbox(Base):
    """One isolated world. Written by ``sandboxes.registry`` only."""

    __tablename__ = "sandbox"

    id: Mapped[int] = mapped_column(Integer(), primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(256), unique=True)
    title: Mapped[str] = mapped_column(String(256))
    type: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[At]
