"""Creates and finds sandboxes; everything else is handed a ``Scope``."""

import re
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.sandboxes.models import Sandbox
from service.sandboxes.scope import Scope

TYPES = ("production", "development")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,255}")


def create(session: Session, *, name: str, title: str, type_: str, now: datetime) -> Sandbox:
    """Create an empty sandbox; ``flows.open_sandbox`` is what makes it usable. The caller commits.

    Raises:
        InvalidInputError: The name is not lower-case letters, digits and hyphens, or the type is
            unknown.
        ConflictError: The name is taken, or another process created a sandbox at the same moment.

    Source: Sandbox Management API, ``POST /sandbox-management/sandboxes``.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            "A sandbox name begins with a letter and holds lower-case letters, digits and hyphens.",
            field="name",
        )
    if type_ not in TYPES:
        raise InvalidInputError(f"A sandbox type is one of {', '.join(TYPES)}.", field="type")
    if find(session, name) is not None:
        raise ConflictError(f"The sandbox {name} exists already.")
    highest = session.scalar(select(func.max(Sandbox.id))) or 0
    sandbox = Sandbox(id=highest + 1, name=name, title=title, type=type_, created_at=now)
    session.add(sandbox)
    try:
        session.flush()
    except IntegrityError as error:
        raise ConflictError("Another sandbox is being created; try again.") from error
    return sandbox


def find(session: Session, name: str) -> Scope | None:
    """Return the scope of the sandbox with this name."""
    key = session.scalar(select(Sandbox.id).where(Sandbox.name == name))
    return None if key is None else Scope(key, name)


def get(session: Session, name: str) -> Sandbox:
    """Return one sandbox.

    Raises:
        NotFoundError: There is none of this name.
    """
    sandbox = session.scalar(select(Sandbox).where(Sandbox.name == name))
    if sandbox is None:
        raise NotFoundError(f"There is no sandbox {name}.")
    return sandbox


def list_all(session: Session) -> tuple[Sandbox, ...]:
    """Return every sandbox, oldest first."""
    return tuple(session.scalars(select(Sandbox).order_by(Sandbox.id)))
