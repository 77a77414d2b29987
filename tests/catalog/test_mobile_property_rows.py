"""Mobile properties: what may be served to which app, one sandbox apart from the other."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalog import datastreams, mobile_properties, mobile_settings
from service.catalog.datastreams import NewDatastream, Platform
from service.catalog.mobile_properties import (
    MobilePropertyChanges,
    NewMobileProperty,
    file_id,
    parse_file_id,
)
from service.catalog.mobile_settings import (
    CollectConsent,
    EdgeEnvironment,
    Environment,
    EnvironmentSettings,
    Extension,
    GlobalPrivacy,
    PropertySettings,
)
from service.catalog.models import Datastream
from service.core.errors import ConflictError, InvalidInputError, NotFoundError
from service.core.ids import new_key
from service.db.session import SessionFactory, unit_of_work
from service.flows.open_sandbox import open_sandbox
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock

ORG = "EDGEPOST@AdobeOrg"
HOST = "edge.example.com"
DEVELOPMENT, STAGING, PRODUCTION = Environment
APP_ID = "94f571f308d5/fec7505defe0/launch-1a2b3c4d5e6f"


class Catalog:
    """One sandbox with a mobile and a web datastream."""

    def __init__(self, store: SessionFactory, scope: Scope, clock: FixedClock) -> None:
        self.store, self.scope, self.clock = store, scope, clock
        self.mobile = self.stream("app", Platform.MOBILE)
        self.web = self.stream("site", Platform.WEB)

    def stream(self, name: str, platform: Platform, scope: Scope | None = None) -> Datastream:
        new = NewDatastream(name, platform, ORG)
        with unit_of_work(self.store) as session:
            return datastreams.create(session, scope or self.scope, new, now=self.clock.now())

    def create(self, name: str = "Shop", **environments: Any) -> Any:
        named = {Environment(key): value for key, value in environments.items()}
        new = NewMobileProperty(name, named or {PRODUCTION: self.told()})
        with unit_of_work(self.store) as session:
            return mobile_properties.create(session, self.scope, new, now=self.clock.now())

    def update(self, key: Any, **changes: Any) -> PropertySettings:
        with unit_of_work(self.store) as session:
            row = mobile_properties.update(
                session, self.scope, key, MobilePropertyChanges(**changes), now=self.clock.now()
            )
            return mobile_settings.read_settings(row.settings)

    def told(self, **changes: Any) -> Any:
        return {"datastream_id": self.mobile.id, "edge_domain": HOST, **changes}

    def other_sandbox(self) -> Scope:
        with unit_of_work(self.store) as session:
            return open_sandbox(
                session, name="dev", title="Dev", type_="development", now=self.clock.now()
            )


@pytest.fixture
def catalog(store: SessionFactory, scope: Scope, clock: FixedClock) -> Catalog:
    return Catalog(store, scope, clock)


@pytest.fixture
def light(sqlite_store: SessionFactory, scope: Scope, clock: FixedClock) -> Catalog:
    """Return the same over one store, for rules that stand above it."""
    return Catalog(sqlite_store, scope, clock)


def test_a_property_is_found_by_its_app_id_alone(catalog: Catalog) -> None:
    row = catalog.create()

    with unit_of_work(catalog.store) as session:
        found = mobile_properties.find_by_app(session, row.app_id)
        assert found is not None
        assert (found[0].id, found[1]) == (row.id, catalog.scope)
        assert mobile_properties.find_by_app(session, APP_ID) is None
    assert parse_file_id(row.app_id) == (row.app_id, PRODUCTION)


def test_settings_come_back_from_the_store_as_they_were_written(catalog: Catalog) -> None:
    told = catalog.told(
        edge_environment=EdgeEnvironment.PRE_PROD,
        event_dataset_id=catalog.mobile.event_dataset_id,
        use_sandbox=True,
        optimize_push_sync=False,
        consent_default=CollectConsent.PENDING,
        global_privacy=GlobalPrivacy.UNKNOWN,
        session_timeout_s=60,
    )

    key = catalog.create(staging=told, development=catalog.told()).id

    with unit_of_work(catalog.store) as session:
        row = mobile_properties.get(session, catalog.scope, key)
    settings = mobile_settings.read_settings(row.settings)
    assert list(settings.environments) == [DEVELOPMENT, STAGING]
    assert settings.environments[STAGING] == EnvironmentSettings(**told)
    assert settings.extensions == tuple(Extension)


def test_only_development_uses_the_push_sandbox_unless_told(light: Catalog) -> None:
    told = {each.value: light.told() for each in Environment}

    row = light.create(**told)

    environments = mobile_settings.read_settings(row.settings).environments
    assert [each.use_sandbox for each in environments.values()] == [True, False, False]


def test_a_change_leaves_everything_else_as_it_was(catalog: Catalog) -> None:
    row = catalog.create(
        development=catalog.told(session_timeout_s=60), production=catalog.told(), staging=None
    )
    before = mobile_settings.read_settings(row.settings)
    catalog.clock.advance(60)

    after = catalog.update(
        row.id, environments={DEVELOPMENT: {"use_sandbox": False}, STAGING: catalog.told()}
    )
    removed = catalog.update(row.id, name="Renamed", environments={PRODUCTION: None})

    assert after.environments[PRODUCTION] == before.environments[PRODUCTION]
    assert after.environments[DEVELOPMENT].session_timeout_s == 60
    assert not after.environments[DEVELOPMENT].use_sandbox
    assert list(removed.environments) == [DEVELOPMENT, STAGING]
    with unit_of_work(catalog.store) as session:
        kept = mobile_properties.get(session, catalog.scope, row.id)
    assert (kept.name, kept.app_id) == ("Renamed", row.app_id)
    assert (kept.updated_at - kept.created_at).total_seconds() == 60


def test_a_name_is_taken_in_its_own_sandbox_only(catalog: Catalog) -> None:
    catalog.create("Shop")
    second = catalog.create("Other")
    elsewhere = catalog.other_sandbox()
    stream = catalog.stream("app", Platform.MOBILE, elsewhere)
    theirs = NewMobileProperty("Shop", {PRODUCTION: catalog.told(datastream_id=stream.id)})

    with unit_of_work(catalog.store) as session:
        mobile_properties.create(session, elsewhere, theirs, now=catalog.clock.now())

    with pytest.raises(ConflictError):
        catalog.create("Shop")
    with pytest.raises(ConflictError):
        catalog.update(second.id, name="Shop")


def test_a_property_is_unknown_in_another_sandbox(catalog: Catalog) -> None:
    key = catalog.create().id
    elsewhere = catalog.other_sandbox()

    with unit_of_work(catalog.store) as session:
        assert mobile_properties.list_page(session, elsewhere, limit=9) == ()
        with pytest.raises(NotFoundError):
            mobile_properties.get(session, elsewhere, key)
        with pytest.raises(NotFoundError):
            mobile_properties.delete(session, elsewhere, key)
        with pytest.raises(NotFoundError):
            mobile_properties.update(
                session, elsewhere, key, MobilePropertyChanges(), now=catalog.clock.now()
            )
        assert mobile_properties.get(session, catalog.scope, key).id == key


def test_a_deleted_property_is_gone_for_apps_too(catalog: Catalog) -> None:
    row = catalog.create()

    with unit_of_work(catalog.store) as session:
        mobile_properties.delete(session, catalog.scope, row.id)

    with unit_of_work(catalog.store) as session:
        assert mobile_properties.find_by_app(session, row.app_id) is None
        with pytest.raises(NotFoundError):
            mobile_properties.get(session, catalog.scope, row.id)
    assert catalog.create().name == row.name


def test_pages_follow_each_other_without_gap_or_repeat(catalog: Catalog) -> None:
    made = [catalog.create(f"app {i}").id for i in range(5)]

    with unit_of_work(catalog.store) as session:
        first = mobile_properties.list_page(session, catalog.scope, limit=3)
        rest = mobile_properties.list_page(session, catalog.scope, limit=3, after=first[-1].id)

    assert [row.id for row in (*first, *rest)] == made


def test_a_datastream_must_be_a_mobile_one_of_the_same_sandbox(light: Catalog) -> None:
    elsewhere = light.stream("app", Platform.MOBILE, light.other_sandbox())
    key = light.create().id

    for stream in (light.web.id, elsewhere.id, new_key()):
        with pytest.raises(InvalidInputError) as refused:
            light.create("Second", staging=light.told(datastream_id=stream))
        assert refused.value.fields["at"] == "environments.staging.datastreamId"
        with pytest.raises(InvalidInputError):
            light.update(key, environments={PRODUCTION: {"datastream_id": stream}})


def test_push_tracking_goes_to_a_dataset_that_the_datastream_writes_to(light: Catalog) -> None:
    for dataset in (light.web.event_dataset_id, light.mobile.profile_dataset_id, new_key()):
        with pytest.raises(InvalidInputError) as refused:
            light.create(production=light.told(event_dataset_id=dataset))
        assert refused.value.fields["at"] == "environments.production.eventDatasetId"

    own = light.mobile.event_dataset_id
    row = light.create(production=light.told(event_dataset_id=own))
    assert row.settings["environments"]["production"]["eventDatasetId"] == str(own)


def test_what_is_not_written_is_not_judged_again(light: Catalog) -> None:
    row = light.create(staging=light.told(), production=light.told())
    other = light.stream("other", Platform.MOBILE)

    settings = light.update(row.id, environments={STAGING: {"datastream_id": other.id}})

    assert settings.environments[STAGING].datastream_id == other.id
    assert settings.environments[PRODUCTION].datastream_id == light.mobile.id


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"environments": {PRODUCTION: None}}, "environments"),
        ({"environments": {STAGING: {"edge_domain": HOST}}}, "environments.staging.datastreamId"),
        (
            {"environments": {STAGING: {"datastream_id": new_key()}}},
            "environments.staging.edgeDomain",
        ),
        ({"extensions": (Extension.EDGE, Extension.EDGE_IDENTITY)}, "extensions"),
        ({"extensions": (Extension.CORE, Extension.EDGE)}, "extensions"),
        ({"extensions": (Extension.CORE, Extension.CONSENT)}, "extensions"),
        ({"extensions": (Extension.CORE, Extension.MESSAGING)}, "extensions"),
        ({"extensions": ()}, "extensions"),
    ],
)
def test_what_could_not_work_is_refused_with_its_place(
    light: Catalog, changes: dict[str, Any], at: str
) -> None:
    row = light.create()

    with pytest.raises(InvalidInputError) as refused:
        light.update(row.id, **changes)

    assert refused.value.fields["at"] == at
    with unit_of_work(light.store) as session:
        assert mobile_properties.get(session, light.scope, row.id).settings == row.settings


def test_extensions_are_kept_once_and_in_one_order(light: Catalog) -> None:
    row = light.create()

    settings = light.update(row.id, extensions=(Extension.LIFECYCLE, Extension.CORE) * 2)

    assert settings.extensions == (Extension.CORE, Extension.LIFECYCLE)


@pytest.mark.parametrize("environment", list(Environment))
def test_a_file_id_names_an_app_and_an_environment(environment: Environment) -> None:
    text = file_id(APP_ID, environment)

    assert parse_file_id(text) == (APP_ID, environment)
    assert text.endswith("-" + environment) is (environment is not PRODUCTION)


@pytest.mark.parametrize(
    "text",
    ["", "x", APP_ID[1:], APP_ID + "-production", APP_ID + "-", APP_ID + "\n", APP_ID.upper()],
)
def test_another_text_is_no_file_id(text: str) -> None:
    assert parse_file_id(text) is None


@given(st.text())
def test_no_text_breaks_the_reading_of_a_file_id(text: str) -> None:
    assert parse_file_id(text) is None
