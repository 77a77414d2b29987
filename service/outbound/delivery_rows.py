"""The set statements over deliveries and what is due of them."""

from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement

_SANDBOX = {"sandbox_id": INTEGER}
_AT = {"sandbox_id": INTEGER, "now": MOMENT}

ADD = SetStatement(
    """
    INSERT INTO delivery (sandbox_id, id, instance_id, node_id, journey_id, journey_version_id,
        action_id, identity_id, parameters, state, facts, attempts, created_at, expires_at)
    SELECT :sandbox_id, r.id, r.instance_id, r.node_id, r.journey_id, r.journey_version_id,
        r.action_id, r.identity_id, r.parameters, 'waiting', r.facts, 0, :now, r.expires_at
    FROM {r} WHERE true ON CONFLICT DO NOTHING RETURNING id
    """,
    rows={
        "r": {
            "id": KEY,
            "instance_id": KEY,
            "node_id": TEXT,
            "journey_id": KEY,
            "journey_version_id": KEY,
            "action_id": KEY,
            "identity_id": KEY,
            "parameters": JSON_OBJECT,
            "facts": JSON_OBJECT,
            "expires_at": MOMENT,
        },
    },
    params=_AT,
    result={"id": KEY},
)
ADD_DUE = SetStatement(
    """
    INSERT INTO delivery_due (sandbox_id, delivery_id, lane, due_at, attempt)
    SELECT :sandbox_id, r.delivery_id, r.lane, :now, 1 FROM {r}
    """,
    rows={"r": {"delivery_id": KEY, "lane": TEXT}},
    params=_AT,
)
# The plan must read the due rows once; without MATERIALIZED PostgreSQL may repeat the sub-select
# and claim more than the limit.
CLAIM = SetStatement(
    """
    WITH due AS MATERIALIZED (
        SELECT delivery_id FROM delivery_due
        WHERE sandbox_id = :sandbox_id AND lane = :lane AND due_at <= :now
        ORDER BY due_at LIMIT :limit {skip_locked}
    )
    DELETE FROM delivery_due
    WHERE sandbox_id = :sandbox_id AND delivery_id IN (SELECT delivery_id FROM due)
    RETURNING delivery_id, due_at, attempt, budget_until, origin_error
    """,
    rows={},
    params={**_AT, "lane": TEXT, "limit": INTEGER},
    result={
        "delivery_id": KEY,
        "due_at": MOMENT,
        "attempt": INTEGER,
        "budget_until": MOMENT,
        "origin_error": JSON_OBJECT,
    },
)
# SQLite keeps the order of a CROSS JOIN; else, without statistics, it reads the whole sandbox.
READ_WAITING = SetStatement(
    """
    SELECT d.id, d.instance_id, d.node_id, d.journey_id, d.journey_version_id, d.action_id,
        d.identity_id, d.parameters, d.facts, d.created_at, d.expires_at, d.replay_of
    FROM {r} CROSS JOIN delivery AS d
    WHERE d.sandbox_id = :sandbox_id AND d.id = r.id AND d.state = 'waiting'
    """,
    rows={"r": {"id": KEY}},
    params=_SANDBOX,
    result={
        "id": KEY,
        "instance_id": KEY,
        "node_id": TEXT,
        "journey_id": KEY,
        "journey_version_id": KEY,
        "action_id": KEY,
        "identity_id": KEY,
        "parameters": JSON_OBJECT,
        "facts": JSON_OBJECT,
        "created_at": MOMENT,
        "expires_at": MOMENT,
        "replay_of": KEY,
    },
)
PUT_BACK = SetStatement(
    """
    INSERT INTO delivery_due
        (sandbox_id, delivery_id, lane, due_at, attempt, budget_until, origin_error)
    SELECT :sandbox_id, r.delivery_id, r.lane, r.due_at, r.attempt, r.budget_until, r.origin_error
    FROM {r} WHERE true ON CONFLICT DO NOTHING
    """,
    rows={
        "r": {
            "delivery_id": KEY,
            "lane": TEXT,
            "due_at": MOMENT,
            "attempt": INTEGER,
            "budget_until": MOMENT,
            "origin_error": JSON_OBJECT,
        },
    },
    params=_SANDBOX,
)
LOCK = SetStatement(
    """
    SELECT t.id FROM {r} CROSS JOIN delivery AS t
    WHERE t.sandbox_id = :sandbox_id AND t.id = r.id ORDER BY t.id {lock_t}
    """,
    rows={"r": {"id": KEY}},
    params=_SANDBOX,
    result={"id": KEY},
)
END = SetStatement(
    """
    UPDATE delivery SET state = r.state, reason = r.reason, facts = r.facts,
        attempts = r.attempts, token_id = r.token_id, vendor_message_id = r.vendor_message_id,
        ended_at = :now
    FROM {r}
    WHERE delivery.sandbox_id = :sandbox_id AND delivery.id = r.id AND delivery.state = 'waiting'
    RETURNING delivery.id, delivery.journey_version_id, delivery.node_id, delivery.state
    """,
    rows={
        "r": {
            "id": KEY,
            "state": TEXT,
            "reason": TEXT,
            "facts": JSON_OBJECT,
            "attempts": INTEGER,
            "token_id": KEY,
            "vendor_message_id": TEXT,
        },
    },
    params=_AT,
    result={"id": KEY, "journey_version_id": KEY, "node_id": TEXT, "state": TEXT},
)
# A loose index scan: one probe per line, however many deliveries wait in it. The plus keeps SQLite
# from reading the whole sandbox by its key instead.
DUE_LINES = SetStatement(
    """
    WITH RECURSIVE lines(lane) AS (
        SELECT MIN(lane) FROM delivery_due
        WHERE +sandbox_id = :sandbox_id AND lane >= :first AND lane <= :last
        UNION ALL
        SELECT (SELECT MIN(d.lane) FROM delivery_due AS d
            WHERE +d.sandbox_id = :sandbox_id AND d.lane > lines.lane AND d.lane <= :last)
        FROM lines WHERE lines.lane IS NOT NULL
    ), first_due AS (
        SELECT lines.lane,
            (SELECT MIN(d.due_at) FROM delivery_due AS d
                WHERE +d.sandbox_id = :sandbox_id AND d.lane = lines.lane) AS due_at
        FROM lines WHERE lines.lane IS NOT NULL
    )
    SELECT lane FROM first_due WHERE due_at <= :now ORDER BY due_at
    """,
    rows={},
    params={**_AT, "first": TEXT, "last": TEXT},
    result={"lane": TEXT},
)
# Another loose index scan, over the lines of all lanes.
DUE_LANES = SetStatement(
    """
    /* across sandboxes: due-lanes */
    WITH RECURSIVE lanes(lane) AS (
        SELECT MIN(lane) FROM delivery_due
        UNION ALL
        SELECT (SELECT MIN(d.lane) FROM delivery_due AS d WHERE d.lane > lanes.lane)
        FROM lanes WHERE lanes.lane IS NOT NULL
    ), first_due AS (
        SELECT lanes.lane,
            (SELECT MIN(d.due_at) FROM delivery_due AS d WHERE d.lane = lanes.lane) AS due_at
        FROM lanes WHERE lanes.lane IS NOT NULL
    )
    SELECT lane, due_at FROM first_due WHERE due_at <= :now ORDER BY due_at
    """,
    rows={},
    params={"now": MOMENT},
    result={"lane": TEXT, "due_at": MOMENT},
)
