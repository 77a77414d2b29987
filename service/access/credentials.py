"""OAuth2 clients: a secret is shown once and kept as a salted hash."""

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.access.models import ApiCredential
from service.access.permissions import Permission, known
from service.core.errors import NotFoundError
from service.core.secret import Secret

# a secret has 256 random bits: the cost need not stop guessing, only keep a stolen row useless
_COST = {"n": 1 << 12, "r": 8, "p": 1}
_SALT_BYTES = 16
_UNKNOWN = "scrypt$AAAAAAAAAAAAAAAAAAAAAA==$AAAA"


@dataclass(frozen=True, slots=True)
class Credential:
    """A client and what it may do; ``*`` among the sandboxes means all of them."""

    client_id: str
    name: str
    permissions: tuple[Permission, ...]
    sandboxes: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None
    secret_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewCredential:
    """A client to create."""

    name: str
    permissions: Sequence[Permission]
    sandboxes: Sequence[str]


def create(session: Session, new: NewCredential, *, now: datetime) -> tuple[Credential, Secret]:
    """Create a client and return it with its secret, which nobody can read again.

    The caller commits.
    """
    secret = Secret(secrets.token_urlsafe(32))
    row = ApiCredential(
        client_id=secrets.token_hex(16),
        name=new.name,
        secret_hash=_hash(secret, secrets.token_bytes(_SALT_BYTES)),
        scopes=sorted(new.permissions),
        sandboxes=sorted(new.sandboxes),
        created_at=now,
        revoked_at=None,
    )
    session.add(row)
    session.flush()
    return _read(row), secret


def find_active(session: Session, client_id: str) -> Credential | None:
    """Return a client that was not revoked."""
    row = session.get(ApiCredential, client_id)
    return None if row is None or row.revoked_at is not None else _read(row)


def proves(credential: Credential | None, secret: Secret) -> bool:
    """Tell whether a secret is the client's; takes as long when there is no such client.

    Some milliseconds of computing: called while no transaction is open.
    """
    stored = _UNKNOWN if credential is None else credential.secret_hash
    salt = b64decode(stored.split("$")[1])
    is_right = hmac.compare_digest(_hash(secret, salt), stored)
    return is_right and credential is not None


def revoke(session: Session, client_id: str, *, now: datetime) -> Credential:
    """End a client; its access tokens end within five seconds. Revoking twice changes nothing.

    The caller commits.

    Raises:
        NotFoundError: There is no such client.
    """
    row = session.get(ApiCredential, client_id)
    if row is None:
        raise NotFoundError(f"There is no credential {client_id}.")
    row.revoked_at = row.revoked_at or now
    session.flush()
    return _read(row)


def list_all(session: Session) -> tuple[Credential, ...]:
    """Return every client, oldest first, the revoked ones too."""
    order = (ApiCredential.created_at, ApiCredential.client_id)
    return tuple(_read(row) for row in session.scalars(select(ApiCredential).order_by(*order)))


def _read(row: ApiCredential) -> Credential:
    return Credential(
        row.client_id,
        row.name,
        known(row.scopes),
        tuple(row.sandboxes),
        row.created_at,
        row.revoked_at,
        row.secret_hash,
    )


def _hash(secret: Secret, salt: bytes) -> str:
    digest = hashlib.scrypt(secret.reveal().encode(), salt=salt, dklen=32, **_COST)
    return f"scrypt${b64encode(salt).decode()}${b64encode(digest).decode()}"
