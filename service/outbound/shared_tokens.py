"""Tokens got from vendors or signed for them: one per credential, for every process.

A process keeps a copy of its own, so that the hot path asks nobody. When the copy wants renewing,
one process at a time mints the successor under a lease in the store; while the old token lives, all
others go on with it.

Source: service/decisions/0022-vendor-tokens.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Protocol, TypeAlias
from uuid import UUID

from service.core.clock import Clock
from service.core.errors import EdgepostError, StoreUnavailableError
from service.core.secret import Secret
from service.sandboxes.scope import Scope

LEASE_S = 20.0
"""How long a process may take to mint; longer than any token endpoint is waited for."""

_LOOK_AGAIN_S = 1.0
_PAUSE_S = 1.0
_RENEWAL_PAUSE_S = 5.0
_REFUSAL_PAUSE_S = 10.0
_POLL_S = 0.1
_KEEP_TRIES = 3
_NEVER = float("-inf")


class TokenUnavailableError(EdgepostError):
    """No token could be had, so nothing was sent.

    Attributes:
        may_retry: Whether waiting can help; else an operator must correct the credential.
    """

    def __init__(self, detail: str, *, may_retry: bool) -> None:
        super().__init__(detail)
        self.may_retry = may_retry


@dataclass(frozen=True, slots=True)
class Minted:
    """A token as it was got; its times count from the moment it was asked for.

    Attributes:
        life_s: How long the vendor takes it.
        refresh_after_s: When its successor is asked for, while it still lives.
        successor: What the next one is asked with, where asking uses the credential up.
    """

    token: Secret
    life_s: float
    refresh_after_s: float
    successor: Secret | None = None


Mint: TypeAlias = Callable[[], Minted]
"""Gets or signs a token; may block for ten seconds; raises ``TokenUnavailableError``."""


@dataclass(frozen=True, slots=True)
class KeptToken:
    """A token of the store that lives.

    Attributes:
        version: Tells it from those before and after it.
        age_s: How long ago it was kept.
        fresh_s: How long until it wants renewing; negative when that is over.
        left_s: How long until it ends.
    """

    token: Secret
    version: datetime
    age_s: float
    fresh_s: float
    left_s: float


@dataclass(frozen=True, slots=True)
class Claim:
    """What the store says to a process that wants a token.

    Attributes:
        kept: The token there is.
        lease: Set when this process is to renew it; names the lease.
    """

    kept: KeptToken | None = None
    lease: datetime | None = None


class TokenStore(Protocol):
    """Where tokens are kept for all processes; each method is a transaction of its own.

    All raise ``StoreUnavailableError``.
    """

    def claim(
        self, scope: Scope, key: UUID, *, refused: datetime | None, afresh: bool, lease_s: float
    ) -> Claim:
        """Return the token there is, and the lease when it wants renewing and nobody does it.

        The version ``refused`` counts as none. With ``afresh`` even a fresh token is renewed.
        """
        ...

    def keep(
        self, scope: Scope, key: UUID, lease: datetime, minted: Minted, *, elapsed_s: float
    ) -> datetime | None:
        """Keep a token asked for ``elapsed_s`` ago and end the lease; return its version.

        ``None`` when the lease had ended and another process has renewed meanwhile.
        """
        ...

    def release(self, scope: Scope, key: UUID, lease: datetime) -> None:
        """End a lease without a token."""
        ...

    def successor(self, scope: Scope, key: UUID) -> Secret | None:
        """Return what the next token is to be asked with, ``None`` before the first."""
        ...


@dataclass(slots=True)
class _Held:
    """This process's copy; moments are monotonic seconds."""

    token: Secret
    version: datetime | None
    made_at: float
    refresh_at: float
    expires_at: float


@dataclass(slots=True)
class _Credential:
    """What this process knows of one credential in one sandbox."""

    asking: Lock = field(default_factory=Lock)
    held: _Held | None = None
    refused: datetime | None = None
    refused_at: float = _NEVER
    failed_at: float = _NEVER
    failure: TokenUnavailableError | None = None


