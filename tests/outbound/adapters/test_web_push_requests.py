"""What a push service gets from us, held against what ``pywebpush`` sends it for the same."""

from pathlib import Path

import jwt
import pytest
import requests
from pywebpush import webpush  # type: ignore[import-untyped]

from service.core.clock import SystemClock
from service.core.secret import Secret
from service.outbound.adapters.web_push import WebPushAdapter
from service.outbound.atlas_rules import OutcomeKind, TokenEffect
from service.outbound.auth import authenticate
from service.outbound.outcomes import Outcome
from service.outbound.transport import Call
from service.profiles.web_push import read_subscription
from service.sandboxes.scope import Scope
from tests.support.certificates import loopback_certificate
from tests.support.lanes import open_lane, send
from tests.support.messages import action_for, apns_key, browser, message, vapid
from tests.support.sinks import Received, Sink, answer, running_sink
from tests.support.vendor_tokens import no_token_endpoint, tokens_of

ADAPTER = WebPushAdapter()
CLOCK = SystemClock()
CREATED = answer(
    b"HTTP/1.1 201 Created\r\nLocation: https://push.test/m/1\r\nContent-Length: 0\r\n\r\n"
)
MOVED = answer(
    b"HTTP/1.1 301 Moved\r\nLocation: https://127.0.0.1/evil\r\nContent-Length: 0\r\n\r\n"
)
MAY_DIFFER = {
    "user-agent": "each names its program",
    "accept": "each client's own habit",
    "accept-encoding": "requests offers to read compressed answers",
    "connection": "requests spells what HTTP/1.1 means anyway",
    "content-type": "of an encrypted body; pywebpush leaves it out, web-push for Node sends it",
    "authorization": "signed at the moment of sending",
}


def by_us(sink: Sink, ca_file: Path) -> Outcome:
    now = CLOCK.now()
    settings = {
        "pushHosts": [f"127.0.0.1:{sink.url().split(':')[2].split('/')[0]}"],
        "ttlS": 60,
        "urgency": "high",
        "topic": "cart",
    }
    endpoint = sink.url("/wpush/v2/gAAA").replace("http://", "https://")
    action = action_for("webPush", settings=settings)
    token = Secret(browser().subscription(endpoint))
    context = message(token=token, expires_at=now.replace(year=now.year + 1, day=1))
    tokens = tokens_of(no_token_endpoint, CLOCK)
    parts = ADAPTER.render(action, context, now=now)
    signed = authenticate(parts, action.auth, tokens, Scope(1, "prod"))
    with open_lane(ca_file=str(ca_file)) as lane:
        (reply,) = send(lane, Call.of("k", signed, timeout_ms=5000, connect_timeout_ms=2000))
    return ADAPTER.read(reply, now=CLOCK.now())


def by_pywebpush(sink: Sink, ca_file: Path, data: bytes, key: str) -> None:
    endpoint = sink.url("/wpush/v2/gAAA").replace("http://", "https://")
    subscription = read_subscription(browser().subscription(endpoint))
    assert subscription is not None
    keys = {"auth": subscription.keys.auth, "p256dh": subscription.keys.p256dh}
    with requests.Session() as session:
        session.verify = str(ca_file)
        session.trust_env = False
        webpush(
            {"endpoint": endpoint, "keys": keys},
            data,
            vapid_private_key=key,
            vapid_claims={"sub": vapid().subject},
            ttl=60,
            headers={"Urgency": "high", "Topic": "cart"},
            requests_session=session,
            timeout=5,
        )


def headers(request: Received) -> dict[str, str]:
    lines = [line.partition(":") for line in request.head.split("\r\n")[1:] if line]
    return {name.lower(): value.strip() for name, _, value in lines}


def proof(request: Received) -> tuple[dict[str, object], dict[str, object], str]:
    """Return the token's header and claims without its moment, and the public key."""
    scheme, _, rest = headers(request)["authorization"].partition(" ")
    fields = dict(each.strip().partition("=")[::2] for each in rest.split(","))
    claims = jwt.decode(fields["t"], options={"verify_signature": False})
    life_s = claims.pop("exp") - CLOCK.now().timestamp()
    assert (scheme, 11 * 3600 < life_s <= 12 * 3600) == ("vapid", True)
    return jwt.get_unverified_header(fields["t"]), claims, fields["k"]


def test_the_same_message_is_the_same_request(tmp_path: Path) -> None:
    ca_file, tls = loopback_certificate(tmp_path)
    pem = tmp_path / "vapid.pem"
    pem.write_text(apns_key().reveal())
    with running_sink(CREATED, tls=tls) as sink:
        outcome = by_us(sink, ca_file)
        plain = browser().opened(sink.received[0].body)
        by_pywebpush(sink, ca_file, plain, str(pem))

    ours, theirs = sink.received
    differing = {
        name
        for name in headers(ours).keys() | headers(theirs).keys()
        if headers(ours).get(name) != headers(theirs).get(name)
    }
    assert ours.head.split("\r\n")[0] == theirs.head.split("\r\n")[0]
    assert differing <= MAY_DIFFER.keys()
    assert proof(ours) == proof(theirs)
    assert browser().opened(theirs.body) == plain
    assert (len(ours.body), ours.body[16:21]) == (len(theirs.body), theirs.body[16:21])
    assert (outcome.kind, outcome.vendor_message_id) == (
        OutcomeKind.SENT,
        "https://push.test/m/1",
    )


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    ca_file, tls = loopback_certificate(tmp_path)
    with running_sink(MOVED, tls=tls) as sink:
        outcome = by_us(sink, ca_file)

    assert len(sink.received) == 1
    assert (outcome.kind, outcome.rule_id) == (OutcomeKind.FAILED, "webPush.3xx.moved")
    assert outcome.token_effect is TokenEffect.NONE


@pytest.mark.parametrize(
    ("status", "head", "body", "wait_s"),
    [
        (429, "Retry-After: 123", "", 123),
        (406, "X-WNS-STATUS: appthrottled\r\nRetry-After: 900", "", 900),
    ],
)
def test_a_push_service_is_left_alone_as_long_as_it_asks(
    tmp_path: Path, status: int, head: str, body: str, wait_s: int
) -> None:
    ca_file, tls = loopback_certificate(tmp_path)
    said = f"HTTP/1.1 {status} X\r\n{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    with running_sink(answer(said.encode()), tls=tls) as sink:
        outcome = by_us(sink, ca_file)

    assert (outcome.kind, outcome.retry_after_s) == (OutcomeKind.RETRY, wait_s)
