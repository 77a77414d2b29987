"""Vendor tokens in the store, encrypted, each step a transaction of its own."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.core.secret import Keyring, Secret, SecretKeyError
from service.db.session import SessionFactory, unit_of_work
from service.outbound import token_rows
from service.outbound.shared_tokens import Claim, KeptToken, Minted
from service.sandboxes.scope import Scope


class VendorTokenStore:
    """The tokens of table ``vendor_token``. No transaction is open while one is minted."""

    def __init__(self, sessions: SessionFactory, keyring: Keyring) -> None:
        self._sessions = sessions
        self._keyring = keyring

    def claim(
        self, scope: Scope, key: UUID, *, refused: datetime | None, afresh: bool, lease_s: float
    ) -> Claim:
        """Return the token there is, and the lease when it wants renewing and nobody does it."""
        with unit_of_work(self._sessions) as session:
            row, now = token_rows.lock(session, scope, key)
            if refused is not None and row.updated_at == refused and row.token is not None:
                token_rows.forget(session, scope, key)
                kept = None
            else:
                kept = self._living(row, now)
            is_fresh = kept is not None and kept.fresh_s > 0 and not afresh
            is_renewed = row.renewing_until is not None and row.renewing_until > now
            if is_fresh or is_renewed:
                return Claim(kept)
            until = now + timedelta(seconds=lease_s)
            token_rows.lease(session, scope, key, until)
            return Claim(kept, until)

    def keep(
        self, scope: Scope, key: UUID, lease: datetime, minted: Minted, *, elapsed_s: float
    ) -> datetime | None:
        """Keep a token and what the next one is asked with, together; end the lease."""
        with unit_of_work(self._sessions) as session:
            row, now = token_rows.lock(session, scope, key)
            if row.renewing_until != lease:
                return None
            asked_at = now - timedelta(seconds=elapsed_s)
            token_rows.keep(
                session,
                scope,
                key,
                self._keyring.encrypt(minted.token),
                refresh_at=asked_at + timedelta(seconds=minted.refresh_after_s),
                expires_at=asked_at + timedelta(seconds=minted.life_s),
                now=now,
            )
            if minted.successor is not None:
                successor = self._keyring.encrypt(minted.successor)
                token_rows.keep_successor(session, scope, key, successor, now=now)
            return now

    def release(self, scope: Scope, key: UUID, lease: datetime) -> None:
        """End a lease without a token."""
        with unit_of_work(self._sessions) as session:
            token_rows.release(session, scope, key, lease)

    def successor(self, scope: Scope, key: UUID) -> Secret | None:
        """Return what the next token is to be asked with, ``None`` before the first."""
        with unit_of_work(self._sessions) as session:
            ciphertext = token_rows.successor(session, scope, key)
        return None if ciphertext is None else self._keyring.decrypt(ciphertext)

    def _living(self, row: Any, now: datetime) -> KeptToken | None:
        """Return the row's token; one whose key is gone is as good as none."""
        if row.token is None or row.expires_at is None or row.expires_at <= now:
            return None
        try:
            token = self._keyring.decrypt(row.token)
        except SecretKeyError:
            return None
        return KeptToken(
            token,
            row.updated_at,
            age_s=(now - row.updated_at).total_seconds(),
            fresh_s=(row.refresh_at - now).total_seconds(),
            left_s=(row.expires_at - now).total_seconds(),
        )
