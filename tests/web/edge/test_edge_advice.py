"""A refusal says what would have been right."""

import json
from typing import Any
from uuid import uuid4

import pytest

from service.catalog.datastream_settings import DatastreamSettings
from tests.support.edge_documents import web
from tests.support.edge_world import World, phone_body
from tests.support.wire import Reply, datastream


def overriding(dataset: str) -> bytes:
    datasets = {"event": {"datasetId": dataset}}
    overrides = {"com_adobe_experience_platform": {"datasets": datasets}}
    return json.dumps(web(meta={"configOverrides": overrides})).encode()


def consenting(**item: Any) -> Reply:
    document = {
        "identityMap": {"ECID": [{"id": "41861666193140161934276845651148876988"}]},
        "consent": [item],
    }
    return World().post(json.dumps(document).encode(), path="/ee/v1/privacy/set-consent")


@pytest.mark.parametrize("path", ["/ee/v1/interactx", "/ee/va/v1/nonsense"])
def test_a_path_that_is_not_served_names_those_that_are(path: str) -> None:
    reply = World().post(phone_body(), path=path)

    assert reply.status == 404
    for served in ("v1/interact", "v1/privacy/set-consent", "v2/collect", "va/v1/sessionStart"):
        assert served in reply.json()["detail"]


def test_an_unlisted_dataset_names_the_setting() -> None:
    reply = World().browse(overriding(str(uuid4())))

    assert reply.status == 400
    assert "`eventDatasetIds`" in reply.json()["report"]["errors"][0]


def test_an_unlisted_origin_names_the_setting() -> None:
    world = World(datastream("web", origins=frozenset({"https://www.other.com"})))

    reply = world.browse(json.dumps(web()).encode())

    assert reply.status == 403
    assert "`origins`" in reply.json()["detail"]


def test_a_limit_names_itself() -> None:
    limited = DatastreamSettings(requests_per_second=1)
    world = World(datastream(settings=limited))

    replies = [world.post(phone_body()) for _ in range(3)]

    assert replies[-1].status == 429
    assert "requestsPerSecond: 1." in replies[-1].json()["detail"]


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
def test_a_compressed_body_is_refused_as_that(encoding: str) -> None:
    reply = World().post(b"\x1f\x8b\x08", headers={"Content-Encoding": encoding})

    assert reply.status == 415
    assert reply.json()["type"].endswith("EXEG-0111-415")
    assert f"Content-Encoding {encoding}" in reply.json()["detail"]


def test_a_body_that_says_it_is_not_compressed_is_read() -> None:
    assert World().post(phone_body(), headers={"Content-Encoding": "identity"}).status == 200


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"standard": "Other", "version": "1.0", "value": {}}, ["Adobe", "IAB TCF"]),
        ({"standard": "Adobe", "version": "3.0", "value": {}}, ["1.0", "2.0"]),
        (
            {"standard": "Adobe", "version": "1.0", "value": {"general": "yes"}},
            ["in", "out", "pending", "not_provided"],
        ),
        (
            {"standard": "Adobe", "version": "2.0", "value": {"collect": {"val": "yes"}}},
            ["y, n, p, u"],
        ),
    ],
)
def test_a_consent_that_is_none_lists_the_choices(item: Any, words: list[str]) -> None:
    (problem,) = consenting(**item).json()["report"]["errors"]

    assert [word for word in words if word not in problem] == []
