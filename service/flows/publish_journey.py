"""Publishing: a journey may refer to what its sandbox holds at this moment, and to nothing else."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.identity import namespaces
from service.journeys import lifecycle
from service.journeys.lifecycle import Published
from service.journeys.validation import Known
from service.outbound import actions
from service.sandboxes.scope import Scope
from service.segments import definitions
from service.segments.programs import rule_of


def publish(session: Session, scope: Scope, journey_id: UUID, *, now: datetime) -> Published:
    """Make a journey's draft live; see ``journeys.lifecycle.publish``. The caller commits.

    What it may refer to is held, so that nothing of it is deleted meanwhile.

    Raises:
        NotFoundError: There is no such journey.
        DefinitionError: It cannot run; the error names everything that is wrong.
        ConflictError: There is no draft, or it may not follow the version before.
    """
    known = Known(
        segment_ids=frozenset(str(key) for key in definitions.held_ids(session, scope)),
        action_ids=frozenset(str(key) for key in actions.held_ids(session, scope)),
        namespaces=frozenset(row.code for row in namespaces.list_all(session, scope)),
        parameters={
            str(key): declared
            for key, declared in actions.declared_parameters(session, scope).items()
        },
    )
    return lifecycle.publish(session, scope, journey_id, known, check_expression, now=now)


def check_expression(text: str) -> None:
    """Accept a condition that this service can evaluate.

    Raises:
        PqlError: It cannot be used as written.
    """
    rule_of(text)
