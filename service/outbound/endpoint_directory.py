"""Which limits hold for a call, kept for a moment so that a busy lane need not ask each time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.clock import Clock
from service.outbound import endpoint_configs
from service.outbound.endpoint_capping import ACTION
from service.outbound.endpoint_choice import Entry, Match, entries_of, matching
from service.outbound.endpoint_documents import ConfigKind, OnExceed
from service.outbound.endpoint_limits import (
    SLOW_LATENCY_MS,
    Limits,
    Rate,
    RateKind,
    built_in_rate,
    slow_endpoint_rate,
)
from service.outbound.endpoint_patterns import Pattern, parse_target
from service.outbound.models import Destination
from service.sandboxes.scope import Scope

__all__ = ["EndpointDirectory", "Explained", "Limits", "OnExceed", "Rate", "RateKind"]


@dataclass(frozen=True, slots=True)
class Explained:
    """What holds for a call, and which configs that comes from, the most specific first."""

    matches: tuple[Match, ...]
    limits: Limits


@dataclass(frozen=True, slots=True)
class _Known:
    """A sandbox's configs as they were read, and what followed from them so far."""

    read_at: float
    entries: tuple[Entry, ...]
    slow_hosts: frozenset[str]
    limits: dict[tuple[str, str, str], Limits] = field(default_factory=dict)


class EndpointDirectory:
    """The deployed configs of each sandbox, read again when they are older than ``life_s``.

    Shared by the threads of a process. Its caller's transaction does the reading. With
    ``slow_endpoint_rule`` hosts that answer late have Journey Optimizer's lower built-in cap too.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        headroom_percent: float = 0.0,
        life_s: float = 1.0,
        slow_endpoint_rule: bool = False,
    ) -> None:
        self._clock = clock
        self._headroom_percent = headroom_percent
        self._life_s = life_s
        self._slow_endpoint_rule = slow_endpoint_rule
        self._known: dict[int, _Known] = {}

    def limits(
        self, session: Session, scope: Scope, *, method: str, url: str, service: str = ACTION
    ) -> Limits:
        """Return what holds for calls of a service, custom actions by default, to a URL.

        ``*`` in the URL stands for a part that only the call will know.

        Raises:
            ValueError: It is not an http or https URL.
        """
        known = self._read(session, scope)
        asked = service, method, url
        limits = known.limits.get(asked)
        if limits is None:
            limits = known.limits[asked] = self._explained(known, *asked).limits
        return limits

    def explain(
        self, session: Session, scope: Scope, *, method: str, url: str, service: str = ACTION
    ) -> Explained:
        """Return what ``limits`` does, and why.

        Raises:
            ValueError: It is not an http or https URL.
        """
        return self._explained(self._read(session, scope), service, method, url)

    def forget(self, scope: Scope) -> None:
        """Read a sandbox's configs again at the next question."""
        self._known.pop(scope.sandbox_id, None)

    def _explained(self, known: _Known, service: str, method: str, url: str) -> Explained:
        target = parse_target(url)
        matches = matching(known.entries, service=service, method=method, target=target)
        rates = [each.entry.rate for each in matches if each.decides]
        if not any(each.is_whole for each in matches if each.entry.kind is ConfigKind.CAPPING):
            rates += self._built_in(known, service, target, matches)
        capped = [
            replace(each, cap=each.cap.with_headroom(self._headroom_percent)) for each in rates
        ]
        held = [each.entry.connections for each in matches if each.entry.connections is not None]
        limits = Limits(
            tuple(sorted(capped, key=lambda each: each.cap.id)),
            tuple(sorted(held, key=lambda each: each.cap_id)),
        )
        return Explained(matches, limits)

    def _built_in(
        self, known: _Known, service: str, target: Pattern, matches: Sequence[Match]
    ) -> list[Rate]:
        """Return the built-in rates; where a throttling config holds they queue as it does."""
        host = urlsplit(target.origin).hostname or ""
        rates = [built_in_rate(host, service)]
        if service == ACTION and host in known.slow_hosts:
            rates.append(slow_endpoint_rate(host))
        for match in matches:
            queueing = match.entry.rate
            if match.entry.kind is ConfigKind.THROTTLING:
                waits = queueing.expire_after
                return [
                    replace(each, on_exceed=OnExceed.QUEUE, expire_after=waits) for each in rates
                ]
        return rates

    def _read(self, session: Session, scope: Scope) -> _Known:
        now = self._clock.monotonic()
        known = self._known.get(scope.sandbox_id)
        if known is not None and now - known.read_at < self._life_s:
            return known
        entries = tuple(
            entry
            for config in endpoint_configs.deployed(session, scope)
            for entry in entries_of(config)
        )
        slow_hosts = self._read_slow_hosts(session, scope)
        known = self._known[scope.sandbox_id] = _Known(now, entries, slow_hosts)
        return known

    def _read_slow_hosts(self, session: Session, scope: Scope) -> frozenset[str]:
        if not self._slow_endpoint_rule:
            return frozenset()
        slow = select(Destination.host).where(
            Destination.sandbox_id == scope.sandbox_id, Destination.latency_ms > SLOW_LATENCY_MS
        )
        return frozenset(session.scalars(slow))
