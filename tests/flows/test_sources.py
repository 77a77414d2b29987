"""The source directory follows changes and keeps the store out of the hot path."""

from uuid import uuid4

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from service.access.login_keys import ProofAlgorithm
from service.catalog import datastreams, inlets
from service.catalog.datastream_book import DatastreamBook
from service.catalog.datastream_settings import DEFAULTS, LoginProofMode, SettingsChanges
from service.catalog.datastreams import DatastreamChanges, NewDatastream, Platform
from service.catalog.inlets import InletChanges, NewInlet
from service.core.errors import StoreUnavailableError
from service.core.secret import Keyring, Secret, new_secret_key
from service.db.engine import open_engine
from service.db.session import SessionFactory, unit_of_work
from service.flows.sources import FRESH_S, DatastreamSource, Disabled, SourceDirectory
from service.identity import namespaces
from service.identity.namespaces import IdType, NewNamespace
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock

ORG = "EDGEPOST@AdobeOrg"
KEYS = Keyring.of([new_secret_key()])
SECRET = Secret("a-secret-of-the-shop-and-of-nobody-else")
PROOF: SettingsChanges = {
    "login_proof": {
        "mode": LoginProofMode.REQUIRED,
        "algorithms": (ProofAlgorithm.HS256,),
        "secret": SECRET,
    },
}


def _datastream(store: SessionFactory, scope: Scope, clock: FixedClock) -> str:
    new = NewDatastream("app", Platform.MOBILE, ORG, app_ids=("com.example.app",))
    with unit_of_work(store) as session:
        return str(datastreams.create(session, scope, new, now=clock.now()).id)


def _with_settings(
    store: SessionFactory, scope: Scope, clock: FixedClock, written: SettingsChanges
) -> str:
    new = NewDatastream("app", Platform.MOBILE, ORG)
    with unit_of_work(store) as session:
        book = DatastreamBook(KEYS, lambda _: None)
        return str(book.create(session, scope, new, written, now=clock.now()).id)


def _found(directory: SourceDirectory, key: str) -> DatastreamSource:
    found = directory.datastream(key)
    assert isinstance(found, DatastreamSource)
    return found


def test_a_new_datastream_is_known_at_once(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    directory = SourceDirectory(store, clock, KEYS)
    key = _datastream(store, scope, clock)

    found = directory.datastream(key)

    assert found is not None
    assert not isinstance(found, Disabled)
    assert (found.scope, found.platform, found.logout_on) == (scope, "mobile", "absent")
    assert found.app_ids == {"com.example.app"}
    assert found.org_id == ORG


def test_an_inlet_says_whether_it_needs_a_token(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        new = NewInlet("crm", ORG, requires_token=True)
        key = str(inlets.create(session, scope, new, now=clock.now()).id)

    found = SourceDirectory(store, clock, KEYS).inlet(key)

    assert found is not None
    assert not isinstance(found, Disabled)
    assert (found.platform, found.requires_token) == ("inlet", True)


@pytest.mark.parametrize("text", ["", "nonsense", "1234", "2788a031-64ec-4754-af44-7935c4c70b52"])
def test_text_that_names_nothing_finds_nothing(
    sqlite_store: SessionFactory,
    clock: FixedClock,
    text: str,
) -> None:
    directory = SourceDirectory(sqlite_store, clock, KEYS)

    assert directory.datastream(text) is None
    assert directory.inlet(text) is None


def test_an_inlet_is_no_datastream(
    sqlite_store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    key = _datastream(sqlite_store, scope, clock)

    assert SourceDirectory(sqlite_store, clock, KEYS).inlet(key) is None


def test_switching_off_is_followed_after_five_seconds(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    directory = SourceDirectory(store, clock, KEYS)
    key = _datastream(store, scope, clock)
    known = directory.datastream(key)
    assert known is not None
    with unit_of_work(store) as session:
        off = DatastreamChanges(is_enabled=False)
        datastreams.update(session, scope, known.id, off, now=clock.now())

    before = directory.datastream(key)
    clock.advance(FRESH_S)
    after = directory.datastream(key)

    assert before == known
    assert after == Disabled(known.id)


def test_a_disabled_inlet_is_told_apart_from_an_unknown_one(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        row = inlets.create(session, scope, NewInlet("crm", ORG), now=clock.now())
        inlets.update(session, scope, row.id, InletChanges(is_enabled=False), now=clock.now())

    assert SourceDirectory(store, clock, KEYS).inlet(str(row.id)) == Disabled(row.id)


def test_a_store_that_is_away_is_said_to_be_away_and_not_an_unknown_datastream(
    clock: FixedClock,
) -> None:
    engine: Engine = open_engine("postgresql+psycopg://postgres@127.0.0.1:1/nowhere")

    with pytest.raises(StoreUnavailableError):
        SourceDirectory(SessionFactory(engine), clock, KEYS).datastream(str(uuid4()))


def test_settings_are_read_with_the_secret_in_clear(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    key = _with_settings(store, scope, clock, {**PROOF, "requests_per_second": 5})

    found = _found(SourceDirectory(store, clock, KEYS), key)

    assert found.settings.requests_per_second == 5
    assert found.settings.login_proof.secret == SECRET
    assert SECRET.reveal() not in repr(found)


def test_a_datastream_without_settings_has_their_defaults(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    found = _found(SourceDirectory(store, clock, KEYS), _datastream(store, scope, clock))

    assert found.settings == DEFAULTS
    assert found.device_namespaces == frozenset()


def test_only_namespaces_of_devices_are_known_to_need_no_proof(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    with unit_of_work(store) as session:
        for new in (
            NewNamespace("Member", "Member", IdType.CROSS_DEVICE),
            NewNamespace("Basket", "Basket", IdType.NON_PEOPLE),
        ):
            namespaces.create(session, scope, new, now=clock.now())
    key = _with_settings(store, scope, clock, PROOF)

    found = _found(SourceDirectory(store, clock, KEYS), key)

    assert found.device_namespaces == {"ECID", "GAID", "IDFA", "FPID", "AdCloud", "Basket"}


def test_a_secret_that_cannot_be_read_is_said_once_and_keeps_the_datastream(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    key = _with_settings(store, scope, clock, PROOF)
    directory = SourceDirectory(store, clock, Keyring.of([new_secret_key()]))

    with capture_logs() as logs:
        found = [_found(directory, key)]
        clock.advance(FRESH_S)
        found.append(_found(directory, key))

    assert [each.settings.login_proof.mode for each in found] == ["required", "required"]
    assert [each.settings.login_proof.secret for each in found] == [None, None]
    assert [(each["event"], each["datastream"]) for each in logs] == [("login_key_unreadable", key)]
