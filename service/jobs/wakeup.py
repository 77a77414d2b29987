"""Tells idle workers that there is work, so that none of them has to poll fast."""

from sqlalchemy import text
from sqlalchemy.orm import Session

CHANNEL = "edgepost_work"
_NOTIFY = text(f"NOTIFY {CHANNEL}")


def notify(session: Session) -> None:
    """Wake listening workers when this transaction commits; once per transaction is enough.

    On SQLite nothing is sent: the worker is a thread of the same process, and the flow that owns
    the unit of work wakes it.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(_NOTIFY)
