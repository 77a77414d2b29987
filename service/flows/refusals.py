"""What a batch refused or dropped, as audit entries."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from service.audit.entries import NewAuditEntry
from service.core.secret import mask_token
from service.identity.graph import Placement
from service.identity.linking import NamespaceRules
from service.profiles import push_tokens
from service.profiles.incoming import IncomingEvent, IncomingRecord, IncomingRequest


def found(
    requests: Sequence[IncomingRequest],
    placement: Placement,
    rules: NamespaceRules,
    *,
    now: datetime,
) -> list[NewAuditEntry]:
    """Return an entry for each refused identity, refused token and dropped link of a batch."""
    return [
        *_identities(requests, rules, now),
        *_tokens(requests, now),
        *_links(placement, now),
    ]


def _identities(
    requests: Iterable[IncomingRequest],
    rules: NamespaceRules,
    now: datetime,
) -> list[NewAuditEntry]:
    entries = []
    for request in requests:
        parts: list[IncomingEvent | IncomingRecord] = [*request.events, *request.records]
        reasons = [(each.namespace, each.reason) for part in parts for each in part.refused]
        reasons += [
            (each.namespace, "unknownNamespace")
            for part in parts
            for each in part.identities
            if each.namespace not in rules
        ]
        entries += [
            NewAuditEntry(now, str(request.source.id), "identity.refuse", namespace, reason)
            for namespace, reason in reasons
        ]
    return entries


def _tokens(requests: Iterable[IncomingRequest], now: datetime) -> list[NewAuditEntry]:
    return [
        NewAuditEntry(
            now,
            str(request.source.id),
            "pushToken.refuse",
            mask_token(token.token),
            reason,
            {"appID": token.app_id, "platform": token.platform},
        )
        for request in requests
        for event in request.events
        for token in event.tokens
        if (reason := push_tokens.refusal(request.source, token)) is not None
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
