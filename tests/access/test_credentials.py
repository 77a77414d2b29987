"""Clients prove themselves with a secret that nobody can read again."""

import pytest
from sqlalchemy import select

from service.access import credentials
from service.access.credentials import NewCredential
from service.access.models import ApiCredential
from service.access.permissions import Permission
from service.core.errors import NotFoundError
from service.core.secret import Secret
from service.db.session import SessionFactory, unit_of_work
from tests.support.clocks import FixedClock

NEW = NewCredential("ci", (Permission.SEGMENTS_READ,), ("prod",))


def test_a_client_proves_itself_with_the_secret_it_was_given(
    store: SessionFactory,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        made, secret = credentials.create(session, NEW, now=clock.now())

    with unit_of_work(store) as session:
        found = credentials.find_active(session, made.client_id)
    assert found == made
    assert credentials.proves(found, secret)
    assert not credentials.proves(found, Secret(secret.reveal() + "x"))
    assert not credentials.proves(None, secret)
    assert made.permissions == (Permission.SEGMENTS_READ,)


def test_the_secret_is_neither_stored_nor_shown(store: SessionFactory, clock: FixedClock) -> None:
    with unit_of_work(store) as session:
        made, secret = credentials.create(session, NEW, now=clock.now())

    with unit_of_work(store) as session:
        row = session.scalars(select(ApiCredential)).one()
        stored = " ".join(str(getattr(row, each.name)) for each in ApiCredential.__table__.columns)
    assert secret.reveal() not in stored
    assert secret.reveal() not in repr((made, secret, row))
    assert row.secret_hash not in repr(made)


def test_equal_secrets_are_stored_unequally(
    sqlite_store: SessionFactory,
    clock: FixedClock,
) -> None:
    with unit_of_work(sqlite_store) as session:
        first, _ = credentials.create(session, NEW, now=clock.now())
        second, _ = credentials.create(session, NEW, now=clock.now())

    assert first.secret_hash.split("$")[1] != second.secret_hash.split("$")[1]


def test_a_revoked_client_is_not_active_and_keeps_its_first_end(
    store: SessionFactory,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        made, _ = credentials.create(session, NEW, now=clock.now())
        first = credentials.revoke(session, made.client_id, now=clock.now())
        clock.advance(60)
        again = credentials.revoke(session, made.client_id, now=clock.now())

    with unit_of_work(store) as session:
        assert credentials.find_active(session, made.client_id) is None
        assert [each.revoked_at for each in credentials.list_all(session)] == [first.revoked_at]
    assert again.revoked_at == first.revoked_at


def test_an_unknown_client_cannot_be_revoked(store: SessionFactory, clock: FixedClock) -> None:
    with pytest.raises(NotFoundError), unit_of_work(store) as session:
        credentials.revoke(session, "nobody", now=clock.now())
