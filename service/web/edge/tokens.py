"""Push tokens as the SDKs announce them: in an event's ``data``, whatever its type.

Only the shape is checked here. Whether a platform or an app is allowed on a datastream is decided
where the refusal is audited, in ``flows.ingest``.

Source: Messaging ``InternalMessagingUtils`` / ``Messaging.swift``; XDM
``profile-push-notification-details``.
"""

from collections.abc import Sequence
from typing import Any

from service.identity.identity_map import ClaimedIdentity, RefusedIdentity, refusal
from service.profiles.incoming import AnnouncedToken
from service.web.body import convert, wrong_field
from service.web.edge.documents import TokenDocument, TokenOwner
from service.web.edge.ecid import ECID, named_ecid

MAX_TOKENS = 20
MAX_APP_ID_LENGTH = 255
MAX_TOKEN_LENGTH = 4096
MAX_PLATFORM_LENGTH = 16

Tokens = tuple[tuple[AnnouncedToken, ...], tuple[RefusedIdentity, ...]]
NO_TOKENS: Tokens = ((), ())


def read_tokens(data: dict[str, Any], identities: Sequence[ClaimedIdentity], path: str) -> Tokens:
    """Return the tokens of an event's data, and the junk identities that some named.

    A token belongs to the device that its own ``identity`` names, and without one to the event's
    ECID. A token announced for a junk identity is left out; the refusal says so. Tokens are kept
    verbatim: APNs' are upper-case hex, live activities' lower-case.

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
        _check_lengths(document, where)
        device = _device(document.identity or document.identiy, identities, where)
        if isinstance(device, RefusedIdentity):
            refused.append(device)
        else:
            token = AnnouncedToken(document.app_id, document.platform, document.token, device)
            tokens.append(token)
    return tuple(tokens), tuple(refused)


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


def _check_lengths(document: TokenDocument, path: str) -> None:
    bounds = (
        ("appID", document.app_id, MAX_APP_ID_LENGTH),
        ("token", document.token, MAX_TOKEN_LENGTH),
        ("platform", document.platform, MAX_PLATFORM_LENGTH),
    )
    for name, value, longest in bounds:
        if not 0 < len(value) <= longest:
            raise wrong_field(f"{path}.{name}", f"expected 1 to {longest} characters")
