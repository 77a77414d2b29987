"""Small worlds: people with attributes and events, and segments over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from service.core.ids import derived_key, new_key
from service.identity.models import Identity
from service.profiles.models import ExperienceEvent, Profile
from service.sandboxes.scope import Scope
from service.segments.models import Segment
from tests.support.clocks import START

NOW = START + timedelta(days=1)


@dataclass(frozen=True)
class Happened:
    """An event of a person; ``on_device`` hangs it on their second identity."""

    event_type: str | None
    at: datetime
    xdm: dict[str, Any]
    on_device: bool = False


@dataclass(frozen=True)
class Person:
    """A profile with its attributes and events."""

    attributes: dict[str, Any] = field(default_factory=dict)
    events: tuple[Happened, ...] = ()


def happened(event_type: str | None, hours: float = -1, **xdm: Any) -> Happened:
    """Return an event some hours from now, later ones in the future."""
    return Happened(event_type, NOW + timedelta(hours=hours), xdm)


def as_the_oracle_reads(events: Sequence[Happened]) -> list[Mapping[str, Any]]:
    """Return events in the oracle's form, without those that have not happened yet."""
    return [
        {"event_type": each.event_type, "timestamp": each.at, "xdm": _xdm(each)}
        for each in events
        if each.at <= NOW
    ]


def add_person(session: Session, scope: Scope, name: str, person: Person) -> UUID:
    """Write a person with two identities and return the profile's key."""
    key = derived_key("CRMID", name)
    for identity in (key, _device(key)):
        session.execute(
            insert(Identity).values(
                sandbox_id=scope.sandbox_id,
                id=identity,
                namespace="CRMID" if identity == key else "ECID",
                value=f"{name}-{identity}",
                graph_id=key,
                profile_id=key,
                had_login=False,
                created_at=START,
            ),
        )
    session.execute(
        insert(Profile).values(
            sandbox_id=scope.sandbox_id,
            id=key,
            attributes=person.attributes,
            is_test=False,
            created_at=START,
            updated_at=START,
        ),
    )
    for event in person.events:
        add_event(session, scope, key, event)
    return key


def add_event(
    session: Session,
    scope: Scope,
    profile_id: UUID,
    event: Happened,
    *,
    received_at: datetime = START,
) -> UUID:
    """Write an event and return its key."""
    key = new_key()
    session.execute(
        insert(ExperienceEvent).values(
            sandbox_id=scope.sandbox_id,
            id=key,
            identity_id=_device(profile_id) if event.on_device else profile_id,
            source_id=UUID(int=1),
            dataset_id=UUID(int=2),
            event_id=str(key),
            event_type=event.event_type,
            at=event.at,
            received_at=received_at,
            xdm=_xdm(event),
        ),
    )
    return key


def say(session: Session, scope: Scope, profile_id: UUID, attributes: dict[str, Any]) -> None:
    """Give a profile other attributes."""
    session.execute(
        update(Profile)
        .where(Profile.sandbox_id == scope.sandbox_id, Profile.id == profile_id)
        .values(attributes=attributes),
    )


def absorb(session: Session, scope: Scope, profile_id: UUID, into: UUID) -> None:
    """Make a profile an alias of another."""
    session.execute(
        update(Profile)
        .where(Profile.sandbox_id == scope.sandbox_id, Profile.id == profile_id)
        .values(merged_into=into),
    )


def add_segment(
    session: Session,
    scope: Scope,
    expression: str,
    evaluation: str = "streaming",
) -> UUID:
    """Write a segment, also one that could not be created so, and return its id."""
    key = new_key()
    session.add(
        Segment(
            sandbox_id=scope.sandbox_id,
            id=key,
            name=str(key),
            description="",
            expression_format="pql/text",
            expression=expression,
            evaluation=evaluation,
            evaluation_reason="",
            created_at=START,
            updated_at=START,
        ),
    )
    session.flush()
    return key


def _device(key: UUID) -> UUID:
    return derived_key("ECID", str(key))


def _xdm(event: Happened) -> dict[str, Any]:
    kind = {} if event.event_type is None else {"eventType": event.event_type}
    return {**event.xdm, **kind, "timestamp": event.at.isoformat()}
