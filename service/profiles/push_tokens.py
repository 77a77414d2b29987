"""One token, one owner: who a push token belongs to, now and before.

A token hangs on the device that announced it last, and its owner follows the device's login
register, so the owner is the same whatever order events arrive in.
Source: service/decisions/0003-token-ownership.md; Mobile SDK Messaging, push identifier sync.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import derived_key, new_key, sorted_keys
from service.identity.graph import Placement
from service.identity.identity_map import ECID
from service.identity.linking import Order
from service.profiles import push_token_rows as rows
from service.profiles.incoming import AnnouncedToken, Source
from service.profiles.web_push import read_subscription
from service.sandboxes.scope import Scope

MOBILE_PLATFORMS = frozenset({"fcm", "apns", "apnsSandbox"})
APNS_PLATFORMS = frozenset({"apns", "apnsSandbox"})
WEB_PLATFORMS = frozenset({"web"})
MAX_TOKEN_LENGTH = 4096


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
    """Return the key that makes (app, platform, token) unique.

    A token of APNs is hex in upper case, as iOS sends it; in another case it is the same.
    """
    return derived_key(app_id, platform, token.upper() if platform in APNS_PLATFORMS else token)


def platforms_of(source: Source) -> frozenset[str]:
    """Return the platforms whose tokens a datastream takes."""
    return WEB_PLATFORMS if source.platform == "web" else MOBILE_PLATFORMS


def refusal(source: Source, announced: AnnouncedToken) -> str | None:
    """Return why a datastream may not take a token, ``None`` when it may.

    Source: mobile platforms belong on a mobile datastream, ``web`` on a web one, nowhere else.
    """
    if announced.device.namespace != ECID:
        return "tokenNotOnDevice"
    if announced.platform not in platforms_of(source):
        return "tokenPlatformNotOnDatastream"
    if source.app_ids and announced.app_id not in source.app_ids:
        return "appNotOnDatastream"
    if not announced.token.strip():
        return "tokenEmpty"
    if len(announced.token) > MAX_TOKEN_LENGTH:
        return "tokenTooLong"
    if announced.platform in WEB_PLATFORMS and read_subscription(announced.token) is None:
        return "webPushMalformed"
    return None


def register(
    session: Session,
    scope: Scope,
    announcements: Sequence[Announcement],
    placement: Placement,
    *,
    now: datetime,
) -> None:
    """Store announced tokens and give every token of the touched devices its owner.

    Touched are the announcing devices and those whose login changed. Runs after the graph of the
    same batch. What is announced and what the touched devices hold is locked first, in key order,
    so that phones which take over each other's tokens wait in no circle. The caller commits.
    """
    by_order = sorted(announcements, key=lambda each: each.order)
    tokens = {each.key: each for each in by_order}
    if tokens:
        _fill_slots(session, scope, by_order)
    first = {each.key for each in _first_ones(tokens, by_order, placement)}
    announcing = {each.token.device.key for each in announcements}
    if len(first) < len(tokens):
        _lock(session, scope, tokens, {*placement.logins, *announcing})
    added = _add(session, scope, [tokens[key] for key in sorted(first)], placement, now)
    rest = [tokens[key] for key in sorted(tokens.keys() - added)]
    if rest:
        params = {"sandbox_id": scope.sandbox_id, "now": now}
        rows.ANNOUNCE.run(session, params, r=[_announced_row(each) for each in rest])
    done = {tokens[key].token.device.key for key in added}
    touched = sorted_keys({*placement.logins, *announcing} - done)
    if touched:
        _settle_owners(session, scope, touched, now)


def denylist(
    session: Session,
    scope: Scope,
    dead: Sequence[DeadToken],
    *,
    now: datetime,
) -> frozenset[UUID]:
    """Mark tokens that a vendor declared gone, unless they were announced again since the call.

    Return those that are marked now.
    """
    if not dead:
        return frozenset()
    sent = sorted((each.token_id, each.reason, each.called_at) for each in dead)
    params = {"sandbox_id": scope.sandbox_id, "now": now}
    return frozenset(row.id for row in rows.DENYLIST.run(session, params, r=sent))


def _fill_slots(session: Session, scope: Scope, by_order: Sequence[Announcement]) -> None:
    slots = {each.slot: each.order for each in by_order}
    filled = [(*slot, slots[slot].at, slots[slot].event_id) for slot in sorted(slots)]
    rows.FILL_SLOTS.run(session, {"sandbox_id": scope.sandbox_id}, r=filled)


def _lock(
    session: Session, scope: Scope, announced: Iterable[UUID], devices: Iterable[UUID]
) -> None:
    rows.LOCK.run(
        session,
        {"sandbox_id": scope.sandbox_id},
        a=[(key,) for key in sorted_keys(announced)],
        r=[(key,) for key in sorted_keys(devices)],
    )


def _first_ones(
    tokens: Mapping[UUID, Announcement],
    by_order: Sequence[Announcement],
    placement: Placement,
) -> list[Announcement]:
    """Return the only announcements of devices that nobody has seen before.

    Such a device has no other token, so the owner of this one is known before it is written, if
    the token is new too.
    """
    of_device = Counter(each.token.device.key for each in by_order)
    of_token = Counter(each.key for each in by_order)
    return [
        each
        for key, each in tokens.items()
        if each.token.device.key in placement.added
        and of_device[each.token.device.key] == of_token[key] == 1
    ]


def _add(
    session: Session,
    scope: Scope,
    first: Sequence[Announcement],
    placement: Placement,
    now: datetime,
) -> set[UUID]:
    """Write first tokens with their owners; return those that were new indeed."""
    if not first:
        return set()
    owners = {each.key: _first_owner(each, placement) for each in first}
    params = {"sandbox_id": scope.sandbox_id, "now": now}
    sent = [(*_announced_row(each), owners[each.key][0]) for each in first]
    added = {row.id for row in rows.ADD.run(session, params, r=sent)}
    begun = [
        (key, new_key(), owner, cause)
        for key, (owner, cause) in owners.items()
        if key in added and owner is not None
    ]
    if begun:
        rows.BEGIN_OWNERSHIP.run(session, params, r=begun)
    return added


def _first_owner(each: Announcement, placement: Placement) -> tuple[UUID | None, str]:
    device = placement.nodes[each.token.device.key]
    return _owner_by_login(
        device.key, device.login.parent, each.logout_policy, had_login=device.had_login
    )


def _announced_row(each: Announcement) -> tuple[Any, ...]:
    token = each.token
    return (
        each.key,
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
    tokens = rows.OF_DEVICES.run(session, params, r=[(device,) for device in devices])
    changes = [
        (token, owner, cause)
        for token in tokens
        for owner, cause in [_owner(token)]
        if owner != token.owner_id
    ]
    if not changes:
        return
    rows.SET_OWNER.run(session, params, r=[(token.id, owner) for token, owner, _ in changes])
    at = {"sandbox_id": scope.sandbox_id, "now": now}
    ended = [(token.id, cause) for token, _, cause in changes if token.owner_id is not None]
    if ended:
        rows.END_OWNERSHIP.run(session, at, r=ended)
    begun = [(token.id, new_key(), owner, cause) for token, owner, cause in changes if owner]
    if begun:
        rows.BEGIN_OWNERSHIP.run(session, at, r=begun)


def _owner(token: Any) -> tuple[UUID | None, str]:
    if not token.is_current:
        return None, "replaced"
    return _owner_by_login(
        token.device_id, token.login_id, token.logout_policy, had_login=token.had_login
    )


def _owner_by_login(
    device: UUID, login: UUID | None, logout_policy: str, *, had_login: bool
) -> tuple[UUID | None, str]:
    if login is not None:
        return login, "login"
    if had_login and logout_policy == "detach":
        return None, "logout"
    return device, "logout" if had_login else "announced"
