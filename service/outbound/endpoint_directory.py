"""Which limits hold for a call, kept for a moment so that a busy lane need not ask each time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.clock import Clock
from service.core.ids import derived_key
from service.outbound import endpoint_configs
from service.outbound.capping import Cap
from service.outbound.connections import ConnectionLimit
from service.outbound.endpoint_patterns import ACTION, UNLIMITED, Pattern, parse_pattern
from service.sandboxes.scope import Scope

DEFAULT_MAX_CALLS_COUNT = 300_000
DEFAULT_PERIOD_IN_MS = 60_000


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for the calls of one method to one URL.

    Attributes:
        cap: The rate, headroom taken off.
        config_id: The config that sets the rate; ``None`` for the built-in one.
        connections: The limits of all configs that match; none means unlimited.
    """

    cap: Cap
    config_id: UUID | None
    connections: tuple[ConnectionLimit, ...]


@dataclass(frozen=True, slots=True)
class _Entry:
    cap: Cap
    pattern: Pattern
    methods: frozenset[str]
    max_http_connections: int
    deployed_at: datetime


class EndpointDirectory:
    """The deployed configs of each sandbox, read again when they are older than ``life_s``.

    Shared by the threads of a process. Its caller's transaction does the reading.
    """

    def __init__(self, clock: Clock, *, headroom_percent: float = 0.0, life_s: float = 1.0) -> None:
        self._clock = clock
        self._headroom_percent = headroom_percent
        self._life_s = life_s
        self._known: dict[int, tuple[float, tuple[_Entry, ...]]] = {}

    def limits(self, session: Session, scope: Scope, *, method: str, url: str) -> Limits:
        """Return what holds for custom actions that call ``url``.

        Without a config the built-in cap holds: 300,000 calls a minute per host and sandbox.

        Source: Journey Optimizer, guardrails of custom actions.
        """
        matching = [
            entry
            for entry in self._entries(session, scope)
            if method in entry.methods and entry.pattern.covers(url)
        ]
        connections = tuple(
            ConnectionLimit(entry.cap.id, entry.max_http_connections)
            for entry in sorted(matching, key=lambda entry: entry.cap.id)
            if entry.max_http_connections != UNLIMITED
        )
        if not matching:
            return Limits(self._headroom(built_in_cap(url)), None, connections)
        chosen = max(matching, key=lambda entry: (entry.pattern.specificity, entry.deployed_at))
        return Limits(self._headroom(chosen.cap), chosen.cap.id, connections)

    def forget(self, scope: Scope) -> None:
        """Read a sandbox's configs again at the next question."""
        self._known.pop(scope.sandbox_id, None)

    def _headroom(self, cap: Cap) -> Cap:
        return cap.with_headroom(self._headroom_percent)

    def _entries(self, session: Session, scope: Scope) -> tuple[_Entry, ...]:
        now = self._clock.monotonic()
        known = self._known.get(scope.sandbox_id)
        if known is not None and now - known[0] < self._life_s:
            return known[1]
        entries = tuple(
            _entry(config, config.deployed, config.deployed_at)
            for config in endpoint_configs.deployed(session, scope)
            if config.deployed_at is not None and ACTION in _services(config.deployed)
        )
        self._known[scope.sandbox_id] = (now, entries)
        return entries


def built_in_cap(url: str) -> Cap:
    """Return the cap that holds for a host without a config."""
    host = (urlsplit(url).hostname or "").lower()
    return Cap(derived_key("built-in cap", host), DEFAULT_MAX_CALLS_COUNT, DEFAULT_PERIOD_IN_MS)


def _services(copy: Any) -> Any:
    return copy["services"]


def _entry(config: Any, copy: Any, deployed_at: datetime) -> _Entry:
    return _Entry(
        endpoint_configs.cap_of(config),
        parse_pattern(copy["url"]),
        frozenset(copy["methods"]),
        copy["services"][ACTION]["maxHttpConnections"],
        deployed_at,
    )
