"""What APNs gets from us, held against what ``aioapns`` sends it for the same message."""

import asyncio
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsProductionClientProtocol
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from service.core import json
from service.core.clock import SystemClock
from service.core.json import JsonObject
from service.core.secret import Secret
from service.outbound.adapters.apns import ApnsAdapter
from service.outbound.atlas_rules import OutcomeKind, TokenEffect
from service.outbound.auth import authenticate
from service.outbound.auth_apns import ApnsKeyAuth
from service.outbound.outcomes import Outcome
from service.outbound.transport import Call, HttpVersion, LaneOptions
from service.outbound.transport_curl import CurlTransport
from service.sandboxes.scope import Scope
from tests.support.http2_sinks import Http2Exchange, Http2Request, Http2Sink, running_http2_sink
from tests.support.lanes import LOOPBACK, send
from tests.support.messages import action_for, apns_key, message
from tests.support.vendor_tokens import no_token_endpoint, tokens_of

ADAPTER = ApnsAdapter()
DEVICE = "80F3C1"
SCOPE = Scope(1, "prod")
CLOCK = SystemClock()
TTL_S = 3600
OURS_ONLY = {
    "user-agent": "libcurl names its program",
    "accept": "libcurl sends it with every request",
    "content-type": "what the body is; APNs does not look at it",
    "content-length": "aioapns leaves it to HTTP/2, where it is optional",
}
MAY_DIFFER = {
    ":authority": "libcurl spells the host as HTTP/2 does",
    "host": "aioapns spells it as HTTP/1.1 does",
    "apns-expiration": "reckoned from the moment of sending",
    "authorization": "signed at the moment of sending",
}


def by_us(sink: Http2Sink, settings: JsonObject, payload: JsonObject) -> Outcome:
    now = CLOCK.now()
    settings = {"topic": "com.example.shop", "endpoint": sink.url("").rstrip("/"), **settings}
    action = action_for("apns", settings=settings, payload=payload)
    context = message(token=Secret(DEVICE), expires_at=now + timedelta(seconds=TTL_S))
    tokens = tokens_of(no_token_endpoint, CLOCK)
    parts = authenticate(
        ADAPTER.render(action, context, now=now), action.auth, tokens, SCOPE, action.connection
    )
    options = LaneOptions(1, HttpVersion.HTTP_2, 8, ca_file=str(sink.ca_file))
    lane = CurlTransport(LOOPBACK).open_lane(options, lambda _: True)
    (reply,) = send(lane, Call.of("k", parts, timeout_ms=5000, connect_timeout_ms=2000))
    lane.close()
    return ADAPTER.read(reply, now=CLOCK.now())


async def by_aioapns(sink: Http2Sink, **request: Any) -> tuple[str, str | None]:
    class Protocol(APNsProductionClientProtocol):
        APNS_SERVER = "127.0.0.1"
        APNS_PORT = sink.port

    client = APNs(
        key=apns_key().reveal(),
        key_id="KEY0000001",
        team_id="TEAM000001",
        topic="com.example.shop",
        ssl_context=ssl.create_default_context(cafile=str(sink.ca_file)),
        err_func=nothing_more,
    )
    client.pool.protocol_class = Protocol
    result = await client.send_notification(
        NotificationRequest(device_token=DEVICE, time_to_live=TTL_S, **request)
    )
    client.pool.close()
    await asyncio.sleep(0.05)
    return result.status, result.description


async def nothing_more(_request: object, _result: object) -> None:
    return None


def differences(ours: Http2Request, theirs: Http2Request) -> dict[str, tuple[object, object]]:
    names = (ours.headers.keys() | theirs.headers.keys()) - OURS_ONLY.keys() - MAY_DIFFER.keys()
    return {
        name: (ours.headers.get(name), theirs.headers.get(name))
        for name in names
        if ours.headers.get(name) != theirs.headers.get(name)
    }