class SharedTokens:
    """Tokens by sandbox and credential; safe between threads and processes."""

    def __init__(self, store: TokenStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._known: dict[tuple[int, UUID], _Credential] = {}

    def bearer(self, scope: Scope, key: UUID, mint: Mint, *, afresh: bool = False) -> Secret:
        """Return a token that lives; blocks only when one must be got.

        If renewing fails while the old token lives, that is used on. A failure without one is
        repeated to whoever asks within a second, so that a batch does not ask once per message.

        Args:
            scope: The sandbox.
            key: Names the credential; another secret is another key.
            mint: Gets the successor.
            afresh: Get one whatever there is.

        Raises:
            TokenUnavailableError: There is none.
        """
        known = self._known.get((scope.sandbox_id, key)) or self._meet(scope, key)
        held, now = known.held, self._clock.monotonic()
        if held is not None and now < held.refresh_at and not afresh:
            return held.token
        is_usable = held is not None and now < held.expires_at and not afresh
        if not known.asking.acquire(blocking=not is_usable) and held is not None:
            return held.token
        try:
            if known.held is not None and known.held is not held and not afresh:
                return known.held.token
            return self._renewed(scope, key, known, mint, afresh=afresh)
        finally:
            known.asking.release()

    def refuse(self, scope: Scope, key: UUID, token: Secret, *, min_age_s: float = 0.0) -> None:
        """Take note that the vendor refused a token: the next ``bearer`` gets another.

        A newer token than the refused one stays, so a burst of refusals causes one renewal. So
        does one younger than ``min_age_s``, where a vendor bears only so many. A vendor that
        refuses whatever it is shown makes this process ask for a token once in ten seconds.
        """
        known = self._known.get((scope.sandbox_id, key))
        held = known.held if known is not None else None
        if known is None or held is None or held.token != token:
            return
        now = self._clock.monotonic()
        if now - held.made_at >= min_age_s and now - known.refused_at >= _REFUSAL_PAUSE_S:
            known.refused, known.refused_at = held.version, now
            known.held = None

    def successor(self, scope: Scope, key: UUID) -> Secret | None:
        """Return what the next token is to be asked with, ``None`` before the first.

        Raises:
            TokenUnavailableError: The store cannot be reached.
        """
        try:
            return self._store.successor(scope, key)
        except StoreUnavailableError as error:
            raise _without_store() from error

    def _meet(self, scope: Scope, key: UUID) -> _Credential:
        with self._lock:
            return self._known.setdefault((scope.sandbox_id, key), _Credential())

    def _renewed(
        self, scope: Scope, key: UUID, known: _Credential, mint: Mint, *, afresh: bool
    ) -> Secret:
        now = self._clock.monotonic()
        if known.failure is not None and now - known.failed_at < _PAUSE_S and not afresh:
            raise known.failure
        try:
            held = self._got(scope, key, known, mint, afresh=afresh)
        except (TokenUnavailableError, StoreUnavailableError) as error:
            failed_at = self._clock.monotonic()
            old = known.held
            if old is not None and failed_at < old.expires_at and not afresh:
                old.refresh_at = failed_at + _RENEWAL_PAUSE_S
                return old.token
            failure = error if isinstance(error, TokenUnavailableError) else _without_store()
            known.failed_at, known.failure = failed_at, failure
            raise failure from error
        known.held, known.failure = held, None
        return held.token

    def _got(
        self, scope: Scope, key: UUID, known: _Credential, mint: Mint, *, afresh: bool
    ) -> _Held:
        give_up_at = self._clock.monotonic() + LEASE_S
        while True:
            asked_at = self._clock.monotonic()
            claim = self._store.claim(
                scope, key, refused=known.refused, afresh=afresh, lease_s=LEASE_S
            )
            if claim.lease is not None:
                return self._minted(scope, key, claim, claim.lease, mint, afresh=afresh)
            if claim.kept is not None and not afresh:
                return _copy(claim.kept, asked_at)
            if asked_at >= give_up_at:
                raise TokenUnavailableError(
                    "Another process is getting the token and has not ended.", may_retry=True
                )
            self._clock.wait(_POLL_S)

    def _minted(
        self, scope: Scope, key: UUID, claim: Claim, lease: datetime, mint: Mint, *, afresh: bool
    ) -> _Held:
        asked_at = self._clock.monotonic()
        try:
            minted = mint()
        except TokenUnavailableError:
            self._store.release(scope, key, lease)
            if claim.kept is None or afresh:
                raise
            held = _copy(claim.kept, asked_at)
            held.refresh_at = self._clock.monotonic() + _RENEWAL_PAUSE_S
            return held
        except BaseException:
            self._store.release(scope, key, lease)
            raise
        elapsed_s = self._clock.monotonic() - asked_at
        version = self._kept(scope, key, lease, minted, elapsed_s)
        return _Held(
            minted.token,
            version,
            made_at=asked_at,
            refresh_at=asked_at + minted.refresh_after_s,
            expires_at=asked_at + minted.life_s,
        )

    def _kept(
        self, scope: Scope, key: UUID, lease: datetime, minted: Minted, elapsed_s: float
    ) -> datetime | None:
        """Keep a token for all; while the store is away this process goes on with it alone."""
        for _ in range(_KEEP_TRIES):
            try:
                return self._store.keep(scope, key, lease, minted, elapsed_s=elapsed_s)
            except StoreUnavailableError:
                self._clock.wait(_PAUSE_S)
                elapsed_s += _PAUSE_S
        return None


def _copy(kept: KeptToken, asked_at: float) -> _Held:
    """Return a process's copy; one that another process renews is looked at again soon."""
    return _Held(
        kept.token,
        kept.version,
        made_at=asked_at - kept.age_s,
        refresh_at=asked_at + min(max(kept.fresh_s, _LOOK_AGAIN_S), kept.left_s),
        expires_at=asked_at + kept.left_s,
    )


def _without_store() -> TokenUnavailableError:
    return TokenUnavailableError("The store of tokens cannot be reached.", may_retry=True)
