"""Everything that comes in: one function, one transaction, set-based statements.

An Edge request, a batch of streaming ingestion and a line of a file all arrive as
``IncomingRequest`` and are kept by the same calls, in the order of the locks: identities, profiles,
push tokens, events, memberships, journey instances, deliveries.
Source: service/decisions/0001-lock-order.md, 0004-group-commit.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.audit import entries
from service.flows import refusals
from service.identity import graph
from service.identity import rules as namespace_rules
from service.identity.graph import Placement
from service.identity.identity_map import ClaimedIdentity
from service.identity.linking import Claim, NamespaceRules, Order, event_identity
from service.jobs import wakeup
from service.journeys import entry
from service.outbound import delivery_views
from service.outbound.openings import opened_delivery
from service.profiles import events, fragments, merging, push_tokens
from service.profiles.events import EventToKeep, event_key
from service.profiles.fragments import Saying
from service.profiles.incoming import IncomingEvent, IncomingRequest, Kept
from service.profiles.merging import TouchedProfiles
from service.profiles.push_tokens import Announcement
from service.sandboxes.scope import Scope
from service.segments import evaluation
from service.segments.evaluation import TouchedBy


@dataclass(frozen=True, slots=True)
class _Item:
    """One event or record of a batch with its claim and the identity it hangs on."""

    request: IncomingRequest
    claim: Claim
    identity_id: UUID
    is_known: bool
    event: IncomingEvent | None = None
    attributes: dict[str, object] | None = None


def ingest(session: Session, requests: Sequence[IncomingRequest], *, now: datetime) -> list[Kept]:
    """Keep a micro-batch and return what became of each request, in their order.

    Sandboxes are worked off one after the other in key order. Duplicates are answered like the
    first and have no effect. The caller commits.

    Raises:
        GraphMovedError: Roll back and call again.
    """
    kept: dict[int, Kept] = {}
    scopes = sorted({request.source.scope for request in requests})
    for scope in scopes:
        mine = [(at, each) for at, each in enumerate(requests) if each.source.scope == scope]
        answers = _ingest_sandbox(session, scope, [each for _, each in mine], now)
        kept.update({at: answer for (at, _), answer in zip(mine, answers, strict=True)})
    return [kept[at] for at in range(len(requests))]


def _ingest_sandbox(
    session: Session,
    scope: Scope,
    requests: Sequence[IncomingRequest],
    now: datetime,
) -> list[Kept]:
    rules = namespace_rules.read(session, scope)
    fresh = _without_known(session, scope, requests)
    items = [
        *_event_items(fresh, rules),
        *_record_items(requests, rules),
    ]
    announcements, refused = _announcements(fresh)
    placement = graph.place(session, scope, [each.claim for each in items], rules, now=now)
    named = frozenset(each.identity_id for each in items if each.is_known)
    touched = merging.lock(session, scope, placement, named, now=now)
    _keep_attributes(session, scope, items, placement, touched, now)
    push_tokens.register(session, scope, announcements, placement, now=now)
    stored = _keep_events(session, scope, items)
    _qualify_and_enter(session, scope, items, stored, placement, touched, now)
    _keep_opens(session, scope, stored)
    entries.record(session, scope, refusals.found(requests, placement, rules, now=now))
    return _answers(requests, stored, refused)


def _without_known(
    session: Session,
    scope: Scope,
    requests: Sequence[IncomingRequest],
) -> list[tuple[IncomingRequest, IncomingEvent]]:
    """Return the events that are stored neither before this batch nor earlier in it."""
    first: dict[UUID, tuple[IncomingRequest, IncomingEvent]] = {}
    for request in requests:
        for event in request.events:
            first.setdefault(event_key(request.source.id, event.event_id), (request, event))
    if not first:
        return []
    known = events.known_keys(session, scope, first)
    return [pair for key, pair in first.items() if key not in known]


def _event_items(
    fresh: Iterable[tuple[IncomingRequest, IncomingEvent]],
    rules: NamespaceRules,
) -> list[_Item]:
    items = []
    for request, event in fresh:
        claim = Claim(
            _with_devices(event),
            Order(min(event.at, request.received_at), event.event_id),
            request.source.id,
            request.source.logout_on,
            is_trusted=False,
        )
        identity = event_identity(claim, rules)
        # An event that names nobody is kept under its own key: no profile will ever claim it.
        key = identity.key if identity else event_key(request.source.id, event.event_id)
        items.append(_Item(request, claim, key, identity is not None, event=event))
    return items


def _with_devices(event: IncomingEvent) -> tuple[ClaimedIdentity, ...]:
    """Return the event's identities and its tokens' devices, so that all of them are locked."""
    named = {each.key for each in event.identities}
    devices = {token.device.key: token.device for token in event.tokens}
    return (*event.identities, *(each for key, each in devices.items() if key not in named))


def _record_items(
    requests: Iterable[IncomingRequest],
    rules: NamespaceRules,
) -> list[_Item]:
    items = []
    for request in requests:
        for index, record in enumerate(request.records):
            order = Order(request.received_at, f"{request.request_id}:{index:06d}")
            claim = Claim(record.identities, order, request.source.id, is_trusted=True)
            identity = event_identity(claim, rules)
            if identity is not None:
                attributes = dict(record.attributes)
                items.append(
                    _Item(request, claim, identity.key, is_known=True, attributes=attributes),
                )
    return items


def _announcements(
    fresh: Iterable[tuple[IncomingRequest, IncomingEvent]],
) -> tuple[list[Announcement], dict[int, list[str]]]:
    """Split the announced tokens into those that may be taken and the refusals per request."""
    taken: list[Announcement] = []
    refused: dict[int, list[str]] = {}
    for request, event in fresh:
        for token in event.tokens:
            reason = push_tokens.refusal(request.source, token)
            if reason is None:
                order = Order(min(event.at, request.received_at), event.event_id)
                taken.append(Announcement(token, order, request.source.logout_policy))
            else:
                refused.setdefault(id(request), []).append(reason)
    return taken, refused


def _keep_attributes(
    session: Session,
    scope: Scope,
    items: Iterable[_Item],
    placement: Placement,
    touched: TouchedProfiles,
    now: datetime,
) -> None:
    sayings = [
        Saying(each.identity_id, each.request.source.profile_dataset_id, each.attributes)
        for each in items
        if each.attributes is not None
    ]
    fragments.store(session, scope, sayings, now=now)
    said_of = frozenset(each.identity_id for each in sayings)
    profiles = touched.reshaped | {placement.profile_of(key) for key in said_of}
    changed = said_of | placement.moved.keys()
    merging.refresh(session, scope, placement, frozenset(profiles), changed, now=now)


def _keep_events(session: Session, scope: Scope, items: Iterable[_Item]) -> dict[UUID, EventToKeep]:
    kept = [
        EventToKeep(each.event, each.request.source, each.request.received_at, each.identity_id)
        for each in items
        if each.event is not None
    ]
    new = events.store(session, scope, kept)
    return {each.key: each for each in kept if each.key in new}


def _qualify_and_enter(
    session: Session,
    scope: Scope,
    items: Sequence[_Item],
    stored: Mapping[UUID, EventToKeep],
    placement: Placement,
    touched: TouchedProfiles,
    now: datetime,
) -> None:
    evaluation.close_absorbed(session, scope, touched.absorbed, now=now)
    by_profile = _touches(items, stored, placement, touched)
    changes = evaluation.evaluate_streaming(session, scope, by_profile, now=now)
    entered = entry.enter_qualified(session, scope, changes, now=now)
    entered += entry.enter_by_event(session, scope, list(stored.values()), now=now)
    if entered:
        wakeup.notify(session)


def _keep_opens(session: Session, scope: Scope, stored: Mapping[UUID, EventToKeep]) -> None:
    opened = [
        (delivery, min(kept.event.at, kept.received_at))
        for kept in stored.values()
        if (delivery := opened_delivery(kept.event.event_type, kept.event.xdm)) is not None
    ]
    delivery_views.record_opened(session, scope, opened)


def _touches(
    items: Iterable[_Item],
    stored: Mapping[UUID, EventToKeep],
    placement: Placement,
    touched: TouchedProfiles,
) -> dict[UUID, TouchedBy]:
    """Return for each profile what of it changed in this batch."""
    types: dict[UUID, set[str]] = {}
    last: dict[UUID, UUID] = {}
    reshaped = set(touched.reshaped)
    for item in items:
        if not item.is_known:
            continue
        profile = placement.profile_of(item.identity_id)
        if item.attributes is not None:
            reshaped.add(profile)
        if item.event is not None:
            key = event_key(item.request.source.id, item.event.event_id)
            if key in stored:
                types.setdefault(profile, set()).add(item.event.event_type or "")
                last[profile] = key
    return {
        profile: TouchedBy(
            frozenset(types.get(profile, ())),
            reshaped=profile in reshaped,
            event_id=last.get(profile),
        )
        for profile in sorted(types.keys() | reshaped)
    }


def _answers(
    requests: Iterable[IncomingRequest],
    stored: Mapping[UUID, EventToKeep],
    refused: Mapping[int, Sequence[str]],
) -> list[Kept]:
    claimed: set[UUID] = set()
    answers = []
    for request in requests:
        new = 0
        for event in request.events:
            key = event_key(request.source.id, event.event_id)
            if key in stored and key not in claimed:
                claimed.add(key)
                new += 1
        answers.append(
            Kept(
                stored=new,
                duplicates=len(request.events) - new,
                records=len(request.records),
                refused_tokens=tuple(refused.get(id(request), ())),
            ),
        )
    return answers
