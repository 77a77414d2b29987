"""What a batch refused or dropped, as audit entries."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TypeAlias

from service.access.login_proofs import Flaw
from service.audit.entries import NewAuditEntry
from service.core.secret import mask_token
from service.flows.earlier_proofs import proved_before
from service.identity.graph import Placement
from service.identity.identity_map import RefusedIdentity, identity_key
from service.identity.linking import NamespaceRules
from service.profiles import live_activities, push_tokens
from service.profiles.incoming import (
    IncomingConsent,
    IncomingEvent,
    IncomingRecord,
    IncomingRequest,
)

_Part: TypeAlias = IncomingEvent | IncomingRecord | IncomingConsent
_Fresh: TypeAlias = Sequence[tuple[IncomingRequest, IncomingEvent]]


def found(
    requests: Sequence[IncomingRequest],
    fresh: _Fresh,
    placement: Placement,
    rules: NamespaceRules,
    *,
    now: datetime,
) -> list[NewAuditEntry]:
    """Return an entry for each refused identity, refused token and dropped link of a batch.

    Of the events only ``fresh`` ones count: a phone that repeats a hit tells nothing new.
    """
    parts: list[tuple[IncomingRequest, _Part]] = list(fresh)
    for each in requests:
        parts += [(each, record) for record in each.records]
        parts += [(each, consent) for consent in each.consents]
    return [
        *_identities(parts, placement, rules, now),
        *_tokens(fresh, now),
        *_live_activities(fresh, now),
        *_links(placement, now),
    ]


def _identities(
    parts: Iterable[tuple[IncomingRequest, _Part]],
    placement: Placement,
    rules: NamespaceRules,
    now: datetime,
) -> list[NewAuditEntry]:
    entries = []
    for request, part in parts:
        reasons = [
            (each.namespace, each.reason) for each in _worth_an_entry(part, placement, rules)
        ]
        reasons += [
            (each.namespace, "unknownNamespace")
            for each in part.identities
            if each.namespace not in rules
        ]
        entries += [
            NewAuditEntry(now, str(request.source.id), "identity.refuse", namespace, reason)
            for namespace, reason in reasons
        ]
    return entries


def _worth_an_entry(
    part: _Part, placement: Placement, rules: NamespaceRules
) -> Sequence[RefusedIdentity]:
    """Return what was refused, but for logins without a proof that were proved before.

    Phones repeat the login with each event; an entry for each would bury the others.
    """
    if not part.refused or isinstance(part, IncomingRecord):
        return part.refused
    proved = proved_before(part.identities, part.refused, placement, rules)
    return [
        each
        for each in part.refused
        if each.reason != Flaw.MISSING or identity_key(each.namespace, each.value) not in proved
    ]


def _tokens(fresh: _Fresh, now: datetime) -> list[NewAuditEntry]:
    return [
        NewAuditEntry(
            now,
            str(request.source.id),
            "pushToken.refuse",
            mask_token(token.token),
            reason,
            {"appID": token.app_id, "platform": token.platform},
        )
        for request, event in fresh
        for token in event.tokens
        if (reason := push_tokens.refusal(request.source, token)) is not None
    ]


def _live_activities(fresh: _Fresh, now: datetime) -> list[NewAuditEntry]:
    return [
        NewAuditEntry(
            now,
            str(request.source.id),
            "liveActivityToken.refuse",
            mask_token(activity.token),
            reason,
            {
                "kind": activity.kind,
                "name": activity.name,
                "appID": activity.app_id,
                "platform": activity.platform,
            },
        )
        for request, event in fresh
        for activity in event.live_activities
        if (reason := live_activities.refusal(request.source, activity)) is not None
    ]


def _links(placement: Placement, now: datetime) -> list[NewAuditEntry]:
    return [
        NewAuditEntry(
            now,
            "identity.graph",
            "identityLink.drop",
            str(link.child),
            link.reason,
            {"parent": str(link.parent)},
        )
        for link in placement.dropped
    ]
