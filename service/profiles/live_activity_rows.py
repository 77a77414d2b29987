"""The set statements over live activity tokens and the devices that hold them."""

from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement

ANNOUNCE = SetStatement(
    """
    INSERT INTO live_activity_token (sandbox_id, device_id, kind, name, app_id, platform, token,
        token_id, announced_at, announced_event, registered_at)
    SELECT :sandbox_id, r.device_id, r.kind, r.name, r.app_id, r.platform, r.token, r.token_id,
        r.at, r.event, :now
    FROM {r} WHERE true
    ON CONFLICT (sandbox_id, device_id, kind, name) DO UPDATE SET app_id = excluded.app_id,
        platform = excluded.platform, token = excluded.token, token_id = excluded.token_id,
        announced_at = excluded.announced_at, announced_event = excluded.announced_event,
        registered_at = excluded.registered_at, denylisted_at = NULL
    WHERE excluded.announced_at > live_activity_token.announced_at
        OR (excluded.announced_at = live_activity_token.announced_at
            AND excluded.announced_event > live_activity_token.announced_event)
    """,
    rows={
        "r": {
            "device_id": KEY,
            "kind": TEXT,
            "name": TEXT,
            "app_id": TEXT,
            "platform": TEXT,
            "token": TEXT,
            "token_id": KEY,
            "at": MOMENT,
            "event": TEXT,
        },
    },
    params={"sandbox_id": INTEGER, "now": MOMENT},
)
TAKE = SetStatement(
    """
    INSERT INTO live_activity_owner (sandbox_id, token_id, device_id, kind, announced_at,
        announced_event, registered_at)
    SELECT :sandbox_id, r.token_id, r.device_id, r.kind, r.at, r.event, :now
    FROM {r} WHERE true
    ON CONFLICT (sandbox_id, token_id) DO UPDATE SET device_id = excluded.device_id,
        announced_at = excluded.announced_at, announced_event = excluded.announced_event,
        registered_at = excluded.registered_at
    WHERE excluded.announced_at > live_activity_owner.announced_at
        OR (excluded.announced_at = live_activity_owner.announced_at
            AND (excluded.announced_event > live_activity_owner.announced_event
                OR (excluded.announced_event = live_activity_owner.announced_event
                    AND excluded.device_id > live_activity_owner.device_id)))
    """,
    rows={
        "r": {"token_id": KEY, "device_id": KEY, "kind": TEXT, "at": MOMENT, "event": TEXT},
    },
    params={"sandbox_id": INTEGER, "now": MOMENT},
)
EVICT = SetStatement(
    """
    DELETE FROM live_activity_token WHERE sandbox_id = :sandbox_id
        AND (device_id, kind, name) IN (
            SELECT n.device_id, n.kind, n.name FROM (
                SELECT t.device_id, t.kind, t.name, ROW_NUMBER() OVER (
                    PARTITION BY t.device_id, t.kind
                    ORDER BY t.announced_at DESC, t.announced_event DESC, t.name DESC
                ) AS place
                FROM live_activity_token AS t
                WHERE t.sandbox_id = :sandbox_id AND t.device_id IN (SELECT r.device_id FROM {r})
            ) AS n WHERE n.place > :most
        )
    """,
    rows={"r": {"device_id": KEY}},
    params={"sandbox_id": INTEGER, "most": INTEGER},
)

# Whose the activities of a device ``d`` are: its login's, before the first login its own, after a
# logout nobody's. Its tokens ``t`` are those that no other device announced later.
_OWNER = "CASE WHEN d.login_id IS NULL AND NOT d.had_login THEN d.id ELSE d.login_id END"
_TOKENS = """
    JOIN live_activity_token AS t ON t.sandbox_id = :sandbox_id AND t.device_id = d.id
    JOIN live_activity_owner AS o ON o.sandbox_id = :sandbox_id AND o.token_id = t.token_id
        AND o.device_id = t.device_id
"""
_COLUMNS = """t.device_id, t.kind, t.name, t.app_id, t.platform, t.token, t.token_id,
        t.registered_at, t.denylisted_at"""
