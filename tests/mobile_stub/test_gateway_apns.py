"""The gateway's APNs, as libcurl and ``aioapns`` see it."""

import asyncio
import io
import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pycurl
import pytest
import requests
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsProductionClientProtocol

from mobile_stub.gateway import GatewaySettings, make_app
from mobile_stub.gateway_http import ServerThread

TOPIC = "com.example.shop"
TOKEN = "ab12"
BODY = b'{"aps":{"alert":"Hi"}}'


class Apple:
    """A caller that keeps one HTTP/2 connection to the gateway's APNs."""

    def __init__(self, url: str, ca_file: Path) -> None:
        self.admin = url
        self.ca_file = ca_file
        self.vendor = self.get("/_vendors")["apns"]
        self.curl = pycurl.Curl()
        self.authorization = "bearer " + self.token()

    def get(self, path: str) -> Any:
        return requests.get(self.admin + path, timeout=5).json()

    def script(self, *faults: dict[str, Any]) -> None:
        assert requests.put(f"{self.admin}/_script", json={"faults": faults}, timeout=5).ok

    def token(self, *, age_s: float = 0, **headers: str) -> str:
        issued_at = int(time.time() - age_s)  # noqa: TID251 - the gateway lives in real time
        claims = {"iss": self.vendor["teamId"], "iat": issued_at}
        kid = {"kid": self.vendor["keyId"]} | headers
        return jwt.encode(claims, self.vendor["privateKey"], algorithm="ES256", headers=kid)

    def send(
        self, token: str = TOKEN, body: bytes = BODY, method: str = "POST", **changed: str | None
    ) -> tuple[int, dict[str, str], Any]:
        headers: dict[str, str | None] = {
            "authorization": self.authorization,
            "apns-topic": TOPIC,
            "apns-push-type": "alert",
            "apns-id": str(uuid4()),
        }
        headers |= {name.replace("_", "-"): value for name, value in changed.items()}
        got, lines = io.BytesIO(), list[bytes]()
        curl = self.curl
        curl.setopt(pycurl.URL, self.vendor["url"] + f"/3/device/{token}")
        curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS)
        curl.setopt(pycurl.CAINFO, str(self.ca_file))
        curl.setopt(pycurl.NOPROXY, "*")
        curl.setopt(pycurl.TIMEOUT_MS, 3000)
        curl.setopt(pycurl.POSTFIELDS, body)
        curl.setopt(pycurl.CUSTOMREQUEST, method)
        curl.setopt(pycurl.HTTPHEADER, [f"{k}: {v}" for k, v in headers.items() if v is not None])
        curl.setopt(pycurl.WRITEDATA, got)
        curl.setopt(pycurl.HEADERFUNCTION, lines.append)
        curl.perform()
        told = [line.decode().strip().split(": ", 1) for line in lines if b": " in line]
        text = got.getvalue()
        return curl.getinfo(pycurl.RESPONSE_CODE), dict(told), json.loads(text) if text else None

    def reason(self, *args: Any, **changed: Any) -> tuple[int, str]:
        status, _, body = self.send(*args, **changed)
        return status, body["reason"] if body else ""


@pytest.fixture
def apple(tmp_path: Path) -> Iterator[Apple]:
    ca_file = tmp_path / "ca.pem"
    settings = GatewaySettings(apns_port=0, apns_streams=7, apns_topics=(TOPIC,), ca_file=ca_file)
    with ServerThread(make_app(settings)) as server:
        caller = Apple(server.url, ca_file)
        yield caller
        caller.curl.close()


def test_a_push_is_taken_with_its_id_and_reaches_its_phone(apple: Apple) -> None:
    requests.post(f"{apple.admin}/_phones", json={"token": TOKEN}, timeout=5)
    apns_id = str(uuid4())

    status, headers, body = apple.send(apns_id=apns_id)

    (row,) = apple.get("/_received")
    (item,) = apple.get(f"/_inbox/{TOKEN}")["messages"]
    assert (status, headers["apns-id"], body) == (200, apns_id, None)
    assert (row["route"], row["address"], row["idempotencyKey"]) == ("apns", TOKEN, apns_id)
    assert item["message"] == json.loads(BODY)


