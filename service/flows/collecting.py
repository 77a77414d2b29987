"""Which events of a batch may be kept: new ones, from devices that allow it.

What a device says in the same batch counts, so a page that gives its consent and goes on is not
refused for the order of two statements. Inlets are the customer's own servers and are not asked.
Source: Edge Network API, ``EXEG-0301-200``; service/decisions/0014-consent.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from service.identity import consents
from service.identity.consents import COLLECTED, Said
from service.profiles import events
from service.profiles.events import event_key
from service.profiles.incoming import IncomingEvent, IncomingRequest
from service.sandboxes.scope import Scope

_ASKED = frozenset({"mobile", "web"})


@dataclass(frozen=True, slots=True)
class Admitted:
    """What of a batch is kept.

    Attributes:
        fresh: Events stored neither before this batch nor earlier in it.
        without_consent: By ``id`` of a request the indices of its events that are not kept.
        said: What devices and people say of collecting in this batch, by identity.
    """

    fresh: list[tuple[IncomingRequest, IncomingEvent]]
    without_consent: Mapping[int, tuple[int, ...]]
    said: Mapping[UUID, Said]


def admit(session: Session, scope: Scope, requests: Sequence[IncomingRequest]) -> Admitted:
    """Return what of a batch is kept; reads once and writes nothing."""
    first: dict[UUID, tuple[IncomingRequest, int, IncomingEvent]] = {}
    for request in requests:
        for index, event in enumerate(request.events):
            key = event_key(request.source.id, event.event_id)
            first.setdefault(key, (request, index, event))
    said = _said(requests)
    if not first:
        return Admitted([], {}, said)
    speaking = {
        key: consents.speakers(event.identities)
        for key, (request, _, event) in first.items()
        if request.source.platform in _ASKED
    }
    asked = {each for keys in speaking.values() for each in keys}
    known = events.known(session, scope, first, asked)
    fresh = []
    refused: dict[int, list[int]] = {}
    for key, (request, index, event) in first.items():
        if key in known.events:
            continue
        words = (said_of for who in speaking.get(key, ()) for said_of in _words(who, known, said))
        default = request.source.default_consent if key in speaking else COLLECTED
        if consents.newest(words, default) == COLLECTED:
            fresh.append((request, event))
        else:
            refused.setdefault(id(request), []).append(index)
    return Admitted(fresh, {key: tuple(each) for key, each in refused.items()}, said)


def _words(who: UUID, known: events.Known, said: Mapping[UUID, Said]) -> tuple[Said | None, ...]:
    return known.consents.get(who), said.get(who)


def _said(requests: Sequence[IncomingRequest]) -> dict[UUID, Said]:
    found: dict[UUID, Said] = {}
    for request in requests:
        for each in request.consents:
            if each.collect is None:
                continue
            at = min(each.at, request.received_at)
            for key in consents.speakers(each.identities):
                held = found.get(key)
                if held is None or held.at <= at:
                    found[key] = Said(each.collect, at)
    return found