_HELD = {
    "device_id": KEY,
    "kind": TEXT,
    "name": TEXT,
    "app_id": TEXT,
    "platform": TEXT,
    "token": TEXT,
    "token_id": KEY,
    "registered_at": MOMENT,
    "denylisted_at": MOMENT,
}

OF_NAMED = SetStatement(
    f"""
    SELECT r.identity_id AS asked, r.name AS asked_name, {_COLUMNS}
    FROM {{r}}
    JOIN identity AS i ON i.sandbox_id = :sandbox_id AND i.id = r.identity_id
    JOIN identity AS d ON d.sandbox_id = :sandbox_id AND d.graph_id = i.graph_id
    JOIN identity AS m ON m.sandbox_id = :sandbox_id AND m.graph_id = i.graph_id
        AND m.profile_id = i.profile_id AND (m.id = m.profile_id OR m.parent_id = m.login_id)
        AND m.id = {_OWNER}
    {_TOKENS}
    WHERE t.kind = :kind AND t.name = r.name
    ORDER BY r.identity_id, r.name, t.registered_at DESC, t.device_id
    """,  # noqa: S608 - made of this module's own texts
    rows={"r": {"identity_id": KEY, "name": TEXT}},
    params={"sandbox_id": INTEGER, "kind": TEXT},
    result={"asked": KEY, "asked_name": TEXT, **_HELD},
)
DENYLIST = SetStatement(
    """
    UPDATE live_activity_token SET denylisted_at = :now
    FROM {r} WHERE live_activity_token.sandbox_id = :sandbox_id
        AND live_activity_token.token_id = r.token_id
        AND live_activity_token.denylisted_at IS NULL
        AND live_activity_token.registered_at < r.called_at
    RETURNING live_activity_token.token_id
    """,
    rows={"r": {"token_id": KEY, "called_at": MOMENT}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
    result={"token_id": KEY},
)
HELD_BY = SetStatement(
    f"""
    SELECT {_OWNER} AS owner_id, {_COLUMNS}
    FROM identity AS d
    {_TOKENS}
    WHERE d.sandbox_id = :sandbox_id AND d.graph_id = :graph_id
        AND EXISTS (SELECT 1 FROM {{r}} WHERE r.identity_id IN (d.id, d.login_id))
    ORDER BY t.registered_at DESC, t.device_id, t.kind, t.name
    """,  # noqa: S608 - made of this module's own texts
    rows={"r": {"identity_id": KEY}},
    params={"sandbox_id": INTEGER, "graph_id": KEY},
    result={"owner_id": KEY, **_HELD},
)
REMOVE = SetStatement(
    """
    DELETE FROM live_activity_token WHERE sandbox_id = :sandbox_id
        AND (device_id, kind, name) IN (
            SELECT t.device_id, t.kind, t.name FROM live_activity_token AS t
            WHERE t.sandbox_id = :sandbox_id AND (t.registered_at < :unused_before
                OR (t.kind = 'update' AND t.registered_at < :ended_before))
            ORDER BY t.device_id, t.kind, t.name LIMIT :limit
        )
    RETURNING device_id
    """,
    rows={},
    params={
        "sandbox_id": INTEGER,
        "ended_before": MOMENT,
        "unused_before": MOMENT,
        "limit": INTEGER,
    },
    result={"device_id": KEY},
)
REMOVE_OWNERS = SetStatement(
    """
    DELETE FROM live_activity_owner WHERE sandbox_id = :sandbox_id AND token_id IN (
        SELECT t.token_id FROM live_activity_owner AS t
        WHERE t.sandbox_id = :sandbox_id AND (t.registered_at < :unused_before
            OR (t.kind = 'update' AND t.registered_at < :ended_before))
        ORDER BY t.token_id LIMIT :limit
    )
    """,
    rows={},
    params={
        "sandbox_id": INTEGER,
        "ended_before": MOMENT,
        "unused_before": MOMENT,
        "limit": INTEGER,
    },
)
