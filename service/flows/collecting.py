"""Which events of a batch may be kept: new ones, from devices that allow it.

What a device says in the same batch counts, so a page that gives its consent and goes on is not
refused for the order of two statements. Inlets are the customer's own servers and are not asked.
Source: Edge Network API, ``EXEG-0301-200``; service/decisions/0014-consent.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from sqlalchemy.orm import Session

from service.identity import consents
from service.identity.consents import COLLECTED, Said
from service.identity.linking import NamespaceRules
from service.profiles import events
from service.profiles.events import event_key
from service.profiles.incoming import IncomingEvent, IncomingRequest
from service.sandboxes.scope import Scope

_Place: TypeAlias = tuple[IncomingRequest, int, IncomingEvent]
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


def admit(
    session: Session, scope: Scope, requests: Sequence[IncomingRequest], rules: NamespaceRules
) -> Admitted:
    """Return what of a batch is kept; reads once and writes nothing.

    An event that a batch brings several times is judged as it came first; when that one has no
    consent, none of them has.
    """
    same: dict[UUID, list[_Place]] = {}
    for request in requests:
        for index, event in enumerate(request.events):
            key = event_key(request.source.id, event.event_id)
            same.setdefault(key, []).append((request, index, event))
    said = _said(requests, rules)
    if not same:
        return Admitted([], {}, said)
    speaking = {
        key: consents.speakers(event.identities, rules)
        for key, ((request, _, event), *_) in same.items()
        if request.source.platform in _ASKED
    }
    asked = {each for keys in speaking.values() for each in keys}
    known = events.known(session, scope, same, asked)
    fresh = []
    refused: dict[int, list[int]] = {}
    for key, places in same.items():
        if key in known.events:
            continue
        request, _, event = places[0]
        who = speaking.get(key, ())
        # Of equal moments the later counts, as where registers are written.
        words = [*(known.consents.get(each) for each in who), *(said.get(each) for each in who)]
        default = request.source.default_consent if key in speaking else COLLECTED
        if consents.newest(words, default) == COLLECTED:
            fresh.append((request, event))
        else:
            for place in places:
                refused.setdefault(id(place[0]), []).append(place[1])
    return Admitted(fresh, {key: tuple(sorted(each)) for key, each in refused.items()}, said)


def _said(requests: Sequence[IncomingRequest], rules: NamespaceRules) -> dict[UUID, Said]:
    found: dict[UUID, Said] = {}
    for request in requests:
        for each in request.consents:
            if each.collect is None:
                continue
            at = min(each.at, request.received_at)
            for key in consents.speakers(each.identities, rules):
                held = found.get(key)
                if held is None or held.at <= at:
                    found[key] = Said(each.collect, at)
    return found
