"""The answer side of the conformance cases: what every client must be able to read."""

import json
import re
from typing import Any

import pytest

from mobile_stub import answers
from mobile_stub.device import Kind
from service.core.errors import RefusedDataError, StoreUnavailableError
from service.profiles.incoming import Kept
from tests.support.edge_documents import ECID, mobile, web
from tests.support.edge_world import World, consent_body, phone_body, plain_body
from tests.support.wire import MOBILE_ID, WEB_ID, WRONG_PLATFORM, Reply, edge_query

ERRORS = "https://ns.adobe.com/aep/errors/EXEG-"
V1 = ("interact", "collect", "privacy/set-consent", "identity/acquire")


def envelope(kind: Kind, reply: Reply) -> dict[str, Any]:
    (found,) = answers.fragments_of(kind, reply.body)
    return found


@pytest.mark.parametrize("kind", list(Kind))
def test_case_01_a_plain_event_is_answered_in_one_framed_line(kind: Kind) -> None:
    world = World()

    reply = world.post(phone_body(kind), query=edge_query(MOBILE_ID, "r-1"))

    assert reply.status == 200
    assert reply.body == b'\x00{"requestId":"r-1","handle":[]}\n'
    ((event,),) = (each.events for each in world.committer.requests)
    assert event.event_id == event.xdm["_id"]
    assert event.xdm["timestamp"]


@pytest.mark.parametrize("hint", ["or2", "a b", "ü✓", '{"a": [1]}', "t35", "..", "%00", "va"])
def test_case_09_any_location_hint_is_served(hint: str) -> None:
    assert World().post(phone_body(), path=f"/ee/{hint}/v1/interact").status == 200


def test_case_33_an_invalid_hint_loses_no_hit() -> None:
    assert World().post(phone_body(), path="/ee/invalid/v1/interact").status == 200


@pytest.mark.parametrize("hint", ["or2", "t38"])
def test_case_57_a_pages_hint_is_served(hint: str) -> None:
    reply = World().browse(json.dumps(web()).encode(), path=f"/ee/{hint}/v1/interact")

    assert reply.status == 200


def test_case_35_no_hint_is_handed_out() -> None:
    reply = World().browse(json.dumps(web()).encode())

    assert "locationHint:result" not in {each["type"] for each in reply.json()["handle"]}
    assert "x-adobe-edge" not in reply.headers


def test_case_03_the_values_that_a_phone_keeps_are_taken_back() -> None:
    document = mobile()
    entry = {"key": "kndctr_X_AdobeOrg_cluster", "value": "or2", "maxAge": 1800}
    document["meta"]["state"] = {"entries": [entry, {"value": None}, {}]}

    reply = World().post(json.dumps(document).encode())

    assert reply.status == 200
    assert b'"handle":[]' in reply.body


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), RuntimeError("crash")])
def test_case_12_our_own_trouble_is_one_that_every_client_sends_again(error: Exception) -> None:
    assert World(outcomes=[error]).post(phone_body()).status == 503


@pytest.mark.parametrize("error", [StoreUnavailableError("away"), RuntimeError("crash")])
def test_case_13_a_phone_is_told_how_long_to_wait_in_whole_seconds(error: Exception) -> None:
    reply = World(outcomes=[error]).post(phone_body())

    assert re.fullmatch("[1-9][0-9]?", reply.headers["retry-after"])


@pytest.mark.parametrize("base", ["ee", "ee-pre-prd", "my-own", "my/own"])
def test_case_28_every_environments_base_path_is_served(base: str) -> None:
    assert World().post(phone_body(), path=f"/{base}/v1/interact").status == 200


def test_case_41_a_debugging_session_changes_nothing() -> None:
    headers = {"X-Adobe-AEP-Validation-Token": "s|c"}
    query = edge_query(MOBILE_ID) + "&adobeAepValidationToken=s|c"

    assert World().post(phone_body(), headers=headers, query=query).status == 200


@pytest.mark.parametrize("kind", list(Kind))
def test_case_47_who_asks_for_messages_is_answered_that_there_are_none(kind: Kind) -> None:
    surfaces = {"surfaces": ["mobileapp://com.example.shop"]}
    xdm = {"_id": "E-1", "eventType": "personalization.request"}
    document = mobile(xdm=xdm, query={"personalization": surfaces})

    reply = World().post(json.dumps(document).encode())

    assert envelope(kind, reply)["handle"] == []


