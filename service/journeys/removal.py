"""The end of a draft. What was published stays, as the history of those who were in it.

Source: Journey Optimizer, journey lifecycle: a draft can be deleted, a live journey cannot.
"""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, NotFoundError
from service.journeys.models import Journey, JourneyVersion
from service.journeys.versions import VersionState, list_all
from service.sandboxes.scope import Scope


def delete_draft(
    session: Session, scope: Scope, journey_id: UUID, version: int | None = None
) -> JourneyVersion:
    """Remove a journey that was never published, or the draft that ``version`` names.

    Returns the version that is gone; the journey goes with its last version. The caller commits.

    Raises:
        NotFoundError: There is no such journey or version.
        ConflictError: It was published, or an older version was and none is named.
    """
    chosen = select(Journey).where(Journey.sandbox_id == scope.sandbox_id, Journey.id == journey_id)
    journey = session.scalars(chosen.with_for_update()).one_or_none()
    if journey is None:
        raise NotFoundError(f"There is no journey {journey_id}.")
    *older, latest = list_all(session, scope, journey_id)
    wanted = latest.version if version is None else version
    found = next((each for each in (*older, latest) if each.version == wanted), None)
    if found is None:
        raise NotFoundError(f"There is no version {wanted} of journey {journey_id}.")
    _refuse_published(found)
    if older and version is None:
        raise ConflictError(
            f"Version {older[-1].version} of this journey was published and stays. "
            f"To delete the draft alone, name it: ?version={latest.version}.",
            version=older[-1].version,
        )
    session.delete(found)
    if not older:
        session.delete(journey)
    session.flush()
    return found


def _refuse_published(version: JourneyVersion) -> None:
    if version.state == VersionState.DRAFT:
        return
    advice = "; stop it instead" if version.state == VersionState.LIVE else ""
    raise ConflictError(
        f"Version {version.version} is {version.state} and is kept as the history of those who "
        f"were in it{advice}.",
        version=version.version,
        state=version.state,
    )
