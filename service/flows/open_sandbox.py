"""Opens a sandbox: its row and everything that no fact may lack."""

from datetime import datetime

from sqlalchemy.orm import Session

from service.core.errors import ConflictError
from service.db.session import SessionFactory, unit_of_work
from service.identity import namespaces
from service.jobs import schedules
from service.jobs.queue import JobKind
from service.jobs.schedules import NewSchedule
from service.profiles import merge_policies
from service.sandboxes import registry
from service.sandboxes.scope import Scope

DEFAULT_SANDBOX = "prod"
_DAILY_SEGMENTATION = NewSchedule(
    "daily segmentation",
    JobKind.EVALUATE_SEGMENTS,
    "0 2 * * *",
    {"segments": ["*"]},
)


def open_sandbox(
    session: Session,
    *,
    name: str,
    title: str,
    type_: str,
    now: datetime,
) -> Scope:
    """Create a sandbox that is ready for facts: namespaces, merge policy, daily segmentation.

    The caller commits.

    Raises:
        InvalidInputError: The name or type is not acceptable.
        ConflictError: The name is taken.
    """
    sandbox = registry.create(session, name=name, title=title, type_=type_, now=now)
    scope = Scope(sandbox.id, sandbox.name)
    namespaces.install_standard(session, scope, now=now)
    merge_policies.create_default(session, scope, now=now)
    schedules.create(session, scope, _DAILY_SEGMENTATION, now=now)
    return scope


def ensure_default_sandbox(sessions: SessionFactory, *, now: datetime) -> None:
    """Open ``prod`` unless it is there; processes that start together may all call this."""
    try:
        with unit_of_work(sessions) as session:
            if registry.find(session, DEFAULT_SANDBOX) is None:
                open_sandbox(
                    session,
                    name=DEFAULT_SANDBOX,
                    title="Production",
                    type_="production",
                    now=now,
                )
    except ConflictError:
        return