@pytest.mark.parametrize(
    ("settings", "payload", "theirs"),
    [
        (
            {"collapseId": "order-1"},
            {"aps": {"alert": {"title": "Hi", "body": "Zoë"}, "badge": 3}, "adb_uri": "a://b"},
            {"priority": 10, "push_type": PushType.ALERT, "collapse_key": "order-1"},
        ),
        (
            {"pushType": "background"},
            {"aps": {"content-available": 1}, "refresh": "cart"},
            {"priority": 5, "push_type": PushType.BACKGROUND},
        ),
        (
            {"liveActivity": {"event": "update", "activityId": "order-1"}, "priority": 5},
            {"aps": {"content-state": {"minutes": 5}}},
            {
                "priority": 5,
                "push_type": PushType.LIVEACTIVITY,
                "apns_topic": "com.example.shop.push-type.liveactivity",
            },
        ),
        (
            {"pushType": "voip", "priority": 10},
            {"aps": {}, "caller": "Ann"},
            {
                "priority": 10,
                "push_type": PushType.VOIP,
                "apns_topic": "com.example.shop.voip",
            },
        ),
    ],
    ids=["alert", "background", "liveactivity", "voip"],
)
def test_the_same_message_is_the_same_request(
    tmp_path: Path, settings: JsonObject, payload: JsonObject, theirs: dict[str, Any]
) -> None:
    with running_http2_sink(tmp_path) as sink:
        by_us(sink, settings, payload)
        (ours,) = sink.received
        sent = json.decode(ours.body)
        request = {"message": sent, "notification_id": ours.headers["apns-id"], **theirs}
        status, _ = asyncio.run(by_aioapns(sink, **request))
        (_, published) = sink.received

    assert status == "200"
    assert differences(ours, published) == {}
    assert OURS_ONLY.keys() & published.headers.keys() == set()
    assert json.decode(published.body) == sent
    assert payload.items() <= {**sent, "aps": payload["aps"]}.items()
    expirations = [int(each.headers["apns-expiration"]) for each in (ours, published)]
    assert abs(expirations[0] - expirations[1]) <= 5
    assert claims(ours) == claims(published)


def claims(request: Http2Request) -> tuple[object, object, list[str]]:
    scheme, _, token = request.headers["authorization"].partition(" ")
    key = load_pem_private_key(apns_key().reveal().encode(), None).public_key()
    held = jwt.decode(token, key, algorithms=["ES256"])  # type: ignore[arg-type]
    assert abs(held["iat"] - CLOCK.now().timestamp()) < 60
    return scheme, (held["iss"], jwt.get_unverified_header(token)["kid"]), sorted(held)


@pytest.mark.parametrize(
    ("status", "answer", "kind", "effect"),
    [
        (200, None, OutcomeKind.SENT, TokenEffect.NONE),
        (400, {"reason": "BadDeviceToken"}, OutcomeKind.FAILED, TokenEffect.DEAD),
        (410, {"reason": "Unregistered", "timestamp": 7}, OutcomeKind.FAILED, TokenEffect.DEAD),
        (429, {"reason": "TooManyRequests"}, OutcomeKind.RETRY, TokenEffect.NONE),
        (503, {"reason": "Shutdown"}, OutcomeKind.RETRY, TokenEffect.NONE),
    ],
)
def test_an_answer_is_read_as_the_published_client_reads_it(
    tmp_path: Path, status: int, answer: JsonObject | None, kind: OutcomeKind, effect: TokenEffect
) -> None:
    def respond(exchange: Http2Exchange) -> None:
        named = (("apns-id", exchange.request.headers["apns-id"]),)
        exchange.answer(status, named, json.encode(answer) if answer else b"")

    with running_http2_sink(tmp_path, respond) as sink:
        outcome = by_us(sink, {}, {"aps": {"alert": "Hi"}})
        theirs = asyncio.run(by_aioapns(sink, message={"aps": {}}))

    assert theirs == (str(status), answer["reason"] if answer else None)
    assert (outcome.kind, outcome.token_effect) == (kind, effect)
    assert outcome.vendor_message_id == "00000000-0000-0000-0000-000000000001"


def test_the_key_of_the_test_is_the_actions() -> None:
    auth = action_for("apns").auth

    assert isinstance(auth, ApnsKeyAuth)
    assert auth.private_key == apns_key()