def test_one_id_taken_twice_is_counted_as_a_duplicate(apple: Apple) -> None:
    for apns_id in (str(uuid4()), *[str(uuid4())] * 2):
        apple.send(apns_id=apns_id)

    count = apple.get("/_received/count")

    assert (count["acceptedByRoute"], count["duplicatesByRoute"]) == ({"apns": 3}, {"apns": 1})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"method": "PUT"}, (405, "MethodNotAllowed")),
        ({"token": ""}, (400, "MissingDeviceToken")),
        ({"token": "a/b"}, (404, "BadPath")),
        ({"token": "xyz"}, (400, "BadDeviceToken")),
        ({"authorization": None}, (403, "MissingProviderToken")),
        ({"authorization": "bearer nonsense"}, (403, "InvalidProviderToken")),
        ({"apns_id": "1"}, (400, "BadMessageId")),
        ({"apns_topic": None}, (400, "MissingTopic")),
        ({"apns_topic": "a b"}, (400, "BadTopic")),
        ({"apns_topic": "com.example.other"}, (400, "TopicDisallowed")),
        ({"apns_push_type": "shout"}, (400, "InvalidPushType")),
        ({"apns_push_type": "voip"}, (400, "BadTopic")),
        ({"apns_push_type": "voip", "apns_topic": f"{TOPIC}.voip"}, (200, "")),
        ({"apns_priority": "7"}, (400, "BadPriority")),
        ({"apns_push_type": "background", "apns_priority": "10"}, (400, "BadPriority")),
        ({"apns_push_type": "background", "apns_priority": "5"}, (200, "")),
        ({"apns_expiration": "soon"}, (400, "BadExpirationDate")),
        ({"apns_collapse_id": "x" * 64}, (200, "")),
        ({"apns_collapse_id": "x" * 65}, (400, "BadCollapseId")),
        ({"body": b""}, (400, "PayloadEmpty")),
        ({"body": b"x" * 4096}, (200, "")),
        ({"body": b"x" * 4097}, (413, "PayloadTooLarge")),
    ],
)
def test_a_request_is_refused_with_the_reason_that_apple_names(
    apple: Apple, changed: dict[str, Any], expected: tuple[int, str]
) -> None:
    assert apple.reason(**changed) == expected


def test_a_provider_token_is_held_to_its_key_and_its_age(apple: Apple) -> None:
    old, soon, fine = (f"bearer {apple.token(age_s=age)}" for age in (3700, 60, 1260))

    reasons = [
        apple.reason(authorization=f"bearer {apple.token(kid='OTHERKEY01')}"),
        apple.reason(authorization=old),
        apple.reason(),
        apple.reason(authorization=soon),
        apple.reason(authorization=fine),
    ]

    assert reasons == [
        (403, "InvalidProviderToken"),
        (403, "ExpiredProviderToken"),
        (200, ""),
        (429, "TooManyProviderTokenUpdates"),
        (200, ""),
    ]


def test_a_connection_has_one_stream_until_a_token_of_it_was_good(apple: Apple) -> None:
    apple.reason(authorization="bearer nonsense")
    before = apple.get("/_connections")
    apple.reason()
    after = apple.get("/_connections")

    assert [link["streams"] for link in (*before, *after)] == [1, 7]
    assert after[0]["requests"] == 2


def test_a_token_dies_with_the_moment_in_milliseconds(apple: Apple) -> None:
    apple.script({"kind": "deadToken", "token": TOKEN, "deadForS": 60})

    status, _, body = apple.send()
    died_at = time.time() - 60  # noqa: TID251 - as above

    assert (status, body["reason"]) == (410, "Unregistered")
    assert abs(body["timestamp"] - died_at * 1000) < 5000
    assert apple.reason("cd34") == (200, "")


def test_only_registered_tokens_are_known_where_that_is_asked_for(tmp_path: Path) -> None:
    settings = GatewaySettings(apns_port=0, known_tokens_only=True, ca_file=tmp_path / "ca")
    with ServerThread(make_app(settings)) as server:
        apple = Apple(server.url, tmp_path / "ca")
        requests.post(f"{server.url}/_phones", json={"token": TOKEN}, timeout=5)

        reasons = [apple.reason(TOKEN), apple.reason("cd34")]
        apple.curl.close()

    assert reasons == [(200, ""), (400, "BadDeviceToken")]


