"""Reads of one person: by any identity, with everything that hangs on it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.core.ids import sorted_keys
from service.db.statements import (
    BOOLEAN,
    INTEGER,
    JSON_OBJECT,
    KEY,
    MOMENT,
    TEXT,
    SetStatement,
)
from service.identity.identity_map import identity_key
from service.identity.models import Identity
from service.profiles import live_activities
from service.profiles.live_activities import HeldLiveActivity
from service.profiles.models import Profile, PushToken, PushTokenOwner
from service.sandboxes.scope import Scope

_RECIPIENTS = SetStatement(
    """
    SELECT r.identity_id AS asked, i.namespace, i.value,
        p.id AS profile_id, p.attributes, p.is_test,
        t.id AS token_id, t.app_id, t.platform, t.token, t.registered_at, t.denylisted_at
    FROM {r}
    JOIN identity AS i ON i.sandbox_id = :sandbox_id AND i.id = r.identity_id
    JOIN profile AS p ON p.sandbox_id = :sandbox_id AND p.id = i.profile_id
    LEFT JOIN (identity AS m JOIN push_token AS t ON t.owner_id = m.id)
        ON m.sandbox_id = :sandbox_id AND t.sandbox_id = :sandbox_id
        AND m.graph_id = i.graph_id AND m.profile_id = i.profile_id
        AND (m.id = m.profile_id OR m.parent_id = m.login_id)
    ORDER BY r.identity_id, t.registered_at DESC, t.id
    """,
    rows={"r": {"identity_id": KEY}},
    params={"sandbox_id": INTEGER},
    result={
        "asked": KEY,
        "namespace": TEXT,
        "value": TEXT,
        "profile_id": KEY,
        "attributes": JSON_OBJECT,
        "is_test": BOOLEAN,
        "token_id": KEY,
        "app_id": TEXT,
        "platform": TEXT,
        "token": TEXT,
        "registered_at": MOMENT,
        "denylisted_at": MOMENT,
    },
)


@dataclass(frozen=True, slots=True)
class OwnedToken:
    """A push token that belongs to a person now."""

    token_id: UUID
    app_id: str
    platform: str
    token: str
    registered_at: datetime
    denylisted_at: datetime | None

    def __repr__(self) -> str:
        return f"OwnedToken({self.token_id}, {self.app_id!r}, {self.platform!r})"


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom an identity stands for at this moment, newest token first.

    ``identity`` is its namespace and value, by which the person was asked for.
    """

    profile_id: UUID
    attributes: Mapping[str, Any]
    is_test: bool
    tokens: tuple[OwnedToken, ...]
    identity: tuple[str, str] = field(default=("", ""), repr=False)


@dataclass(frozen=True, slots=True)
class TokenHistory:
    """A token of a person's devices, and everybody it belonged to, oldest first."""

    token: PushToken
    owners: tuple[PushTokenOwner, ...]


@dataclass(frozen=True, slots=True)
class ProfileView:
    """One person: the merged view, the identities in force and the tokens of their devices."""

    profile: Profile
    identities: tuple[Identity, ...]
    tokens: tuple[TokenHistory, ...]
    live_activities: tuple[HeldLiveActivity, ...]


def read_recipients(
    session: Session,
    scope: Scope,
    identity_ids: Iterable[UUID],
) -> dict[UUID, Recipient]:
    """Return whom each identity stands for now; one that nobody knows is left out.

    Tokens of identities that hang on the person by an ambiguous claim only are not the person's:
    anybody may claim to be anybody.
    """
    rows = _RECIPIENTS.run(
        session,
        {"sandbox_id": scope.sandbox_id},
        r=[(key,) for key in sorted_keys(identity_ids)],
    )
    found: dict[UUID, Recipient] = {}
    tokens: dict[UUID, list[OwnedToken]] = {}
    for row in rows:
        held = tokens.setdefault(row.asked, [])
        if row.token_id is not None:
            held.append(
                OwnedToken(
                    row.token_id,
                    row.app_id,
                    row.platform,
                    row.token,
                    row.registered_at,
                    row.denylisted_at,
                ),
            )
        found[row.asked] = Recipient(
            row.profile_id, row.attributes, row.is_test, tuple(held), (row.namespace, row.value)
        )
    return found


def find_profile(
    session: Session,
    scope: Scope,
    namespace: str,
    value: str,
) -> ProfileView | None:
    """Return the person behind ``namespace:value``, ``None`` when nobody was ever seen with it."""
    identity = session.get(Identity, (scope.sandbox_id, identity_key(namespace, value)))
    if identity is None:
        return None
    profile = session.get(Profile, (scope.sandbox_id, identity.profile_id))
    if profile is None:
        return None
    members = session.scalars(
        select(Identity)
        .where(
            Identity.sandbox_id == scope.sandbox_id,
            Identity.graph_id == identity.graph_id,
            Identity.profile_id == identity.profile_id,
        )
        .order_by(Identity.namespace, Identity.value),
    ).all()
    return ProfileView(
        profile,
        tuple(members),
        _token_histories(session, scope, members),
        live_activities.held_by(session, scope, identity.graph_id, (each.id for each in members)),
    )


def _token_histories(
    session: Session,
    scope: Scope,
    members: Sequence[Identity],
) -> tuple[TokenHistory, ...]:
    keys = [member.id for member in members]
    tokens = session.scalars(
        select(PushToken)
        .where(
            PushToken.sandbox_id == scope.sandbox_id,
            PushToken.device_id.in_(keys) | PushToken.owner_id.in_(keys),
        )
        .order_by(PushToken.registered_at.desc(), PushToken.id),
    ).all()
    owners = session.scalars(
        select(PushTokenOwner)
        .where(
            PushTokenOwner.sandbox_id == scope.sandbox_id,
            PushTokenOwner.token_id.in_([token.id for token in tokens]),
        )
        .order_by(PushTokenOwner.from_at, PushTokenOwner.id),
    ).all()
    return tuple(
        TokenHistory(token, tuple(owner for owner in owners if owner.token_id == token.id))
        for token in tokens
    )
