"""How late the background work is."""

from datetime import datetime

from sqlalchemy.orm import Session

from service.db.statements import MOMENT, SetStatement

_OLDEST = SetStatement(
    "SELECT /* across sandboxes: oldest-due */ MIN(due_at) AS due_at FROM ("
    "SELECT MIN(due_at) AS due_at FROM journey_stimulus "
    "UNION ALL SELECT MIN(due_at) FROM delivery_due "
    "UNION ALL SELECT MIN(due_at) FROM job WHERE ended_at IS NULL AND leased_until IS NULL"
    ") AS waiting",
    rows={},
    result={"due_at": MOMENT},
)


def oldest_due_at(session: Session) -> datetime | None:
    """Return when the oldest stimulus, delivery or job that nobody has claimed was due.

    A moment in the future means that nothing is late.
    """
    due: datetime | None = _OLDEST.run(session, {})[0][0]
    return due
