"""Which deployed configs hold for a call: the pure part of the endpoint directory.

Adobe leaves open which of several configs decides. Here the most specific pattern does, apart for
capping and throttling: exact before wildcard, then the longer literal prefix, then the latest
deployed. The connection limits of all that match hold.

Source: service/decisions/0021-endpoint-configs.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service.outbound.connections import ConnectionLimit
from service.outbound.endpoint_capping import UNLIMITED
from service.outbound.endpoint_documents import ConfigKind, OnExceed, own_terms
from service.outbound.endpoint_kinds import RULES, caps_of
from service.outbound.endpoint_limits import Rate, RateKind
from service.outbound.endpoint_patterns import Pattern, parse_pattern
from service.outbound.models import EndpointConfig


@dataclass(frozen=True, slots=True)
class Entry:
    """What a deployed config says about the calls of one service."""

    config_id: UUID
    kind: ConfigKind
    service: str
    url: str
    pattern: Pattern
    methods: frozenset[str]
    rate: Rate
    connections: ConnectionLimit | None
    deployed_at: datetime

    @property
    def precedence(self) -> tuple[tuple[bool, int], datetime, UUID]:
        """Return what orders configs of one kind; the greatest decides."""
        return self.pattern.specificity, self.deployed_at, self.config_id


@dataclass(frozen=True, slots=True)
class Match:
    """A config that holds for a call.

    Attributes:
        entry: What it says.
        is_whole: It covers the URL whatever stands for its unknown parts.
        decides: A permit under its rate is needed.
    """

    entry: Entry
    is_whole: bool
    decides: bool


def entries_of(config: EndpointConfig) -> tuple[Entry, ...]:
    """Return what a deployed config says, one entry for each service."""
    copy: Any = config.deployed
    if copy is None or config.deployed_at is None:
        return ()
    kind = ConfigKind(config.kind)
    is_capping = kind is ConfigKind.CAPPING
    url = copy[RULES[kind].url_key]
    terms = own_terms(copy, default=OnExceed.DROP if is_capping else OnExceed.QUEUE)
    found = []
    for service, cap in caps_of(config).items():
        most = copy["services"][service]["maxHttpConnections"] if is_capping else UNLIMITED
        rate = Rate(
            cap, config.id, terms.on_exceed, terms.expire_after, terms.weights, RateKind(kind)
        )
        found.append(
            Entry(
                config_id=config.id,
                kind=kind,
                service=service,
                url=url,
                pattern=parse_pattern(url),
                methods=frozenset(copy["methods"]),
                rate=rate,
                connections=None if most == UNLIMITED else ConnectionLimit(cap.id, most),
                deployed_at=config.deployed_at,
            )
        )
    return tuple(found)


def matching(
    entries: Iterable[Entry], *, service: str, method: str, target: Pattern
) -> tuple[Match, ...]:
    """Return the configs that hold for a call, the most specific first.

    Of a URL with unknown parts every config decides that is the most specific for some of the URLs
    it stands for: those down to the first that covers it whole.
    """
    found = [
        each
        for each in entries
        if each.service == service and method in each.methods and each.pattern.meets(target)
    ]
    undecided = set(ConfigKind)
    matches = []
    for entry in sorted(found, key=lambda each: each.precedence, reverse=True):
        is_whole = entry.pattern.covers(target)
        matches.append(Match(entry, is_whole, entry.kind in undecided))
        if is_whole:
            undecided.discard(entry.kind)
    return tuple(matches)
