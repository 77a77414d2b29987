"""What phones remember that was acknowledged, held against what is stored."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from mobile_stub.device import Hit
from service.db.engine import open_engine
from service.db.session import SessionFactory
from service.identity.identity_map import identity_key
from service.profiles.models import ExperienceEvent, PushToken, PushTokenOwner
from service.settings import normal_database_url
from tests.e2e.fleet import Fleet, RememberingPhone

_PROD = 1


@dataclass(frozen=True, slots=True)
class Book:
    """Events with the identity they hang on, tokens with their owners; sorted, nothing merged."""

    events: list[tuple[str, UUID]]
    owners: list[tuple[str, UUID | None]]


def assert_kept(fleet: Fleet, url: str) -> None:
    """Fail when anything acknowledged is missing, stored twice, or somebody else's."""
    dropped = set(fleet.hits) - fleet.acknowledged
    assert not dropped, f"{len(dropped)} hits were dropped"
    found, open_owners = _stored(url)
    assert found == _expected(fleet.phones)
    owned = sorted((token, owner) for token, owner in found.owners if owner is not None)
    assert open_owners == owned, "an open interval is not its token's owner"


def _expected(phones: Iterable[RememberingPhone]) -> Book:
    """Return what phones that share no person and no token must have left behind.

    A token belongs to who was logged in last, to the device before the first login, and to nobody
    after a logout or once the device has announced a newer one.
    """
    events: list[tuple[str, UUID]] = []
    owners: dict[str, UUID | None] = {}
    for phone in phones:
        token: str | None = None
        had_login = False
        for hit in phone.hits.values():
            person = _person_of(hit)
            had_login = had_login or person is not None
            device = identity_key("ECID", hit.identity_map["ECID"][0]["id"])
            events.append((hit.id, person or device))
            for details in hit.event.get("data", {}).get("pushNotificationDetails", []):
                if token is not None:
                    owners[token] = None
                token = details["token"]
            if token is not None:
                owners[token] = person or (None if had_login else device)
    return Book(sorted(events), sorted(owners.items()))


def _person_of(hit: Hit) -> UUID | None:
    people = hit.identity_map.get("CRMID", [])
    return identity_key("CRMID", people[0]["id"]) if people else None


def _stored(url: str) -> tuple[Book, list[tuple[str, UUID]]]:
    """Return what is stored, and each token with the holder of its open ownership interval."""
    engine = open_engine(normal_database_url(url))
    with SessionFactory(engine).opened() as session:
        events = session.execute(
            select(ExperienceEvent.event_id, ExperienceEvent.identity_id).where(
                ExperienceEvent.sandbox_id == _PROD,
            ),
        ).all()
        owners = session.execute(
            select(PushToken.token, PushToken.owner_id).where(PushToken.sandbox_id == _PROD),
        ).all()
        open_owners = session.execute(
            select(PushToken.token, PushTokenOwner.identity_id)
            .join(PushTokenOwner, PushTokenOwner.token_id == PushToken.id)
            .where(
                PushToken.sandbox_id == _PROD,
                PushTokenOwner.sandbox_id == _PROD,
                PushTokenOwner.to_at.is_(None),
            ),
        ).all()
    engine.dispose()
    book = Book(
        sorted((row[0], row[1]) for row in events), sorted((row[0], row[1]) for row in owners)
    )
    return book, sorted((row[0], row[1]) for row in open_owners)
