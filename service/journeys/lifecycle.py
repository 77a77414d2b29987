"""What becomes of a journey: drafted, published, closed by its next version, stopped.

A version is changed while it is a draft and never after. Publishing the next closes the one before
it: nobody enters that any more, and those inside finish there.
Source: Journey Optimizer, journey lifecycle and journey versions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, NotFoundError
from service.core.ids import new_key
from service.core.json import JsonObject
from service.journeys import inbox
from service.journeys.definitions import (
    INSTANCE_LIFE,
    JourneyDefinition,
    JourneyType,
    QualificationEntry,
)
from service.journeys.document import parse
from service.journeys.models import Journey, JourneyVersion
from service.journeys.problems import DefinitionError, Problem, ProblemCode, refuse_errors
from service.journeys.validation import Known, validate
from service.journeys.versions import VersionState, get, list_all
from service.sandboxes.scope import Scope

READ_ONLY = frozenset({"id", "version", "status", "imsOrgId", "sandboxName", "metadata"})
_NAME_LENGTH = 256


@dataclass(frozen=True, slots=True)
class Published:
    """A version that went live, and what its author should know all the same."""

    version: JourneyVersion
    warnings: tuple[Problem, ...]


def create(session: Session, scope: Scope, document: object, *, now: datetime) -> JourneyVersion:
    """Create a journey with its first version, a draft. The caller commits.

    Raises:
        DefinitionError: The document cannot be read; a draft need not be able to run.
        ConflictError: Another journey has this name.
    """
    definition = _drafted(document)
    journey = Journey(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        name=definition.name,
        created_at=now,
    )
    session.add(journey)
    _flush_name(session, definition.name)
    return _add_draft(session, scope, journey.id, 1, document, now)


def update_draft(
    session: Session,
    scope: Scope,
    journey_id: UUID,
    document: object,
) -> JourneyVersion:
    """Replace the definition of a journey's draft. The caller commits.

    Raises:
        NotFoundError: There is no such journey.
        DefinitionError: The document cannot be read.
        ConflictError: The latest version is no draft, or another journey has this name.
    """
    journey = _locked(session, scope, journey_id)
    version = get(session, scope, journey_id)
    definition = _drafted(document)
    if version.state != VersionState.DRAFT:
        raise ConflictError(
            f"Version {version.version} is {version.state} and never changes again; "
            "make a new version.",
            version=version.version,
            state=version.state,
        )
    if version.version == 1:
        journey.name = definition.name
        _flush_name(session, definition.name)
    version.name = definition.name
    version.definition = _stored(document)
    session.flush()
    return version


def add_version(
    session: Session,
    scope: Scope,
    journey_id: UUID,
    *,
    now: datetime,
) -> JourneyVersion:
    """Add a draft that begins as a copy of the latest version. The caller commits.

    Raises:
        NotFoundError: There is no such journey.
        ConflictError: The latest version is still a draft.
    """
    _locked(session, scope, journey_id)
    latest = get(session, scope, journey_id)
    if latest.state == VersionState.DRAFT:
        raise ConflictError(f"Version {latest.version} is still a draft: change that one.")
    number = latest.version + 1
    return _add_draft(session, scope, journey_id, number, latest.definition, now)


def publish(
    session: Session,
    scope: Scope,
    journey_id: UUID,
    known: Known,
    check_expression: Callable[[str], None],
    *,
    now: datetime,
) -> Published:
    """Make the draft live and close the version before it. The caller commits.

    ``known`` and ``check_expression`` tell what the draft may refer to at this moment.

    Raises:
        NotFoundError: There is no such journey.
        DefinitionError: It cannot run; the error names everything that is wrong.
        ConflictError: The latest version is no draft, differs from the one before where versions
            may not, or another journey has its name.
    """
    journey = _locked(session, scope, journey_id)
    draft = get(session, scope, journey_id)
    if draft.state != VersionState.DRAFT:
        raise ConflictError(f"Version {draft.version} is {draft.state}: there is no draft.")
    definition = parse(draft.definition)
    problems = validate(definition, known, check_expression)
    refuse_errors(problems)
    _settle(draft, definition)
    before = list_all(session, scope, journey_id)
    _refuse_other_entry(draft, [each for each in before if each.id != draft.id])
    journey.name = definition.name
    _flush_name(session, definition.name)
    for each in before:
        if each.state == VersionState.LIVE:
            each.state, each.ended_at = VersionState.CLOSED.value, now
    draft.state, draft.published_at = VersionState.LIVE.value, now
    session.flush()
    return Published(draft, problems)


def stop(session: Session, scope: Scope, journey_id: UUID, *, now: datetime) -> JourneyVersion:
    """Stop a journey: nobody enters, and everyone inside, in any version, leaves.

    Instances learn it from the worker. A stopped version never runs again; a draft stays. Returns
    the latest version that was stopped. The caller commits, then wakes the workers.

    Raises:
        NotFoundError: There is no such journey.
        ConflictError: No version is live or has people inside.
    """
    _locked(session, scope, journey_id)
    running = {VersionState.LIVE, VersionState.CLOSED}
    stopped = [each for each in list_all(session, scope, journey_id) if each.state in running]
    if not stopped:
        raise ConflictError("No version of this journey runs.")
    for each in stopped:
        each.state, each.ended_at = VersionState.STOPPED.value, now
    session.flush()
    inbox.stop_all(session, scope, journey_id, [each.id for each in stopped], now=now)
    return stopped[-1]


def finish_closed(session: Session, scope: Scope, *, now: datetime) -> None:
    """Mark versions finished that closed so long ago that nobody can be inside.

    For housekeeping. The caller commits.
    """
    session.execute(
        update(JourneyVersion)
        .where(
            JourneyVersion.sandbox_id == scope.sandbox_id,
            JourneyVersion.state == VersionState.CLOSED.value,
            JourneyVersion.ended_at <= now - INSTANCE_LIFE,
        )
        .values(state=VersionState.FINISHED.value),
    )


def _drafted(document: object) -> JourneyDefinition:
    definition = parse(document)
    if not 1 <= len(definition.name) <= _NAME_LENGTH or not definition.name.strip():
        message = f"expected 1 to {_NAME_LENGTH} characters"
        raise DefinitionError([Problem("/name", ProblemCode.BAD_NAME, message)])
    return definition


def _stored(document: Any) -> JsonObject:
    """Return what is kept of a document: what the author wrote, not what we answered with."""
    return {key: value for key, value in document.items() if key not in READ_ONLY}


def _add_draft(
    session: Session,
    scope: Scope,
    journey_id: UUID,
    number: int,
    document: Any,
    now: datetime,
) -> JourneyVersion:
    draft = JourneyVersion(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        journey_id=journey_id,
        version=number,
        name=document["name"],
        definition=_stored(document),
        state=VersionState.DRAFT.value,
        entry_kind="",
        entry_ref="",
        entry_status="",
        namespace="",
        created_at=now,
    )
    session.add(draft)
    session.flush()
    return draft


def _settle(draft: JourneyVersion, definition: JourneyDefinition) -> None:
    """Write what an entry must find without reading the definition; it is valid."""
    entry = definition.entries[0]
    draft.entry_kind = entry.type.value
    if isinstance(entry, QualificationEntry):
        draft.entry_ref, draft.entry_status = entry.segment_id, entry.status.value
    else:
        draft.entry_ref, draft.entry_status = entry.event_id, ""
    draft.namespace = definition.identity_namespace or ""
    wait_s = int(definition.reentrance.wait.total_seconds())
    draft.reentrance_s = wait_s if definition.reentrance.is_allowed else None


def _refuse_other_entry(draft: JourneyVersion, before: Sequence[JourneyVersion]) -> None:
    """Refuse a version whose people would not be those of the one before."""
    if not before:
        return
    last = before[-1]
    frozen = {"type": "entry_kind", "identityNamespace": "namespace", "reentrance": "reentrance_s"}
    if draft.entry_kind == JourneyType.AUDIENCE_QUALIFICATION:
        frozen["segmentId"] = "entry_ref"
    changed = [name for name, of in frozen.items() if getattr(draft, of) != getattr(last, of)]
    if changed:
        raise ConflictError(
            f"Version {draft.version} must keep {', '.join(changed)} as in version "
            f"{last.version}; make another journey instead.",
            changed=changed,
        )


def _locked(session: Session, scope: Scope, journey_id: UUID) -> Journey:
    """Return the journey; its versions change one request after the other."""
    chosen = select(Journey).where(Journey.sandbox_id == scope.sandbox_id, Journey.id == journey_id)
    journey = session.scalars(chosen.with_for_update()).one_or_none()
    if journey is None:
        raise NotFoundError(f"There is no journey {journey_id}.")
    return journey


def _flush_name(session: Session, name: str) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(f"Another journey is called {name!r}.") from error
