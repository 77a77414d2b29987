"""What becomes of vendors' verdicts that tokens are dead: denylisted, held, decided.

Source: service/decisions/0025-after-the-send.md.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from service.audit import entries
from service.audit.entries import NewAuditEntry
from service.core.clock import Clock
from service.db.session import SessionFactory, unit_of_work
from service.flows.delivery_steps import Settled
from service.outbound import incidents
from service.outbound.deliveries import Lane
from service.outbound.incidents import MASS_INVALIDATION, Verdict
from service.outbound.models import Incident
from service.profiles import live_activity_targets, push_tokens
from service.profiles.push_tokens import DeadToken
from service.sandboxes.scope import Scope

AT_ONCE: Final = 500
OPENED: Final = "incident.open"
_LOG = structlog.get_logger("service.flows.dead_verdicts")


def keep(session: Session, lane: Lane, settled: Sequence[Settled], *, now: datetime) -> None:
    """Denylist the tokens that a lane's outcomes call dead, or hold what looks like our mistake.

    Comes before deliveries are locked. The caller commits.
    """
    dead = [token for each in settled if (token := each.dead_token) is not None]
    alarm = next((each.alarm for each in reversed(settled) if each.alarm is not None), None)
    sifted = incidents.sift(session, lane.scope, lane.action_id, dead, alarm, now=now)
    _denylist(session, lane.scope, sifted.believed, now)
    if sifted.opened is None:
        return
    opened = sifted.opened
    _LOG.warning("incident_opened", incident=str(opened.incident_id), kind=MASS_INVALIDATION)
    entry = NewAuditEntry(
        at=now,
        actor="delivery",
        action=OPENED,
        subject=str(opened.incident_id),
        reason=MASS_INVALIDATION,
        facts={"actionId": str(lane.action_id), **opened.facts},
    )
    entries.record(session, lane.scope, [entry])


def decide(
    sessions: SessionFactory, clock: Clock, scope: Scope, incident_id: UUID, verdict: Verdict
) -> Incident:
    """Believe or dismiss what an incident holds, in bounded transactions; return it closed.

    Tokens that were registered again since their call stay as they are. What stopped midway is
    finished by deciding the same again.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
        ConflictError: It is decided.
    """
    with unit_of_work(sessions) as session:
        incidents.begin_decision(session, scope, incident_id, verdict)
    while _settle_some(sessions, clock.now(), scope, incident_id, verdict):
        pass
    with unit_of_work(sessions) as session:
        return incidents.close(session, scope, incident_id, now=clock.now())


def _settle_some(
    sessions: SessionFactory, now: datetime, scope: Scope, incident_id: UUID, verdict: Verdict
) -> int:
    with unit_of_work(sessions) as session:
        held = incidents.take_held(session, scope, incident_id, limit=AT_ONCE)
        denied = _denylist(session, scope, held, now) if verdict is Verdict.BELIEVE else 0
        if held:
            incidents.note_settled(session, scope, incident_id, verdict, len(held), denied)
        return len(held)


def _denylist(session: Session, scope: Scope, dead: Sequence[DeadToken], now: datetime) -> int:
    marked = push_tokens.denylist(session, scope, dead, now=now)
    return len(marked | live_activity_targets.denylist(session, scope, dead, now=now))
