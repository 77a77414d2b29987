"""Stored secrets move to the newest key, and nothing starts that could not read them."""

from uuid import UUID

import pytest

from service.access import signing_keys
from service.audit.models import QuarantinedBody
from service.catalog import datastreams
from service.catalog.datastream_book import DatastreamBook
from service.catalog.datastream_settings import SettingsChanges
from service.catalog.datastreams import NewDatastream, Platform
from service.core.ids import new_key
from service.core.secret import Keyring, Secret, SecretKeyError, key_id, new_secret_key
from service.db.session import SessionFactory, unit_of_work
from service.flows import rotate_secrets
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock

OLD = new_secret_key()
NEW = new_secret_key()


def _quarantine(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
    ring: Keyring,
    count: int,
) -> list[UUID]:
    rows = [
        QuarantinedBody(
            sandbox_id=scope.sandbox_id,
            id=new_key(),
            source_id=new_key(),
            received_at=clock.now(),
            error="22P05",
            body=ring.encrypt(Secret(f"body {i}")),
            released_at=None,
        )
        for i in range(count)
    ]
    with unit_of_work(store) as session:
        session.add_all(rows)
    return [row.id for row in rows]


def test_every_secret_is_read_with_the_new_key_alone_after_rotation(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    keys = _quarantine(store, scope, clock, Keyring.of([OLD]), 7)
    with unit_of_work(store) as session:
        signing = signing_keys.current(session, Keyring.of([OLD]), now=clock.now())

    rotation = rotate_secrets.rotate(store, Keyring.of([NEW, OLD]), batch=3)

    alone = Keyring.of([NEW])
    with unit_of_work(store) as session:
        bodies = [session.get_one(QuarantinedBody, (scope.sandbox_id, key)).body for key in keys]
        assert [alone.decrypt(body).reveal() for body in bodies] == [f"body {i}" for i in range(7)]
        assert signing_keys.current(session, alone, now=clock.now()) == signing
        rotate_secrets.check_keys(session, alone)
    assert rotation.rewritten == 8
    assert not rotation.unreadable


def test_rotation_that_was_ended_goes_on_with_what_is_left(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    _quarantine(store, scope, clock, Keyring.of([NEW]), 2)
    _quarantine(store, scope, clock, Keyring.of([OLD]), 3)
    ring = Keyring.of([NEW, OLD])

    assert rotate_secrets.rotate(store, ring).rewritten == 3
    assert rotate_secrets.rotate(store, ring).rewritten == 0


def test_an_altered_secret_is_counted_and_left_alone(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    keys = _quarantine(store, scope, clock, Keyring.of([OLD]), 3)
    with unit_of_work(store) as session:
        row = session.get_one(QuarantinedBody, (scope.sandbox_id, keys[0]))
        row.body = altered = f"{key_id(OLD)}:garbage"

    rotation = rotate_secrets.rotate(store, Keyring.of([NEW, OLD]), batch=1)

    assert rotation.rewritten == 2
    assert rotation.unreadable == {"quarantine.body": 1}
    with unit_of_work(store) as session:
        row = session.get_one(QuarantinedBody, (scope.sandbox_id, keys[0]))
        assert row.body == altered


def test_a_start_without_a_key_that_is_needed_is_refused_by_name(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    _quarantine(store, scope, clock, Keyring.of([OLD]), 1)

    with pytest.raises(SecretKeyError, match=key_id(OLD)), unit_of_work(store) as session:
        rotate_secrets.check_keys(session, Keyring.of([NEW]))


def test_every_encrypted_column_of_the_store_is_visited() -> None:
    names = {each.name for each in rotate_secrets.encrypted_columns()}

    assert {
        "signing_key.secret",
        "quarantine.body",
        "custom_action.auth_secret",
        "datastream.login_key",
    } <= names


def test_the_secret_of_a_datastreams_login_proofs_moves_to_the_new_key(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    secret = Secret("a-secret-of-the-shop-and-of-nobody-else")
    new = NewDatastream("app", Platform.MOBILE, "EDGEPOST@AdobeOrg")
    with unit_of_work(store) as session:
        book = DatastreamBook(Keyring.of([OLD]), lambda _: None)
        written: SettingsChanges = {"login_proof": {"secret": secret}}
        key = book.create(session, scope, new, written, now=clock.now()).id

    rotation = rotate_secrets.rotate(store, Keyring.of([NEW, OLD]))

    with unit_of_work(store) as session:
        ciphertext = datastreams.get(session, scope, key).login_key
        rotate_secrets.check_keys(session, Keyring.of([NEW]))
    assert ciphertext is not None
    assert Keyring.of([NEW]).decrypt(ciphertext) == secret
    assert rotation.rewritten == 1