@pytest.mark.parametrize("action", V1)
def test_case_15_a_phones_success_is_200_or_204(action: str) -> None:
    body = consent_body() if action == "privacy/set-consent" else phone_body()

    assert World().post(body, path=f"/ee/v1/{action}").status in {200, 204}


@pytest.mark.parametrize("kind", list(Kind))
def test_case_16_what_was_kept_in_part_is_a_200_with_warnings(kind: Kind) -> None:
    world = World(outcomes=[Kept(refusals=(WRONG_PLATFORM,), without_consent=(0,))])

    reply = world.post(phone_body(kind, "TOKEN:1"))

    found = envelope(kind, reply)
    assert reply.status == 200
    assert "errors" not in found
    assert [each["type"].removeprefix(ERRORS) for each in found["warnings"]] == [
        "0301-200",
        "0204-200",
    ]


def test_case_17_a_fatal_422_lists_what_is_wrong() -> None:
    reply = World(outcomes=[RefusedDataError("No.")]).post(phone_body())

    said = reply.json()
    assert (reply.status, said["status"]) == (422, 422)
    assert said["report"]["errors"] == ["No."]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", "/ee/v1/interact"),
        (b"<html>", "/ee/v1/interact"),
        (b"x" * 70_000, "/ee/v1/interact"),
        (phone_body(), "/ee/own/path"),
        (phone_body(), "/ee/v2/interact"),
        (phone_body(), "/ee/v1/privacy/set-consent"),
        (b'{"consent": [{}]}', "/ee/v1/privacy/set-consent"),
    ],
)
def test_case_18_a_fatal_error_is_a_plain_problem_that_ios_can_decode(
    body: bytes, path: str
) -> None:
    reply = World().post(body, path=path)

    said = reply.json()
    answers.fragments_of(Kind.IOS, json.dumps({"errors": [said]}).encode())
    assert reply.status == said["status"]
    assert 400 <= reply.status < 500
    assert reply.status != 408
    assert reply.headers["content-type"] == "application/problem+json"
    assert said["report"]["requestId"] == reply.headers["x-request-id"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize("path", ["/ee/v1/interact", "/ee/own", "/ee/v2/collect"])
def test_case_19_no_error_is_anything_but_json(path: str, method: str) -> None:
    reply = World().post(b"{", path=path, method=method)

    assert reply.json()["title"]


@pytest.mark.parametrize("kind", list(Kind))
def test_case_20_one_fragment_holds_the_whole_answer(kind: Kind) -> None:
    document = mobile(xdm={"eventType": "media.sessionStart"})
    document |= {"query": {"identity": {"fetch": ["ECID", "CORE"]}}}

    reply = World().post(json.dumps(document).encode())

    found = envelope(kind, reply)
    assert reply.body.count(b"\n") == reply.body.count(b"\x00") == 1
    assert [each["type"] for each in found["handle"]] == [
        "identity:result",
        "media-analytics:new-session",
    ]


def any_successes() -> list[dict[str, Any]]:
    refused = Kept(refusals=(WRONG_PLATFORM,))
    replies = [
        World(outcomes=[refused]).browse(json.dumps(web()).encode()),
        World().browse(consent_body(), path="/ee/v1/privacy/set-consent"),
        World().browse(b"{}", path="/ee/v1/identity/acquire"),
        World(outcomes=[Kept(without_consent=(0,))]).browse(json.dumps(web()).encode()),
    ]
    return [each.json() for each in replies]


def test_case_21_errors_and_warnings_are_lists() -> None:
    for found in any_successes():
        assert isinstance(found.get("errors", []), list)
        assert isinstance(found.get("warnings", []), list)


def test_case_23_every_handle_has_a_type_and_a_payload() -> None:
    for found in any_successes():
        assert isinstance(found["handle"], list)
        assert all(each["type"] and isinstance(each["payload"], list) for each in found["handle"])


def test_case_22_an_event_index_is_that_of_the_body() -> None:
    events = [{"query": {}}, {"xdm": {"eventType": "a"}}, {"xdm": {"eventType": "b"}}]
    world = World(outcomes=[Kept(stored=1, without_consent=(1,))])

    reply = world.browse(json.dumps(web(events=events)).encode())

    (warning,) = reply.json()["warnings"]
    assert warning["report"]["eventIndex"] == 2


@pytest.mark.parametrize("kind", list(Kind))
def test_case_24_each_warning_stands_for_itself(kind: Kind) -> None:
    meta = {"collect": {"datasetId": "no-uuid"}}
    document = mobile(meta=meta) | {"query": {"identity": {"fetch": ["CORE"]}}}

    found = envelope(kind, World().post(json.dumps(document).encode()))

    assert [each["type"].removeprefix(ERRORS) for each in found["warnings"]] == [
        "0204-200",
        "0303-200",
    ]


@pytest.mark.parametrize("action", V1)
def test_case_32_an_unknown_datastream_of_a_phone_has_its_code(action: str) -> None:
    name = "6b5ad2d1-8c0b-4d2e-9b1d-3f6a0e7a3f11"

    reply = World().post(phone_body(), path=f"/ee/v1/{action}", query=f"configId={name}")

    said = reply.json()
    assert (reply.status, said["title"]) == (400, "Invalid datastream ID")
    assert said["type"] == f"{ERRORS}0003-400"
    assert said["report"]["requestId"] == reply.headers["x-request-id"]


def test_case_54_a_page_is_told_which_datastream_does_not_exist() -> None:
    reply = World().browse(json.dumps(web()).encode(), query="configId=BOGUS")

    assert reply.json()["type"] == f"{ERRORS}0003-400"
    assert "'BOGUS'" in reply.json()["detail"]


def test_case_36_a_phone_without_identity_is_kept() -> None:
    document = mobile()
    del document["xdm"]["identityMap"]
    world = World()

    reply = world.post(json.dumps(document).encode())

    assert reply.status == 200
    assert world.committer.requests[0].events[0].identities == ()


def test_case_59_a_beacon_at_unload_is_kept_and_answered_with_nothing() -> None:
    world = World()
    events = [{"xdm": {"eventType": name}} for name in ("a", "b", "c")]
    document = web(events=events)
    del document["query"]

    reply = world.browse(json.dumps(document).encode(), path="/ee/or2/v1/collect")

    assert (reply.status, reply.body) == (204, b"")
    assert len(world.committer.requests[0].events) == 3


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (phone_body(), "/ee/v1/interact"),
        (plain_body(), "/ee/v1/collect"),
        (consent_body(), "/ee/v1/privacy/set-consent"),
        (b"{}", "/ee/v1/identity/acquire"),
        (plain_body(), "/ee/va/v1/play"),
    ],
)
def test_a_success_of_version_one_is_never_another_2xx(body: bytes, path: str) -> None:
    assert World().browse(body, path=path).status in {200, 204}


@pytest.mark.parametrize("name", ["unknown", "konductorConfig", "identitymap", "events2"])
def test_unknown_keys_are_accepted_wherever_they_stand(name: str) -> None:
    odd = {name: [{"a": None}]}
    document = mobile() | odd
    document["meta"] |= {"target": odd, "else": 5}
    document["events"][0] |= odd
    consent = json.loads(consent_body(identityMap={"ECID": [{"id": ECID}]})) | odd

    event = World().post(json.dumps(document).encode())
    given = World().post(json.dumps(consent).encode(), path="/ee/v1/privacy/set-consent")

    assert (event.status, given.status) == (200, 200)


def test_smile_is_the_one_format_that_is_refused_by_its_name() -> None:
    reply = World().post(b":)\n\x01", headers={"Content-Type": "application/x-jackson-smile"})

    assert (reply.status, reply.json()["type"]) == (415, f"{ERRORS}0111-415")


def test_a_web_datastream_serves_every_action_alike() -> None:
    world = World()

    for action in V1:
        body = consent_body() if action == "privacy/set-consent" else json.dumps(web()).encode()
        assert world.browse(body, path=f"/ee/v1/{action}", query=edge_query(WEB_ID)).status < 300
