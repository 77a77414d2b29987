"""What each dataset says of each identity, in versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, SetStatement
from service.db.types import to_epoch_us
from service.profiles.leaves import said, size
from service.sandboxes.scope import Scope

_OPEN = SetStatement(
    """
    SELECT t.identity_id, t.dataset_id, t.attributes, t.stamps
    FROM profile_fragment AS t
    JOIN {r} ON t.identity_id = r.identity_id AND t.dataset_id = r.dataset_id
    WHERE t.sandbox_id = :sandbox_id AND t.valid_to IS NULL
    ORDER BY t.identity_id, t.dataset_id {lock_t}
    """,
    rows={"r": {"identity_id": KEY, "dataset_id": KEY}},
    params={"sandbox_id": INTEGER},
    result={
        "identity_id": KEY,
        "dataset_id": KEY,
        "attributes": JSON_OBJECT,
        "stamps": JSON_OBJECT,
    },
)
_CLOSE = SetStatement(
    """
    UPDATE profile_fragment SET valid_to = :now
    FROM {r} WHERE profile_fragment.sandbox_id = :sandbox_id
        AND profile_fragment.identity_id = r.identity_id
        AND profile_fragment.dataset_id = r.dataset_id
        AND profile_fragment.valid_to IS NULL AND profile_fragment.valid_from < :now
    """,
    rows={"r": {"identity_id": KEY, "dataset_id": KEY}},
    params={"sandbox_id": INTEGER, "now": MOMENT},
)
_ADD = SetStatement(
    """
    INSERT INTO profile_fragment
        (sandbox_id, identity_id, dataset_id, valid_from, attributes, stamps)
    SELECT :sandbox_id, r.identity_id, r.dataset_id, :now, r.attributes, r.stamps
    FROM {r} WHERE true
    ON CONFLICT (sandbox_id, identity_id, dataset_id, valid_from) DO UPDATE SET
        attributes = excluded.attributes, stamps = excluded.stamps
    """,
    rows={
        "r": {
            "identity_id": KEY,
            "dataset_id": KEY,
            "attributes": JSON_OBJECT,
            "stamps": JSON_OBJECT,
        },
    },
    params={"sandbox_id": INTEGER, "now": MOMENT},
)


@dataclass(frozen=True, slots=True)
class Saying:
    """One record: a dataset says these attributes of an identity.

    Attributes:
        replaces: The field of which nothing older that this dataset said stays.
        at: When it was said, where the sender tells; ``None`` stands for this moment.
        most_bytes: How large the fragment may become; what would make it larger is dropped.
    """

    identity_id: UUID
    dataset_id: UUID
    attributes: Mapping[str, Any]
    replaces: str | None = None
    at: datetime | None = None
    most_bytes: int | None = None


def store(
    session: Session, scope: Scope, sayings: Sequence[Saying], *, now: datetime
) -> tuple[Saying, ...]:
    """Write a new version of every fragment that a record changes; fields not named stay.

    Of each field the latest saying counts, whatever the order of arrival. Returned are the sayings
    that were dropped because their fragment would be too large. The caller holds the locks of the
    identities' profiles and commits.
    """
    if not sayings:
        return ()
    slots = sorted({(each.identity_id, each.dataset_id) for each in sayings})
    open_versions: dict[tuple[UUID, UUID], tuple[dict[str, Any], dict[str, int]]] = {
        (row.identity_id, row.dataset_id): (row.attributes, row.stamps)
        for row in _OPEN.run(session, {"sandbox_id": scope.sandbox_id}, r=slots)
    }
    changed: set[tuple[UUID, UUID]] = set()
    dropped = []
    for each in sayings:
        slot = (each.identity_id, each.dataset_id)
        before = open_versions.get(slot, ({}, {}))
        after = said(*before, each.attributes, to_epoch_us(each.at or now), each.replaces)
        if each.most_bytes is not None and max(each.most_bytes, size(before[0])) < size(after[0]):
            dropped.append(each)
        else:
            open_versions[slot] = after
            changed.add(slot)
    written = sorted(changed)
    if written:
        params = {"sandbox_id": scope.sandbox_id, "now": now}
        _CLOSE.run(session, params, r=written)
        _ADD.run(session, params, r=[(*slot, *open_versions[slot]) for slot in written])
    return tuple(dropped)
