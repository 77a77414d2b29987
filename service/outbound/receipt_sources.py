"""Where vendors post their receipts: a source has its own URL and secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, NotFoundError
from service.core.ids import new_key
from service.core.secret import Keyring, Secret
from service.outbound.models import ReceiptSource
from service.outbound.receipt_signatures import check_secret
from service.sandboxes.models import Sandbox
from service.sandboxes.scope import Scope

_FIND = (
    select(ReceiptSource, Sandbox.name)
    .join(Sandbox, Sandbox.id == ReceiptSource.sandbox_id)
    .prefix_with("/* across sandboxes: find-receipt-source */")
)


@dataclass(frozen=True, slots=True)
class NewReceiptSource:
    """A source to make.

    Attributes:
        public_url: The URL that the vendor calls, when a proxy changes it on the way here.
    """

    name: str
    provider: str
    secret: Secret
    public_url: str | None = None


def create(
    session: Session, scope: Scope, keyring: Keyring, new: NewReceiptSource, *, now: datetime
) -> ReceiptSource:
    """Make a source. The caller commits.

    Raises:
        ConflictError: The name is taken.
        InvalidInputError: No signature could be checked with the secret.
    """
    check_secret(new.provider, new.secret.reveal())
    if session.scalar(_all(scope).where(ReceiptSource.name == new.name)) is not None:
        raise ConflictError(f"There is a receipt source {new.name} already.")
    row = ReceiptSource(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        name=new.name,
        provider=new.provider,
        settings={"publicUrl": new.public_url},
        secret=keyring.encrypt(new.secret),
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    return row


def list_page(
    session: Session, scope: Scope, *, limit: int, after: UUID | None = None
) -> Sequence[ReceiptSource]:
    """Return up to ``limit`` sources, oldest first, after that of ``after``."""
    query = _all(scope)
    if after is not None:
        query = query.where(ReceiptSource.id > after)
    return tuple(session.scalars(query.order_by(ReceiptSource.id).limit(limit)))


def get(session: Session, scope: Scope, source_id: UUID) -> ReceiptSource:
    """Return one source.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
    """
    row = session.scalar(_all(scope).where(ReceiptSource.id == source_id))
    if row is None:
        raise NotFoundError(f"There is no receipt source {source_id}.")
    return row


def delete(session: Session, scope: Scope, source_id: UUID) -> ReceiptSource:
    """Remove a source; what its vendor posts from now on is not found. The caller commits.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
    """
    row = get(session, scope, source_id)
    session.delete(row)
    return row


def find(session: Session, source_id: UUID) -> tuple[Scope, ReceiptSource] | None:
    """Return a source and its sandbox by nothing but its id."""
    found = session.execute(_FIND.where(ReceiptSource.id == source_id)).one_or_none()
    return None if found is None else (Scope(found[0].sandbox_id, found[1]), found[0])


def _all(scope: Scope) -> Select[ReceiptSource]:
    return select(ReceiptSource).where(ReceiptSource.sandbox_id == scope.sandbox_id)
