"""One token, one owner: who a push token belongs to, now and before.

A token hangs on the device that announced it last, and its owner follows the device's login
register, so the owner is the same whatever order events arrive in.
Source: service/decisions/0003-token-ownership.md; Mobile SDK Messaging, push identifier sync.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import derived_key, new_key, sorted_keys
from service.db.statements import BOOLEAN, INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.identity.linking import Order
from service.profiles.incoming import AnnouncedToken, Source
from service.sandboxes.scope import Scope

MOBILE_PLATFORMS = frozenset({"fcm", "apns", "apnsSandbox"})
WEB_PLATFORMS = frozenset({"web"})
MAX_TOKEN_LENGTH = 4096

_ANNOUNCE = SetStatement(
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
    rows={
        "r": {
            "id": KEY,
            "app_id": TEXT,
            "platform": TEXT,
            "token": TEXT,
            "device_id": KEY,
            "at": MOMENT,
            "event": TEXT,
            "logout_policy": TEXT,
        },
    },
    params={"sandbox_id": INTEGER, "now": MOMENT},
)
_FILL_SLOTS = SetStatement(
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
_OF_DEVICES = SetStatement(
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
_SET_OWNER = SetStatement(
    """
    UPDATE push_token SET owner_id = r.owner_id
    FROM {r} WHERE push_token.sandbox_id = :sandbox_id AND push_token.id = r.id
    """,
    rows={"r": {"id": KEY, "owner_id": KEY}},
    params={"sandbox_id": INTEGER},
)
_END_OWNERSHIP = SetStatement(
    """
    UPDATE push_token_owner SET to_at = :now, end_cause = r.cause
    FROM {r} WHERE push_token_owner.sandbox_id = :sandbox_id
        AND push_token_owner.token_id = r.token_id AND push_token_owner.to_at IS NULL
    """,
    rows={"r": {"token_id": KEY, "cause": TEXT}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
)
_BEGIN_OWNERSHIP = SetStatement(
    """
    INSERT INTO push_token_owner (sandbox_id, token_id, from_at, id, identity_id, cause)
    SELECT :sandbox_id, r.token_id, :now, r.id, r.identity_id, r.cause FROM {r} WHERE true
    """,
    rows={"r": {"token_id": KEY, "id": KEY, "identity_id": KEY, "cause": TEXT}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
)
_DENYLIST = SetStatement(
    """
    UPDATE push_token SET denylisted_at = :now, denylist_reason = r.reason
    FROM {r} WHERE push_token.sandbox_id = :sandbox_id AND push_token.id = r.id
        AND push_token.denylisted_at IS NULL AND push_token.registered_at < r.called_at
    """,
    rows={"r": {"id": KEY, "reason": TEXT, "called_at": MOMENT}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
)


@dataclass(frozen=True, slots=True)
class Announcement:
    """A device says that a token is its own; the newest saying counts."""

    token: AnnouncedToken
    order: Order
    logout_policy: str

    @property
    def key(self) -> UUID:
        """The token's key."""
        return token_key(self.token.app_id, self.token.platform, self.token.token)

    @property
    def slot(self) -> tuple[UUID, str, str]:
        """The device's place for one token of this app and platform."""
        return (self.token.device.key, self.token.app_id, self.token.platform)


@dataclass(frozen=True, slots=True)
class DeadToken:
    """A vendor's verdict that a token is gone, about a call that began at ``called_at``."""

    token_id: UUID
    reason: str
    called_at: datetime


def token_key(app_id: str, platform: str, token: str) -> UUID:
    """Return the key that makes (app, platform, token) unique."""
    return derived_key(app_id, platform, token)


def refusal(source: Source, announced: AnnouncedToken) -> str | None:
    """Return why a datastream may not take a token, ``None`` when it may.

    Source: mobile platforms belong on a mobile datastream, ``web`` on a web one, nowhere else.
    """
    taken = WEB_PLATFORMS if source.platform == "web" else MOBILE_PLATFORMS
    if announced.device.namespace != "ECID":
        return "tokenNotOnDevice"
    if announced.platform not in taken:
        return "tokenPlatformNotOnDatastream"
    if source.app_ids and announced.app_id not in source.app_ids:
        return "appNotOnDatastream"
    if not announced.token.strip():
        return "tokenEmpty"
    if len(announced.token) > MAX_TOKEN_LENGTH:
        return "tokenTooLong"
    return None


def register(
    session: Session,
    scope: Scope,
    announcements: Sequence[Announcement],
    *,
    devices: Iterable[UUID],
    now: datetime,
) -> None:
    """Store announced tokens and give every token of the touched devices its owner.

    ``devices`` are those whose login changed; the announcing ones are added. Runs after the graph
    of the same batch and locks tokens in key order. The caller commits.
    """
    if announcements:
        _announce(session, scope, announcements, now)
    announcing = (each.token.device.key for each in announcements)
    touched = sorted_keys([*devices, *announcing])
    if touched:
        _settle_owners(session, scope, touched, now)


def denylist(
    session: Session,
    scope: Scope,
    dead: Sequence[DeadToken],
    *,
    now: datetime,
) -> None:
    """Mark tokens that a vendor declared gone, unless they were announced again since the call."""
    if dead:
        rows = sorted((each.token_id, each.reason, each.called_at) for each in dead)
        _DENYLIST.run(session, {"sandbox_id": scope.sandbox_id, "now": now}, r=rows)


def _announce(
    session: Session,
    scope: Scope,
    announcements: Sequence[Announcement],
    now: datetime,
) -> None:
    params = {"sandbox_id": scope.sandbox_id}
    by_order = sorted(announcements, key=lambda each: each.order)
    tokens = {each.key: each for each in by_order}
    slots = {each.slot: each.order for each in by_order}
    rows = [_announced_row(key, tokens[key]) for key in sorted(tokens)]
    _ANNOUNCE.run(session, {**params, "now": now}, r=rows)
    filled = [(*slot, slots[slot].at, slots[slot].event_id) for slot in sorted(slots)]
    _FILL_SLOTS.run(session, params, r=filled)


def _announced_row(key: UUID, each: Announcement) -> tuple[Any, ...]:
    token = each.token
    return (
        key,
        token.app_id,
        token.platform,
        token.token,
        token.device.key,
        each.order.at,
        each.order.event_id,
        each.logout_policy,
    )


def _settle_owners(session: Session, scope: Scope, devices: Sequence[UUID], now: datetime) -> None:
    params = {"sandbox_id": scope.sandbox_id}
    tokens = _OF_DEVICES.run(session, params, r=[(device,) for device in devices])
    changes = [
        (token, owner, cause)
        for token in tokens
        for owner, cause in [_owner(token)]
        if owner != token.owner_id
    ]
    if not changes:
        return
    _SET_OWNER.run(session, params, r=[(token.id, owner) for token, owner, _ in changes])
    at = {"sandbox_id": scope.sandbox_id, "now": now}
    ended = [(token.id, cause) for token, _, cause in changes if token.owner_id is not None]
    if ended:
        _END_OWNERSHIP.run(session, at, r=ended)
    begun = [(token.id, new_key(), owner, cause) for token, owner, cause in changes if owner]
    if begun:
        _BEGIN_OWNERSHIP.run(session, at, r=begun)


def _owner(token: Any) -> tuple[UUID | None, str]:
    if not token.is_current:
        return None, "replaced"
    if token.login_id is not None:
        return token.login_id, "login"
    if token.had_login and token.logout_policy == "detach":
        return None, "logout"
    return token.device_id, "logout" if token.had_login else "announced"
