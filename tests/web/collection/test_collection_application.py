import json
from typing import Any

import pytest
from hypothesis import given
from structlog.testing import capture_logs

from service.core.errors import RefusedDataError
from service.identity.identity_map import ClaimedIdentity
from service.web.collection.messages import MAX_EVENT_BYTES, MAX_RECORD_BYTES
from tests.support.clocks import START
from tests.support.collection_world import (
    EVENTS,
    INLET_TYPE,
    PERSON,
    World,
    event,
    message,
    record,
    report_message,
)
from tests.support.wire import (
    INLET_ID,
    JSON_VALUES,
    ORG,
)

RECEIVED_MS = round(START.timestamp() * 1000)


def test_a_record_is_kept_with_its_identities_apart_from_its_attributes() -> None:
    world = World()

    reply = world.post(record(person={"name": {"firstName": "Ada"}}, testProfile=True))

    assert reply.status == 200
    (request,) = world.committer.requests
    (kept,) = request.records
    assert kept.attributes == {"person": {"name": {"firstName": "Ada"}}, "testProfile": True}
    assert [(each.namespace, each.value) for each in kept.identities] == [("CRMID", "C-1")]
    assert (request.source.id, request.received_at, request.events) == (INLET_ID, START, ())


def test_the_answer_to_one_message_has_adobes_shape() -> None:
    reply = World().post(record())

    document = reply.json()
    assert document.keys() == {"inletId", "xactionId", "receivedTimeMs", "syncValidation"}
    assert document["inletId"] == str(INLET_ID)
    assert document["receivedTimeMs"] == RECEIVED_MS
    assert document["xactionId"].startswith(f"{RECEIVED_MS}:")
    assert document["syncValidation"] == {"skipped": True}


@pytest.mark.parametrize("query", ["syncValidation=true", "a=b&synchronousValidation=true"])
def test_a_synchronous_check_says_that_it_passed(query: str) -> None:
    assert World().post(record(), query=query).json()["syncValidation"] == {"status": "pass"}


def test_an_event_is_known_by_the_class_of_its_schema() -> None:
    world = World()

    reply = world.post(event(timestamp="2026-06-30T10:00:00Z"))

    assert reply.status == 200
    (kept,) = world.committer.requests[0].events
    assert (kept.event_id, kept.event_type) == ("E-1", "a.b")
    assert kept.at.isoformat() == "2026-06-30T10:00:00+00:00"
    assert kept.xdm["identityMap"] == PERSON


def test_an_event_is_known_by_its_id_and_timestamp() -> None:
    world = World()

    world.post(record(_id="E-1", timestamp="2026-06-30T10:00:00Z"))

    assert [each.event_id for each in world.committer.requests[0].events] == ["E-1"]


def test_an_event_without_id_is_named_by_the_request_and_its_place() -> None:
    world = World()
    nameless = event(_id=None)

    for request_id in ("r-1", "r-1", "r-2"):
        world.post_batch(nameless, nameless, headers={"x-request-id": request_id})

    first, again, other = (
        [each.event_id for each in request.events] for request in world.committer.requests
    )
    assert first == again
    assert len({*first, *other}) == 4


