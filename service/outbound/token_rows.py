"""The rows of vendor tokens: claimed by one process at a time, kept as ciphertext.

Moments are the store's: the processes that share a token share no other clock.

Source: service/decisions/0022-vendor-tokens.md.
"""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import derived_key
from service.db.statements import INTEGER, KEY, MOMENT, TEXT
from service.outbound.store_clock import ClockStatement, read
from service.sandboxes.scope import Scope

UNUSED_LIFE = timedelta(days=400)
"""How long a row without an end is kept that nobody touches."""

_ROW = {"sandbox_id": INTEGER, "id": KEY}

_ENSURE = ClockStatement(
    """
    INSERT INTO vendor_token (sandbox_id, id, updated_at) VALUES (:sandbox_id, :id, {moment})
    ON CONFLICT DO NOTHING
    """,
    params=_ROW,
)
_LOCK = ClockStatement(
    """
    SELECT token, refresh_at, expires_at, renewing_until, updated_at FROM vendor_token
    WHERE sandbox_id = :sandbox_id AND id = :id {lock}
    """,
    params=_ROW,
    result={
        "token": TEXT,
        "refresh_at": MOMENT,
        "expires_at": MOMENT,
        "renewing_until": MOMENT,
        "updated_at": MOMENT,
    },
)
_TOKEN = ClockStatement(
    "SELECT token FROM vendor_token WHERE sandbox_id = :sandbox_id AND id = :id",
    params=_ROW,
    result={"token": TEXT},
)
_LEASE = ClockStatement(
    """
    UPDATE vendor_token SET renewing_until = :until WHERE sandbox_id = :sandbox_id AND id = :id
    """,
    params={**_ROW, "until": MOMENT},
)
_KEEP = ClockStatement(
    """
    UPDATE vendor_token
    SET token = :token, refresh_at = :refresh_at, expires_at = :expires_at,
        renewing_until = NULL, updated_at = :now
    WHERE sandbox_id = :sandbox_id AND id = :id
    """,
    params={**_ROW, "token": TEXT, "refresh_at": MOMENT, "expires_at": MOMENT, "now": MOMENT},
)
_RELEASE = ClockStatement(
    """
    UPDATE vendor_token SET renewing_until = NULL
    WHERE sandbox_id = :sandbox_id AND id = :id AND renewing_until = :lease
    """,
    params={**_ROW, "lease": MOMENT},
)
_FORGET = ClockStatement(
    """
    UPDATE vendor_token SET token = NULL, refresh_at = NULL, expires_at = NULL
    WHERE sandbox_id = :sandbox_id AND id = :id
    """,
    params=_ROW,
)
_REMOVE_ENDED = ClockStatement(
    """
    DELETE FROM vendor_token WHERE sandbox_id = :sandbox_id AND id IN (
        SELECT id FROM vendor_token
        WHERE sandbox_id = :sandbox_id
            AND (renewing_until IS NULL OR renewing_until <= {moment})
            AND (expires_at <= {moment} OR (expires_at IS NULL AND updated_at <= :unused_since))
        LIMIT :limit
    )
    """,
    params={"sandbox_id": INTEGER, "unused_since": MOMENT, "limit": INTEGER},
)


def lock(session: Session, scope: Scope, key: UUID) -> tuple[Any, datetime]:
    """Return a credential's row, made when it is missing and locked, and the store's time."""
    params = {"sandbox_id": scope.sandbox_id, "id": key}
    _ENSURE.run(session, params)
    return _LOCK.run(session, params), read(session)


def lease(session: Session, scope: Scope, key: UUID, until: datetime) -> None:
    """Let one process renew a token until a moment. The caller holds the row and commits."""
    _LEASE.run(session, {"sandbox_id": scope.sandbox_id, "id": key, "until": until})


def release(session: Session, scope: Scope, key: UUID, until: datetime) -> None:
    """End a lease, unless it is another's by now. The caller commits."""
    _RELEASE.run(session, {"sandbox_id": scope.sandbox_id, "id": key, "lease": until})


def forget(session: Session, scope: Scope, key: UUID) -> None:
    """Remove a token that the vendor refused. The caller holds the row and commits."""
    _FORGET.run(session, {"sandbox_id": scope.sandbox_id, "id": key})


def keep(
    session: Session,
    scope: Scope,
    key: UUID,
    ciphertext: str,
    *,
    refresh_at: datetime,
    expires_at: datetime,
    now: datetime,
) -> None:
    """Keep a token and end the lease on it. The caller holds the row and commits."""
    moments = {"refresh_at": refresh_at, "expires_at": expires_at, "now": now}
    row = {"sandbox_id": scope.sandbox_id, "id": key}
    _KEEP.run(session, {**row, "token": ciphertext, **moments})


def keep_successor(
    session: Session, scope: Scope, key: UUID, ciphertext: str, *, now: datetime
) -> None:
    """Keep what the next token is asked with, in a row of its own without an end."""
    row = {"sandbox_id": scope.sandbox_id, "id": _successor_key(key)}
    _ENSURE.run(session, row)
    endless = {"refresh_at": None, "expires_at": None, "now": now}
    _KEEP.run(session, {**row, "token": ciphertext, **endless})


def successor(session: Session, scope: Scope, key: UUID) -> str | None:
    """Return the ciphertext of what the next token is asked with."""
    found = _TOKEN.run(session, {"sandbox_id": scope.sandbox_id, "id": _successor_key(key)})
    return None if found is None else found.token


def remove_ended(session: Session, scope: Scope, *, limit: int) -> None:
    """Remove tokens that have ended, and what nobody used for long. The caller commits."""
    unused_since = read(session) - UNUSED_LIFE
    params = {"sandbox_id": scope.sandbox_id, "unused_since": unused_since, "limit": limit}
    _REMOVE_ENDED.run(session, params)


def _successor_key(key: UUID) -> UUID:
    return derived_key("vendor-token-successor", str(key))
