import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from mobile_stub.gateway_faults import Fault, FaultKind, Route, ScriptError, parse_script
from mobile_stub.gateway_http import Reply, ServerThread, answer
from mobile_stub.gateway_script import Script
from mobile_stub.gateway_wire import Request
from tests.mobile_stub.vendor_caller import Vendor

MESSAGE = {"token": "t-1", "data": {"adb_title": "Hi"}}


def fcm_code(response: requests.Response) -> str | None:
    for detail in response.json()["error"].get("details", []):
        if detail["@type"].endswith("FcmError"):
            return str(detail["errorCode"])
    return None


@pytest.mark.parametrize(
    ("kind", "status", "word", "code"),
    [
        ("throttled", 429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"),
        ("unavailable", 503, "UNAVAILABLE", "UNAVAILABLE"),
        ("internal", 500, "INTERNAL", "INTERNAL"),
        ("unauthenticated", 401, "UNAUTHENTICATED", None),
        ("invalidArgument", 400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("deadToken", 404, "NOT_FOUND", "UNREGISTERED"),
        ("senderMismatch", 403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"),
    ],
)
def test_each_failure_of_fcm_speaks_googles_words(
    vendor: Vendor, kind: str, status: int, word: str, code: str | None
) -> None:
    vendor.script({"kind": kind})

    response = vendor.fcm(MESSAGE)

    error = response.json()["error"]
    (row,) = vendor.get("/_received")
    assert (response.status_code, error["code"], error["status"]) == (status, status, word)
    assert fcm_code(response) == code
    assert "Retry-After" not in response.headers
    assert (row["status"], row["accepted"], row["id"]) == (status, False, None)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("throttled", 429),
        ("unavailable", 503),
        ("internal", 500),
        ("unauthenticated", 401),
        ("invalidArgument", 400),
        ("deadToken", 410),
        ("senderMismatch", 403),
    ],
)
def test_each_failure_of_the_generic_push_is_plain(vendor: Vendor, kind: str, status: int) -> None:
    vendor.script({"kind": kind})

    response = vendor.push({"to": "x"})

    assert response.status_code == status
    assert isinstance(response.json()["error"], str)


def test_retry_after_is_sent_as_the_script_has_it(vendor: Vendor) -> None:
    vendor.script({"kind": "throttled", "retryAfter": "37"})

    assert vendor.fcm(MESSAGE).headers["Retry-After"] == "37"


def test_a_bad_gateway_is_a_page_of_html(vendor: Vendor) -> None:
    vendor.script({"kind": "badGateway"})

    response = vendor.fcm(MESSAGE)

    assert (response.status_code, response.headers["Content-Type"]) == (502, "text/html")
    assert response.text.startswith("<html>")


def test_latency_delays_the_ordinary_answer(vendor: Vendor) -> None:
    vendor.script({"kind": "slow", "latencyMs": 120})

    response = vendor.fcm(MESSAGE)

    assert response.status_code == 200
    assert response.elapsed.total_seconds() >= 0.12


def test_a_drip_comes_slowly_but_whole(vendor: Vendor) -> None:
    vendor.script({"kind": "drip", "intervalMs": 1})

    response = vendor.push({"to": "x"})

    size = len(response.content)
    assert response.json()["id"].startswith("push-")
    assert response.elapsed.total_seconds() >= size / 1000


@pytest.mark.parametrize(
    ("kind", "accepted", "body"),
    [("close", True, {"to": "x"}), ("reset", False, {"to": "x"}), ("resetBeforeBody", False, None)],
)
def test_a_broken_connection_gives_no_answer_and_is_remembered(
    vendor: Vendor, kind: str, accepted: object, body: object
) -> None:
    vendor.script({"kind": kind, "route": "push", "times": 1})

    with pytest.raises(requests.ConnectionError):
        vendor.push({"to": "x"})

    after = vendor.push({"to": "y"})
    first, _ = vendor.get("/_received")
    assert after.status_code == 200
    assert (first["status"], first["accepted"], first["body"]) == (0, accepted, body)


def test_a_reset_is_a_reset_and_a_close_is_an_end(vendor: Vendor) -> None:
    causes = []
    for kind in ("reset", "close"):
        vendor.script({"kind": kind, "times": 1})
        with pytest.raises(requests.ConnectionError) as caught:
            vendor.push({"to": "x"})
        causes.append(str(caught.value))

    assert "ConnectionResetError" in causes[0]
    assert "RemoteDisconnected" in causes[1]


def test_a_script_may_say_that_a_failed_message_was_accepted_all_the_same(vendor: Vendor) -> None:
    vendor.script({"kind": "internal", "accepted": True})

    response = vendor.push({"to": "x"})

    assert response.status_code == 500
    assert vendor.get("/_received/count")["accepted"] == 1


def test_the_token_endpoint_can_fail_too(vendor: Vendor) -> None:
    vendor.script({"kind": "unavailable", "route": "token", "times": 1})

    statuses = [vendor.grant(vendor.assertion()).status_code for _ in range(2)]

    assert statuses == [503, 200]


def test_faults_strike_by_route_and_token_and_the_first_match_decides(vendor: Vendor) -> None:
    vendor.script(
        {"kind": "deadToken", "route": "fcm", "token": "gone"},
        {"kind": "unavailable", "token": "gone"},
    )

    statuses = [
        vendor.fcm({"token": "gone"}).status_code,
        vendor.push({"to": "gone"}).status_code,
        vendor.fcm({"token": "alive"}).status_code,
    ]

    assert statuses == [404, 503, 200]


def test_the_script_tells_what_it_has_done(vendor: Vendor) -> None:
    vendor.script({"kind": "throttled", "times": 1})
    for _ in range(3):
        vendor.push({"to": "x"})

    (fault,) = vendor.get("/_script")["faults"]
    vendor.http.delete(f"{vendor.url}/_script", timeout=5)

    assert (fault["kind"], fault["seen"], fault["used"]) == ("throttled", 3, 1)
    assert vendor.get("/_script") == {"faults": []}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(FaultKind.SLOW), "xxxxxx"),
        (Fault(FaultKind.SLOW, times=2), "xx...."),
        (Fault(FaultKind.SLOW, after=2, times=1), "..x..."),
        (Fault(FaultKind.SLOW, every=3), "x..x.."),
        (Fault(FaultKind.SLOW, after=1, every=2, times=2), ".x.x.."),
        (Fault(FaultKind.SLOW, times=0), "......"),
    ],
)
def test_a_fault_skips_repeats_and_ends(fault: Fault, expected: str) -> None:
    script = Script((fault,))

    played = "".join("x" if script.pick(Route.FCM, None) else "." for _ in range(6))

    assert played == expected


