import json

import pytest
from structlog.testing import capture_logs

from mobile_stub import answers, page
from mobile_stub.device import Kind
from service.core.errors import RefusedDataError, StoreUnavailableError
from service.profiles.incoming import Kept
from tests.support.clocks import START
from tests.support.edge_documents import web
from tests.support.edge_world import World, phone_body
from tests.support.wire import (
    MOBILE_ID,
    WRONG_PLATFORM,
    datastream,
    edge_query,
)


def test_a_store_that_is_away_is_a_503_with_an_integer_to_wait() -> None:
    world = World(outcomes=[StoreUnavailableError("away", retry_after_s=7)])

    reply = world.post(phone_body())

    assert reply.status == 503
    assert 7 <= int(reply.headers["retry-after"]) <= 10
    assert reply.json()["type"].endswith("EXEG-0201-503")


def test_a_directory_that_cannot_answer_is_a_503_and_never_an_unknown_datastream() -> None:
    world = World()
    world.sources.error = StoreUnavailableError("away")

    reply = world.post(phone_body())

    assert reply.status == 503
    assert int(reply.headers["retry-after"]) >= 1


def test_retries_are_told_different_times() -> None:
    world = World(outcomes=[StoreUnavailableError("away", retry_after_s=5)] * 64)

    told = {world.post(phone_body()).headers["retry-after"] for _ in range(64)}

    assert told == {"5", "6", "7", "8"}


def test_an_unexpected_error_is_a_503_because_a_500_loses_the_hit() -> None:
    world = World(outcomes=[RuntimeError("it held SECRET-TOKEN")])

    with capture_logs() as logs:
        reply = world.post(phone_body(token="SECRET-TOKEN"))

    assert reply.status == 503
    assert int(reply.headers["retry-after"]) >= 1
    assert [(each["event"], each["error"]) for each in logs] == [("edge_failed", "RuntimeError")]
    assert "SECRET-TOKEN" not in str(logs) + reply.body.decode()


def test_a_refused_request_is_logged_by_its_code_and_never_with_its_body() -> None:
    body = json.dumps({"events": [{"xdm": {"_id": 5, "secret": "SECRET-TOKEN"}}]}).encode()

    with capture_logs() as logs:
        World().post(body, query=edge_query(MOBILE_ID, "r-1"))

    (entry,) = logs
    assert (entry["event"], entry["request_id"], entry["code"]) == (
        "edge_refused",
        "r-1",
        "0102-400",
    )
    assert "SECRET-TOKEN" not in str(entry)


def test_data_that_the_store_refuses_is_a_422_that_is_not_sent_again() -> None:
    world = World(outcomes=[RefusedDataError("The store refuses this request's data.")])

    reply = world.post(phone_body())

    assert reply.status == 422
    assert reply.json()["type"].endswith("EXEG-0104-422")
    assert reply.json()["report"]["errors"] == ["The store refuses this request's data."]


@pytest.mark.parametrize("kind", list(Kind))
def test_a_refused_token_is_a_warning_that_every_phone_can_decode(kind: Kind) -> None:
    world = World(outcomes=[Kept(stored=1, refusals=(WRONG_PLATFORM,))])

    reply = world.post(phone_body(kind, "TOKEN:1"))

    (envelope,) = answers.fragments_of(kind, reply.body)
    assert reply.status == 200
    (warning,) = envelope["warnings"]
    assert warning["type"].endswith("EXEG-0204-200")
    assert warning["title"].endswith(": a mobile datastream takes apns, apnsSandbox, fcm")
    assert warning["report"] == {
        "eventIndex": 0,
        "cause": {"message": "tokenPlatformNotOnDatastream", "code": 200},
    }


def test_without_consent_no_identity_is_given_and_the_answer_says_why() -> None:
    world = World(outcomes=[Kept(without_consent=(0,))])

    reply = world.browse(page.page_event(page.Page(), START))

    assert reply.status == 200
    assert reply.json()["handle"] == []
    (warning,) = reply.json()["warnings"]
    assert warning["type"].endswith("EXEG-0301-200")
    assert warning["report"] == {"eventIndex": 0}


def test_an_event_that_was_kept_is_answered_in_full_beside_one_that_was_not() -> None:
    body = json.dumps(web(events=[{"xdm": {"eventType": "a"}}, {"xdm": {"eventType": "b"}}]))

    reply = World(outcomes=[Kept(stored=1, without_consent=(1,))]).browse(body.encode())

    assert len(reply.json()["handle"]) == 2
    assert [each["report"]["eventIndex"] for each in reply.json()["warnings"]] == [1]


def test_without_consent_a_bad_body_is_still_an_error() -> None:
    world = World(datastream(default_consent="out"))

    assert world.post(b"[]").status == 400
