"""What an SDK's ``configId`` names: platform, consent and logout rules of one app or site."""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.catalog import datasets, named_rows
from service.catalog.datasets import SchemaClass
from service.catalog.datastream_settings import DatastreamSettings, as_document
from service.catalog.models import Datastream
from service.core.errors import InvalidInputError
from service.core.ids import new_key
from service.sandboxes.models import Sandbox
from service.sandboxes.scope import Scope


class Platform(StrEnum):
    """Who speaks on a datastream; it decides which push tokens are taken."""

    MOBILE = "mobile"
    WEB = "web"


class DefaultConsent(StrEnum):
    """What counts as consent to collect until the person says otherwise."""

    IN = "in"
    PENDING = "pending"
    OUT = "out"


class LogoutOn(StrEnum):
    """What ends a login: the state ``loggedOut``, or also an event without the person."""

    LOGGED_OUT = "loggedOut"
    ABSENT = "absent"


class LogoutPolicy(StrEnum):
    """What becomes of a device's tokens at logout."""

    DETACH = "detach"
    KEEP_ANONYMOUS = "keepAnonymous"


@dataclass(frozen=True, slots=True)
class NewDatastream:
    """A datastream to create.

    Attributes:
        app_ids: Apps whose push tokens are taken; empty means any.
        origins: Web origins that browsers may call from; empty means any.
        logout_on: Left out, ``absent`` on mobile, where every event carries the whole identity
            map, and ``loggedOut`` on web.
    """

    name: str
    platform: Platform
    org_id: str
    is_enabled: bool = True
    app_ids: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    default_consent: DefaultConsent = DefaultConsent.IN
    logout_on: LogoutOn | None = None
    logout_policy: LogoutPolicy = LogoutPolicy.DETACH


@dataclass(frozen=True, slots=True)
class DatastreamChanges:
    """What to change; ``None`` leaves a value as it is. The platform never changes."""

    name: str | None = None
    is_enabled: bool | None = None
    app_ids: tuple[str, ...] | None = None
    origins: tuple[str, ...] | None = None
    default_consent: DefaultConsent | None = None
    logout_on: LogoutOn | None = None
    logout_policy: LogoutPolicy | None = None


_FIND = (
    select(Datastream, Sandbox.name)
    .join(Sandbox, Sandbox.id == Datastream.sandbox_id)
    .prefix_with("/* across sandboxes: find-datastream */")
)


def create(session: Session, scope: Scope, new: NewDatastream, *, now: datetime) -> Datastream:
    """Create a datastream with its system datasets. The caller commits.

    Raises:
        ConflictError: The name is taken in this sandbox.
    """
    named_rows.refuse_taken(session, scope, Datastream, new.name)
    key = new_key()
    source = f"datastream {new.name} {key}"
    made = datasets.create_for_source(session, scope, source=source, now=now)
    by_platform = LogoutOn.ABSENT if new.platform is Platform.MOBILE else LogoutOn.LOGGED_OUT
    row = Datastream(
        sandbox_id=scope.sandbox_id,
        id=key,
        name=new.name,
        platform=new.platform,
        org_id=new.org_id,
        is_enabled=new.is_enabled,
        app_ids=list(new.app_ids),
        origins=list(new.origins),
        default_consent=new.default_consent,
        logout_on=new.logout_on or by_platform,
        logout_policy=new.logout_policy,
        event_dataset_id=made.events,
        profile_dataset_id=made.profiles,
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    named_rows.flush(session, Datastream, new.name)
    return row


def update(
    session: Session,
    scope: Scope,
    datastream_id: UUID,
    changes: DatastreamChanges,
    *,
    now: datetime,
) -> Datastream:
    """Change a datastream; running processes follow within five seconds. The caller commits.

    Raises:
        NotFoundError: The sandbox has no such datastream.
        ConflictError: The new name is taken.
    """
    row = get(session, scope, datastream_id)
    if changes.name not in {None, row.name}:
        named_rows.refuse_taken(session, scope, Datastream, str(changes.name))
    for field in fields(changes):
        value = getattr(changes, field.name)
        if value is not None:
            setattr(row, field.name, list(value) if isinstance(value, tuple) else value)
    row.updated_at = now
    named_rows.flush(session, Datastream, row.name)
    return row


def keep_settings(
    session: Session,
    scope: Scope,
    row: Datastream,
    settings: DatastreamSettings,
    login_key: str | None,
) -> None:
    """Overwrite a datastream's settings; ``login_key`` is ciphertext. The caller commits.

    Raises:
        InvalidInputError: An event dataset is not of the sandbox, or not of events.
    """
    ids = settings.event_datasets
    absent = datasets.missing(session, scope, ids, SchemaClass.EXPERIENCE_EVENT)
    if absent:
        raise InvalidInputError(
            f"The sandbox {scope.sandbox} has no dataset {absent[0]} of the class "
            f"{SchemaClass.EXPERIENCE_EVENT}: name event datasets of this sandbox, such as the "
            "eventDatasetId of another datastream.",
            at="eventDatasetIds",
        )
    row.settings, row.login_key = as_document(settings), login_key
    session.flush()


def lock(session: Session, scope: Scope, datastream_id: UUID) -> Datastream:
    """Return one datastream, which nobody else changes until the transaction ends.

    Raises:
        NotFoundError: The sandbox has no such datastream.
    """
    return named_rows.get(session, scope, Datastream, datastream_id, is_locked=True)


def get(session: Session, scope: Scope, datastream_id: UUID) -> Datastream:
    """Return one datastream.

    Raises:
        NotFoundError: The sandbox has no such datastream.
    """
    return named_rows.get(session, scope, Datastream, datastream_id)


def list_page(
    session: Session,
    scope: Scope,
    *,
    limit: int,
    after: UUID | None = None,
) -> tuple[Datastream, ...]:
    """Return up to ``limit`` datastreams, oldest first, that come after one's id."""
    return named_rows.list_page(session, scope, Datastream, limit=limit, after=after)


def find_source(session: Session, datastream_id: UUID) -> tuple[Datastream, Scope] | None:
    """Return a datastream by its id alone, with the sandbox that it belongs to.

    An SDK names no sandbox: the id is unique over all of them.
    """
    found = session.execute(_FIND.where(Datastream.id == datastream_id)).one_or_none()
    return None if found is None else (found[0], Scope(found[0].sandbox_id, found[1]))