@pytest.mark.parametrize(
    "script",
    [
        [],
        {},
        {"faults": [1]},
        {"faults": [{}]},
        {"faults": [{"kind": "boom"}]},
        {"faults": [{"kind": "slow", "route": "pager"}]},
        {"faults": [{"kind": "slow", "wait": 1}]},
        {"faults": [{"kind": "slow", "times": -1}]},
        {"faults": [{"kind": "slow", "times": True}]},
        {"faults": [{"kind": "slow", "every": 0}]},
        {"faults": [{"kind": "throttled", "retryAfter": 5}]},
        {"faults": [{"kind": "close", "accepted": "yes"}]},
        {"faults": [{"kind": "resetBeforeBody", "token": "x"}]},
        {"faults": [{"kind": "refused", "code": "x"}]},
        {"faults": [{"kind": "refused", "route": "apns"}]},
        {"faults": [{"kind": "goAway", "route": "fcm"}]},
        {"faults": [{"kind": "slow", "percent": 101}]},
        {"faults": [{"kind": "slow", "percent": True}]},
        {"faults": [{"kind": "slow", "status": 600}]},
    ],
)
def test_a_script_with_a_mistake_is_refused_whole(vendor: Vendor, script: Any) -> None:
    with pytest.raises(ScriptError):
        parse_script(script)

    response = vendor.http.put(f"{vendor.url}/_script", json=script, timeout=5)

    assert response.status_code == 400


def test_retry_after_can_be_a_date_from_now(vendor: Vendor) -> None:
    vendor.script({"kind": "throttled", "retryAfterDateS": 90})

    response = vendor.fcm(MESSAGE)

    until, now = (
        parsedate_to_datetime(response.headers["Retry-After"]),
        datetime.now(UTC),  # noqa: TID251 - the gateway lives in real time
    )
    assert timedelta(seconds=80) < until - now <= timedelta(seconds=90)


