"""Facts that are old enough to go, in bounded batches.

Events stay as long as their dataset keeps them (91 days by default: phones retry for weeks, and an
event that came again after its first copy went would count twice). Closed fragment versions stay
91 days.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from service.db.statements import INTEGER, KEY, MOMENT, SetStatement
from service.sandboxes.scope import Scope

FRAGMENT_LIFE = timedelta(days=91)

_REMOVE_EVENTS = SetStatement(
    """
    DELETE FROM experience_event WHERE sandbox_id = :sandbox_id AND id IN (
        SELECT e.id FROM experience_event AS e
        JOIN {r} ON r.dataset_id = e.dataset_id AND e.received_at < r.before
        WHERE e.sandbox_id = :sandbox_id AND e.received_at < :before
        LIMIT :limit
    ) RETURNING id
    """,
    rows={"r": {"dataset_id": KEY, "before": MOMENT}},
    params={"sandbox_id": INTEGER, "before": MOMENT, "limit": INTEGER},
    result={"id": KEY},
)
_REMOVE_FRAGMENTS = SetStatement(
    """
    DELETE FROM profile_fragment WHERE sandbox_id = :sandbox_id
        AND (identity_id, dataset_id, valid_from) IN (
            SELECT f.identity_id, f.dataset_id, f.valid_from FROM profile_fragment AS f
            WHERE f.sandbox_id = :sandbox_id AND f.valid_to < :before LIMIT :limit
        )
    RETURNING identity_id
    """,
    rows={},
    params={"sandbox_id": INTEGER, "before": MOMENT, "limit": INTEGER},
    result={"identity_id": KEY},
)


def remove_events(
    session: Session,
    scope: Scope,
    kept_since: Mapping[UUID, datetime],
    *,
    limit: int,
) -> int:
    """Remove up to ``limit`` events received before their dataset's moment; return how many.

    The caller commits.
    """
    if not kept_since:
        return 0
    params = {
        "sandbox_id": scope.sandbox_id,
        "before": max(kept_since.values()),
        "limit": limit,
    }
    return len(_REMOVE_EVENTS.run(session, params, r=sorted(kept_since.items())))


def remove_fragments(session: Session, scope: Scope, *, now: datetime, limit: int) -> int:
    """Remove up to ``limit`` versions closed 91 days ago; return how many. The caller commits."""
    params = {"sandbox_id": scope.sandbox_id, "before": now - FRAGMENT_LIFE, "limit": limit}
    return len(_REMOVE_FRAGMENTS.run(session, params))
