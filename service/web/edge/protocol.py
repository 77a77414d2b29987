"""From the bytes of an ``interact`` or ``collect`` request to values, or to an error with a code.

Pure: no store is asked, so whatever can be refused is refused before the queue, and the same
bytes under the same ``requestId`` always give the same events.

Source: the Edge extensions' ``RequestBuilder``; alloy; Edge Network API, "Interactive data
collection".
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from service.core.ids import minted_event_id
from service.flows.sources import DatastreamSource
from service.identity.identity_map import ClaimedIdentity, RefusedIdentity, merged
from service.profiles.incoming import IncomingEvent, IncomingRequest
from service.web.body import BodyError, check_text, decode
from service.web.edge import ecid, errors
from service.web.edge.documents import REQUESTS, EventDocument, RequestDocument, StateDocument
from service.web.edge.ecid import ECID, Device
from service.web.edge.framing import MOBILE, Framing
from service.web.edge.identity_cookie import cookie_name
from service.web.edge.target import EdgeTarget
from service.web.edge.tokens import NO_TOKENS, read_tokens
from service.web.xdm import claims_of, event_id_of, event_type_of, moment_of, read_claims

MAX_EVENTS = 100
OUTRANKED = "outrankedByCookie"
_MOBILE_SDK = "https://ns.adobe.com/experience/mobilesdk/"
_ROKU_SDK = _MOBILE_SDK + "roku"
_WEB_SDK = "/alloy"
_NOBODY = Device()


class ClientKind(StrEnum):
    """Who speaks: each reads answers in its own way."""

    MOBILE = "mobile"
    ROKU = "roku"
    WEB = "web"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class ParsedRequest:
    """A request that may be kept, and how its client wants to be answered.

    Attributes:
        incoming: What to keep; without events there is nothing to keep.
        framing: ``None`` for plain JSON.
        wants_ecid: The client asked for its ECID.
    """

    incoming: IncomingRequest = field(repr=False)
    framing: Framing | None
    client: ClientKind
    wants_ecid: bool = False
    device: Device = _NOBODY


@dataclass(frozen=True, slots=True)
class _Shared:
    """What counts for every event of the request."""

    source: DatastreamSource
    request_id: str
    received_at: datetime
    identities: tuple[ClaimedIdentity, ...]
    refused: tuple[RefusedIdentity, ...]


def parse(
    target: EdgeTarget, source: DatastreamSource, body: bytes, now: datetime
) -> ParsedRequest:
    """Return the request as values; ``now`` stands in for a missing timestamp.

    Junk identities are no error: they are left out and carried along as refused. An event with
    neither ``xdm`` nor ``data`` is a question, as Roku asks it, and is not kept. Events that repeat
    an ``_id`` are passed on as they came: ingest keeps the first.

    Raises:
        EdgeError: 4xx; nothing of the request may be stored.
    """
    try:
        document = decode(body, REQUESTS)
        framing = _framing(document)
        check_text(body, allowed_nuls=_separator_nuls(document))
        return _parsed(target, source, document, framing, body, now)
    except BodyError as error:
        raise errors.invalid_body(error) from error


def _parsed(
    target: EdgeTarget,
    source: DatastreamSource,
    document: RequestDocument,
    framing: Framing | None,
    body: bytes,
    now: datetime,
) -> ParsedRequest:
    documents = document.events or []
    if len(documents) > MAX_EVENTS:
        raise errors.invalid_field("$.events", f"holds more than {MAX_EVENTS} events")
    if not documents and (document.query is None or target.action == "collect"):
        raise errors.missing_value("$.events")
    client = client_kind(document, source, target)
    wants_ecid = _wants_ecid(document)
    xdm = document.xdm
    identity_map = xdm.identity_map if xdm else None
    identities, refused = read_claims(identity_map, "$.xdm.identityMap")
    if client is ClientKind.MOBILE:
        device = Device(ecid.named_ecid(identities))
    else:
        device = _resolved(target, source, document, identities, body, now)
        identities, outranked = _with_device(identities, device)
        refused += outranked
    shared = _Shared(source, target.request_id, now, identities, refused)
    events = tuple(
        _event(each, index, shared)
        for index, each in enumerate(documents)
        if each.xdm is not None or each.data is not None
    )
    incoming = IncomingRequest(source, target.request_id, now, events, body=body)
    return ParsedRequest(incoming, framing, client, wants_ecid, device)


def client_kind(
    document: RequestDocument, source: DatastreamSource, target: EdgeTarget
) -> ClientKind:
    """Tell who speaks, by the library that names itself, else by what only browsers send."""
    name = _library(document)
    if name.startswith(_ROKU_SDK):
        return ClientKind.ROKU
    if name.startswith(_MOBILE_SDK):
        return ClientKind.MOBILE
    state = _state(document)
    has_domain = state is not None and state.domain is not None
    is_browser = name.endswith(_WEB_SDK) or has_domain or target.origin is not None
    return ClientKind.WEB if is_browser or source.platform == "web" else ClientKind.SERVER


def _event(document: EventDocument, index: int, shared: _Shared) -> IncomingEvent:
    xdm = document.xdm if document.xdm is not None else {}
    path = f"$.events[{index}].xdm"
    own, refused = claims_of(xdm, path)
    identities = _together(shared.identities, own) if own else shared.identities
    tokens = NO_TOKENS
    if document.data:
        tokens = read_tokens(document.data, identities, f"$.events[{index}].data")
    if index == 0:
        refused = shared.refused + refused
    return IncomingEvent(
        event_id_of(xdm, path) or minted_event_id(shared.source.id, shared.request_id, index),
        event_type_of(xdm, path),
        moment_of(xdm, path, shared.received_at),
        identities,
        xdm,
        document.data,
        tokens[0],
        refused + tokens[1],
    )


def _together(
    shared: tuple[ClaimedIdentity, ...], own: tuple[ClaimedIdentity, ...]
) -> tuple[ClaimedIdentity, ...]:
    """Join the identities of request and event; an event that names its own ECID keeps it."""
    if ecid.named_ecid(own) is not None:
        shared = tuple(each for each in shared if each.namespace != ECID)
    return merged(shared, own)


def _resolved(
    target: EdgeTarget,
    source: DatastreamSource,
    document: RequestDocument,
    identities: tuple[ClaimedIdentity, ...],
    body: bytes,
    now: datetime,
) -> Device:
    cookies = ecid.read_cookies(target.cookie_header) if target.cookie_header else {}
    state = _state(document)
    for entry in (state.entries if state else None) or ():
        if entry.key is not None and entry.value is not None:
            cookies[entry.key] = entry.value
    tenant = f"{source.scope.sandbox}\0{source.org_id}\0".encode()
    request = f"{source.id}\0{target.request_id}\0".encode() + body
    return ecid.resolve(
        cookies,
        cookie_name(source.org_id),
        identities,
        fpid_seed=tenant,
        mint_seed=request if _wants_ecid(document) else None,
        now=now,
    )


def _with_device(
    identities: tuple[ClaimedIdentity, ...], device: Device
) -> tuple[tuple[ClaimedIdentity, ...], tuple[RefusedIdentity, ...]]:
    """Put the device's ECID in front; another ECID beside it would stitch two devices."""
    if device.ecid is None:
        return identities, ()
    others = tuple(each for each in identities if each.namespace != ECID)
    outranked = tuple(
        RefusedIdentity(ECID, each.value, OUTRANKED)
        for each in identities
        if each.namespace == ECID and each.value != device.ecid
    )
    return (ClaimedIdentity(ECID, device.ecid), *others), outranked


