from datetime import UTC, datetime
from typing import Any

import pytest

from service.identity.identity_map import ClaimedIdentity
from tests.support.clocks import START
from tests.support.edge_documents import (
    ECID,
    MOBILE_SDK,
    OTHER_ECID,
    TOKEN,
    mobile,
    one_event,
    parsed,
)


def test_an_event_keeps_what_came_and_unknown_keys_beside_it_are_dropped() -> None:
    xdm = {"_id": "E-1", "timestamp": "2026-07-01T12:15:30.123+02:00", "eventType": "a.b", "x": 1}
    document = mobile(xdm=xdm, data={"tier": "gold"}, meta={"collect": {"datasetId": "d"}})

    (event,) = parsed(document | {"unknown": {"key": []}}).incoming.events

    assert (event.event_id, event.event_type) == ("E-1", "a.b")
    assert event.at == datetime(2026, 7, 1, 10, 15, 30, 123000, UTC)
    assert event.xdm == xdm | {"implementationDetails": {"name": f"{MOBILE_SDK}ios"}}
    assert event.data == {"tier": "gold"}
    assert event.identities == (ClaimedIdentity("ECID", ECID),)


@pytest.mark.parametrize("missing", [{}, {"timestamp": None}, {"timestamp": ""}])
def test_an_event_without_a_timestamp_happened_now(missing: dict[str, Any]) -> None:
    (event,) = parsed(one_event(xdm=missing | {"eventType": "a"})).incoming.events

    assert event.at == START


def test_an_event_without_xdm_is_kept_for_its_data() -> None:
    (event,) = parsed(
        mobile() | one_event(data={"pushNotificationDetails": [TOKEN]})
    ).incoming.events

    assert event.xdm == {"implementationDetails": {"name": f"{MOBILE_SDK}ios"}}
    assert event.event_type is None
    assert event.tokens[0].token == TOKEN["token"]


def test_an_event_that_only_asks_is_not_kept() -> None:
    query = {"identity": {"fetch": ["ECID"]}}

    request = parsed({"query": query, "events": [{"query": query}]})

    assert request.incoming.events == ()
    assert request.wants_ecid


def test_the_same_bytes_under_the_same_request_id_give_the_same_ids() -> None:
    document = {"events": [{"xdm": {"eventType": "a"}}, {"xdm": {"eventType": "b"}}]}

    first, again, other = (
        [event.event_id for event in parsed(document, request_id=name).incoming.events]
        for name in ("r-1", "r-1", "r-2")
    )

    assert first == again
    assert len({*first, *other}) == 4


def test_identities_of_request_and_event_count_together() -> None:
    own = {"CRMID": [{"id": "C-1", "authenticatedState": "authenticated", "primary": True}]}

    (event,) = parsed(mobile(xdm={"identityMap": own})).incoming.events

    assert [each.namespace for each in event.identities] == ["ECID", "CRMID"]


def test_junk_identities_are_no_error_and_are_carried_once() -> None:
    junk = {"CRMID": [{"id": "null"}], "Email": [{"id": "a@example.com"}]}
    document = mobile() | {"events": [{"xdm": {"identityMap": junk}}, {"xdm": {}}]}
    document["xdm"]["identityMap"]["ECID"].append({"id": "123"})

    first, second = parsed(document).incoming.events

    assert [each.reason for each in first.refused] == ["ecidNot38Digits", "junkIdentity"]
    assert second.refused == ()
    assert [each.namespace for each in first.identities] == ["ECID", "Email"]


def test_a_token_is_kept_verbatim_for_the_device_it_names() -> None:
    details = TOKEN | {"identity": {"namespace": {"code": "ECID"}, "id": OTHER_ECID}}

    (event,) = parsed(mobile(data={"pushNotificationDetails": [details]})).incoming.events

    (token,) = event.tokens
    assert (token.app_id, token.platform, token.token) == ("com.example.shop", "apns", "80F3C1AB")
    assert token.device == ClaimedIdentity("ECID", OTHER_ECID)


def test_a_token_without_an_owner_belongs_to_the_events_device() -> None:
    details = {key: value for key, value in TOKEN.items() if key != "identity"}

    (event,) = parsed(mobile(data={"pushNotificationDetails": [details]})).incoming.events

    assert event.tokens[0].device == ClaimedIdentity("ECID", ECID)


def test_a_token_for_a_junk_device_is_left_out_and_the_refusal_is_carried() -> None:
    details = TOKEN | {"identity": {"namespace": {"code": "ECID"}, "id": "null"}}

    (event,) = parsed(mobile(data={"pushNotificationDetails": [details]})).incoming.events

    assert event.tokens == ()
    assert [each.reason for each in event.refused] == ["junkIdentity"]


@pytest.mark.parametrize("platform", ["web", "fcm", "carrierPigeon"])
def test_which_platform_is_allowed_is_not_decided_here(platform: str) -> None:
    details = TOKEN | {"platform": platform}

    (event,) = parsed(mobile(data={"pushNotificationDetails": [details]})).incoming.events

    assert event.tokens[0].platform == platform
