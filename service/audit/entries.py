"""What was refused, dropped or changed, and by whom; written where it happens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.audit.models import AuditEntry
from service.core.ids import new_key
from service.core.json import JsonObject
from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement
from service.sandboxes.scope import Scope

_ACTOR_LENGTH = 128
_SUBJECT_LENGTH = 256


@dataclass(frozen=True, slots=True)
class NewAuditEntry:
    """One entry to write.

    Attributes:
        actor: A client id, or the part of the service that decided.
        action: What was done or refused: ``datastream.create``, ``identityLink.refuse``.
        subject: What it was done to; cut to 256 characters. A push token appears masked.
        reason: A constant code.
        facts: The values that were seen; never a secret, a whole token or a body.
    """

    at: datetime
    actor: str
    action: str
    subject: str
    reason: str
    facts: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries to list; ``None`` asks for any."""

    action: str | None = None
    subject: str | None = None
    reason: str | None = None


_ADD = SetStatement(
    "INSERT INTO audit_entry (sandbox_id, id, at, actor, action, subject, reason, facts) "
    "SELECT :sandbox_id, e.id, e.at, e.actor, e.action, e.subject, e.reason, e.facts "
    "FROM {e}",
    rows={
        "e": {
            "id": KEY,
            "at": MOMENT,
            "actor": TEXT,
            "action": TEXT,
            "subject": TEXT,
            "reason": TEXT,
            "facts": JSON_OBJECT,
        },
    },
    params={"sandbox_id": INTEGER},
)

_REMOVE = SetStatement(
    """
    DELETE FROM audit_entry WHERE sandbox_id = :sandbox_id AND id IN (
        SELECT e.id FROM audit_entry AS e JOIN {r} ON r.action = e.action
        WHERE e.sandbox_id = :sandbox_id AND e.at < :before
        ORDER BY e.at LIMIT :limit
    ) RETURNING id
    """,
    rows={"r": {"action": TEXT}},
    params={"sandbox_id": INTEGER, "before": MOMENT, "limit": INTEGER},
    result={"id": KEY},
)


def record(session: Session, scope: Scope, entries: Sequence[NewAuditEntry]) -> None:
    """Write entries in one statement; nothing is done for none. The caller commits."""
    if not entries:
        return
    rows = [
        (
            new_key(),
            each.at,
            each.actor[:_ACTOR_LENGTH],
            each.action,
            each.subject[:_SUBJECT_LENGTH],
            each.reason,
            each.facts,
        )
        for each in entries
    ]
    _ADD.run(session, {"sandbox_id": scope.sandbox_id}, e=rows)


def remove_before(
    session: Session, scope: Scope, actions: Iterable[str], moment: datetime, *, limit: int
) -> int:
    """Remove up to ``limit`` entries of some actions written before a moment; return how many.

    The caller commits.
    """
    params = {"sandbox_id": scope.sandbox_id, "before": moment, "limit": limit}
    return len(_REMOVE.run(session, params, r=[(each,) for each in sorted(actions)]))


def list_page(
    session: Session,
    scope: Scope,
    wanted: AuditFilter,
    *,
    limit: int,
    after: UUID | None = None,
) -> tuple[AuditEntry, ...]:
    """Return up to ``limit`` entries, newest first, that come after (are older than) one's id."""
    chosen = select(AuditEntry).where(AuditEntry.sandbox_id == scope.sandbox_id)
    if wanted.action is not None:
        chosen = chosen.where(AuditEntry.action == wanted.action)
    if wanted.subject is not None:
        chosen = chosen.where(AuditEntry.subject == wanted.subject)
    if wanted.reason is not None:
        chosen = chosen.where(AuditEntry.reason == wanted.reason)
    if after is not None:
        chosen = chosen.where(AuditEntry.id < after)
    return tuple(session.scalars(chosen.order_by(AuditEntry.id.desc()).limit(limit)))
