"""What a device says of collecting decides what of it is kept."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service.db.session import SessionFactory, unit_of_work
from service.flows.ingest import ingest
from service.identity.identity_map import AuthenticatedState
from service.identity.models import Identity
from service.profiles import lookups
from service.profiles.incoming import IncomingRequest, Kept
from service.profiles.models import ExperienceEvent, PushToken
from tests.support.builders import PROD, consent, ecid, event, person, request, source, token
from tests.support.clocks import START

NOW = START + timedelta(days=1)
DEVICE = ecid(1)
PENDING = source(default_consent="pending")


def keep(store: SessionFactory, *requests: IncomingRequest) -> list[Kept]:
    with unit_of_work(store) as session:
        return ingest(session, requests, now=NOW)


def attributes_of(store: SessionFactory, namespace: str, value: str) -> Any:
    with store.opened() as session:
        found = lookups.find_profile(session, PROD, namespace, value)
        assert found is not None
        return found.profile.attributes


def kept_rows(store: SessionFactory) -> tuple[int, int]:
    """Return how many events and push tokens are stored."""
    with store.opened() as session:
        events = select(ExperienceEvent.id).where(ExperienceEvent.sandbox_id == 1)
        tokens = select(PushToken.id).where(PushToken.sandbox_id == 1)
        return len(session.scalars(events).all()), len(session.scalars(tokens).all())


def test_without_consent_nothing_of_an_event_is_kept(store: SessionFactory) -> None:
    keep(store, request(consents=(consent(DEVICE, collect="out"),)))

    (kept,) = keep(
        store,
        request(
            event(DEVICE, person("C-1"), at=5, tokens=(token(DEVICE, "T"),)), event(ecid(2), at=5)
        ),
    )

    assert kept.without_consent == (0,)
    assert (kept.stored, kept.duplicates) == (1, 0)
    assert kept_rows(store) == (1, 0)
    with store.opened() as session:
        assert session.get(Identity, (1, person("C-1").key)) is None


@pytest.mark.parametrize("default", ["pending", "out"])
def test_a_datastream_that_waits_for_consent_keeps_nothing_until_it_comes(
    store: SessionFactory, default: str
) -> None:
    waiting = source(default_consent=default)

    (before,) = keep(store, request(event(DEVICE), source_=waiting))
    keep(store, request(consents=(consent(DEVICE, collect="in", at=1),), source_=waiting))
    (after,) = keep(store, request(event(DEVICE, at=2), source_=waiting))

    assert (before.stored, before.without_consent) == (0, (0,))
    assert (after.stored, after.without_consent) == (1, ())


def test_the_newest_saying_wins_in_whatever_order_it_comes(store: SessionFactory) -> None:
    keep(store, request(consents=(consent(DEVICE, collect="in", at=9),)))
    keep(store, request(consents=(consent(DEVICE, collect="out", at=3),)))

    (kept,) = keep(store, request(event(DEVICE, at=10)))

    assert kept.stored == 1


def test_consent_and_event_in_one_batch_belong_together(store: SessionFactory) -> None:
    said = request(consents=(consent(DEVICE, collect="in"),), source_=PENDING)

    _, kept = keep(store, said, request(event(DEVICE, at=1), source_=PENDING))

    assert kept.stored == 1


def test_a_person_who_refuses_on_one_device_is_heard_on_that_device_only(
    store: SessionFactory,
) -> None:
    keep(store, request(consents=(consent(DEVICE, person("C-1"), collect="out"),)))

    (here, there) = keep(
        store,
        request(event(DEVICE, person("C-1"), at=1)),
        request(event(ecid(2), person("C-1"), at=1)),
    )

    assert (here.stored, there.stored) == (0, 1)


def test_an_inlet_is_not_asked_for_consent(store: SessionFactory) -> None:
    keep(store, request(consents=(consent(DEVICE, collect="out"),)))

    (kept,) = keep(store, request(event(DEVICE, at=1), source_=source("inlet")))

    assert kept.stored == 1


def test_a_duplicate_is_answered_as_one_also_after_consent_was_withdrawn(
    store: SessionFactory,
) -> None:
    once = event(DEVICE, event_id="same")
    keep(store, request(once))
    keep(store, request(consents=(consent(DEVICE, collect="out", at=1),)))

    (again,) = keep(store, request(once))

    assert (again.duplicates, again.without_consent) == (1, ())


def test_preferences_are_kept_with_the_person_who_is_logged_in(store: SessionFactory) -> None:
    marketing = {"push": {"val": "n"}}

    keep(store, request(consents=(consent(DEVICE, person("C-1"), marketing=marketing),)))

    assert attributes_of(store, "CRMID", "C-1") == {"consents": {"marketing": marketing}}


def test_an_update_merges_and_a_replacement_forgets(store: SessionFactory) -> None:
    first = consent(DEVICE, collect="in", marketing={"push": {"val": "y"}})
    second = consent(DEVICE, at=1, share={"val": "n"})
    third = consent(DEVICE, at=2, replaces=True, personalize={"content": {"val": "y"}})

    keep(store, request(consents=(first,)))
    keep(store, request(consents=(second,)))
    merged = attributes_of(store, "ECID", DEVICE.value)
    keep(store, request(consents=(third,)))

    assert merged == {"consents": {"marketing": {"push": {"val": "y"}}, "share": {"val": "n"}}}
    assert attributes_of(store, "ECID", DEVICE.value) == {
        "consents": {"personalize": {"content": {"val": "y"}}}
    }


def test_a_consent_of_the_device_alone_does_not_end_a_login(store: SessionFactory) -> None:
    keep(store, request(event(DEVICE, person("C-1"), tokens=(token(DEVICE, "T"),))))

    keep(store, request(consents=(consent(DEVICE, at=5, marketing={"push": {"val": "y"}}),)))

    with store.opened() as session:
        phone = session.get_one(Identity, (1, DEVICE.key))
        (owner,) = session.scalars(select(PushToken.owner_id).where(PushToken.sandbox_id == 1))
    assert (phone.login_id, owner) == (person("C-1").key, person("C-1").key)
    assert attributes_of(store, "CRMID", "C-1") == {
        "consents": {"marketing": {"push": {"val": "y"}}}
    }


def test_a_consent_that_says_so_ends_a_login(store: SessionFactory) -> None:
    keep(store, request(event(DEVICE, person("C-1"), tokens=(token(DEVICE, "T"),))))
    gone = person("C-1", AuthenticatedState.LOGGED_OUT)

    keep(store, request(consents=(consent(DEVICE, gone, at=5, collect="in"),)))

    with store.opened() as session:
        assert session.get_one(Identity, (1, DEVICE.key)).login_id is None
