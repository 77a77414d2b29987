"""The statements over caps and the grants under them.

Lock and tally are two on purpose: PostgreSQL fixes what a statement sees before it waits for the
lock, so one statement would not see the grants it waited for.
"""

from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, SetStatement
from service.outbound.store_clock import ClockStatement

_CAP_KEYS = {"sandbox_id": INTEGER, "cap_id": KEY}
_GRANT_COLUMNS = {**_CAP_KEYS, "id": KEY, "granted_at": MOMENT, "counted_until": MOMENT}

LOCK = SetStatement(
    """
    SELECT paused_until, max_calls_count, period_in_ms FROM permit_cap
    WHERE sandbox_id = :sandbox_id AND id = :cap_id {lock}
    """,
    rows={},
    params=_CAP_KEYS,
    result={"paused_until": MOMENT, "max_calls_count": INTEGER, "period_in_ms": INTEGER},
)
DEPLOYED = SetStatement(
    """
    UPDATE permit_cap SET max_calls_count = :max_calls_count, period_in_ms = :period_in_ms
    WHERE sandbox_id = :sandbox_id AND id = :cap_id
    """,
    rows={},
    params={**_CAP_KEYS, "max_calls_count": INTEGER, "period_in_ms": INTEGER},
)
ADD_CAP = SetStatement(
    "INSERT INTO permit_cap (sandbox_id, id) VALUES (:sandbox_id, :cap_id) ON CONFLICT DO NOTHING",
    rows={},
    params=_CAP_KEYS,
)
TALLY = ClockStatement(
    """
    WITH moment AS MATERIALIZED (SELECT {moment} AS at)
    SELECT (SELECT at FROM moment) AS now, COALESCE(SUM(g.count), 0) AS used,
        MIN(CASE WHEN g.count > 0 THEN g.counted_until END) AS first_end_at,
        MAX(g.granted_at) AS last_granted_at, COUNT(g.shares) AS shared
    FROM permit_grant AS g
    WHERE g.sandbox_id = :sandbox_id AND g.cap_id = :cap_id
        AND g.counted_until > (SELECT at FROM moment)
    """,
    params=_CAP_KEYS,
    result={
        "now": MOMENT,
        "used": INTEGER,
        "first_end_at": MOMENT,
        "last_granted_at": MOMENT,
        "shared": INTEGER,
    },
)
GRANT = SetStatement(
    """
    INSERT INTO permit_grant (sandbox_id, id, cap_id, granted_at, counted_until, count)
    VALUES (:sandbox_id, :id, :cap_id, :granted_at, :counted_until, :count)
    """,
    rows={},
    params=_GRANT_COLUMNS,
)
GRANT_SHARED = SetStatement(
    """
    INSERT INTO permit_grant (sandbox_id, id, cap_id, granted_at, counted_until, count, shares)
    VALUES (:sandbox_id, :id, :cap_id, :granted_at, :counted_until, :count, :shares)
    """,
    rows={},
    params={**_GRANT_COLUMNS, "shares": JSON_OBJECT},
)
PAUSE = SetStatement(
    "UPDATE permit_cap SET paused_until = :until WHERE sandbox_id = :sandbox_id AND id = :cap_id",
    rows={},
    params={**_CAP_KEYS, "until": MOMENT},
)
FORGET_ALL = SetStatement(
    "DELETE FROM permit_grant WHERE sandbox_id = :sandbox_id AND cap_id = :cap_id",
    rows={},
    params=_CAP_KEYS,
)
FORGET_ENDED = SetStatement(
    """
    WITH ended AS MATERIALIZED (
        SELECT id FROM permit_grant WHERE sandbox_id = :sandbox_id AND counted_until < :before
        ORDER BY id LIMIT :limit {skip_locked}
    )
    DELETE FROM permit_grant WHERE sandbox_id = :sandbox_id AND id IN (SELECT id FROM ended)
    RETURNING id
    """,
    rows={},
    params={"sandbox_id": INTEGER, "before": MOMENT, "limit": INTEGER},
    result={"id": KEY},
)
