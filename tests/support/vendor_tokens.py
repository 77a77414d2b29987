"""Vendor tokens without a store, and token endpoints that do as told."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import parse_qs
from uuid import UUID

from service.core import json
from service.core.clock import Clock
from service.core.errors import StoreUnavailableError
from service.core.secret import Keyring, Secret, new_secret_key
from service.outbound.auth import VendorTokens
from service.outbound.connection_spec import ConnectionSpec
from service.outbound.shared_tokens import Claim, KeptToken, Minted, SharedTokens
from service.outbound.transport import CallParts
from service.outbound.transport_form import AskToken, FormError
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock


@dataclass
class _Row:
    minted: Minted | None = None
    version: datetime | None = None
    asked_at: datetime | None = None
    leased_until: datetime | None = None


@dataclass
class MemoryTokenStore:
    """A token store in memory, for tests that are about something else than the store."""

    clock: Clock
    rows: dict[tuple[int, UUID], _Row] = field(default_factory=dict)
    successors: dict[tuple[int, UUID], Secret] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    is_away: bool = False
    lost_keeps: int = 0

    def claim(
        self, scope: Scope, key: UUID, *, refused: datetime | None, afresh: bool, lease_s: float
    ) -> Claim:
        """Return the token there is, and the lease when it wants renewing and nobody does it."""
        if self.is_away:
            raise StoreUnavailableError("away")
        now = self.clock.now()
        with self.lock:
            row = self.rows.setdefault((scope.sandbox_id, key), _Row())
            if refused is not None and row.version == refused:
                row.minted = None
            kept = _kept(row, now)
            if (kept is not None and kept.fresh_s > 0 and not afresh) or (
                row.leased_until is not None and row.leased_until > now
            ):
                return Claim(kept)
            row.leased_until = now + timedelta(seconds=lease_s)
            return Claim(kept, row.leased_until)

    def keep(
        self, scope: Scope, key: UUID, lease: datetime, minted: Minted, *, elapsed_s: float
    ) -> datetime | None:
        """Keep a token and end the lease."""
        if self.lost_keeps:
            self.lost_keeps -= 1
            raise StoreUnavailableError("away")
        with self.lock:
            row = self.rows[scope.sandbox_id, key]
            if row.leased_until != lease:
                return None
            previous = row.version
            row.minted, row.leased_until = minted, None
            row.asked_at = self.clock.now() - timedelta(seconds=elapsed_s)
            row.version = max(self.clock.now(), (previous or lease) + timedelta(microseconds=1))
            if minted.successor is not None:
                self.successors[scope.sandbox_id, key] = minted.successor
            return row.version

    def release(self, scope: Scope, key: UUID, lease: datetime) -> None:
        """End a lease without a token."""
        with self.lock:
            row = self.rows[scope.sandbox_id, key]
            if row.leased_until == lease:
                row.leased_until = None

    def successor(self, scope: Scope, key: UUID) -> Secret | None:
        """Return what the next token is to be asked with."""
        return self.successors.get((scope.sandbox_id, key))


def _kept(row: _Row, now: datetime) -> KeptToken | None:
    if row.minted is None or row.asked_at is None or row.version is None:
        return None
    age_s = (now - row.asked_at).total_seconds()
    if age_s >= row.minted.life_s:
        return None
    fresh_s = row.minted.refresh_after_s - age_s
    return KeptToken(row.minted.token, row.version, age_s, fresh_s, row.minted.life_s - age_s)


class TokenEndpoint:
    """Answers with numbered tokens, or as told."""

    def __init__(self, *, life_s: float = 3600, waits_for: threading.Event | None = None) -> None:
        self.asked: list[tuple[CallParts, ConnectionSpec]] = []
        self.life_s = life_s
        self.trouble: FormError | None = None
        self.answer: Mapping[str, object] | bytes | None = None
        self._waits_for = waits_for

    @property
    def forms(self) -> list[tuple[str, dict[str, str]]]:
        """Every URL and form so far."""
        return [(parts.url, form_of(parts)) for parts, _ in self.asked]

    def __call__(self, parts: CallParts, connection: ConnectionSpec) -> bytes:
        self.asked.append((parts, connection))
        if self._waits_for is not None:
            self._waits_for.wait(5)
        if self.trouble is not None:
            raise self.trouble
        if isinstance(self.answer, bytes):
            return self.answer
        token = f"token-{len(self.asked)}"
        body = {"access_token": token, "expires_in": self.life_s, "token_type": "Bearer"}
        return json.encode({**body, **(self.answer or {})})


def form_of(parts: CallParts) -> dict[str, str]:
    """Return the fields of a form."""
    return {name: values[0] for name, values in parse_qs(parts.body.decode()).items()}


def tokens_of(ask: AskToken, clock: Clock, store: MemoryTokenStore | None = None) -> VendorTokens:
    """Return one process's tokens."""
    shared = SharedTokens(store or MemoryTokenStore(clock), clock)
    return VendorTokens(shared, ask, clock, Keyring.of([new_secret_key()]).fingerprint)


def nobodys_tokens() -> VendorTokens:
    """Return tokens that nobody asks for."""
    return tokens_of(no_token_endpoint, FixedClock())


def no_token_endpoint(_parts: CallParts, _connection: ConnectionSpec) -> bytes:
    """Fail the test: no token was to be asked for."""
    raise AssertionError("nobody asks for a token here")
