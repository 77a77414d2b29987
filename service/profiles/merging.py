"""The merged view: what the graph says of each person today.

Facts hang on identities; this module only derives. A merge closes nothing that an undo would need:
the absorbed profile keeps its row as an alias, and comes back when its root stands alone again.
Source: service/decisions/0002-identity.md.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import sorted_keys
from service.db.statements import BOOLEAN, INTEGER, JSON_OBJECT, KEY, MOMENT, SetStatement
from service.identity.graph import Placement
from service.profiles.leaves import leaves, merged
from service.sandboxes.scope import Scope

# ON CONFLICT DO UPDATE locks what is there already, also where its WHERE lets nothing change.
_ENSURE = SetStatement(
    """
    INSERT INTO profile (sandbox_id, id, attributes, is_test, created_at, updated_at)
    SELECT :sandbox_id, r.id, r.attributes, false, :now, :now FROM {r} WHERE true
    ON CONFLICT (sandbox_id, id) DO UPDATE SET merged_into = NULL
    WHERE profile.merged_into IS NOT NULL
    RETURNING id
    """,
    rows={"r": {"id": KEY, "attributes": JSON_OBJECT}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
    result={"id": KEY},
)
_LOCK = SetStatement(
    """
    SELECT t.id FROM profile AS t
    WHERE t.sandbox_id = :sandbox_id AND t.id IN (SELECT r.id FROM {r})
    ORDER BY t.id {lock_t}
    """,
    rows={"r": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"id": KEY},
)
_ALIAS = SetStatement(
    """
    UPDATE profile SET merged_into = r.merged_into, updated_at = :now
    FROM {r} WHERE profile.sandbox_id = :sandbox_id AND profile.id = r.id
    """,
    rows={"r": {"id": KEY, "merged_into": KEY}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
)
_FRAGMENTS = SetStatement(
    """
    SELECT i.profile_id, f.identity_id, f.attributes, f.stamps
    FROM profile_fragment AS f
    JOIN identity AS i ON i.sandbox_id = :sandbox_id AND i.id = f.identity_id
    WHERE f.sandbox_id = :sandbox_id AND f.valid_to IS NULL
        AND f.identity_id IN (SELECT r.identity_id FROM {r})
    ORDER BY f.identity_id, f.dataset_id
    """,
    rows={"r": {"identity_id": KEY}},
    params={"sandbox_id": INTEGER},
    result={
        "profile_id": KEY,
        "identity_id": KEY,
        "attributes": JSON_OBJECT,
        "stamps": JSON_OBJECT,
    },
)
_SAVE = SetStatement(
    """
    UPDATE profile SET attributes = r.attributes, is_test = r.is_test, updated_at = :now
    FROM {r} WHERE profile.sandbox_id = :sandbox_id AND profile.id = r.id
    """,
    rows={"r": {"id": KEY, "attributes": JSON_OBJECT, "is_test": BOOLEAN}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
)


@dataclass(frozen=True, slots=True)
class TouchedProfiles:
    """The profiles of a batch.

    Attributes:
        current: Those that its identities belong to now, and those that lost an identity.
        reshaped: Of these, the ones that are new or whose set of identities changed.
        absorbed: Those that are no longer roots; their memberships close.
    """

    current: frozenset[UUID]
    reshaped: frozenset[UUID]
    absorbed: frozenset[UUID]


def lock(
    session: Session,
    scope: Scope,
    placement: Placement,
    identities: Iterable[UUID],
    *,
    now: datetime,
) -> TouchedProfiles:
    """Create what is missing, lock every touched profile in key order and set the aliases.

    ``identities`` are the keys that the batch names. The caller commits.
    """
    nodes = placement.nodes
    left = frozenset(placement.moved.values())
    joined = frozenset(placement.profile_of(key) for key in placement.moved)
    here = frozenset(placement.profile_of(key) for key in identities)
    absorbed = frozenset(key for key in left if key in nodes and placement.profile_of(key) != key)
    current = (here | joined | left) - absorbed
    params = {"sandbox_id": scope.sandbox_id, "now": now}
    wanted: list[tuple[UUID, dict[str, Any]]] = [(key, {}) for key in sorted_keys(current)]
    began = frozenset(row.id for row in _ENSURE.run(session, params, r=wanted))
    if absorbed:
        leaving = sorted_keys(absorbed)
        _LOCK.run(session, {"sandbox_id": scope.sandbox_id}, r=[(key,) for key in leaving])
        aliases = [(key, placement.profile_of(key)) for key in leaving]
        _ALIAS.run(session, params, r=aliases)
    return TouchedProfiles(current, ((left | joined) - absorbed) | began, absorbed)


def refresh(
    session: Session,
    scope: Scope,
    placement: Placement,
    profiles: frozenset[UUID],
    changed: frozenset[UUID],
    *,
    now: datetime,
) -> None:
    """Derive the merged view of profiles again from the fragments in force.

    ``changed`` are the identities that moved or of which something was said; when no fragment
    hangs on any of them, every view stands as it is. ``profiles`` are locked, and every graph they
    belong to is in ``placement``.
    """
    members = [key for key, node in placement.nodes.items() if node.profile in profiles]
    if not members or not changed:
        return
    rows = _FRAGMENTS.run(
        session,
        {"sandbox_id": scope.sandbox_id},
        r=[(key,) for key in sorted_keys(members)],
    )
    if not any(row.identity_id in changed for row in rows):
        return
    told: dict[UUID, list[tuple[int, str, Any]]] = {}
    for row in rows:
        told.setdefault(row.profile_id, []).extend(
            (row.stamps.get(pointer, 0), pointer, value)
            for pointer, value in leaves(row.attributes)
        )
    views = {key: merged(told.get(key, ())) for key in profiles}
    _save(session, scope, views, now)


def _save(
    session: Session,
    scope: Scope,
    views: Mapping[UUID, dict[str, Any]],
    now: datetime,
) -> None:
    rows = [
        (key, view, view.get("testProfile") is True)
        for key, view in sorted(views.items(), key=lambda item: item[0])
    ]
    _SAVE.run(session, {"sandbox_id": scope.sandbox_id, "now": now}, r=rows)
