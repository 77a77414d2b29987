"""Where live activities of devices are started and updated, and whose they are.

A device announces one token for each attribute type (``start``) and each running activity
(``update``); the newest saying counts. After ``resetIdentities`` iOS announces its preserved start
tokens again under the new ECID, so a token belongs to the device that announced it last.
Tokens are kept verbatim: lower-case hex, where push tokens of APNs are upper-case.

Source: Mobile SDK Messaging for iOS, live activities; service/decisions/0003-token-ownership.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import derived_key, sorted_keys
from service.identity.identity_map import ECID
from service.identity.linking import Order
from service.profiles import live_activity_rows as rows
from service.profiles.incoming import AnnouncedLiveActivity, Source
from service.sandboxes.scope import Scope

PLATFORMS = frozenset({"apns", "apnsSandbox"})
UPDATE_LIFE = timedelta(days=1)
LIFE = timedelta(days=91)
MOST_OF_A_DEVICE = 50
"""How many names of each kind a device has, those announced last."""


class Kind(StrEnum):
    """What a token is good for."""

    START = "start"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class LiveActivityAddress:
    """Where a live activity is started or updated on one device.

    An update token is announced without app and platform: they are those of the device's start
    tokens, if it has any.
    """

    device_id: UUID
    kind: str
    name: str
    app_id: str | None
    platform: str | None
    token: str = field(repr=False)
    token_id: UUID
    registered_at: datetime
    denylisted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class HeldLiveActivity:
    """A live activity token of a person's devices, and the identity it belongs to now."""

    token: LiveActivityAddress
    owner_id: UUID | None


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
    """Store announced tokens, and which device has each of them now.

    Runs after the push tokens of the same batch. Devices' rows are written first, tokens' owners
    after them, both in key order: where the same token is announced for two devices at once, the
    second transaction waits for the first and the order of the announcements decides. Of a device
    the ``MOST_OF_A_DEVICE`` names announced last stay. The caller commits.
    """
    if not announcements:
        return
    by_order = sorted(announcements, key=lambda each: (each[1], each[0].device.key))
    slots = {_slot(activity): (activity, order) for activity, order in by_order}
    tokens = {_token_id(activity): (activity, order) for activity, order in by_order}
    params = {"sandbox_id": scope.sandbox_id}
    at = {**params, "now": now}
    rows.ANNOUNCE.run(session, at, r=[_announced_row(*slots[slot]) for slot in sorted(slots)])
    taken = [_owner_row(key, *tokens[key]) for key in sorted(tokens)]
    rows.TAKE.run(session, at, r=taken)
    devices = sorted_keys(activity.device.key for activity, _ in announcements)
    most = {**params, "most": MOST_OF_A_DEVICE}
    rows.EVICT.run(session, most, r=[(key,) for key in devices])


def held_by(
    session: Session, scope: Scope, graph_id: UUID, members: Iterable[UUID]
) -> tuple[HeldLiveActivity, ...]:
    """Return every token of the devices among a person's identities and of those they log in on.

    ``members`` are the person's identities, all of one graph. Newest first, also those that a
    vendor declared gone and those of a device that is nobody's.
    """
    found = rows.HELD_BY.run(
        session,
        {"sandbox_id": scope.sandbox_id, "graph_id": graph_id},
        r=[(key,) for key in sorted_keys(members)],
    )
    return tuple(HeldLiveActivity(_address(row), row.owner_id) for row in found)


def remove_ended(session: Session, scope: Scope, *, now: datetime, limit: int) -> int:
    """Remove up to ``limit`` tokens that can reach nothing any more; return how many.

    A live activity ends after twelve hours, and its update tokens with it; a token that was not
    announced for 91 days is not used any more. What counts is when the service heard of it, not
    the phone's own clock. The caller commits.
    Source: Apple, ActivityKit, "Displaying live data with Live Activities".
    """
    params = {
        "sandbox_id": scope.sandbox_id,
        "ended_before": now - UPDATE_LIFE,
        "unused_before": now - LIFE,
        "limit": limit,
    }
    removed = len(rows.REMOVE.run(session, params))
    rows.REMOVE_OWNERS.run(session, params)
    return removed


def _address(row: Any) -> LiveActivityAddress:
    return LiveActivityAddress(
        row.device_id,
        row.kind,
        row.name,
        row.app_id,
        row.platform,
        row.token,
        row.token_id,
        row.registered_at,
        row.denylisted_at,
    )


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


def _owner_row(key: UUID, announced: AnnouncedLiveActivity, order: Order) -> tuple[Any, ...]:
    return (key, announced.device.key, announced.kind, order.at, order.event_id)
