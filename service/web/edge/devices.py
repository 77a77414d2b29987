"""The device behind a request: what its identities, its cookies and its questions say together.

Source: Adobe Experience Platform, Edge Network API, "Visitor identification overview"; alloy
``createIdentity``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from service.flows.sources import DatastreamSource
from service.identity.identity_map import ECID, ClaimedIdentity, RefusedIdentity
from service.web.edge import ecid
from service.web.edge.clients import ClientKind
from service.web.edge.documents import RequestDocument, SharedXdm, StateDocument
from service.web.edge.ecid import FPID, Device
from service.web.edge.identity_cookie import cookie_name
from service.web.edge.target import EdgeTarget
from service.web.xdm import NO_CLAIMS, Claims, IdentityDocument, claims_of, read_claims

OUTRANKED = "outrankedByCookie"


@dataclass(frozen=True, slots=True)
class Named:
    """Who a request speaks for.

    Attributes:
        identities: What counts for each of its events; a browser's ECID stands first.
        cookies: What the client keeps for the server, wherever it was sent.
    """

    device: Device
    identities: tuple[ClaimedIdentity, ...]
    refused: tuple[RefusedIdentity, ...]
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class Asked:
    """One request as its device is looked for."""

    target: EdgeTarget
    source: DatastreamSource
    document: RequestDocument
    body: bytes = field(repr=False)
    now: datetime
    wants_ecid: bool


def shared_claims(xdm: SharedXdm | None) -> Claims:
    """Return the identities of the request's own ``xdm``.

    Raises:
        BodyError: A namespace code is empty or longer than any can be.
    """
    if xdm is None:
        return NO_CLAIMS
    if xdm.identity_map is None and xdm.identitymap is not None:
        return read_claims(_spelled(xdm.identitymap), "$.xdm.identitymap")
    return read_claims(xdm.identity_map, "$.xdm.identityMap")


def name_device(client: ClientKind, claims: Claims, asked: Asked) -> Named:
    """Return who a request speaks for; the Mobile SDKs make their own ECID.

    Raises:
        BodyError: The identity map of its only event has not the shape of one.
    """
    identities, refused = claims
    if client is ClientKind.MOBILE:
        own = ecid.named_ecid(identities)
        if own is not None or not asked.wants_ecid:
            return Named(Device(own), identities, refused)
    cookies = _cookies(asked.target, asked.document)
    device = ecid.of_cookie(cookies, cookie_name(asked.source.org_id), asked.now)
    if device is None:
        device = _without_cookie(identities, cookies, asked)
    if device.ecid is None:
        return Named(device, identities, refused, cookies)
    others = tuple(each for each in identities if each.namespace != ECID)
    # another ECID beside the device's would stitch two devices
    outranked = tuple(
        RefusedIdentity(ECID, each.value, OUTRANKED)
        for each in identities
        if each.namespace == ECID and each.value != device.ecid
    )
    mine = (ClaimedIdentity(ECID, device.ecid), *others)
    return Named(device, mine, refused + outranked, cookies)


def state_of(document: RequestDocument) -> StateDocument | None:
    """Return what the client says of the values it keeps for the server."""
    return document.meta.state if document.meta else None


def _without_cookie(
    identities: tuple[ClaimedIdentity, ...], cookies: Mapping[str, str], asked: Asked
) -> Device:
    source = asked.source
    custom = source.settings.fpid_cookie
    tenant = f"{source.scope.sandbox}\0{source.org_id}\0".encode()
    request = f"{source.id}\0{asked.target.request_id}\0".encode() + asked.body
    return ecid.resolve(
        (*identities, *_of_only_event(asked.document)),
        (cookies.get(custom) if custom else None) or cookies.get(FPID),
        fpid_seed=tenant,
        mint_seed=request if asked.wants_ecid else None,
    )


def _of_only_event(document: RequestDocument) -> tuple[ClaimedIdentity, ...]:
    """Return the identities of a lone event: a page names its first-party id there.

    Of several events each may speak for somebody else.
    """
    events = document.events or ()
    xdm = events[0].xdm if len(events) == 1 else None
    return claims_of(xdm, "$.events[0].xdm")[0] if xdm else ()


def _cookies(target: EdgeTarget, document: RequestDocument) -> dict[str, str]:
    cookies = ecid.read_cookies(target.cookie_header) if target.cookie_header else {}
    state = state_of(document)
    for entry in (state.entries if state else None) or ():
        if entry.key is not None and entry.value is not None:
            cookies[entry.key] = entry.value
    return cookies


def _spelled(document: IdentityDocument) -> IdentityDocument:
    """Return Roku's lower-case identity map with the namespace as it is spelled elsewhere."""
    return {ECID if name == ECID.lower() else name: items for name, items in document.items()}
