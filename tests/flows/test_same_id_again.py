"""An ``_id`` that was seen is not read again, whatever comes under it."""

from sqlalchemy import select

from service.db.session import SessionFactory, unit_of_work
from service.flows.ingest import ingest
from service.identity.models import Identity
from service.profiles.incoming import IncomingRequest, Kept
from service.profiles.models import ExperienceEvent
from tests.support.builders import ecid, event, person, request
from tests.support.clocks import START


def keep(store: SessionFactory, *requests: IncomingRequest) -> list[Kept]:
    with unit_of_work(store) as session:
        return ingest(session, requests, now=START)


def test_another_login_under_the_same_id_takes_nothing(store: SessionFactory) -> None:
    first = request(event(ecid(1), person("ada"), at=1, event_id="same"))
    again = request(event(ecid(1), person("bob"), at=2, event_id="same"))

    answers = keep(store, first) + keep(store, again)

    assert [(each.stored, each.duplicates) for each in answers] == [(1, 0), (0, 1)]
    with store.opened() as session:
        device = session.get_one(Identity, (1, ecid(1).key))
        hangs_on = session.scalars(
            select(ExperienceEvent.identity_id).where(ExperienceEvent.sandbox_id == 1),
        ).all()
    assert device.login_id == person("ada").key
    assert hangs_on == [person("ada").key]


def test_of_two_in_one_batch_the_first_counts(store: SessionFactory) -> None:
    first = request(event(ecid(1), person("ada"), at=1, event_id="same"))
    again = request(event(ecid(1), person("bob"), at=2, event_id="same"))

    answers = keep(store, first, again)

    assert [(each.stored, each.duplicates) for each in answers] == [(1, 0), (0, 1)]
    with store.opened() as session:
        assert session.get_one(Identity, (1, ecid(1).key)).login_id == person("ada").key
