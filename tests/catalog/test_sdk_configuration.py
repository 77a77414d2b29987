"""What the Mobile SDKs are told, key by key."""

import json
from dataclasses import replace
from io import BytesIO
from typing import Any
from uuid import UUID
from zipfile import ZIP_STORED, ZipFile

import pytest

from service.catalog.datastreams import DefaultConsent
from service.catalog.mobile_settings import (
    CollectConsent,
    EdgeEnvironment,
    Environment,
    EnvironmentSettings,
    Extension,
    GlobalPrivacy,
)
from service.catalog.sdk_configuration import (
    App,
    PublishedFile,
    Stream,
    configuration,
    configuration_url,
    rules,
    rules_archive,
)

DATASTREAM = UUID("6b5ad2d1-8c0b-4d2e-9b1d-3f6a0e7a3f11")
DATASET = UUID("5f8e1c00-0000-4000-8000-000000000001")
PROPERTY = UUID("5f8e1c00-0000-4000-8000-000000000002")
FILE = "94f571f308d5/fec7505defe0/launch-1a2b3c4d5e6f"
SETTINGS = EnvironmentSettings(DATASTREAM, "edge.example.com")
STREAM = Stream("972C898555E9F7BC7F000101@AdobeOrg", DATASET, DefaultConsent.IN)
APP = App(Environment.PRODUCTION, tuple(Extension), SETTINGS, STREAM, PublishedFile(PROPERTY, FILE))


def told(**changes: Any) -> dict[str, Any]:
    return configuration(replace(APP, settings=replace(SETTINGS, **changes)))


def test_an_app_with_every_extension_is_told_everything() -> None:
    assert configuration(APP) == {
        "global.privacy": "optedin",
        "experienceCloud.org": "972C898555E9F7BC7F000101@AdobeOrg",
        "build.environment": "prod",
        "property.id": str(PROPERTY),
        "rules.url": f"https://edge.example.com/rules/{FILE}.zip",
        "edge.configId": str(DATASTREAM),
        "edge.domain": "edge.example.com",
        "edge.environment": "prod",
        "consent.default": {"consents": {"collect": {"val": "y"}}},
        "messaging.eventDataset": str(DATASET),
        "messaging.useSandbox": False,
        "messaging.optimizePushSync": True,
        "lifecycle.sessionTimeout": 300,
    }


def test_each_setting_reaches_its_own_key() -> None:
    other = UUID(int=7)

    changed = told(
        edge_environment=EdgeEnvironment.PRE_PROD,
        event_dataset_id=other,
        use_sandbox=True,
        optimize_push_sync=False,
        consent_default=CollectConsent.NO,
        global_privacy=GlobalPrivacy.OPTED_OUT,
        session_timeout_s=60,
    )

    usual = configuration(APP)
    assert {key: value for key, value in changed.items() if value != usual[key]} == {
        "edge.environment": "pre-prod",
        "messaging.eventDataset": str(other),
        "messaging.useSandbox": True,
        "messaging.optimizePushSync": False,
        "consent.default": {"consents": {"collect": {"val": "n"}}},
        "global.privacy": "optedout",
        "lifecycle.sessionTimeout": 60,
    }


@pytest.mark.parametrize(
    ("of_datastream", "expected"), [("in", "y"), ("pending", "p"), ("out", "n")]
)
def test_consent_follows_the_datastream_unless_the_app_says_its_own(
    of_datastream: str, expected: str
) -> None:
    app = replace(APP, stream=replace(STREAM, default_consent=DefaultConsent(of_datastream)))
    own = replace(app, settings=replace(SETTINGS, consent_default=CollectConsent.PENDING))

    assert configuration(app)["consent.default"]["consents"]["collect"]["val"] == expected
    assert configuration(own)["consent.default"]["consents"]["collect"]["val"] == "p"


@pytest.mark.parametrize(
    ("left_out", "prefix"),
    [
        (Extension.EDGE, "edge."),
        (Extension.CONSENT, "consent."),
        (Extension.MESSAGING, "messaging."),
        (Extension.LIFECYCLE, "lifecycle."),
    ],
)
def test_an_extension_that_is_left_out_takes_its_keys_along(
    left_out: Extension, prefix: str
) -> None:
    chosen = tuple(each for each in Extension if each is not left_out)

    keys = configuration(replace(APP, extensions=chosen))

    gone = configuration(APP).keys() - keys.keys()
    assert gone == {key for key in configuration(APP) if key.startswith(prefix)}


@pytest.mark.parametrize(
    ("environment", "build"),
    [("development", "dev"), ("staging", "stage"), ("production", "prod")],
)
def test_a_build_is_named_as_mobile_core_names_it(environment: str, build: str) -> None:
    app = replace(APP, environment=Environment(environment))

    assert configuration(app)["build.environment"] == build


def test_an_app_without_a_property_downloads_nothing() -> None:
    app = replace(APP, file=None)

    assert configuration(APP).keys() - configuration(app).keys() == {"property.id", "rules.url"}
    assert configuration_url(app) is None
    assert configuration_url(APP) == f"https://edge.example.com/{FILE}.json"


def test_launch_and_close_are_forwarded_to_the_edge_network() -> None:
    document = rules(tuple(Extension))

    assert document["version"] == 1
    for rule, name in zip(
        document["rules"], ("applicationLaunch", "applicationClose"), strict=True
    ):
        conditions = rule["condition"]["definition"]["conditions"]
        assert [each["definition"] for each in conditions] == [
            {"key": "~type", "matcher": "eq", "values": ["com.adobe.eventType.lifecycle"]},
            {"key": "~source", "matcher": "eq", "values": [f"com.adobe.eventSource.{name}"]},
        ]
        [consequence] = rule["consequences"]
        assert consequence["type"] == "dispatch"
        assert consequence["detail"] == {
            "type": "com.adobe.eventType.edge",
            "source": "com.adobe.eventSource.requestContent",
            "eventdataaction": "copy",
        }
    assert len({rule["consequences"][0]["id"] for rule in document["rules"]}) == 2


@pytest.mark.parametrize("left_out", [Extension.LIFECYCLE, Extension.EDGE])
def test_there_is_nothing_to_forward_without_lifecycle_or_edge(left_out: Extension) -> None:
    chosen = tuple(each for each in Extension if each is not left_out)

    assert rules(chosen) == {"version": 1, "rules": []}


def test_the_rules_are_one_plain_file_and_always_the_same_bytes() -> None:
    archive = rules_archive(tuple(Extension))

    with ZipFile(BytesIO(archive)) as file:
        [entry] = file.infolist()
        document = json.loads(file.read(entry))
        assert file.testzip() is None
    assert (entry.filename, entry.compress_type) == ("rules.json", ZIP_STORED)
    assert document == rules(tuple(Extension))
    assert rules_archive(tuple(Extension)) == archive
    assert rules_archive((Extension.CORE,)) != archive
