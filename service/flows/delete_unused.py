"""Removing what journeys may use: only what no journey needs goes."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.errors import ConflictError
from service.journeys import references
from service.journeys.references import Use
from service.outbound import actions
from service.outbound.models import CustomAction
from service.sandboxes.scope import Scope
from service.segments import definitions


def delete_segment(session: Session, scope: Scope, segment_id: UUID, *, now: datetime) -> None:
    """Remove a segment that no live journey uses; its memberships go by a job.

    The segment is locked before journeys are asked, so none can be published with it meanwhile.
    The caller commits.

    Raises:
        NotFoundError: There is no such segment.
        ConflictError: Live journeys use it; ``fields["journeys"]`` lists them.
    """
    definitions.lock(session, scope, segment_id)
    _refuse_used("segment", references.of_segment(session, scope, segment_id))
    definitions.delete(session, scope, segment_id, now=now)


def delete_action(session: Session, scope: Scope, action_id: UUID) -> CustomAction:
    """Remove a custom action that no journey calls or is to call, and its secret with it.

    Returns the action that is gone; the record of its deliveries stays. The caller commits.

    Raises:
        NotFoundError: There is no such custom action.
        ConflictError: Journeys use it; ``fields["journeys"]`` lists them.
    """
    action = actions.lock(session, scope, action_id)
    _refuse_used("custom action", references.of_action(session, scope, action_id))
    session.delete(action)
    session.flush()
    return action


def _refuse_used(what: str, uses: Sequence[Use]) -> None:
    if not uses:
        return
    listed = ", ".join(f"{use.name} (version {use.version}, {use.state})" for use in uses)
    raise ConflictError(
        f"The {what} is used by {listed}. Stop or change these journeys first.",
        journeys=[use.shown() for use in uses],
    )
