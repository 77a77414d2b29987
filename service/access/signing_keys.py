"""Keys that sign access tokens: one signs, older ones verify until their tokens have ended."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from service.access.models import SigningKey
from service.core.ids import new_key
from service.core.secret import Keyring, Secret


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key as tokens use it; ``kid`` names it in their header."""

    kid: str
    secret: Secret


def current(session: Session, keyring: Keyring, *, now: datetime) -> TokenKey:
    """Return the key that signs now, made at the first call. The caller commits.

    Raises:
        SecretKeyError: The key that encrypted it is not configured.
    """
    chosen = select(SigningKey).where(SigningKey.retired_at.is_(None))
    newest = chosen.order_by(SigningKey.created_at.desc(), SigningKey.kid.desc()).limit(1)
    row = session.scalar(newest)
    return _add(session, keyring, now) if row is None else _read(row, keyring)


def rotate(session: Session, keyring: Keyring, *, token_life_s: int, now: datetime) -> TokenKey:
    """Make a new key sign; tokens of the older ones stay valid until they end by themselves.

    The caller commits.
    """
    ends = now + timedelta(seconds=token_life_s)
    session.execute(
        update(SigningKey).where(SigningKey.retired_at.is_(None)).values(retired_at=ends),
    )
    return _add(session, keyring, now)


def verifying(session: Session, keyring: Keyring, *, now: datetime) -> Mapping[str, TokenKey]:
    """Return every key that may have signed a token which is still valid, by ``kid``."""
    alive = or_(SigningKey.retired_at.is_(None), SigningKey.retired_at > now)
    rows = session.scalars(select(SigningKey).where(alive))
    return {row.kid: _read(row, keyring) for row in rows}


def _add(session: Session, keyring: Keyring, now: datetime) -> TokenKey:
    key = TokenKey(new_key().hex, Secret(secrets.token_urlsafe(48)))
    row = SigningKey(
        kid=key.kid,
        secret=keyring.encrypt(key.secret),
        created_at=now,
        retired_at=None,
    )
    session.add(row)
    session.flush()
    return key


def _read(row: SigningKey, keyring: Keyring) -> TokenKey:
    return TokenKey(row.kid, keyring.decrypt(row.secret))