@pytest.mark.parametrize("code", ["FooBar", "Shutdown", "BadEnvironmentKeyInToken"])
def test_any_reason_can_be_scripted(apple: Apple, code: str) -> None:
    apple.script({"kind": "refused", "route": "apns", "code": code, "retryAfter": "9"})

    status, headers, body = apple.send()

    statuses = {"FooBar": 400, "Shutdown": 503, "BadEnvironmentKeyInToken": 403}
    assert (status, body["reason"], headers["retry-after"]) == (statuses[code], code, "9")


@pytest.mark.parametrize(
    ("fault", "accepted"),
    [
        ({"kind": "reset"}, False),
        ({"kind": "resetInBody"}, True),
        ({"kind": "blackHole"}, True),
        ({"kind": "close"}, True),
    ],
)
def test_a_stream_can_end_without_an_answer(
    apple: Apple, fault: dict[str, Any], accepted: object
) -> None:
    apple.script({**fault, "times": 1})
    with pytest.raises(pycurl.error):
        apple.send()

    after = apple.reason()

    first, _ = apple.get("/_received")
    assert after == (200, "")
    assert (first["status"], first["accepted"]) == (0, accepted)


def test_a_slow_drip_comes_whole(apple: Apple) -> None:
    apple.script(
        {"kind": "deadToken", "latencyMs": 40, "times": 1}, {"kind": "drip", "intervalMs": 1}
    )

    assert [apple.reason(), apple.reason()] == [(410, "Unregistered"), (200, "")]


def test_the_server_can_leave_after_an_answer(apple: Apple) -> None:
    apple.script({"kind": "goAway", "accepted": True, "times": 1})

    reasons = [apple.reason(), apple.reason()]

    assert reasons == [(200, "")] * 2
    assert [link["requests"] for link in apple.get("/_connections")] == [1, 1]


def test_a_request_after_the_last_stream_was_not_taken(apple: Apple) -> None:
    apple.reason()
    apple.script({"kind": "goAway", "times": 1})

    apple.reason()  # libcurl sends it again by itself, on a new connection

    rows = [(row["status"], row["accepted"]) for row in apple.get("/_received")]
    assert rows == [(200, True), (0, False), (200, True)]


def test_the_limit_of_streams_can_be_lowered(apple: Apple) -> None:
    apple.reason()
    apple.script({"kind": "streams", "streams": 2})

    assert apple.reason() == (200, "")
    assert apple.get("/_connections")[0]["streams"] == 2


def test_the_published_client_gets_the_answers_it_expects(apple: Apple) -> None:
    apple.script({"kind": "deadToken", "token": "dead"})

    results = asyncio.run(by_aioapns(apple, "ab12", "dead", "xyz"))

    count = apple.get("/_received/count")
    assert [result[:2] for result in results] == [
        ("200", None),
        ("410", "Unregistered"),
        ("400", "BadDeviceToken"),
    ]
    assert results[1][2] is not None
    assert (count["total"], count["accepted"]) == (3, 1)


async def by_aioapns(apple: Apple, *tokens: str) -> list[tuple[str, str | None, int | None]]:
    class Protocol(APNsProductionClientProtocol):
        APNS_SERVER = "127.0.0.1"
        APNS_PORT = int(apple.vendor["url"].rpartition(":")[2])

    client = APNs(
        key=apple.vendor["privateKey"],
        key_id=apple.vendor["keyId"],
        team_id=apple.vendor["teamId"],
        topic=TOPIC,
        ssl_context=ssl.create_default_context(cafile=str(apple.ca_file)),
        err_func=nothing_more,
    )
    client.pool.protocol_class = Protocol
    results = []
    for token in tokens:
        request = NotificationRequest(token, json.loads(BODY), push_type=PushType.ALERT)
        result = await client.send_notification(request)
        results.append((result.status, result.description, result.timestamp))
    client.pool.close()
    await asyncio.sleep(0.05)
    return results


async def nothing_more(_request: object, _result: object) -> None:
    return None
