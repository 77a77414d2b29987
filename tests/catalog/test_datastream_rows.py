"""Datastreams and their datasets, one sandbox apart from the other."""

import pytest

from service.catalog import datasets, datastreams
from service.catalog.datastreams import (
    DatastreamChanges,
    DefaultConsent,
    LogoutOn,
    NewDatastream,
    Platform,
)
from service.core.errors import ConflictError, NotFoundError
from service.core.ids import new_key
from service.db.session import SessionFactory, unit_of_work
from service.flows.open_sandbox import open_sandbox
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock

ORG = "EDGEPOST@AdobeOrg"


def test_a_datastream_gets_datasets_for_events_and_profiles(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        new = NewDatastream("app", Platform.MOBILE, ORG)
        row = datastreams.create(session, scope, new, now=clock.now())

    with unit_of_work(store) as session:
        events = datasets.get(session, scope, row.event_dataset_id)
        profiles = datasets.get(session, scope, row.profile_dataset_id)
    assert (events.schema_class, events.is_system) == ("experienceevent", True)
    assert (profiles.schema_class, profiles.is_system) == ("profile", True)
    assert events.retention_days == 91


@pytest.mark.parametrize(
    ("platform", "expected"),
    [(Platform.MOBILE, LogoutOn.ABSENT), (Platform.WEB, LogoutOn.LOGGED_OUT)],
)
def test_what_ends_a_login_follows_from_the_platform(
    sqlite_store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
    platform: Platform,
    expected: LogoutOn,
) -> None:
    with unit_of_work(sqlite_store) as session:
        new = NewDatastream("source", platform, ORG)
        row = datastreams.create(session, scope, new, now=clock.now())

    assert row.logout_on == expected


def test_a_change_leaves_everything_else_as_it_was(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        new = NewDatastream("web", Platform.WEB, ORG, origins=("https://a.example",))
        key = datastreams.create(session, scope, new, now=clock.now()).id
    clock.advance(60)

    with unit_of_work(store) as session:
        changes = DatastreamChanges(default_consent=DefaultConsent.PENDING, app_ids=())
        datastreams.update(session, scope, key, changes, now=clock.now())

    with unit_of_work(store) as session:
        row = datastreams.get(session, scope, key)
    assert (row.name, row.origins, row.app_ids) == ("web", ["https://a.example"], [])
    assert row.default_consent == "pending"
    assert (row.updated_at - row.created_at).total_seconds() == 60


def test_a_name_that_a_renamed_datastream_left_can_be_used_again(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        new = NewDatastream("app", Platform.MOBILE, ORG)
        first = datastreams.create(session, scope, new, now=clock.now())
        renamed = DatastreamChanges(name="old app")
        datastreams.update(session, scope, first.id, renamed, now=clock.now())
        second = datastreams.create(session, scope, new, now=clock.now())

    assert (first.name, second.name) == ("old app", "app")


def test_a_name_is_taken_in_its_own_sandbox_only(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    new = NewDatastream("app", Platform.MOBILE, ORG)
    with unit_of_work(store) as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=clock.now())
        datastreams.create(session, scope, new, now=clock.now())
        datastreams.create(session, other, new, now=clock.now())

    with pytest.raises(ConflictError), unit_of_work(store) as session:
        datastreams.create(session, scope, new, now=clock.now())


def test_a_datastream_is_unknown_in_another_sandbox(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=clock.now())
        new = NewDatastream("app", Platform.MOBILE, ORG)
        key = datastreams.create(session, scope, new, now=clock.now()).id

    with unit_of_work(store) as session:
        assert datastreams.list_page(session, other, limit=10) == ()
        with pytest.raises(NotFoundError):
            datastreams.get(session, other, key)
        with pytest.raises(NotFoundError):
            datastreams.update(session, other, key, DatastreamChanges(), now=clock.now())


def test_an_sdk_finds_a_datastream_and_its_sandbox_by_the_id_alone(
    store: SessionFactory,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        other = open_sandbox(session, name="dev", title="Dev", type_="development", now=clock.now())
        new = NewDatastream("app", Platform.MOBILE, ORG)
        key = datastreams.create(session, other, new, now=clock.now()).id

    with unit_of_work(store) as session:
        found = datastreams.find_source(session, key)
        assert found is not None
        assert (found[0].id, found[1]) == (key, other)
        assert datastreams.find_source(session, new_key()) is None


def test_pages_follow_each_other_without_gap_or_repeat(
    store: SessionFactory,
    scope: Scope,
    clock: FixedClock,
) -> None:
    with unit_of_work(store) as session:
        made = [
            datastreams.create(
                session, scope, NewDatastream(f"app {i}", Platform.MOBILE, ORG), now=clock.now()
            ).id
            for i in range(5)
        ]

    with unit_of_work(store) as session:
        first = datastreams.list_page(session, scope, limit=3)
        rest = datastreams.list_page(session, scope, limit=3, after=first[-1].id)
    assert [row.id for row in (*first, *rest)] == made
