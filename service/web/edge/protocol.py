"""From the bytes of a request to values, or to an error with a code.

Pure: no store is asked, so whatever can be refused is refused before the queue, and the same
bytes under the same ``requestId`` always give the same events.

Source: the Edge extensions' ``RequestBuilder``; alloy; Edge Network API, "Interactive data
collection".
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from service.core.ids import minted_event_id
from service.core.json import JsonObject
from service.flows.sources import DatastreamSource
from service.identity.identity_map import ECID, ClaimedIdentity, RefusedIdentity, merged
from service.profiles.incoming import IncomingEvent, IncomingRequest
from service.web.body import BodyError
from service.web.edge import bots, errors, media, overrides
from service.web.edge.clients import client_kind, library_of
from service.web.edge.consent_request import parse_consent
from service.web.edge.devices import Asked, name_device, shared_claims, state_of
from service.web.edge.documents import REQUESTS, EventDocument, RequestDocument
from service.web.edge.ecid import named_ecid
from service.web.edge.enrichment import Additions, additions, enrich
from service.web.edge.framing import Framing
from service.web.edge.parsed import ParsedRequest
from service.web.edge.reading import fetched_namespaces, is_kept, read_document
from service.web.edge.target import Action, EdgeTarget
from service.web.edge.tokens import (
    NO_LIVE_ACTIVITIES,
    NO_TOKENS,
    read_live_activities,
    read_tokens,
)
from service.web.xdm import claims_of, event_id_of, event_type_of, moment_of

MAX_EVENTS = 100


@dataclass(slots=True)
class _Shared:
    """What counts for every event of the request, and the warnings that they call for."""

    source: DatastreamSource
    request_id: str
    received_at: datetime
    identities: tuple[ClaimedIdentity, ...]
    refused: tuple[RefusedIdentity, ...]
    added: Additions
    dataset_id: UUID | None
    media_event: str | None
    is_single: bool
    first: int
    is_bot: bool
    warnings: list[JsonObject] = field(default_factory=list)

    def path(self, index: int) -> str:
        """Return where an event stands in the body."""
        return "$.event" if self.is_single else f"$.events[{index}]"


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
        if target.action == Action.SET_CONSENT:
            return parse_consent(target, source, body, now)
        document, framing = read_document(body, REQUESTS)
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
    is_single = target.is_server and document.event is not None
    if is_single and document.event is not None:
        if document.events:
            raise errors.invalid_field("$.event", "stands beside $.events")
        document.events = [document.event]
    documents = document.events or []
    _check_count(target, document)
    client = client_kind(document, source, target)
    fetched = fetched_namespaces(document, target.action)
    asked = Asked(target, source, document, body, now, wants_ecid=ECID in fetched)
    named = name_device(client, shared_claims(document.xdm), asked)
    meta = document.meta
    replaced = meta.config_overrides if meta else None
    places = tuple(index for index, each in enumerate(documents) if is_kept(each))
    shared = _Shared(
        source,
        target.request_id,
        now,
        named.identities,
        named.refused,
        additions(
            target.sender,
            source.settings.ip_obfuscation,
            library_of(document),
            meta.queue_time_millis if meta else None,
        ),
        None if replaced is None else overrides.event_dataset(replaced, source),
        target.media_event,
        is_single,
        places[0] if places else 0,
        bots.is_bot(client, target),
    )
    events = tuple(_event(documents[index], index, shared) for index in places)
    return ParsedRequest(
        IncomingRequest(source, target.request_id, now, events, body=body),
        framing,
        client,
        fetched,
        named.device,
        places=places,
        warnings=tuple(shared.warnings),
        state=state_of(document),
    )


def _check_count(target: EdgeTarget, document: RequestDocument) -> None:
    """Refuse too many events, and a request that brings none and asks nothing."""
    if document.events:
        if len(document.events) > MAX_EVENTS:
            raise errors.invalid_field("$.events", f"holds more than {MAX_EVENTS} events")
        return
    may_only_ask = target.action == Action.INTERACT and document.query is not None
    if target.action != Action.ACQUIRE and not may_only_ask:
        is_single = target.is_server and target.action == Action.INTERACT
        raise errors.missing_value("$.event" if is_single else "$.events")


def _event(document: EventDocument, index: int, shared: _Shared) -> IncomingEvent:
    xdm = document.xdm if document.xdm is not None else {}
    place = shared.path(index)
    path = f"{place}.xdm"
    own, refused = claims_of(xdm, path)
    identities = _together(shared.identities, own) if own else shared.identities
    event_type = event_type_of(xdm, path)
    if event_type is None and shared.media_event is not None:
        event_type = xdm["eventType"] = media.event_type(shared.media_event)
    tokens, activities = NO_TOKENS, NO_LIVE_ACTIVITIES
    if document.data:
        tokens = read_tokens(document.data, identities, f"{place}.data")
        activities = read_live_activities(document.data, event_type, identities, f"{place}.data")
    event_id = event_id_of(xdm, path)
    at = moment_of(xdm, path, shared.received_at)
    enrich(xdm, shared.added)
    if shared.is_bot:
        bots.mark(xdm)
    if index == shared.first:
        refused = shared.refused + refused
    return IncomingEvent(
        event_id or minted_event_id(shared.source.id, shared.request_id, index),
        event_type,
        at,
        identities,
        xdm,
        document.data,
        tokens[0],
        refused + tokens[1] + activities[1],
        activities[0],
        _dataset(document, index, shared),
    )


def _together(
    shared: tuple[ClaimedIdentity, ...], own: tuple[ClaimedIdentity, ...]
) -> tuple[ClaimedIdentity, ...]:
    """Join the identities of request and event; an event that names its own ECID keeps it."""
    if named_ecid(own) is not None:
        shared = tuple(each for each in shared if each.namespace != ECID)
    return merged(shared, own)


def _dataset(document: EventDocument, index: int, shared: _Shared) -> UUID | None:
    collect = document.meta.collect if document.meta else None
    if collect is None or not collect.dataset_id:
        return shared.dataset_id
    found = overrides.listed_dataset(collect.dataset_id, shared.source)
    if found is None:
        shared.warnings.append(errors.dataset_not_listed(index))
        return shared.dataset_id
    return found
