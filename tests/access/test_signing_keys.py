"""Signing keys: one signs, older ones verify until their tokens have ended."""

from sqlalchemy import select

from service.access import signing_keys
from service.access.models import SigningKey
from service.core.secret import Keyring, new_secret_key
from service.db.session import SessionFactory, unit_of_work
from tests.support.clocks import FixedClock

RING = Keyring.of([new_secret_key()])


def test_the_same_key_signs_until_it_is_rotated(store: SessionFactory, clock: FixedClock) -> None:
    with unit_of_work(store) as session:
        first = signing_keys.current(session, RING, now=clock.now())

    with unit_of_work(store) as session:
        assert signing_keys.current(session, RING, now=clock.now()) == first
        assert signing_keys.verifying(session, RING, now=clock.now()) == {first.kid: first}


def test_an_older_key_verifies_as_long_as_its_tokens_live(
    store: SessionFactory,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        old = signing_keys.current(session, RING, now=clock.now())
        new = signing_keys.rotate(session, RING, token_life_s=3600, now=clock.now())

    clock.advance(3599)
    with unit_of_work(store) as session:
        assert signing_keys.current(session, RING, now=clock.now()) == new
        assert set(signing_keys.verifying(session, RING, now=clock.now())) == {old.kid, new.kid}
    clock.advance(1)
    with unit_of_work(store) as session:
        assert set(signing_keys.verifying(session, RING, now=clock.now())) == {new.kid}


def test_a_signing_key_is_stored_encrypted(store: SessionFactory, clock: FixedClock) -> None:
    with unit_of_work(store) as session:
        key = signing_keys.current(session, RING, now=clock.now())

    with unit_of_work(store) as session:
        row = session.scalars(select(SigningKey)).one()
    assert key.secret.reveal() not in row.secret
    assert key.secret.reveal() not in repr(key)
