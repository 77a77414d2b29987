"""Kinds of identifiers: the standard ones of every sandbox, and those a sandbox adds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.identity.models import IdentityNamespace
from service.sandboxes.scope import Scope


class IdType(StrEnum):
    """What a namespace identifies, as the Identity Service spells it."""

    CROSS_DEVICE = "Cross_device"
    EMAIL = "Email"
    PHONE = "Phone"
    MOBILE = "Mobile"
    DEVICE = "Device"
    COOKIE = "Cookie"
    NON_PEOPLE = "Non_people"


PERSON_TYPES = frozenset({IdType.CROSS_DEVICE, IdType.EMAIL, IdType.PHONE})
_PRIORITY_OF_NEW = {
    IdType.CROSS_DEVICE: 4,
    IdType.EMAIL: 4,
    IdType.PHONE: 4,
    IdType.MOBILE: 9,
    IdType.DEVICE: 9,
    IdType.COOKIE: 12,
    IdType.NON_PEOPLE: 100,
}


@dataclass(frozen=True, slots=True)
class NewNamespace:
    """A namespace to create.

    Attributes:
        priority: 1 is the most important; left out, it follows from the type.
        is_unique: Whether a graph holds at most one identity of it; left out, person types do.
    """

    code: str
    name: str
    id_type: IdType
    priority: int | None = None
    is_unique: bool | None = None


@dataclass(frozen=True, slots=True)
class NamespaceChanges:
    """What to change; ``None`` leaves a value as it is."""

    name: str | None = None
    priority: int | None = None


STANDARD = (
    NewNamespace("CRMID", "CRM ID", IdType.CROSS_DEVICE, 1),
    NewNamespace("Email", "Email", IdType.EMAIL, 2),
    NewNamespace("Phone", "Phone", IdType.PHONE, 3),
    NewNamespace("GAID", "Google Ad ID", IdType.DEVICE, 8),
    NewNamespace("IDFA", "Apple IDFA", IdType.DEVICE, 8),
    NewNamespace("ECID", "Experience Cloud ID", IdType.COOKIE, 10),
    NewNamespace("FPID", "First-party device ID", IdType.COOKIE, 11),
    NewNamespace("AdCloud", "Adobe Advertising Cloud", IdType.COOKIE, 12),
)
_STANDARD_CODES = frozenset(each.code for each in STANDARD)


def install_standard(session: Session, scope: Scope, *, now: datetime) -> None:
    """Give a new sandbox the namespaces that SDKs and Adobe's samples use. The caller commits."""
    session.add_all(_row(scope, each, now) for each in STANDARD)
    session.flush()


def create(
    session: Session,
    scope: Scope,
    new: NewNamespace,
    *,
    now: datetime,
) -> IdentityNamespace:
    """Create a namespace of the sandbox's own. The caller commits.

    Raises:
        ConflictError: The code exists, whatever its case.
        InvalidInputError: A device or cookie would outrank a person.

    Source: Identity Service API, ``POST /idnamespace/identities``; namespace priority.
    """
    known = list_all(session, scope)
    if new.code.lower() in {each.code.lower() for each in known}:
        raise ConflictError(f"The identity namespace {new.code} exists already.")
    row = _row(scope, new, now)
    _refuse_outranking([*known, row])
    session.add(row)
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError(f"The identity namespace {new.code} exists already.") from error
    return row


def update(
    session: Session,
    scope: Scope,
    code: str,
    changes: NamespaceChanges,
) -> IdentityNamespace:
    """Change a namespace's name or priority. The caller commits.

    Links that exist are not judged again; the next login or event follows the new priority.

    Raises:
        NotFoundError: The sandbox has no such namespace.
        InvalidInputError: A device or cookie would outrank a person.
    """
    row = get(session, scope, code)
    row.name = changes.name if changes.name is not None else row.name
    row.priority = changes.priority if changes.priority is not None else row.priority
    with session.no_autoflush:
        _refuse_outranking(list_all(session, scope))
    session.flush()
    return row


def get(session: Session, scope: Scope, code: str) -> IdentityNamespace:
    """Return one namespace.

    Raises:
        NotFoundError: The sandbox has no such namespace.
    """
    row = session.get(IdentityNamespace, (scope.sandbox_id, code))
    if row is None:
        raise NotFoundError(f"There is no identity namespace {code}.")
    return row


def list_all(session: Session, scope: Scope) -> tuple[IdentityNamespace, ...]:
    """Return every namespace of the sandbox, most important first."""
    mine = IdentityNamespace.sandbox_id == scope.sandbox_id
    order = (IdentityNamespace.priority, IdentityNamespace.code)
    return tuple(session.scalars(select(IdentityNamespace).where(mine).order_by(*order)))


def is_person(namespace: IdentityNamespace) -> bool:
    """Tell whether its identities name people, as opposed to devices or things."""
    return namespace.id_type in PERSON_TYPES


def is_standard(namespace: IdentityNamespace) -> bool:
    """Tell whether every sandbox has it."""
    return namespace.code in _STANDARD_CODES


def _row(scope: Scope, new: NewNamespace, now: datetime) -> IdentityNamespace:
    priority = _PRIORITY_OF_NEW[new.id_type] if new.priority is None else new.priority
    is_unique = new.id_type in PERSON_TYPES if new.is_unique is None else new.is_unique
    return IdentityNamespace(
        sandbox_id=scope.sandbox_id,
        code=new.code,
        name=new.name,
        id_type=new.id_type,
        priority=priority,
        is_unique=is_unique,
        created_at=now,
    )


def _refuse_outranking(namespaces: Iterable[IdentityNamespace]) -> None:
    people = [each for each in namespaces if is_person(each)]
    others = [each for each in namespaces if not is_person(each)]
    least_person = max(people, key=lambda each: each.priority)
    first_other = min(others, key=lambda each: each.priority)
    if first_other.priority <= least_person.priority:
        raise InvalidInputError(
            f"{first_other.code} (priority {first_other.priority}) would not rank below the person "
            f"namespace {least_person.code} (priority {least_person.priority}).",
            field="priority",
        )
