"""Experience events: stored once, on the identity they name."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from service.core.ids import derived_key
from service.db.statements import INTEGER, JSON_OBJECT, KEY, MOMENT, TEXT, SetStatement
from service.identity.consents import Said
from service.profiles.incoming import IncomingEvent, Source
from service.sandboxes.scope import Scope

_KNOWN = SetStatement(
    """
    SELECT e.id, NULL AS consent, NULL AS consent_at FROM experience_event AS e, {r}
    WHERE e.sandbox_id = :sandbox_id AND e.id = r.id
    UNION ALL
    SELECT i.id, i.consent, i.consent_at FROM identity AS i, {s}
    WHERE i.sandbox_id = :sandbox_id AND i.id = s.id AND i.consent IS NOT NULL
    """,
    rows={"r": {"id": KEY}, "s": {"id": KEY}},
    params={"sandbox_id": INTEGER},
    result={"id": KEY, "consent": TEXT, "consent_at": MOMENT},
)
_STORE = SetStatement(
    """
    INSERT INTO experience_event (sandbox_id, id, identity_id, source_id, dataset_id, event_id,
        event_type, at, received_at, xdm, data)
    SELECT :sandbox_id, r.id, r.identity_id, r.source_id, r.dataset_id, r.event_id, r.event_type,
        r.at, r.received_at, r.xdm, r.data
    FROM {r} WHERE true ON CONFLICT DO NOTHING RETURNING id
    """,
    rows={
        "r": {
            "id": KEY,
            "identity_id": KEY,
            "source_id": KEY,
            "dataset_id": KEY,
            "event_id": TEXT,
            "event_type": TEXT,
            "at": MOMENT,
            "received_at": MOMENT,
            "xdm": JSON_OBJECT,
            "data": JSON_OBJECT,
        },
    },
    params={"sandbox_id": INTEGER},
    result={"id": KEY},
)


@dataclass(frozen=True, slots=True)
class Known:
    """Events that are stored already, and what identities said of collecting."""

    events: frozenset[UUID]
    consents: Mapping[UUID, Said]


@dataclass(frozen=True, slots=True)
class EventToKeep:
    """An event with its place: the identity it hangs on and when it was received."""

    event: IncomingEvent
    source: Source
    received_at: datetime
    identity_id: UUID

    @property
    def key(self) -> UUID:
        """The event's key."""
        return event_key(self.source.id, self.event.event_id)


def event_key(source_id: UUID, event_id: str) -> UUID:
    """Return the key that makes (source, ``_id``) unique."""
    return derived_key(str(source_id), event_id)


def known(session: Session, scope: Scope, keys: Iterable[UUID], speakers: Iterable[UUID]) -> Known:
    """Return what is known of events and of the identities that speak for them.

    One statement for both, because every batch asks and few find anything.
    """
    rows = _KNOWN.run(
        session,
        {"sandbox_id": scope.sandbox_id},
        r=[(key,) for key in keys],
        s=[(key,) for key in speakers],
    )
    return Known(
        frozenset(row.id for row in rows if row.consent is None),
        {row.id: Said(row.consent, row.consent_at) for row in rows if row.consent is not None},
    )


def store(session: Session, scope: Scope, kept: Sequence[EventToKeep]) -> frozenset[UUID]:
    """Insert events in key order and return the keys of those that are new.

    The caller commits.
    """
    if not kept:
        return frozenset()
    rows = sorted((_row(each) for each in kept), key=lambda row: row[0])
    stored = _STORE.run(session, {"sandbox_id": scope.sandbox_id}, r=rows)
    return frozenset(row.id for row in stored)


def _row(each: EventToKeep) -> tuple[Any, ...]:
    event = each.event
    return (
        each.key,
        each.identity_id,
        each.source.id,
        event.dataset_id or each.source.event_dataset_id,
        event.event_id,
        event.event_type,
        # A phone whose clock runs ahead must not hide its event from windows that end now.
        min(event.at, each.received_at),
        each.received_at,
        event.xdm,
        event.data,
    )
