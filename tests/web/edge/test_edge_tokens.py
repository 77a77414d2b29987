"""Push tokens and live activity tokens as they are read from an event's data."""

from collections.abc import Sequence
from typing import Any

import pytest

from service.identity.identity_map import ClaimedIdentity
from service.web.body import BodyError
from service.web.edge.tokens import (
    MAX_LIVE_ACTIVITIES,
    UPDATE_TOKEN,
    LiveActivities,
    read_live_activities,
    read_tokens,
)
from tests.support.edge_documents import ECID, OTHER_ECID, TOKEN
from tests.support.subscriptions import subscription

HERE = "$.events[0].data"
DEVICE = ClaimedIdentity("ECID", ECID)
PUSH_TO_START = "liveActivity.pushToStart"
STARTED = {
    "appID": "com.example.shop",
    "denylisted": False,
    "platform": "apnsSandbox",
    "token": "80f3c1ab",
    "attributeType": "FoodDeliveryLiveActivityAttributes",
    "identity": {"namespace": {"code": "ECID"}, "id": OTHER_ECID},
}
UPDATED = {"liveActivityID": "order-4711", "token": "80d1a4"}


def read(
    data: dict[str, Any],
    event_type: str | None = PUSH_TO_START,
    identities: Sequence[ClaimedIdentity] = (DEVICE,),
) -> LiveActivities:
    return read_live_activities(data, event_type, identities, HERE)


def started(*details: dict[str, Any]) -> dict[str, Any]:
    return {"liveActivityPushNotificationDetails": list(details)}


@pytest.mark.parametrize("event_type", [PUSH_TO_START, "my.own", None])
def test_start_tokens_are_told_by_their_key_and_name_their_device(event_type: str | None) -> None:
    other = STARTED | {"attributeType": "RideAttributes", "token": "80d1a4"}

    (food, ride), refused = read(started(STARTED, other), event_type)

    assert (food.kind, food.name, food.token) == ("start", STARTED["attributeType"], "80f3c1ab")
    assert (food.app_id, food.platform) == ("com.example.shop", "apnsSandbox")
    assert food.device == ClaimedIdentity("ECID", OTHER_ECID)
    assert (ride.name, ride.token) == ("RideAttributes", "80d1a4")
    assert refused == ()


def test_a_start_token_without_an_owner_belongs_to_the_events_device() -> None:
    details = {key: value for key, value in STARTED.items() if key != "identity"}

    (activity,), _ = read(started(details))

    assert activity.device == DEVICE


def test_a_start_token_for_a_junk_device_is_left_out_and_the_refusal_is_carried() -> None:
    junk = STARTED | {"identity": {"namespace": {"code": "ECID"}, "id": "null"}}

    activities, refused = read(started(junk, STARTED))

    assert [each.device.value for each in activities] == [OTHER_ECID]
    assert [each.reason for each in refused] == ["junkIdentity"]


def test_an_update_token_belongs_to_the_events_device() -> None:
    (activity,), refused = read(dict(UPDATED), UPDATE_TOKEN)

    assert (activity.kind, activity.name, activity.token) == ("update", "order-4711", "80d1a4")
    assert (activity.device, activity.app_id, activity.platform) == (DEVICE, None, None)
    assert refused == ()


@pytest.mark.parametrize("event_type", [None, "my.own", "liveActivity.start", PUSH_TO_START])
def test_what_looks_like_an_update_token_in_another_event_is_the_apps_own(
    event_type: str | None,
) -> None:
    assert read(dict(UPDATED), event_type) == ((), ())
    assert read({"liveActivityID": 7}, event_type) == ((), ())


@pytest.mark.parametrize("empty", [{"token": None}, {"token": ""}, {}])
def test_an_empty_token_is_carried_along_so_that_its_refusal_is_audited(
    empty: dict[str, Any],
) -> None:
    push, start, update = (
        {key: value for key, value in document.items() if key != "token"} | empty
        for document in (TOKEN, STARTED, UPDATED)
    )

    (token,), _ = read_tokens({"pushNotificationDetails": [push]}, (), HERE)
    activities = [*read(started(start))[0], *read(update, UPDATE_TOKEN)[0]]

    assert (token.token, [each.token for each in activities]) == ("", ["", ""])


@pytest.mark.parametrize("token", [subscription(), "no subscription", "x" * 5000])
def test_a_pages_token_is_no_reason_to_lose_its_request(token: str) -> None:
    details = TOKEN | {"platform": "web", "token": token}

    (announced,), _ = read_tokens({"pushNotificationDetails": [details]}, (), HERE)

    assert announced.token == token


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"appID": ""}, ".appID"),
        ({"appID": "a" * 256}, ".appID"),
        ({"appID": 7}, ".appID"),
        ({"platform": ""}, ".platform"),
        ({"platform": "a" * 17}, ".platform"),
        ({"attributeType": ""}, ".attributeType"),
        ({"attributeType": "a" * 256}, ".attributeType"),
        ({"attributeType": None}, ".attributeType"),
        ({"token": 7}, ".token"),
        ({"token": "a" * 4097}, ".token"),
        ({"identity": "x"}, ".identity"),
        ({"identity": {"id": 7}}, ".identity.id"),
    ],
)
def test_a_wrong_field_of_a_start_token_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BodyError) as caught:
        read(started(STARTED, STARTED | change))

    assert caught.value.path == f"{HERE}.liveActivityPushNotificationDetails[1]{field}"


@pytest.mark.parametrize("missing", ["appID", "platform", "attributeType"])
def test_a_start_token_needs_its_fields(missing: str) -> None:
    details = {key: value for key, value in STARTED.items() if key != missing}

    with pytest.raises(BodyError) as caught:
        read(started(details))

    assert caught.value.path == f"{HERE}.liveActivityPushNotificationDetails[0]"
    assert missing in caught.value.problem


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({}, HERE),
        ({"token": "a"}, HERE),
        (UPDATED | {"liveActivityID": ""}, f"{HERE}.liveActivityID"),
        (UPDATED | {"liveActivityID": "a" * 256}, f"{HERE}.liveActivityID"),
        (UPDATED | {"liveActivityID": 7}, f"{HERE}.liveActivityID"),
        (UPDATED | {"token": 7}, f"{HERE}.token"),
        (UPDATED | {"token": "a" * 4097}, f"{HERE}.token"),
    ],
)
def test_a_wrong_field_of_an_update_token_is_named(data: dict[str, Any], path: str) -> None:
    with pytest.raises(BodyError) as caught:
        read(data, UPDATE_TOKEN)

    assert caught.value.path == path


@pytest.mark.parametrize("found", [{}, "x", [7]])
def test_start_tokens_come_as_a_list_of_objects(found: Any) -> None:
    with pytest.raises(BodyError):
        read({"liveActivityPushNotificationDetails": found})


def test_start_tokens_are_bounded() -> None:
    assert len(read(started(*[STARTED] * MAX_LIVE_ACTIVITIES))[0]) == MAX_LIVE_ACTIVITIES
    with pytest.raises(BodyError):
        read(started(*[STARTED] * (MAX_LIVE_ACTIVITIES + 1)))


@pytest.mark.parametrize(
    ("data", "event_type"),
    [
        (started({key: each for key, each in STARTED.items() if key != "identity"}), None),
        (UPDATED, UPDATE_TOKEN),
    ],
)
def test_a_live_activity_of_no_device_is_refused(
    data: dict[str, Any], event_type: str | None
) -> None:
    with pytest.raises(BodyError):
        read(data, event_type, (ClaimedIdentity("CRMID", "c-1"),))
