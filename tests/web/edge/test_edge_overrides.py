"""Other datasets than the datastream's own, and overrides that mean nothing here."""

import json
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.catalog.datastream_settings import DatastreamSettings
from service.core.ids import derived_key
from tests.support.edge_documents import mobile, web
from tests.support.edge_world import DOCUMENTED, World, consent_body
from tests.support.wire import JSON_VALUES, WEB_ID, Reply, datastream, edge_query

OWN = datastream("web").event_dataset_id
OTHER = derived_key("events", "other")
STRANGE = derived_key("events", "strange")
PROFILES = datastream("web").profile_dataset_id


def world() -> World:
    settings = DatastreamSettings(event_datasets=frozenset({OTHER}))
    return World(datastream("web", settings=settings), datastream(settings=settings))


def overriding(overrides: Any, **changes: Any) -> bytes:
    state = {"domain": "example.com", "cookiesEnabled": True}
    return json.dumps(web(meta={"state": state, "configOverrides": overrides}) | changes).encode()


def event_override(dataset: Any) -> dict[str, Any]:
    return {"com_adobe_experience_platform": {"datasets": {"event": {"datasetId": dataset}}}}


def dataset_of(made: World) -> UUID | None:
    return made.committer.requests[0].events[0].dataset_id


@pytest.mark.parametrize(
    ("overrides", "dataset"),
    [
        (event_override(str(OTHER)), OTHER),
        (event_override(str(OWN)), None),
        (event_override(None), None),
        (event_override(""), None),
        ({}, None),
        (None, None),
        ({"com_adobe_experience_platform": {"datasets": {}}}, None),
        (
            {"com_adobe_experience_platform": {"datasets": {"profile": {"datasetId": "%s"}}}},
            None,
        ),
        ({"com_adobe_analytics": {"reportSuites": ["rs1"]}, "com_adobe_target": 5}, None),
        ({"com_adobe_identity": {"idSyncContainerId": "1"}, "else": {"key": "value"}}, None),
    ],
)
def test_case_58_an_override_the_datastream_lists_is_followed(
    overrides: Any, dataset: UUID | None
) -> None:
    made = world()
    body = overriding(overrides).replace(b"%s", str(PROFILES).encode())

    reply = made.browse(body, path="/ee/or2/v1/interact")

    assert reply.status == 200
    assert dataset_of(made) == dataset


def test_case_30_a_phone_may_name_another_datastream_and_another_dataset() -> None:
    made = world()
    document = mobile()
    document["meta"] |= {
        "sdkConfig": {"datastream": {"original": "6b5ad2d1-8c0b-4d2e-9b1d-3f6a0e7a3f11"}},
        "configOverrides": event_override(str(OTHER)),
    }

    reply = made.post(json.dumps(document).encode(), query=edge_query(WEB_ID))

    assert reply.status == 200
    assert made.committer.requests[0].source.id == WEB_ID
    assert dataset_of(made) == OTHER


@pytest.mark.parametrize(
    "overrides",
    [
        event_override("SampleEventDatasetIdOverride"),
        event_override(str(STRANGE)),
        event_override(5),
        {"com_adobe_experience_platform": {"datasets": {"profile": {"datasetId": str(OTHER)}}}},
        {"com_adobe_experience_platform": {"datasets": []}},
        {"com_adobe_experience_platform": "x"},
        [],
        "x",
    ],
)
@pytest.mark.parametrize("action", ["interact", "collect", "identity/acquire"])
def test_case_31_a_bad_override_is_refused_whole(overrides: Any, action: str) -> None:
    made = world()

    reply = made.browse(overriding(overrides), path=f"/ee/v1/{action}")

    _assert_refused(reply)
    assert made.committer.requests == []


def test_case_31_a_bad_override_of_a_consent_is_refused_too() -> None:
    made = world()

    reply = made.browse(
        consent_body(meta={"configOverrides": event_override("x")}),
        path="/ee/v1/privacy/set-consent",
    )

    _assert_refused(reply)
    assert made.committer.requests == []


def _assert_refused(reply: Reply) -> None:
    said = reply.json()
    assert (reply.status, said["title"]) == (400, "Invalid request")
    assert said["type"].endswith("EXEG-0113-400")
    assert said["report"]["errors"][0].startswith("$.meta.configOverrides")


def test_an_event_may_name_a_dataset_that_the_datastream_lists() -> None:
    made = world()
    meta = {"collect": {"datasetId": str(OTHER)}}

    reply = made.post(json.dumps(mobile(meta=meta)).encode())

    assert reply.status == 200
    assert b"warnings" not in reply.body
    assert dataset_of(made) == OTHER


@pytest.mark.parametrize("name", [str(STRANGE), "5dd603781b95cc18a83d42ce"])
def test_a_phones_event_with_an_unknown_dataset_is_kept_and_warned_about(name: str) -> None:
    made = world()
    events = [
        {"xdm": {"_id": "E-1"}},
        {"xdm": {"_id": "E-2"}, "meta": {"collect": {"datasetId": name}}},
    ]

    reply = made.browse(overriding(event_override(str(OTHER)), events=events))

    (warning,) = reply.json()["warnings"]
    assert reply.status == 200
    assert warning["type"].endswith("EXEG-0204-200")
    assert warning["report"]["eventIndex"] == 1
    assert [each.dataset_id for each in made.committer.requests[0].events] == [OTHER, OTHER]


@given(JSON_VALUES | st.builds(event_override, JSON_VALUES))
def test_any_override_has_a_documented_answer(overrides: Any) -> None:
    made = world()

    reply = made.browse(overriding(overrides))

    assert reply.status in DOCUMENTED
    assert (reply.status == 200) == (len(made.committer.requests) == 1)
