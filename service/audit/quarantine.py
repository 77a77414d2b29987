"""Bodies that the store refused, kept encrypted for the operator."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.audit.models import QuarantinedBody
from service.core.ids import new_key
from service.sandboxes.scope import Scope


def keep(
    session: Session,
    scope: Scope,
    *,
    source_id: UUID,
    error: str,
    ciphertext: str,
    now: datetime,
) -> None:
    """Store one refused body; ``error`` names the failure's class, never its values.

    The caller commits.
    """
    session.add(
        QuarantinedBody(
            sandbox_id=scope.sandbox_id,
            id=new_key(),
            source_id=source_id,
            received_at=now,
            error=error,
            body=ciphertext,
        ),
    )
    session.flush()
