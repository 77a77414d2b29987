"""Who leads: a lease row per role, in the store's time, with a fence that grows at each change."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from service.db.statements import INTEGER, MOMENT, TEXT, SetStatement
from service.jobs.models import ProcessLease

_TAKE = SetStatement(
    """
    INSERT INTO process_lease (role, owner, expires_at, fence)
    VALUES (:role, :owner, :expires_at, 1)
    ON CONFLICT (role) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at,
        fence = CASE WHEN process_lease.owner = excluded.owner
            THEN process_lease.fence ELSE process_lease.fence + 1 END
    WHERE process_lease.owner = excluded.owner OR process_lease.expires_at < :now
    RETURNING fence
    """,
    rows={},
    params={"role": TEXT, "owner": TEXT, "expires_at": MOMENT, "now": MOMENT},
    result={"fence": INTEGER},
)


def take(
    session: Session,
    role: str,
    owner: str,
    *,
    now: datetime,
    expires_at: datetime,
) -> int | None:
    """Take or renew the lease of a role; return its fence, ``None`` while another owner holds it.

    ``now`` is the store's time, so that processes with different clocks agree. The caller commits.
    """
    params = {"role": role, "owner": owner, "now": now, "expires_at": expires_at}
    rows = _TAKE.run(session, params)
    return rows[0].fence if rows else None


def give_up(session: Session, role: str, owner: str) -> None:
    """End the lease, so that another process need not wait for it to expire."""
    session.execute(
        delete(ProcessLease).where(ProcessLease.role == role, ProcessLease.owner == owner),
    )
