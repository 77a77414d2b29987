"""Files for apps: fresh within five seconds, and served on while the store is away."""

from datetime import timedelta
from uuid import UUID

import pytest

from service.catalog import datastreams, mobile_properties
from service.catalog.datastreams import DatastreamChanges, DefaultConsent
from service.catalog.mobile_properties import MobilePropertyChanges
from service.catalog.mobile_settings import Environment, Extension
from service.core.errors import StoreUnavailableError
from service.core.json import decode
from service.db.session import SessionFactory, unit_of_work
from service.flows.open_sandbox import open_sandbox
from service.flows.sdk_files import FRESH_S, FileKind, SdkFile, SdkFiles
from service.sandboxes.scope import Scope
from tests.support.apps import publish
from tests.support.away_store import AwayStore
from tests.support.clocks import START, FixedClock

CONFIGURATION, RULES = FileKind


def test_both_files_of_an_app_of_any_sandbox_are_found(
    store: SessionFactory, clock: FixedClock
) -> None:
    with unit_of_work(store) as session:
        dev = open_sandbox(session, name="dev", title="Dev", type_="development", now=clock.now())
    row, stream = publish(store, dev, clock, Environment.STAGING)
    files = SdkFiles(store, clock)

    configuration = files.find(CONFIGURATION, f"{row.app_id}-staging")
    rules = files.find(RULES, f"{row.app_id}-staging")

    assert configuration is not None
    assert decode(configuration.body)["edge.configId"] == str(stream.id)
    assert rules is not None
    assert rules.body.startswith(b"PK")
    for unserved in (row.app_id, f"{row.app_id}-development", "x", "openapi"):
        assert files.find(CONFIGURATION, unserved) is None
        assert files.find(RULES, unserved) is None


def test_the_same_settings_give_the_same_tag_in_every_process(
    sqlite_store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    row, _ = publish(sqlite_store, scope, clock)

    one, other = (SdkFiles(sqlite_store, clock).find(CONFIGURATION, row.app_id) for _ in range(2))

    assert one == other


def test_a_change_of_the_property_or_its_datastream_is_followed_within_five_seconds(
    sqlite_store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    row, stream = publish(sqlite_store, scope, clock)
    files = SdkFiles(sqlite_store, clock)
    first = _found(files, row.app_id)
    clock.advance(60)
    _set_timeout(sqlite_store, scope, clock, row.id, 60)

    changed = _found(files, row.app_id)
    clock.advance(FRESH_S - 1)
    with unit_of_work(sqlite_store) as session:
        out = DatastreamChanges(default_consent=DefaultConsent.OUT)
        datastreams.update(session, scope, stream.id, out, now=clock.now())
    kept = _found(files, row.app_id)
    clock.advance(1)
    again = _found(files, row.app_id)

    assert kept == changed
    assert decode(changed.body)["lifecycle.sessionTimeout"] == 60
    assert decode(again.body)["consent.default"]["consents"]["collect"]["val"] == "n"
    assert len({first.etag, changed.etag, again.etag}) == 3
    assert [each.modified_at - START for each in (first, changed, again)] == [
        timedelta(0),
        timedelta(seconds=60),
        timedelta(seconds=64),
    ]


def test_a_property_that_is_made_or_deleted_is_followed_too(
    sqlite_store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    files = SdkFiles(sqlite_store, clock)
    row, _ = publish(sqlite_store, scope, clock)
    assert _found(files, row.app_id)
    with unit_of_work(sqlite_store) as session:
        mobile_properties.delete(session, scope, row.id)

    clock.advance(FRESH_S)

    assert files.find(CONFIGURATION, row.app_id) is None
    assert files.find(CONFIGURATION, row.app_id) is None


def test_rules_follow_the_extensions(
    sqlite_store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    row, _ = publish(sqlite_store, scope, clock)
    files = SdkFiles(sqlite_store, clock)
    before = files.find(RULES, row.app_id)
    clock.advance(FRESH_S)
    with unit_of_work(sqlite_store) as session:
        only_core = MobilePropertyChanges(extensions=(Extension.CORE,))
        mobile_properties.update(session, scope, row.id, only_core, now=clock.now())

    after = files.find(RULES, row.app_id)

    assert before is not None
    assert after is not None
    assert before.etag != after.etag
    assert b"applicationLaunch" in before.body
    assert b'{"version":1,"rules":[]}' in after.body


def test_what_was_read_before_is_served_while_the_store_is_away(
    sqlite_store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    row, _ = publish(sqlite_store, scope, clock)
    away = AwayStore(sqlite_store)
    files = SdkFiles(away, clock)
    before = _found(files, row.app_id)
    away.is_away = True
    clock.advance(3600)

    assert _found(files, row.app_id) == before
    with pytest.raises(StoreUnavailableError):
        files.find(RULES, row.app_id)

    away.is_away = False
    assert files.find(RULES, row.app_id) is not None


def test_a_name_that_nothing_could_have_is_not_looked_up(
    sqlite_store: SessionFactory, clock: FixedClock
) -> None:
    away = AwayStore(sqlite_store)
    away.is_away = True

    assert SdkFiles(away, clock).find(CONFIGURATION, "94f571f308d5/launch-x") is None


def _found(files: SdkFiles, file_id: str) -> SdkFile:
    file = files.find(CONFIGURATION, file_id)
    assert file is not None
    return file


def _set_timeout(
    store: SessionFactory, scope: Scope, clock: FixedClock, key: UUID, seconds: int
) -> None:
    changes = MobilePropertyChanges(
        environments={Environment.PRODUCTION: {"session_timeout_s": seconds}}
    )
    with unit_of_work(store) as session:
        mobile_properties.update(session, scope, key, changes, now=clock.now())
