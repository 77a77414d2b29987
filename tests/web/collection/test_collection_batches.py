import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core.errors import RefusedDataError, StoreUnavailableError
from service.profiles.incoming import Kept
from service.web.collection.keeping import PIECE
from tests.support.collection_world import (
    INLET_TYPE,
    World,
    event,
    message,
    record,
    report_message,
)
from tests.support.wire import (
    INLET_ID,
    JSON_VALUES,
)


def test_a_batch_is_207_with_one_answer_for_each_message() -> None:
    world = World()

    reply = world.post_batch(record(), {"header": {}}, event())

    assert reply.status == 207
    document = reply.json()
    assert document.keys() == {"inletId", "batchId", "receivedTimeMs", "responses"}
    first, second, third = document["responses"]
    assert first.keys() == third.keys() == {"xactionId"}
    assert first != third
    assert second == {
        "statusCode": 400,
        "message": report_message("Message has unknown xdm format"),
    }
    (request,) = world.committer.requests
    assert (len(request.records), len(request.events)) == (1, 1)


@pytest.mark.parametrize("messages", [[], [{}], [1, None, "x"]])
def test_a_batch_is_207_even_when_nothing_is_kept(messages: list[Any]) -> None:
    world = World()

    reply = world.post_batch(*messages)

    assert reply.status == 207
    assert [each["statusCode"] for each in reply.json()["responses"]] == [400] * len(messages)
    assert world.committer.requests == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"messages": {}}'])
def test_a_batch_that_is_none_is_400(body: bytes) -> None:
    world = World()

    reply = world.post(body, path=f"/collection/batch/{INLET_ID}")

    assert reply.status == 400
    assert reply.json()["type"] == INLET_TYPE


def test_a_large_batch_is_kept_in_pieces_and_in_order() -> None:
    world = World()
    count = PIECE * 2 + 1

    reply = world.post_batch(*(record(number=number) for number in range(count)))

    numbers = [
        each.attributes["number"]
        for request in world.committer.requests
        for each in request.records
    ]
    ids = [request.request_id for request in world.committer.requests]
    assert numbers == list(range(count))
    assert ids == sorted(set(ids))
    assert len(reply.json()["responses"]) == count


def test_a_message_that_the_store_refuses_does_not_take_its_neighbours_along() -> None:
    refusal = RefusedDataError("The store refuses it.")
    world = World(outcomes=[refusal, Kept(records=1), refusal, Kept(records=1)])

    reply = world.post_batch(record(number=0), record(number=1), record(number=2))

    responses = reply.json()["responses"]
    kept = [each.attributes["number"] for item in world.committer.requests for each in item.records]
    assert kept == [0, 2]
    assert [each.get("statusCode") for each in responses] == [None, 422, None]


def test_quarantine_gets_the_body_of_a_lone_message_only() -> None:
    refusal = RefusedDataError("The store refuses it.")
    world = World(outcomes=[refusal])

    world.post_batch(record(number=0), record(number=1))

    bodies = [request.body for request in world.committer.requests]
    assert [json.loads(body)["body"]["xdmEntity"]["number"] for body in bodies] == [0, 1]


def test_a_store_that_is_away_is_a_503_for_the_whole_request() -> None:
    world = World(outcomes=[StoreUnavailableError("away", retry_after_s=3)] * 2)

    replies = [world.post(record()), world.post_batch(record(), {})]

    assert [reply.status for reply in replies] == [503, 503]
    assert all(3 <= int(reply.headers["retry-after"]) <= 6 for reply in replies)


def test_when_the_store_goes_away_half_way_the_rest_is_marked_for_another_try() -> None:
    world = World(outcomes=[Kept(records=PIECE), StoreUnavailableError("away")])

    reply = world.post_batch(*(record(number=number) for number in range(PIECE + 2)))

    responses = reply.json()["responses"]
    assert reply.status == 207
    assert [each.get("statusCode") for each in responses] == [None] * PIECE + [503, 503]


def test_a_batch_may_not_drown_the_service_in_empty_messages() -> None:
    reply = World().post_batch(*([1] * 5001))

    assert reply.status == 400


@given(st.lists(JSON_VALUES | JSON_VALUES.map(message), max_size=5))
def test_any_batch_has_one_answer_per_message(documents: list[Any]) -> None:
    reply = World().post_batch(*documents)

    assert reply.status == 207
    assert len(reply.json()["responses"]) == len(documents)
