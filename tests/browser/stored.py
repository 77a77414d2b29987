"""What edgepost has kept of a site's visitors."""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from service.db.session import SessionFactory
from service.identity.identity_map import identity_key
from service.identity.models import Identity
from service.profiles.models import ExperienceEvent

_PROD = 1


@dataclass(frozen=True, slots=True)
class Stored:
    """The store of a running deployment, to be read."""

    sessions: SessionFactory

    def events(self, datastream: str) -> list[ExperienceEvent]:
        """Return the events of a datastream, by their own time."""
        with self.sessions.opened() as session:
            found = session.scalars(
                select(ExperienceEvent)
                .where(
                    ExperienceEvent.sandbox_id == _PROD,
                    ExperienceEvent.source_id == UUID(datastream),
                )
                .order_by(ExperienceEvent.at, ExperienceEvent.id)
            )
            return list(found)

    def consent(self, ecid: str) -> str | None:
        """Return what a visitor's device last said of collecting."""
        with self.sessions.opened() as session:
            return session.scalar(
                select(Identity.consent).where(
                    Identity.sandbox_id == _PROD, Identity.id == key_of("ECID", ecid)
                )
            )


def key_of(namespace: str, value: str) -> UUID:
    """Return the key of an identity, on which events hang."""
    return identity_key(namespace, value)
