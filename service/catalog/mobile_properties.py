"""Mobile properties: what an app downloads its configuration by.

Source: Adobe Experience Platform, "Mobile properties" and "Environments" of tags; the id that an
app names is an environment's file id, with a suffix outside production.
"""

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.catalog import mobile_settings, named_rows
from service.catalog.datastream_settings import read_settings as read_datastream_settings
from service.catalog.datastreams import Platform
from service.catalog.mobile_settings import (
    Environment,
    EnvironmentChanges,
    EnvironmentSettings,
    Extension,
    PropertySettings,
)
from service.catalog.models import Datastream, MobileProperty
from service.core.errors import InvalidInputError
from service.core.ids import new_key
from service.sandboxes.models import Sandbox
from service.sandboxes.scope import Scope

_FILE_ID = re.compile(
    r"(?P<app_id>[0-9a-f]{12}/[0-9a-f]{12}/launch-[0-9a-f]{12})"
    r"(?:-(?P<environment>development|staging))?"
)
_PART_BYTES = 6


@dataclass(frozen=True, slots=True)
class NewMobileProperty:
    """A property to create; without ``extensions`` it has them all."""

    name: str
    environments: Mapping[Environment, EnvironmentChanges | None]
    extensions: tuple[Extension, ...] | None = None


@dataclass(frozen=True, slots=True)
class MobilePropertyChanges:
    """What to change; ``None`` leaves a value as it is, and removes an environment."""

    name: str | None = None
    extensions: tuple[Extension, ...] | None = None
    environments: Mapping[Environment, EnvironmentChanges | None] = field(default_factory=dict)


_FIND = (
    select(MobileProperty, Sandbox.name)
    .join(Sandbox, Sandbox.id == MobileProperty.sandbox_id)
    .prefix_with("/* across sandboxes: find-mobile-property */")
)


def create(
    session: Session, scope: Scope, new: NewMobileProperty, *, now: datetime
) -> MobileProperty:
    """Create a property under a new app id. The caller commits.

    Raises:
        ConflictError: The name is taken in this sandbox.
        InvalidInputError: A setting cannot be used; ``at`` names it.
    """
    named_rows.refuse_taken(session, scope, MobileProperty, new.name)
    settings = mobile_settings.changed(None, new.extensions, new.environments)
    _check_references(session, scope, settings, settings.environments)
    row = MobileProperty(
        sandbox_id=scope.sandbox_id,
        id=new_key(),
        name=new.name,
        app_id=_new_app_id(),
        settings=mobile_settings.as_document(settings),
        created_at=now,
        updated_at=now,
    )
    session.add(row)
    named_rows.flush(session, MobileProperty, new.name)
    return row


def update(
    session: Session,
    scope: Scope,
    property_id: UUID,
    changes: MobilePropertyChanges,
    *,
    now: datetime,
) -> MobileProperty:
    """Change a property; what apps download follows within five seconds. The caller commits.

    Raises:
        NotFoundError: The sandbox has no such property.
        ConflictError: The new name is taken.
        InvalidInputError: A setting cannot be used; ``at`` names it.
    """
    row = named_rows.get(session, scope, MobileProperty, property_id, is_locked=True)
    if changes.name is not None and changes.name != row.name:
        named_rows.refuse_taken(session, scope, MobileProperty, changes.name)
        row.name = changes.name
    before = mobile_settings.read_settings(row.settings)
    settings = mobile_settings.changed(before, changes.extensions, changes.environments)
    written = changes.environments.keys() & settings.environments.keys()
    _check_references(session, scope, settings, written)
    row.settings = mobile_settings.as_document(settings)
    row.updated_at = now
    named_rows.flush(session, MobileProperty, row.name)
    return row


def delete(session: Session, scope: Scope, property_id: UUID) -> MobileProperty:
    """Remove a property and return what it was. The caller commits.

    Apps that name it keep the configuration that they have.

    Raises:
        NotFoundError: The sandbox has no such property.
    """
    row = get(session, scope, property_id)
    session.delete(row)
    session.flush()
    return row


def get(session: Session, scope: Scope, property_id: UUID) -> MobileProperty:
    """Return one property.

    Raises:
        NotFoundError: The sandbox has no such property.
    """
    return named_rows.get(session, scope, MobileProperty, property_id)


def list_page(
    session: Session, scope: Scope, *, limit: int, after: UUID | None = None
) -> tuple[MobileProperty, ...]:
    """Return up to ``limit`` properties, oldest first, that come after one's id."""
    return named_rows.list_page(session, scope, MobileProperty, limit=limit, after=after)


def find_by_app(session: Session, app_id: str) -> tuple[MobileProperty, Scope] | None:
    """Return a property by the app id alone, with the sandbox that it belongs to.

    An SDK names no sandbox: the app id is unique over all of them.
    """
    found = session.execute(_FIND.where(MobileProperty.app_id == app_id)).one_or_none()
    return None if found is None else (found[0], Scope(found[0].sandbox_id, found[1]))


def file_id(app_id: str, environment: Environment) -> str:
    """Return what an app of this environment names: the app id itself in production."""
    return app_id if environment is Environment.PRODUCTION else f"{app_id}-{environment}"


def parse_file_id(text: str) -> tuple[str, Environment] | None:
    """Return the app id and the environment that a file id names; ``None`` when it is none."""
    found = _FILE_ID.fullmatch(text)
    if found is None:
        return None
    return found["app_id"], Environment(found["environment"] or Environment.PRODUCTION)


def _new_app_id() -> str:
    company, name, launch = (secrets.token_hex(_PART_BYTES) for _ in range(3))
    return f"{company}/{name}/launch-{launch}"


def _check_references(
    session: Session,
    scope: Scope,
    settings: PropertySettings,
    written: Iterable[Environment],
) -> None:
    """Refuse a datastream that no phone may use, and a dataset that it would not write to."""
    for name in sorted(written):
        each = settings.environments[name]
        at = f"environments.{name}"
        row = session.get(Datastream, (scope.sandbox_id, each.datastream_id))
        if row is None:
            raise InvalidInputError(
                f"The sandbox {scope.sandbox} has no datastream {each.datastream_id}: name one of "
                "this sandbox, made for mobile.",
                at=f"{at}.datastreamId",
            )
        if row.platform != Platform.MOBILE:
            raise InvalidInputError(
                f"The datastream {row.name} is for {row.platform}, which takes no push token of "
                "an app: name one that was made for mobile.",
                at=f"{at}.datastreamId",
            )
        _check_dataset(row, each, at)


def _check_dataset(row: Datastream, settings: EnvironmentSettings, at: str) -> None:
    allowed = {row.event_dataset_id, *read_datastream_settings(row.settings).event_datasets}
    if settings.event_dataset_id is not None and settings.event_dataset_id not in allowed:
        raise InvalidInputError(
            f"The datastream {row.name} writes no events to the dataset "
            f"{settings.event_dataset_id}: add it to the datastream's eventDatasetIds first, or "
            "send null for its own event dataset.",
            at=f"{at}.eventDatasetId",
        )