def test_an_event_without_timestamp_happened_when_it_arrived() -> None:
    world = World()

    world.post(event())

    assert world.committer.requests[0].events[0].at == START


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"{", "Message has unknown xdm format"),
        ([], "Message has unknown xdm format"),
        ({}, "Message has unknown xdm format"),
        ({"header": record()["header"]}, "Message has unknown xdm format"),
        (record() | {"header": {"imsOrgId": ORG}}, "Message has unknown xdm format"),
        (record() | {"header": message({}, EVENTS)["header"]}, "Message has unknown xdm format"),
        (
            message({"identityMap": PERSON}, imsOrgId="OTHER@AdobeOrg"),
            "Message has an absent or wrong ims org in the header",
        ),
        (message([]), "Message is invalid"),
        (message(None), "Message is invalid"),
        (message({"identityMap": []}), "Message is invalid"),
        (message({"identityMap": {"CRMID": [{"id": 1}]}}), "Message is invalid"),
        (record(name="a\0b"), "Message is invalid"),
        (event(timestamp="yesterday"), "Message is invalid"),
        (event(timestamp="2026-06-30T10:00:00"), "Message is invalid"),
        (event(_id=5), "Message is invalid"),
        (message({"name": "Ada"}), "Message names no usable identity"),
        (message({"identityMap": {"CRMID": [{"id": "null"}]}}), "Message names no usable identity"),
    ],
)
def test_a_message_that_cannot_be_kept_says_why(sent: Any, reason: str) -> None:
    world = World()

    reply = world.post(sent)

    assert reply.status == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json() == {
        "type": INLET_TYPE,
        "status": 400,
        "title": "Invalid XDM Message Format",
        "report": {"message": report_message(reason)},
    }
    assert world.committer.requests == []


def test_the_organisation_of_the_inlet_stands_in_for_a_missing_one() -> None:
    assert World().post(message({"identityMap": PERSON}, imsOrgId=None)).status == 200


def test_a_synchronous_check_lists_what_is_wrong_and_where() -> None:
    sent = message({"identityMap": {"CRMID": [{"id": 1}]}})

    reply = World().post(sent, query="syncValidation=true")

    assert reply.status == 400
    assert reply.json()["report"]["message"] == report_message("Message is invalid")
    assert reply.json()["report"]["cause"]["_streamingValidation"] == [
        {
            "schemaLocation": "#",
            "pointerToViolation": "#/identityMap/*/0/id",
            "causingExceptions": [],
            "keyword": "type",
            "message": "Expected `str`, got `int`",
        }
    ]


def filled(sent: dict[str, Any], size: int) -> bytes:
    entity = sent["body"]["xdmEntity"] | {"filler": ""}
    entity["filler"] = "x" * (size - len(json.dumps(entity)))
    sent["body"]["xdmEntity"] = entity
    return json.dumps(sent).encode()


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize(
    ("sent", "limit"), [(event(), MAX_EVENT_BYTES), (record(), MAX_RECORD_BYTES)]
)
def test_what_the_store_would_drop_as_too_large_is_refused(
    sent: dict[str, Any], limit: int, more: int
) -> None:
    reply = World().post(filled(sent, limit + more))

    assert reply.status == (400 if more else 200)
    assert more == 0 or f"larger than {limit} bytes" in reply.json()["report"]["message"]


def test_data_that_the_store_refuses_is_a_422() -> None:
    reply = World(outcomes=[RefusedDataError("The store refuses it.")]).post(record())

    assert reply.status == 422
    assert reply.json()["report"]["message"] == "The store refuses it."


def test_an_unexpected_error_is_a_503_and_its_words_stay_inside() -> None:
    world = World(outcomes=[KeyError("SECRET")])

    with capture_logs() as logs:
        reply = world.post(record())

    assert reply.status == 503
    assert int(reply.headers["retry-after"]) >= 1
    assert [(each["event"], each["error"]) for each in logs] == [("collection_failed", "KeyError")]
    assert "SECRET" not in str(logs) + reply.body.decode()


def test_a_records_junk_identities_are_carried_beside_the_good_ones() -> None:
    world = World()

    world.post(message({"identityMap": PERSON | {"Email": [{"id": "null"}]}}))

    (kept,) = world.committer.requests[0].records
    assert [each.namespace for each in kept.identities] == ["CRMID"]
    assert [(each.namespace, each.reason) for each in kept.refused] == [("Email", "junkIdentity")]
    assert isinstance(kept.identities[0], ClaimedIdentity)


@given(JSON_VALUES)
def test_any_json_has_a_documented_answer(document: Any) -> None:
    world = World()

    reply = world.post(document)

    assert reply.status == 400
    assert world.committer.requests == []
