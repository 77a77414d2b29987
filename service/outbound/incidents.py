"""Mass invalidations: verdicts about tokens that are held until somebody has decided.

At most one incident of an action is open, over all processes: its key is derived from the one
before. Lanes and the decision take the incident's lock in turn, so that no verdict is
held by an incident that is decided already.

Source: service/decisions/0025-after-the-send.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, NotFoundError
from service.core.ids import derived_key
from service.core.json import JsonObject
from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement
from service.outbound.dead_tokens import Alarm
from service.outbound.models import HeldVerdict, Incident
from service.profiles.push_tokens import DeadToken
from service.sandboxes.scope import Scope

MASS_INVALIDATION = "massInvalidation"
_BELIEVED_FOR = timedelta(minutes=15)


class Verdict(StrEnum):
    """What somebody decided about held verdicts."""

    BELIEVE = "believe"
    DISMISS = "dismiss"


@dataclass(frozen=True, slots=True)
class Opened:
    """An incident that a batch of outcomes opened."""

    incident_id: UUID
    facts: JsonObject


@dataclass(frozen=True, slots=True)
class Sifted:
    """Which verdicts to believe now, and the incident that the others opened."""

    believed: Sequence[DeadToken]
    held: int = 0
    opened: Opened | None = None


_LAST = SetStatement(
    """
    SELECT t.id, t.verdict, t.closed_at FROM incident AS t
    WHERE t.sandbox_id = :sandbox_id AND t.action_id = :action_id
    ORDER BY t.closed_at IS NULL DESC, t.opened_at DESC, t.id LIMIT 1 {lock_t}
    """,
    rows={},
    params={"sandbox_id": INTEGER, "action_id": KEY},
    result={"id": KEY, "verdict": TEXT, "closed_at": MOMENT},
)
_OPEN = SetStatement(
    """
    INSERT INTO incident (sandbox_id, id, kind, action_id, facts, opened_at)
    VALUES (:sandbox_id, :id, 'massInvalidation', :action_id, :facts, :now)
    ON CONFLICT DO NOTHING RETURNING id
    """,
    rows={},
    params={
        "sandbox_id": INTEGER,
        "id": KEY,
        "action_id": KEY,
        "facts": JSON_OBJECT,
        "now": MOMENT,
    },
    result={"id": KEY},
)
_HOLD = SetStatement(
    """
    INSERT INTO held_verdict (sandbox_id, incident_id, token_id, reason, called_at)
    SELECT :sandbox_id, :incident_id, r.token_id, r.reason, r.called_at FROM {r} WHERE true
    ON CONFLICT (sandbox_id, incident_id, token_id) DO UPDATE
    SET reason = excluded.reason, called_at = excluded.called_at
    WHERE held_verdict.called_at < excluded.called_at
    """,
    rows={"r": {"token_id": KEY, "reason": TEXT, "called_at": MOMENT}},
    params={"sandbox_id": INTEGER, "incident_id": KEY},
)
_TAKE = SetStatement(
    """
    DELETE FROM held_verdict
    WHERE sandbox_id = :sandbox_id AND incident_id = :incident_id AND token_id IN (
        SELECT h.token_id FROM held_verdict AS h
        WHERE h.sandbox_id = :sandbox_id AND h.incident_id = :incident_id
        ORDER BY h.token_id LIMIT :limit
    ) RETURNING token_id, reason, called_at
    """,
    rows={},
    params={"sandbox_id": INTEGER, "incident_id": KEY, "limit": INTEGER},
    result={"token_id": KEY, "reason": TEXT, "called_at": MOMENT},
)


def sift(
    session: Session,
    scope: Scope,
    action_id: UUID,
    dead: Sequence[DeadToken],
    alarm: Alarm | None,
    *,
    now: datetime,
) -> Sifted:
    """Return which of an action's verdicts to believe; the others are held or forgotten.

    While an incident of the action is open, all are held. An alarm opens one, unless the last was
    believed a moment ago. No statement when there is none to sift. The caller commits.
    """
    if not dead:
        return Sifted(())
    keys = {"sandbox_id": scope.sandbox_id, "action_id": action_id}
    last: Any = next(iter(_LAST.run(session, keys)), None)
    if last is not None and last.closed_at is None:
        return _by_incident(session, scope, last, dead)
    if alarm is None or (last is not None and _is_believed(last, now)):
        return Sifted(dead)
    incident_id = derived_key("incident", str(action_id), "" if last is None else str(last.id))
    opened = _OPEN.run(session, {**keys, "id": incident_id, "facts": alarm.facts, "now": now})
    if not opened:  # another process was faster; its commit was waited for
        [last] = _LAST.run(session, keys)
        return _by_incident(session, scope, last, dead)
    _hold(session, scope, incident_id, dead)
    return Sifted((), len(dead), Opened(incident_id, alarm.facts))


def list_page(
    session: Session,
    scope: Scope,
    *,
    is_open: bool | None,
    action_id: UUID | None,
    limit: int,
    after: UUID | None = None,
) -> tuple[Incident, ...]:
    """Return up to ``limit`` incidents, newest first, opened before that of ``after``."""
    query = select(Incident).where(Incident.sandbox_id == scope.sandbox_id)
    if is_open is not None:
        query = query.where(Incident.closed_at.is_(None) == is_open)
    if action_id is not None:
        query = query.where(Incident.action_id == action_id)
    if after is not None:
        place = get(session, scope, after)
        query = query.where(
            (Incident.opened_at < place.opened_at)
            | ((Incident.opened_at == place.opened_at) & (Incident.id < place.id))
        )
    newest_first = query.order_by(Incident.opened_at.desc(), Incident.id.desc())
    return tuple(session.scalars(newest_first.limit(limit)))


def get(session: Session, scope: Scope, incident_id: UUID) -> Incident:
    """Return one incident.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
    """
    row = session.scalar(
        select(Incident).where(Incident.sandbox_id == scope.sandbox_id, Incident.id == incident_id)
    )
    if row is None:
        raise NotFoundError(f"There is no incident {incident_id}.")
    return row


def count_held(session: Session, scope: Scope, ids: Sequence[UUID]) -> Mapping[UUID, int]:
    """Return how many verdicts each incident holds now."""
    counted = (
        select(HeldVerdict.incident_id, func.count())
        .where(HeldVerdict.sandbox_id == scope.sandbox_id, HeldVerdict.incident_id.in_(ids))
        .group_by(HeldVerdict.incident_id)
    )
    return {row[0]: row[1] for row in session.execute(counted)}


def begin_decision(session: Session, scope: Scope, incident_id: UUID, verdict: Verdict) -> None:
    """Make a verdict true of whatever comes from now on; a decision that stopped midway goes on.

    The caller commits, then settles what is held.

    Raises:
        NotFoundError: There is none of this id in the sandbox.
        ConflictError: It is closed, or the other verdict was given.
    """
    row = _locked(session, scope, incident_id)
    if row.closed_at is not None:
        raise ConflictError(f"The incident was decided: {row.verdict}.", verdict=row.verdict)
    if row.verdict not in {None, verdict.value}:
        raise ConflictError(f"The incident is being decided: {row.verdict}.", verdict=row.verdict)
    if row.verdict is None:
        row.facts = {**row.facts, "settled": 0, "denylisted": 0, "registeredAgain": 0}
    row.verdict = verdict.value


def take_held(
    session: Session, scope: Scope, incident_id: UUID, *, limit: int
) -> tuple[DeadToken, ...]:
    """Return up to ``limit`` verdicts that an incident holds no more. The caller commits."""
    _locked(session, scope, incident_id)
    params = {"sandbox_id": scope.sandbox_id, "incident_id": incident_id, "limit": limit}
    return tuple(
        DeadToken(row.token_id, row.reason, row.called_at) for row in _TAKE.run(session, params)
    )


def note_settled(
    session: Session, scope: Scope, incident_id: UUID, verdict: Verdict, settled: int, denied: int
) -> None:
    """Count what became of held verdicts. The caller commits."""
    row = _locked(session, scope, incident_id)
    said: JsonObject = dict(row.facts)
    said["settled"] += settled
    said["denylisted"] += denied
    if verdict is Verdict.BELIEVE:
        said["registeredAgain"] += settled - denied
    row.facts = said


def close(session: Session, scope: Scope, incident_id: UUID, *, now: datetime) -> Incident:
    """Close an incident whose verdicts are settled; one that is closed stays as it is.

    The caller commits.
    """
    row = _locked(session, scope, incident_id)
    row.closed_at = row.closed_at or now
    return row


def _locked(session: Session, scope: Scope, incident_id: UUID) -> Incident:
    row = session.get(
        Incident, (scope.sandbox_id, incident_id), with_for_update=True, populate_existing=True
    )
    if row is None:
        raise NotFoundError(f"There is no incident {incident_id}.")
    return row


def _by_incident(session: Session, scope: Scope, last: Any, dead: Sequence[DeadToken]) -> Sifted:
    """Do with verdicts what their open incident says: hold them, or what was decided already."""
    if last.verdict == Verdict.BELIEVE:
        return Sifted(dead)
    if last.verdict == Verdict.DISMISS:
        return Sifted(())
    _hold(session, scope, last.id, dead)
    return Sifted((), len(dead))


def _hold(session: Session, scope: Scope, incident_id: UUID, dead: Sequence[DeadToken]) -> None:
    latest: dict[UUID, DeadToken] = {}
    for each in sorted(dead, key=lambda one: one.called_at):
        latest[each.token_id] = each
    _HOLD.run(
        session,
        {"sandbox_id": scope.sandbox_id, "incident_id": incident_id},
        r=[(key, each.reason, each.called_at) for key, each in sorted(latest.items())],
    )


def _is_believed(last: Any, now: datetime) -> bool:
    return bool(last.verdict == Verdict.BELIEVE and now < last.closed_at + _BELIEVED_FOR)
