"""Tokens as the SDKs announce them, in an event's ``data``: for pushes and for live activities.

Only the shape is checked here. Whether a platform or an app is allowed on a datastream is decided
where the refusal is audited, in ``flows.ingest``; so is what a token itself must be, because a
page or phone would lose a whole request for it. There is no way to unregister: a token that is
``null`` or empty is refused like any other that cannot be used.

Source: Messaging ``InternalMessagingUtils`` / ``Messaging.swift``; XDM
``profile-push-notification-details``; alloy ``createSendPushSubscriptionPayload``.
"""

from collections.abc import Sequence
from typing import Any

from service.identity.identity_map import ECID, ClaimedIdentity, RefusedIdentity, refusal
from service.profiles import web_push
from service.profiles.incoming import AnnouncedLiveActivity, AnnouncedToken
from service.profiles.live_activities import Kind
from service.web.body import convert, wrong_field
from service.web.edge.documents import (
    ActivityUpdateDocument,
    LiveActivityDocument,
    TokenDocument,
    TokenOwner,
)
from service.web.edge.ecid import named_ecid

MAX_TOKENS = 20
MAX_LIVE_ACTIVITIES = 100
MAX_NAME_LENGTH = 255
MAX_TOKEN_LENGTH = 4096
MAX_PLATFORM_LENGTH = 16
UPDATE_TOKEN = "liveActivity.updateToken"  # noqa: S105 - an event type

Tokens = tuple[tuple[AnnouncedToken, ...], tuple[RefusedIdentity, ...]]
LiveActivities = tuple[tuple[AnnouncedLiveActivity, ...], tuple[RefusedIdentity, ...]]
NO_TOKENS: Tokens = ((), ())
NO_LIVE_ACTIVITIES: LiveActivities = ((), ())


def read_tokens(data: dict[str, Any], identities: Sequence[ClaimedIdentity], path: str) -> Tokens:
    """Return the push tokens of an event's data, and the junk identities that some named.

    A token belongs to the device that its own ``identity`` names, and without one to the event's
    ECID. A token announced for a junk identity is left out; the refusal says so. Tokens are kept
    verbatim: APNs' are upper-case hex, live activities' lower-case, a browser's is JSON.

    Raises:
        BodyError: A field has the wrong type or length, or no device is named at all.
    """
    found = data.get("pushNotificationDetails")
    if found is None:
        return NO_TOKENS
    here = f"{path}.pushNotificationDetails"
    documents = convert(found, list[TokenDocument], here)
    if len(documents) > MAX_TOKENS:
        raise wrong_field(here, f"holds more than {MAX_TOKENS} tokens")
    tokens: list[AnnouncedToken] = []
    refused: list[RefusedIdentity] = []
    for index, document in enumerate(documents):
        where = f"{here}[{index}]"
        _check_length(document.app_id, MAX_NAME_LENGTH, f"{where}.appID")
        _check_length(document.platform, MAX_PLATFORM_LENGTH, f"{where}.platform")
        text = document.token or ""
        if document.platform != web_push.PLATFORM:
            _check_token(text, where)
        device = _device(document.identity or document.identiy, identities, where)
        if isinstance(device, RefusedIdentity):
            refused.append(device)
        else:
            tokens.append(AnnouncedToken(document.app_id, document.platform, text, device))
    return tuple(tokens), tuple(refused)


def read_live_activities(
    data: dict[str, Any],
    event_type: str | None,
    identities: Sequence[ClaimedIdentity],
    path: str,
) -> LiveActivities:
    """Return the live activity tokens of an event's data, and the junk identities that some named.

    Start tokens are told by their key, whatever the event's type, and name their device like push
    tokens. An update token is told by the event's type and belongs to the event's ECID.

    Raises:
        BodyError: A field has the wrong type or length, or no device is named at all.
    """
    found = data.get("liveActivityPushNotificationDetails")
    if found is None and event_type != UPDATE_TOKEN:
        return NO_LIVE_ACTIVITIES
    started: list[AnnouncedLiveActivity] = []
    refused: list[RefusedIdentity] = []
    if found is not None:
        here = f"{path}.liveActivityPushNotificationDetails"
        documents = convert(found, list[LiveActivityDocument], here)
        if len(documents) > MAX_LIVE_ACTIVITIES:
            raise wrong_field(here, f"holds more than {MAX_LIVE_ACTIVITIES} tokens")
        for index, document in enumerate(documents):
            each = _started(document, identities, f"{here}[{index}]")
            if isinstance(each, RefusedIdentity):
                refused.append(each)
            else:
                started.append(each)
    updated = (_updated(data, identities, path),) if event_type == UPDATE_TOKEN else ()
    return (*started, *updated), tuple(refused)


def _started(
    document: LiveActivityDocument, identities: Sequence[ClaimedIdentity], path: str
) -> AnnouncedLiveActivity | RefusedIdentity:
    _check_length(document.app_id, MAX_NAME_LENGTH, f"{path}.appID")
    _check_length(document.platform, MAX_PLATFORM_LENGTH, f"{path}.platform")
    _check_length(document.attribute_type, MAX_NAME_LENGTH, f"{path}.attributeType")
    text = document.token or ""
    _check_token(text, path)
    device = _device(document.identity, identities, path)
    if isinstance(device, RefusedIdentity):
        return device
    return AnnouncedLiveActivity(
        Kind.START.value,
        document.attribute_type,
        text,
        device,
        document.app_id,
        document.platform,
    )


def _updated(
    data: dict[str, Any], identities: Sequence[ClaimedIdentity], path: str
) -> AnnouncedLiveActivity:
    document = convert(data, ActivityUpdateDocument, path)
    _check_length(document.activity_id, MAX_NAME_LENGTH, f"{path}.liveActivityID")
    text = document.token or ""
    _check_token(text, path)
    ecid = named_ecid(identities)
    if ecid is None:
        raise wrong_field(path, "is of no device: the event has no ECID")
    device = ClaimedIdentity(ECID, ecid)
    return AnnouncedLiveActivity(Kind.UPDATE.value, document.activity_id, text, device)


def _device(
    owner: TokenOwner | None, identities: Sequence[ClaimedIdentity], path: str
) -> ClaimedIdentity | RefusedIdentity:
    if owner is None or owner.id is None:
        ecid = named_ecid(identities)
        if ecid is None:
            raise wrong_field(f"{path}.identity", "names no device, and the event has no ECID")
        return ClaimedIdentity(ECID, ecid)
    namespace = (owner.namespace.code if owner.namespace else None) or ECID
    reason = refusal(namespace, owner.id)
    if reason is not None:
        return RefusedIdentity(namespace, owner.id, reason)
    return ClaimedIdentity(namespace, owner.id)


def _check_token(text: str, path: str) -> None:
    if len(text) > MAX_TOKEN_LENGTH:
        raise wrong_field(f"{path}.token", f"expected at most {MAX_TOKEN_LENGTH} characters")


def _check_length(value: str, longest: int, path: str) -> None:
    if not 0 < len(value) <= longest:
        raise wrong_field(path, f"expected 1 to {longest} characters")
