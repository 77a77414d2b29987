from typing import Any

import pytest
import requests

from mobile_stub.gateway import GatewaySettings, make_app
from mobile_stub.gateway_http import ServerThread
from tests.mobile_stub.vendor_caller import Vendor

MESSAGE = {"token": "t-1", "data": {"adb_title": "Hi"}}


def error_of(response: requests.Response) -> tuple[int, str, list[dict[str, Any]]]:
    error = response.json()["error"]
    return response.status_code, error["status"], error.get("details", [])


def test_the_service_account_is_a_whole_file_that_points_at_the_gateway(vendor: Vendor) -> None:
    account = vendor.account

    assert account["type"] == "service_account"
    assert account["token_uri"] == f"{vendor.url}/token"
    assert account["private_key"].startswith("-----BEGIN PRIVATE KEY-----")
    assert {"project_id", "private_key_id", "client_email", "client_id"} <= set(account)


def test_a_signed_assertion_buys_a_bearer_token(vendor: Vendor) -> None:
    response = vendor.grant(vendor.assertion())

    grant = response.json()
    assert response.status_code == 200
    assert (grant["token_type"], grant["expires_in"]) == ("Bearer", 3599)
    assert grant["access_token"]


def test_googles_own_token_address_and_scope_do_too(vendor: Vendor) -> None:
    assertion = vendor.assertion(
        aud="https://oauth2.googleapis.com/token",
        scope="openid https://www.googleapis.com/auth/cloud-platform",
    )

    assert vendor.grant(assertion).status_code == 200


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"iss": "someone@else.example"}, "invalid_grant"),
        ({"aud": "https://elsewhere.example/token"}, "invalid_grant"),
        ({"exp": 1}, "invalid_grant"),
        ({"iat": 1}, "invalid_grant"),
        ({"exp": 99_999_999_999}, "invalid_grant"),
        ({"scope": "openid"}, "invalid_scope"),
    ],
)
def test_an_assertion_with_a_wrong_claim_is_refused(
    vendor: Vendor, changed: dict[str, Any], error: str
) -> None:
    response = vendor.grant(vendor.assertion(**changed))

    assert response.status_code == 400
    assert response.json()["error"] == error


def test_an_assertion_with_a_wrong_signature_or_key_id_is_refused(vendor: Vendor) -> None:
    good = vendor.assertion()
    vendor.account["private_key_id"] = "0" * 40

    answers = [
        vendor.grant(good[:-8] + "AAAAAAAA"),
        vendor.grant(vendor.assertion()),
        vendor.grant("no.jwt.here"),
        vendor.grant(""),
    ]

    assert [answer.json()["error"] for answer in answers] == ["invalid_grant"] * 4


def test_the_assertion_is_never_remembered(vendor: Vendor) -> None:
    vendor.grant(vendor.assertion())

    (row,) = vendor.get("/_received")

    assert (row["route"], row["body"], row["status"]) == ("token", None, 200)


def test_a_good_message_is_named_and_remembered(vendor: Vendor) -> None:
    response = vendor.fcm(MESSAGE)

    (row,) = vendor.get("/_received")
    assert response.status_code == 200
    assert response.json()["name"].startswith("projects/stub-project/messages/0:")
    assert row["id"] == response.json()["name"]
    assert (row["route"], row["address"], row["status"], row["accepted"]) == (
        "fcm",
        "t-1",
        200,
        True,
    )
    assert row["body"] == {"message": MESSAGE}


def test_a_message_that_is_only_validated_is_not_accepted(vendor: Vendor) -> None:
    response = vendor.fcm(MESSAGE, validate_only=True)

    assert response.json() == {"name": "projects/stub-project/messages/fake_message_id"}
    assert vendor.get("/_received/count")["accepted"] == 0


def test_a_missing_expired_or_foreign_bearer_is_unauthenticated_without_fcm_error(
    vendor: Vendor,
) -> None:
    vendor.access_token = "foreign"
    foreign = vendor.fcm(MESSAGE)
    vendor.access_token = vendor.grant(vendor.assertion()).json()["access_token"]
    valid = vendor.fcm(MESSAGE)
    vendor.http.delete(f"{vendor.url}/_tokens", timeout=5)
    revoked = vendor.fcm(MESSAGE)

    assert valid.status_code == 200
    assert error_of(foreign) == error_of(revoked) == (401, "UNAUTHENTICATED", [])


def test_an_access_token_ends_with_its_lifetime() -> None:
    with (
        ServerThread(make_app(GatewaySettings(token_lifetime_s=0))) as server,
        requests.Session() as http,
    ):
        account = http.get(f"{server.url}/service-account.json", timeout=5).json()
        caller = Vendor(server.url, http, account)
        caller.access_token = caller.grant(caller.assertion()).json()["access_token"]

        assert caller.fcm(MESSAGE).status_code == 401


def test_another_project_is_not_found_without_fcm_error(vendor: Vendor) -> None:
    vendor.account["project_id"] = "another"

    assert error_of(vendor.fcm(MESSAGE)) == (404, "NOT_FOUND", [])


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"data": {}}, None),
        ({"token": "t", "topic": "news"}, None),
        ({"token": ""}, "message.token"),
        ({"token": 7}, "message.token"),
        ({"token": "t", "data": {"a": "x", "n": 1}}, "message.data[1].value"),
        ({"token": "t", "data": ["a"]}, "message.data"),
        ({"token": "t", "data": {"from": "me"}}, "data.from"),
        ({"token": "t", "data": {"message_type": "x"}}, "data.message_type"),
        ({"token": "t", "data": {"google.x": "x"}}, "data.google.x"),
        ({"token": "t", "data": {"gcm.notification.e": "x"}}, "data.gcm.notification.e"),
        ({"token": "t", "data": {"a": "x" * 4096}}, None),
        ({"token": "t", "android": {"ttl": 60}}, "message.android.ttl"),
        ({"token": "t", "android": {"ttl": "2419201s"}}, "message.android.ttl"),
        ({"token": "t", "android": {"priority": "LOUD"}}, "message.android.priority"),
        ({"token": "t", "android": {}, "android_v2": {}}, "message.android"),
    ],
)
def test_a_bad_message_is_an_invalid_argument_that_names_the_field(
    vendor: Vendor, message: dict[str, Any], field: str | None
) -> None:
    status, word, details = error_of(vendor.fcm(message))

    fields = [item["field"] for one in details for item in one.get("fieldViolations", [])]
    assert (status, word) == (400, "INVALID_ARGUMENT")
    assert details[0]["errorCode"] == "INVALID_ARGUMENT"
    assert details[0]["@type"].endswith("google.firebase.fcm.v1.FcmError")
    assert fields == ([field] if field else [])


def test_the_largest_payload_still_passes(vendor: Vendor) -> None:
    message = {"token": "t", "data": {"a": "x" * 4095}, "android": {"ttl": "3.5s"}}

    assert vendor.fcm(message).status_code == 200