def _library(document: RequestDocument) -> str:
    details = document.xdm.implementation_details if document.xdm else None
    if details is not None and details.name:
        return details.name
    first = document.events[0].xdm if document.events else None
    own = first.get("implementationDetails") if first else None
    name = own.get("name") if isinstance(own, dict) else None
    return name if isinstance(name, str) else ""


def _state(document: RequestDocument) -> StateDocument | None:
    return document.meta.state if document.meta else None


def _wants_ecid(document: RequestDocument) -> bool:
    identity = document.query.identity if document.query else None
    return identity is not None and ECID in (identity.fetch or ())


def _framing(document: RequestDocument) -> Framing | None:
    konductor = document.meta.konductor_config if document.meta else None
    streaming = konductor.streaming if konductor else None
    if streaming is None or not streaming.enabled:
        return None
    separator, line_feed = streaming.record_separator, streaming.line_feed
    if separator in {None, "", MOBILE.record_separator} and line_feed in {None, "", "\n"}:
        return MOBILE
    return Framing(separator or MOBILE.record_separator, line_feed or MOBILE.line_feed)


def _separator_nuls(document: RequestDocument) -> int:
    konductor = document.meta.konductor_config if document.meta else None
    streaming = konductor.streaming if konductor else None
    if streaming is None:
        return 0
    return sum(
        (text or "").count("\0") for text in (streaming.record_separator, streaming.line_feed)
    )
