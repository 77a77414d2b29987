"""The set statements over push tokens, their slots and their owners."""

from service.db.statements import BOOLEAN, INTEGER, KEY, MOMENT, TEXT, SetStatement

_ANNOUNCED = {
    "id": KEY,
    "app_id": TEXT,
    "platform": TEXT,
    "token": TEXT,
    "device_id": KEY,
    "at": MOMENT,
    "event": TEXT,
    "logout_policy": TEXT,
}
ADD = SetStatement(
    """
    INSERT INTO push_token (sandbox_id, id, app_id, platform, token, device_id, announced_at,
        announced_event, logout_policy, registered_at, owner_id)
    SELECT :sandbox_id, r.id, r.app_id, r.platform, r.token, r.device_id, r.at, r.event,
        r.logout_policy, :now, r.owner_id
    FROM {r} WHERE true ON CONFLICT DO NOTHING RETURNING id
    """,
    rows={"r": {**_ANNOUNCED, "owner_id": KEY}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
    result={"id": KEY},
)
ANNOUNCE = SetStatement(
    """
    INSERT INTO push_token (sandbox_id, id, app_id, platform, token, device_id, announced_at,
        announced_event, logout_policy, registered_at)
    SELECT :sandbox_id, r.id, r.app_id, r.platform, r.token, r.device_id, r.at, r.event,
        r.logout_policy, :now
    FROM {r} WHERE true
    ON CONFLICT (sandbox_id, id) DO UPDATE SET device_id = excluded.device_id,
        announced_at = excluded.announced_at, announced_event = excluded.announced_event,
        logout_policy = excluded.logout_policy, registered_at = excluded.registered_at,
        denylisted_at = NULL, denylist_reason = NULL
    WHERE excluded.announced_at > push_token.announced_at
        OR (excluded.announced_at = push_token.announced_at
            AND excluded.announced_event > push_token.announced_event)
    """,
    rows={"r": _ANNOUNCED},
    params={"sandbox_id": INTEGER, "now": MOMENT},
)
FILL_SLOTS = SetStatement(
    """
    INSERT INTO push_token_slot
        (sandbox_id, device_id, app_id, platform, announced_at, announced_event)
    SELECT :sandbox_id, r.device_id, r.app_id, r.platform, r.at, r.event FROM {r} WHERE true
    ON CONFLICT (sandbox_id, device_id, app_id, platform) DO UPDATE SET
        announced_at = excluded.announced_at, announced_event = excluded.announced_event
    WHERE excluded.announced_at > push_token_slot.announced_at
        OR (excluded.announced_at = push_token_slot.announced_at
            AND excluded.announced_event > push_token_slot.announced_event)
    """,
    rows={
        "r": {"device_id": KEY, "app_id": TEXT, "platform": TEXT, "at": MOMENT, "event": TEXT},
    },
    params={"sandbox_id": INTEGER},
)
LOCK = SetStatement(
    """
    SELECT t.id FROM push_token AS t
    WHERE t.sandbox_id = :sandbox_id AND t.id IN (
        SELECT a.id FROM {a}
        UNION
        SELECT h.id FROM push_token AS h JOIN {r} ON h.device_id = r.device_id
        WHERE h.sandbox_id = :sandbox_id
    )
    ORDER BY t.id {lock_t}
    """,
    rows={"a": {"id": KEY}, "r": {"device_id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"id": KEY},
)
OF_DEVICES = SetStatement(
    """
    SELECT t.id, t.device_id, t.logout_policy, t.owner_id, i.login_id, i.had_login,
        t.announced_at = s.announced_at AND t.announced_event = s.announced_event AS is_current
    FROM push_token AS t
    JOIN {r} ON t.device_id = r.device_id
    JOIN push_token_slot AS s ON s.sandbox_id = :sandbox_id AND s.device_id = t.device_id
        AND s.app_id = t.app_id AND s.platform = t.platform
    JOIN identity AS i ON i.sandbox_id = :sandbox_id AND i.id = t.device_id
    WHERE t.sandbox_id = :sandbox_id
    ORDER BY t.id {lock_t}
    """,
    rows={"r": {"device_id": KEY}},
    params={"sandbox_id": INTEGER},
    result={
        "id": KEY,
        "device_id": KEY,
        "logout_policy": TEXT,
        "owner_id": KEY,
        "login_id": KEY,
        "had_login": BOOLEAN,
        "is_current": BOOLEAN,
    },
)
SET_OWNER = SetStatement(
    """
    UPDATE push_token SET owner_id = r.owner_id
    FROM {r} WHERE push_token.sandbox_id = :sandbox_id AND push_token.id = r.id
    """,
    rows={"r": {"id": KEY, "owner_id": KEY}},
    params={"sandbox_id": INTEGER},
)
END_OWNERSHIP = SetStatement(
    """
    UPDATE push_token_owner SET to_at = :now, end_cause = r.cause
    FROM {r} WHERE push_token_owner.sandbox_id = :sandbox_id
        AND push_token_owner.token_id = r.token_id AND push_token_owner.to_at IS NULL
    """,
    rows={"r": {"token_id": KEY, "cause": TEXT}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
)
BEGIN_OWNERSHIP = SetStatement(
    """
    INSERT INTO push_token_owner (sandbox_id, token_id, from_at, id, identity_id, cause)
    SELECT :sandbox_id, r.token_id, :now, r.id, r.identity_id, r.cause FROM {r} WHERE true
    """,
    rows={"r": {"token_id": KEY, "id": KEY, "identity_id": KEY, "cause": TEXT}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
)
DENYLIST = SetStatement(
    """
    UPDATE push_token SET denylisted_at = :now, denylist_reason = r.reason
    FROM {r} WHERE push_token.sandbox_id = :sandbox_id AND push_token.id = r.id
        AND push_token.denylisted_at IS NULL AND push_token.registered_at < r.called_at
    RETURNING push_token.id
    """,
    rows={"r": {"id": KEY, "reason": TEXT, "called_at": MOMENT}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
    result={"id": KEY},
)
