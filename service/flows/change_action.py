"""Changing an action that journeys call: they must still give it what it declares."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.errors import ConflictError
from service.journeys import references, versions
from service.journeys.definitions import CustomAction as Node
from service.journeys.document import parse
from service.journeys.node_parameters import parameter_problems
from service.journeys.references import Use
from service.journeys.versions import VersionState
from service.outbound import action_parameters, actions
from service.outbound.action_parameters import Parameters
from service.outbound.actions import ActionBook
from service.outbound.models import CustomAction
from service.outbound.new_action import NewAction
from service.sandboxes.scope import Scope


def change_action(
    session: Session,
    scope: Scope,
    book: ActionBook,
    action_id: UUID,
    new: NewAction,
    *,
    now: datetime,
) -> CustomAction:
    """Overwrite an action, unless people inside a journey would then fail for its parameters.

    The action is locked before journeys are asked, so none can be published with it meanwhile. A
    draft is checked when it is published. The caller commits.

    Raises:
        NotFoundError: There is no such action.
        InvalidInputError: It could not be sent for anyone.
        ConflictError: The name is another's, or a journey that runs does not give what the action
            would then declare; ``fields["journeys"]`` lists them.

    Source: Journey Optimizer, custom actions: the parameters of one that is in use stay.
    """
    before = action_parameters.from_stored(actions.lock(session, scope, action_id).parameters)
    row = book.update(session, scope, action_id, new, now=now)
    if new.parameters != before:
        _refuse_misfits(session, scope, action_id, new.parameters)
    return row


def _refuse_misfits(session: Session, scope: Scope, action_id: UUID, declared: Parameters) -> None:
    found = [
        (use, message)
        for use in references.of_action(session, scope, action_id)
        if use.state is not VersionState.DRAFT
        and (message := _misfit(session, scope, use, action_id, declared)) is not None
    ]
    if found:
        listed = ", ".join(f"{use.name} (version {use.version}, {use.state})" for use, _ in found)
        raise ConflictError(
            f"Journeys do not give what the action would then declare: {listed}; {found[0][1]}. "
            "Make another action for new journeys, or declare the parameter optional.",
            journeys=[use.shown() for use, _ in found],
        )


def _misfit(
    session: Session, scope: Scope, use: Use, action_id: UUID, declared: Parameters
) -> str | None:
    """Return the first thing that a journey's node gives or lacks, if there is one."""
    document = versions.get(session, scope, use.journey_id, use.version).definition
    for node in parse(document).nodes:
        if isinstance(node, Node) and node.action_id == str(action_id):
            for problem in parameter_problems(node, "", declared):
                return f"at {node.id!r} {problem.message}"
    return None
