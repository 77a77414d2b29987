"""What a batch says: each event, record and consent with its claim and where it hangs."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from service.flows.earlier_proofs import proved_before
from service.identity.graph import Placement
from service.identity.identity_map import ClaimedIdentity, RefusedIdentity
from service.identity.linking import Claim, NamespaceRules, Order, event_identity
from service.profiles.events import event_key
from service.profiles.incoming import INLET, IncomingEvent, IncomingRequest

MOST_CONSENT_BYTES = 16 * 1024
"""How much a source keeps of what an identity consents to: twice what one request may say."""
_CONSENTS = "consents"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event, record or consent of a batch with its claim and the identity it hangs on.

    ``replaces`` names the attribute of which nothing that was said before stays, ``refused`` the
    identities that do not count. ``said_at`` is when the attributes were said, where that counts.
    """

    request: IncomingRequest
    claim: Claim
    identity_id: UUID
    is_known: bool
    event: IncomingEvent | None = None
    attributes: dict[str, object] | None = None
    replaces: str | None = None
    refused: tuple[RefusedIdentity, ...] = ()
    said_at: datetime | None = None


def on_proved_people(
    items: Iterable[Arrival], placement: Placement, rules: NamespaceRules
) -> list[Arrival]:
    """Hang what came without a proof of login on the person its device has proved to be.

    Else a person's facts would stay with the device and go to whoever logs in there next.
    Source: service/decisions/0015-login-proof.md.
    """
    return [_on_proved_person(each, placement, rules) if each.refused else each for each in items]


def _on_proved_person(item: Arrival, placement: Placement, rules: NamespaceRules) -> Arrival:
    proved = proved_before(item.claim.identities, item.refused, placement, rules)
    if not proved:
        return item
    named = [
        *item.claim.identities,
        # a consent's claim leaves out whom it names without a proof
        *(ClaimedIdentity(each.namespace, each.value) for each in item.refused),
    ]
    counting = [each for each in named if each.key in {*proved, item.identity_id}]
    known = [each for each in counting if each.namespace in rules]
    if not known:
        return item
    best = min(known, key=lambda each: (rules[each.namespace].priority, each.namespace))
    return replace(item, identity_id=best.key)


def of_events(
    fresh: Iterable[tuple[IncomingRequest, IncomingEvent]],
    rules: NamespaceRules,
) -> list[Arrival]:
    """Return the events of a batch that are kept; an inlet's that names nobody is left out."""
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
        if identity is None and request.source.platform == INLET:
            continue
        # A device's event that names nobody is kept under its own key: nobody will ever claim it.
        key = identity.key if identity else event_key(request.source.id, event.event_id)
        items.append(
            Arrival(request, claim, key, identity is not None, event=event, refused=event.refused)
        )
    return items


def _with_devices(event: IncomingEvent) -> tuple[ClaimedIdentity, ...]:
    """Return the event's identities and its tokens' devices, so that all of them are locked."""
    named = {each.key for each in event.identities}
    devices = {each.device.key: each.device for each in event.tokens}
    devices |= {each.device.key: each.device for each in event.live_activities}
    return (*event.identities, *(each for key, each in devices.items() if key not in named))


def of_records(
    requests: Iterable[IncomingRequest],
    rules: NamespaceRules,
) -> list[Arrival]:
    """Return the profile records of a batch; one that names nobody usable is left out."""
    items = []
    for request in requests:
        for index, record in enumerate(request.records):
            order = Order(request.received_at, f"{request.request_id}:{index:06d}")
            claim = Claim(record.identities, order, request.source.id, is_trusted=True)
            identity = event_identity(claim, rules)
            if identity is not None:
                attributes = dict(record.attributes)
                items.append(
                    Arrival(request, claim, identity.key, is_known=True, attributes=attributes),
                )
    return items


def of_consents(
    requests: Iterable[IncomingRequest],
    rules: NamespaceRules,
) -> list[Arrival]:
    """Return what a batch says of consent, as attributes of the person or else of the device."""
    items = []
    for request in requests:
        for said in request.consents:
            order = Order(min(said.at, request.received_at), request.request_id)
            # an event without the person ends a login; a consent of the device alone says nothing
            claim = Claim(said.identities, order, request.source.id)
            identity = event_identity(claim, rules)
            if identity is not None:
                preferences: dict[str, object] = {_CONSENTS: said.preferences}
                replaces = _CONSENTS if said.replaces else None
                items.append(
                    Arrival(
                        request,
                        claim,
                        identity.key,
                        is_known=True,
                        attributes=preferences,
                        replaces=replaces,
                        refused=said.refused,
                        said_at=order.at,
                    ),
                )
    return items
