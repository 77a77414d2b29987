"""Where live activities of devices are started and updated, and whose they are.

A device announces one token for each attribute type (``start``) and each running activity
(``update``); the newest saying counts. After ``resetIdentities`` iOS announces its preserved start
tokens again under the new ECID, so a token that another device announces leaves the old one.
Tokens are kept verbatim: lower-case hex, where push tokens of APNs are upper-case.

Source: Mobile SDK Messaging for iOS, live activities; service/decisions/0003-token-ownership.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import derived_key, sorted_keys
from service.db.statements import INTEGER, KEY, MOMENT, TEXT, SetStatement
from service.identity.identity_map import ECID
from service.identity.linking import Order
from service.profiles.incoming import AnnouncedLiveActivity, Source
from service.sandboxes.scope import Scope

PLATFORMS = frozenset({"apns", "apnsSandbox"})
UPDATE_LIFE = timedelta(days=1)
MOVED_LIFE = timedelta(days=91)


class Kind(StrEnum):
    """What a token is good for."""

    START = "start"
    UPDATE = "update"


_ANNOUNCE = SetStatement(
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
_MOVED = SetStatement(
    """
    SELECT t.device_id, t.kind, t.name
    FROM live_activity_token AS t
    JOIN {r} ON t.token_id = r.token_id
    WHERE t.sandbox_id = :sandbox_id AND EXISTS (
        SELECT 1 FROM live_activity_token AS n
        WHERE n.sandbox_id = :sandbox_id AND n.token_id = t.token_id
            AND (n.announced_at > t.announced_at
                OR (n.announced_at = t.announced_at
                    AND (n.announced_event > t.announced_event
                        OR (n.announced_event = t.announced_event
                            AND n.device_id > t.device_id))))
    )
    ORDER BY t.device_id, t.kind, t.name {lock_t}
    """,
    rows={"r": {"token_id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"device_id": KEY, "kind": TEXT, "name": TEXT},
)
_LEAVE = SetStatement(
    """
    UPDATE live_activity_token SET token = NULL, token_id = NULL
    FROM {r} WHERE live_activity_token.sandbox_id = :sandbox_id
        AND live_activity_token.device_id = r.device_id AND live_activity_token.kind = r.kind
        AND live_activity_token.name = r.name
    """,
    rows={"r": {"device_id": KEY, "kind": TEXT, "name": TEXT}},
    params={"sandbox_id": INTEGER},
)
_OF_PEOPLE = SetStatement(
    """
    SELECT r.identity_id AS asked, t.device_id, t.app_id, t.platform, t.token, t.registered_at
    FROM {r}
    JOIN identity AS i ON i.sandbox_id = :sandbox_id AND i.id = r.identity_id
    JOIN identity AS d ON d.sandbox_id = :sandbox_id AND d.graph_id = i.graph_id
    JOIN identity AS m ON m.sandbox_id = :sandbox_id AND m.graph_id = i.graph_id
        AND m.profile_id = i.profile_id AND (m.id = m.profile_id OR m.parent_id = m.login_id)
        AND (m.id = d.login_id OR (m.id = d.id AND NOT d.had_login))
    JOIN live_activity_token AS t ON t.sandbox_id = :sandbox_id AND t.device_id = d.id
        AND t.kind = :kind AND t.name = :name
    WHERE t.token IS NOT NULL AND t.denylisted_at IS NULL
    ORDER BY r.identity_id, t.registered_at DESC, t.device_id
    """,
    rows={"r": {"identity_id": KEY}},
    params={"sandbox_id": INTEGER, "kind": TEXT, "name": TEXT},
    result={
        "asked": KEY,
        "device_id": KEY,
        "app_id": TEXT,
        "platform": TEXT,
        "token": TEXT,
        "registered_at": MOMENT,
    },
)
_REMOVE = SetStatement(
    """
    DELETE FROM live_activity_token WHERE sandbox_id = :sandbox_id
        AND (device_id, kind, name) IN (
            SELECT t.device_id, t.kind, t.name FROM live_activity_token AS t
            WHERE t.sandbox_id = :sandbox_id
                AND ((t.kind = 'update' AND t.announced_at < :ended_before)
                    OR (t.token_id IS NULL AND t.announced_at < :moved_before))
            LIMIT :limit
        )
    RETURNING device_id
    """,
    rows={},
    params={
        "sandbox_id": INTEGER,
        "ended_before": MOMENT,
        "moved_before": MOMENT,
        "limit": INTEGER,
    },
    result={"device_id": KEY},
)


@dataclass(frozen=True, slots=True)
class LiveActivityAddress:
    """Where a person's live activity is started or updated on one device.

    An update token is announced without app and platform: they are those of the device's start
    tokens, if it has any.
    """

    device_id: UUID
    app_id: str | None
    platform: str | None
    token: str = field(repr=False)
    registered_at: datetime


def refusal(source: Source, announced: AnnouncedLiveActivity) -> str | None:
    """Return why a datastream may not take a token, ``None`` when it may.

    An update token names neither app nor platform, so only its datastream is judged.
    """
    if announced.device.namespace != ECID:
        return "tokenNotOnDevice"
    if source.platform == "web":
        return "tokenPlatformNotOnDatastream"
    if announced.platform is not None and announced.platform not in PLATFORMS:
        return "platformWithoutLiveActivities"
    if source.app_ids and announced.app_id is not None and announced.app_id not in source.app_ids:
        return "appNotOnDatastream"
    if not announced.token.strip():
        return "tokenEmpty"
    return None


def register(
    session: Session,
    scope: Scope,
    announcements: Sequence[tuple[AnnouncedLiveActivity, Order]],
    *,
    now: datetime,
) -> None:
    """Store announced tokens; one that another device announced later leaves this one.

    Runs after the push tokens of the same batch and locks rows in key order. The caller commits.
    """
    if not announcements:
        return
    by_order = sorted(announcements, key=lambda each: each[1])
    newest = {_slot(activity): (activity, order) for activity, order in by_order}
    rows = [_announced_row(*newest[slot]) for slot in sorted(newest)]
    params = {"sandbox_id": scope.sandbox_id}
    _ANNOUNCE.run(session, {**params, "now": now}, r=rows)
    announced = sorted_keys(_token_id(activity) for activity, _ in announcements)
    moved = _MOVED.run(session, params, r=[(key,) for key in announced])
    if moved:
        _LEAVE.run(session, params, r=[(each.device_id, each.kind, each.name) for each in moved])


def of_people(
    session: Session,
    scope: Scope,
    identity_ids: Iterable[UUID],
    kind: Kind,
    name: str,
) -> Mapping[UUID, tuple[LiveActivityAddress, ...]]:
    """Return for each identity where its person's live activities are reached, newest first.

    A device is its login's, and its own until its first login; after a logout it is nobody's.
    A person whom a device names by an ambiguous claim only does not have its tokens. An identity
    without any is left out, and so are tokens that a vendor declared gone.
    """
    params = {"sandbox_id": scope.sandbox_id, "kind": kind.value, "name": name}
    found: dict[UUID, list[LiveActivityAddress]] = {}
    for row in _OF_PEOPLE.run(session, params, r=[(key,) for key in sorted_keys(identity_ids)]):
        address = LiveActivityAddress(
            row.device_id,
            row.app_id,
            row.platform,
            row.token,
            row.registered_at,
        )
        found.setdefault(row.asked, []).append(address)
    return {asked: tuple(addresses) for asked, addresses in found.items()}


def remove_ended(session: Session, scope: Scope, *, now: datetime, limit: int) -> int:
    """Remove up to ``limit`` tokens that can reach nothing any more; return how many.

    A live activity ends after twelve hours, and its update tokens with it. Places whose token
    moved to another device stay 91 days, so that an older announcement cannot fill them again.
    The caller commits. Source: Apple, ActivityKit, "Displaying live data with Live Activities".
    """
    params = {
        "sandbox_id": scope.sandbox_id,
        "ended_before": now - UPDATE_LIFE,
        "moved_before": now - MOVED_LIFE,
        "limit": limit,
    }
    return len(_REMOVE.run(session, params))


def _slot(announced: AnnouncedLiveActivity) -> tuple[UUID, str, str]:
    return (announced.device.key, announced.kind, announced.name)


def _token_id(announced: AnnouncedLiveActivity) -> UUID:
    return derived_key(announced.app_id or "", announced.kind, announced.name, announced.token)


def _announced_row(announced: AnnouncedLiveActivity, order: Order) -> tuple[Any, ...]:
    return (
        announced.device.key,
        announced.kind,
        announced.name,
        announced.app_id,
        announced.platform,
        announced.token,
        _token_id(announced),
        order.at,
        order.event_id,
    )
