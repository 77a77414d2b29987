"""Where messages about live activities go, and what becomes of tokens that a vendor calls gone.

Source: service/decisions/0003-token-ownership.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from service.profiles import live_activity_rows as rows
from service.profiles.live_activities import Kind
from service.profiles.lookups import OwnedToken
from service.profiles.push_tokens import DeadToken
from service.sandboxes.scope import Scope


def of_named(
    session: Session, scope: Scope, kind: Kind, asked: Iterable[tuple[UUID, str]]
) -> Mapping[tuple[UUID, str], tuple[OwnedToken, ...]]:
    """Return the tokens of each identity's person under a name, newest first.

    A device is its login's, and its own until its first login; after a logout it is nobody's. A
    person whom a device names by an ambiguous claim only does not have its tokens. Those that a
    vendor declared gone are among them. Without any, identity and name are left out. A token
    announced without app or platform has an empty one.
    """
    params = {"sandbox_id": scope.sandbox_id, "kind": kind.value}
    found: dict[tuple[UUID, str], list[OwnedToken]] = {}
    for row in rows.OF_NAMED.run(session, params, r=sorted(set(asked))):
        token = OwnedToken(
            row.token_id,
            row.app_id or "",
            row.platform or "",
            row.token,
            row.registered_at,
            row.denylisted_at,
        )
        found.setdefault((row.asked, row.asked_name), []).append(token)
    return {asked: tuple(tokens) for asked, tokens in found.items()}


def denylist(
    session: Session, scope: Scope, dead: Sequence[DeadToken], *, now: datetime
) -> frozenset[UUID]:
    """Mark tokens of live activities that a vendor declared gone, as push tokens are.

    Those that were announced again since the call stay. Runs after the push tokens; the caller
    commits. Return those that are marked now.
    """
    if not dead:
        return frozenset()
    sent = sorted((each.token_id, each.called_at) for each in dead)
    params = {"sandbox_id": scope.sandbox_id, "now": now}
    return frozenset(row.token_id for row in rows.DENYLIST.run(session, params, r=sent))