def test_a_black_hole_takes_the_message_and_never_answers(vendor: Vendor) -> None:
    vendor.script({"kind": "blackHole", "times": 1})

    with pytest.raises(requests.ReadTimeout):
        vendor.http.post(
            f"{vendor.url}/push", json={"to": "x"}, headers={"X-API-Key": "stub-api-key"}, timeout=1
        )

    (row,) = vendor.get("/_received")
    assert (row["status"], row["accepted"]) == (0, True)
    assert vendor.push({"to": "x"}).status_code == 200


def test_a_reset_in_the_body_comes_after_its_first_half(vendor: Vendor) -> None:
    vendor.script({"kind": "resetInBody", "times": 1})

    with vendor.http.post(
        f"{vendor.url}/push",
        json={"to": "x"},
        headers={"X-API-Key": "stub-api-key"},
        timeout=5,
        stream=True,
    ) as response:
        status = response.status_code
        with pytest.raises(requests.RequestException):
            response.json()

    assert status == 200
    assert vendor.get("/_received/count")["accepted"] == 1


def test_a_cut_body_is_whole_by_its_length_and_broken_as_json(vendor: Vendor) -> None:
    vendor.script({"kind": "cutBody"})

    response = vendor.fcm(MESSAGE)

    assert (response.status_code, len(response.content)) == (
        200,
        int(response.headers["Content-Length"]),
    )
    with pytest.raises(requests.JSONDecodeError):
        response.json()


@pytest.mark.parametrize(
    ("code", "status"), [("THIRD_PARTY_AUTH_ERROR", 401), ("NOT_FOUND", 404), ("FOO", 400)]
)
def test_any_code_of_fcm_can_be_scripted(vendor: Vendor, code: str, status: int) -> None:
    vendor.script({"kind": "refused", "route": "fcm", "code": code})

    response = vendor.fcm(MESSAGE)

    assert response.status_code == status
    assert fcm_code(response) == (code if code == "THIRD_PARTY_AUTH_ERROR" else None)


def test_a_percentage_of_the_tokens_is_dead_and_stays_dead() -> None:
    tokens = [f"token-{number}" for number in range(2000)]
    script = Script((Fault(FaultKind.DEAD_TOKEN, percent=5),))

    dead, still = ([bool(script.pick(Route.FCM, token)) for token in tokens] for _ in range(2))

    assert dead == still
    assert 60 <= sum(dead) <= 140


def test_a_percentage_of_the_requests_fails_whosever_they_are() -> None:
    script = Script((Fault(FaultKind.THROTTLED, percent=30),))

    struck = sum(script.pick(Route.FCM, "one") is not None for _ in range(2000))

    assert 500 <= struck <= 700


def test_latency_can_spread_and_grow() -> None:
    growing = Script((Fault(FaultKind.SLOW, latency_ms=10, grow_ms=5),))
    spread = Script((Fault(FaultKind.SLOW, latency_ms=10, spread_ms=20),))

    grown, drawn = (
        [fault.latency_ms for _ in range(200) if (fault := script.pick(Route.FCM, None))]
        for script in (growing, spread)
    )

    assert grown[:3] == [10, 15, 20]
    assert (min(drawn), max(drawn)) == (10, 30)


def test_what_one_key_brought_twice_is_counted_as_a_duplicate(vendor: Vendor) -> None:
    vendor.script({"kind": "unavailable", "times": 1})
    for _ in range(3):
        vendor.push({"to": "x"}, **{"Idempotency-Key": "d-1"})

    count = vendor.get("/_received/count")

    assert (count["accepted"], count["duplicatesByRoute"]) == (2, {"push": 1})


def test_a_phone_with_a_callback_is_called(vendor: Vendor) -> None:
    called = threading.Event()
    bodies = []

    class PhoneApp:
        def early(self, head: Request) -> Reply | None:
            """Never interfere."""

        def handle(self, request: Request) -> Reply:
            bodies.append(request.body)
            called.set()
            return answer(204)

    with ServerThread(lambda _url: PhoneApp()) as phone:
        wanted = {"token": "called", "callback": f"{phone.url}/push"}
        vendor.http.post(f"{vendor.url}/_phones", json=wanted, timeout=5)
        vendor.push({"to": "called"})

        assert called.wait(5)
    assert b'"to": "called"' in bodies[0]
