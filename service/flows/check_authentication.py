"""Whether an action can prove who calls: a token is got afresh, and nothing of it is shown.

Source: Journey Optimizer, "Check authentication" of an external data source.
"""

from dataclasses import dataclass
from uuid import UUID

from service.core.clock import Clock
from service.db.session import SessionFactory, unit_of_work
from service.outbound import action_connection, actions, auth
from service.outbound.actions import ActionBook
from service.outbound.auth import VendorTokens
from service.outbound.shared_tokens import TokenUnavailableError
from service.sandboxes.scope import Scope


@dataclass(frozen=True, slots=True)
class AuthenticationCheck:
    """What came of it.

    Attributes:
        is_ok: Whether calls could be authenticated now.
        fetched: Whether a token was got or signed; else there was nothing to try.
        may_retry: Whether waiting can help, where it failed.
        warnings: What an operator should do before long.
    """

    kind: str
    is_ok: bool
    fetched: bool
    detail: str
    may_retry: bool
    elapsed_ms: int
    warnings: tuple[str, ...]


def check_authentication(
    sessions: SessionFactory,
    book: ActionBook,
    tokens: VendorTokens,
    scope: Scope,
    action_id: UUID,
    clock: Clock,
) -> AuthenticationCheck:
    """Get a new token for an action, by the way its calls go, and keep it for them.

    No transaction is open while the vendor is asked.

    Raises:
        NotFoundError: There is no such action.
        InvalidInputError: A secret is not in the environment of this process.
    """
    with unit_of_work(sessions) as session:
        row = actions.get(session, scope, action_id)
        spec = book.read(row).spec
        kind = str(row.auth["type"])
    begun = clock.monotonic()
    is_ok, may_retry = True, False
    try:
        detail = auth.renew(spec.auth, tokens, scope, spec.connection)
    except TokenUnavailableError as error:
        is_ok, may_retry, detail = False, error.may_retry, error.detail
    return AuthenticationCheck(
        kind=kind,
        is_ok=is_ok,
        fetched=not auth.is_constant(spec.auth),
        detail=detail or "There is nothing to try: the proof is sent as it is stored.",
        may_retry=may_retry,
        elapsed_ms=round((clock.monotonic() - begun) * 1000),
        warnings=action_connection.warnings(spec.connection, now=clock.now()),
    )
