"""What a batch refused or dropped: as audit entries, and as the answers tell it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from service.access.login_proofs import Flaw
from service.audit.entries import NewAuditEntry
from service.core.json import JsonObject
from service.core.secret import mask_token
from service.flows.arrivals import Arrival
from service.flows.collecting import Admitted
from service.flows.earlier_proofs import proved_before
from service.identity.graph import Placement
from service.identity.identity_map import ECID, RefusedIdentity, identity_key
from service.identity.linking import NamespaceRules
from service.profiles import live_activities, push_tokens
from service.profiles.incoming import (
    IncomingConsent,
    IncomingEvent,
    IncomingRecord,
    IncomingRequest,
    Part,
    Refusal,
)

UNKNOWN_NAMESPACE = "unknownNamespace"
_IDENTITY, _PUSH_TOKEN = "identity.refuse", "pushToken.refuse"
_LIVE_ACTIVITY_TOKEN, _CONSENT = "liveActivityToken.refuse", "consent.refuse"
_LINK = "identityLink.drop"
ACTIONS = frozenset({_IDENTITY, _PUSH_TOKEN, _LIVE_ACTIVITY_TOKEN, _CONSENT, _LINK})
"""What audit entries that devices cause are about; anybody can cause any number of them."""
_JUNK = "junkIdentity"
_WRONG_ECID = "ecidNot38Digits"
_SHOWN = 64
# What may have been otherwise when the event came first.
_OF_THE_MOMENT = frozenset({Flaw.MISSING, Flaw.EXPIRED, Flaw.KEY_UNAVAILABLE})
_Part: TypeAlias = IncomingEvent | IncomingRecord | IncomingConsent


@dataclass(frozen=True, slots=True)
class Told:
    """One refusal with its request and its audit entry.

    Attributes:
        is_new: Whether it is audited; a phone that repeats a hit tells nothing new.
        subject: What the audit names.
        facts: The values that were seen; no secret, no proof and no whole token.
    """

    request: IncomingRequest
    refusal: Refusal
    is_new: bool
    action: str
    subject: str
    facts: JsonObject


def found(
    requests: Iterable[IncomingRequest],
    admitted: Admitted,
    placement: Placement,
    rules: NamespaceRules,
) -> list[Told]:
    """Return each refused identity and token of a batch; of what has no consent nothing is said."""
    fresh = {id(event) for _, event in admitted.fresh}
    told: list[Told] = []
    for request in requests:
        unkept = admitted.without_consent.get(id(request), ())
        for index, event in enumerate(request.events):
            if index in unkept:
                continue
            is_new = id(event) in fresh
            told += _identities(request, event, placement, rules, index, is_new=is_new)
            told += _tokens(request, event, index, is_new=is_new)
        # nobody's consent is an error of its own, which leaves nothing behind
        consents = [each for each in request.consents if _names_somebody(each, rules)]
        parts: list[_Part] = [*request.records, *consents]
        for part in parts:
            told += _identities(request, part, placement, rules)
    return told


def _names_somebody(part: _Part, rules: NamespaceRules) -> bool:
    return any(each.namespace in rules for each in part.identities)


def too_large(consents: Iterable[Arrival], *, now: datetime) -> list[NewAuditEntry]:
    """Return the audit entries of consents that were dropped for their size."""
    return [
        NewAuditEntry(
            now,
            str(each.request.source.id),
            _CONSENT,
            str(each.identity_id),
            "consentTooLarge",
            {"requestId": each.request.request_id},
        )
        for each in consents
    ]


def entries(
    told: Iterable[Told],
    placement: Placement,
    *,
    now: datetime,
) -> list[NewAuditEntry]:
    """Return the audit entries of what was refused and of the links that were dropped.

    A phone repeats its login in every event: that it has no proof is audited once for each device
    and namespace of a batch.
    """
    refused = [
        NewAuditEntry(
            now,
            str(each.request.source.id),
            each.action,
            each.subject,
            each.refusal.reason,
            each.facts,
        )
        for each in _once(each for each in told if each.is_new)
    ]
    return [*refused, *_links(placement, now)]


def _once(told: Iterable[Told]) -> Iterator[Told]:
    seen: set[tuple[UUID, str | None, str]] = set()
    for each in told:
        if each.refusal.reason == Flaw.MISSING:
            unproved = (each.request.source.id, each.facts.get("ecid"), each.subject)
            if unproved in seen:
                continue
            seen.add(unproved)
        yield each


def _identities(
    request: IncomingRequest,
    part: _Part,
    placement: Placement,
    rules: NamespaceRules,
    index: int | None = None,
    *,
    is_new: bool = True,
) -> Iterator[Told]:
    unknown = [each for each in part.identities if each.namespace not in rules]
    if not part.refused and not unknown:
        return
    device = next((each.value for each in part.identities if each.namespace == ECID), None)
    seen: JsonObject = {"requestId": request.request_id}
    if device is not None:
        seen["ecid"] = device
    reasons = [
        (each.namespace, each.reason, _seen_of(each))
        for each in _worth_telling(part, placement, rules, is_new=is_new)
    ]
    reasons += [(each.namespace, UNKNOWN_NAMESPACE, {}) for each in unknown]
    for namespace, reason, more in reasons:
        refusal = Refusal(Part.IDENTITY, namespace, reason, index)
        facts = {"namespace": namespace, **seen, **more}
        yield Told(request, refusal, is_new, _IDENTITY, namespace, facts)


def _worth_telling(
    part: _Part, placement: Placement, rules: NamespaceRules, *, is_new: bool
) -> Sequence[RefusedIdentity]:
    """Return what was refused, but for logins without a proof that were proved before.

    Phones repeat the login with each event; an entry for each would bury the others. Of an event
    that is repeated the first judgment holds.
    """
    if not part.refused or isinstance(part, IncomingRecord):
        return part.refused
    if not is_new:
        return [each for each in part.refused if each.reason not in _OF_THE_MOMENT]
    proved = proved_before(part.identities, part.refused, placement, rules)
    return [
        each
        for each in part.refused
        if each.reason != Flaw.MISSING or identity_key(each.namespace, each.value) not in proved
    ]


def _seen_of(refused: RefusedIdentity) -> JsonObject:
    """Return what of a value may be shown: a word that is junk, else only its form."""
    if refused.reason == _JUNK:
        return {"value": refused.value[:_SHOWN]}
    if refused.reason == _WRONG_ECID:
        digits = sum(each.isdigit() for each in refused.value)
        return {"characters": len(refused.value), "digits": digits}
    return {}


def _tokens(
    request: IncomingRequest, event: IncomingEvent, index: int, *, is_new: bool
) -> Iterator[Told]:
    for token in event.tokens:
        reason = push_tokens.refusal(request.source, token)
        if reason is not None:
            yield Told(
                request,
                Refusal(Part.TOKEN, token.platform, reason, index),
                is_new,
                _PUSH_TOKEN,
                mask_token(token.token),
                {"appID": token.app_id, "platform": token.platform},
            )
    for activity in event.live_activities:
        reason = live_activities.refusal(request.source, activity)
        if reason is not None:
            yield Told(
                request,
                Refusal(Part.TOKEN, activity.platform or "", reason, index),
                is_new,
                _LIVE_ACTIVITY_TOKEN,
                mask_token(activity.token),
                {
                    "kind": activity.kind,
                    "name": activity.name,
                    "appID": activity.app_id,
                    "platform": activity.platform,
                },
            )


def _links(placement: Placement, now: datetime) -> list[NewAuditEntry]:
    return [
        NewAuditEntry(
            now,
            "identity.graph",
            _LINK,
            str(link.child),
            link.reason,
            {"parent": str(link.parent)},
        )
        for link in placement.dropped
    ]
