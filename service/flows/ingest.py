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
from service.flows import arrivals, collecting, refusals, tracking
from service.flows.arrivals import Arrival
from service.flows.refusals import Told
from service.identity import consents, graph
from service.identity import rules as namespace_rules
from service.identity.graph import Placement
from service.identity.linking import NamespaceRules, Order
from service.jobs import wakeup
from service.journeys import entry
from service.profiles import events, fragments, live_activities, merging, push_tokens
from service.profiles.events import EventToKeep, event_key
from service.profiles.fragments import Saying
from service.profiles.incoming import (
    INLET,
    AnnouncedLiveActivity,
    IncomingConsent,
    IncomingEvent,
    IncomingRecord,
    IncomingRequest,
    Kept,
)
from service.profiles.merging import TouchedProfiles
from service.profiles.push_tokens import Announcement
from service.sandboxes.scope import Scope
from service.segments import evaluation
from service.segments.evaluation import TouchedBy


@dataclass(frozen=True, slots=True)
class _Announcements:
    """Push and live activity tokens to take."""

    tokens: list[Announcement]
    live_activities: list[tuple[AnnouncedLiveActivity, Order]]


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
    admitted = collecting.admit(session, scope, requests, rules)
    items = [
        *arrivals.of_events(admitted.fresh, rules),
        *arrivals.of_records(requests, rules),
        *arrivals.of_consents(requests, rules),
    ]
    announcements = _announcements(admitted.fresh)
    placement = graph.place(session, scope, [each.claim for each in items], rules, now=now)
    items = arrivals.on_proved_people(items, placement, rules)
    named = frozenset(each.identity_id for each in items if each.is_known)
    consents.record(session, scope, admitted.said)
    touched = merging.lock(session, scope, placement, named, now=now)
    too_large = _keep_attributes(session, scope, items, placement, touched, now)
    push_tokens.register(session, scope, announcements.tokens, placement, now=now)
    live_activities.register(session, scope, announcements.live_activities, now=now)
    stored = _keep_events(session, scope, items)
    _qualify_and_enter(session, scope, items, stored, placement, touched, now)
    told = refusals.found(requests, admitted, placement, rules)
    audited = refusals.entries(told, placement, now=now)
    entries.record(session, scope, [*audited, *refusals.too_large(too_large, now=now)])
    return _answers(requests, stored, admitted.without_consent, told, rules)


def _announcements(
    fresh: Iterable[tuple[IncomingRequest, IncomingEvent]],
) -> _Announcements:
    """Return what was announced and may be taken."""
    found = _Announcements([], [])
    for request, event in fresh:
        order = Order(min(event.at, request.received_at), event.event_id)
        found.tokens.extend(
            Announcement(token, order, request.source.logout_policy)
            for token in event.tokens
            if push_tokens.refusal(request.source, token) is None
        )
        found.live_activities.extend(
            (each, order)
            for each in event.live_activities
            if live_activities.refusal(request.source, each) is None
        )
    return found


def _keep_attributes(
    session: Session,
    scope: Scope,
    items: Iterable[Arrival],
    placement: Placement,
    touched: TouchedProfiles,
    now: datetime,
) -> list[Arrival]:
    """Keep what is said of people and derive their views; return the consents that were dropped."""
    telling = [each for each in items if each.attributes is not None]
    sayings = [_saying(each) for each in telling]
    dropped = {id(each) for each in fragments.store(session, scope, sayings, now=now)}
    said_of = frozenset(each.identity_id for each in sayings if id(each) not in dropped)
    profiles = touched.reshaped | {placement.profile_of(key) for key in said_of}
    changed = said_of | placement.moved.keys()
    merging.refresh(session, scope, placement, frozenset(profiles), changed, now=now)
    return [each for each, saying in zip(telling, sayings, strict=True) if id(saying) in dropped]


def _saying(item: Arrival) -> Saying:
    """Return a record as it came, or a consent: at its own time, and within bounds."""
    return Saying(
        item.identity_id,
        item.request.source.profile_dataset_id,
        item.attributes or {},
        item.replaces,
        item.said_at,
        most_bytes=None if item.said_at is None else arrivals.MOST_CONSENT_BYTES,
    )


def _keep_events(
    session: Session, scope: Scope, items: Iterable[Arrival]
) -> dict[UUID, EventToKeep]:
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
    items: Sequence[Arrival],
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
    if entered + tracking.keep_tracking(session, scope, stored, now=now):
        wakeup.notify(session)


def _touches(
    items: Iterable[Arrival],
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
    without_consent: Mapping[int, tuple[int, ...]],
    told: Sequence[Told],
    rules: NamespaceRules,
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
        unkept = without_consent.get(id(request), ())
        is_inlets = request.source.platform == INLET
        nameless = _nameless(request.events, rules) if is_inlets else ()
        nameless_records = _nameless(request.records, rules)
        answers.append(
            Kept(
                stored=new,
                duplicates=len(request.events) - new - len(unkept) - len(nameless),
                records=len(request.records) - len(nameless_records),
                refusals=tuple(each.refusal for each in told if each.request is request),
                without_consent=unkept,
                nameless_events=nameless,
                nameless_records=nameless_records,
                nameless_consents=_nameless(request.consents, rules),
            ),
        )
    return answers


def _nameless(
    parts: Iterable[IncomingEvent | IncomingRecord | IncomingConsent], rules: NamespaceRules
) -> tuple[int, ...]:
    """Return which of them name nobody whom this sandbox has a namespace for."""
    return tuple(
        index
        for index, part in enumerate(parts)
        if not any(each.namespace in rules for each in part.identities)
    )
