"""Web push: what the service worker of the Web SDK gets, and to whom it is sent."""

from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import Any

import http_ece  # type: ignore[import-untyped]
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound import action_target
from service.outbound.adapters.contract import ActionSpec, MessageContext
from service.outbound.adapters.web_push import MOST_BYTES, WebPushAdapter, seal
from service.outbound.egress import AddressGuard
from service.outbound.templating import TemplateError
from service.outbound.transport import CallParts
from service.profiles.web_push import read_subscription
from tests.support.messages import NOW, action_for, browser, message_by
from tests.support.push_browsers import PushBrowser
from tests.support.subscriptions import subscription

ADAPTER = WebPushAdapter()
GUARD = AddressGuard()


def action(payload: Any = None, **settings: Any) -> ActionSpec:
    changed = {} if payload is None else {"payload": payload}
    return action_for("webPush", settings=settings, **changed)


def rendered(spec: ActionSpec, context: MessageContext | None = None) -> CallParts:
    return ADAPTER.render(spec, context or message_by("webPush"), now=NOW)


def at(endpoint: str) -> MessageContext:
    return message_by("webPush", token=Secret(browser().subscription(endpoint)))


def test_the_message_is_what_the_web_sdk_shows_and_tracks() -> None:
    parts = rendered(action())

    execution = {
        "messageExecutionID": "00000000-0000-0000-0000-000000000002:node-1",
        "messageID": "00000000-0000-0000-0000-000000000001",
        "journeyVersionID": "00000000-0000-0000-0000-000000000002",
        "journeyVersionInstanceID": "00000000-0000-0000-0000-000000000003",
    }
    experience = {"customerJourneyManagement": {"messageExecution": execution}}
    assert browser().read(parts.body) == {
        "web": {
            "title": "Hi Ann",
            "body": "3 orders",
            "_xdm": {"mixins": {"_experience": experience}},
        }
    }
    assert parts.headers == (
        ("Content-Type", "application/octet-stream"),
        ("Content-Encoding", "aes128gcm"),
        ("TTL", "3600"),
    )


def test_a_whole_document_keeps_what_the_sites_own_worker_wants() -> None:
    payload = {"web": {"title": "Hi", "media": "{{ profile.nothing }}"}, "own": {"n": 1}}

    sent = browser().read(rendered(action(payload)).body)

    assert sent["own"] == {"n": 1}
    assert sent["web"].keys() == {"title", "_xdm"}


@pytest.mark.parametrize(
    ("settings", "life", "ttl"),
    [
        ({}, timedelta(seconds=90.7), "90"),
        ({}, timedelta(days=60), "2592000"),
        ({"ttlS": 60}, timedelta(hours=1), "60"),
        ({"ttlS": 0}, timedelta(hours=1), "0"),
        ({}, timedelta(seconds=-5), "0"),
    ],
)
def test_a_push_service_holds_a_message_no_longer_than_it_means_something(
    settings: dict[str, Any], life: timedelta, ttl: str
) -> None:
    parts = rendered(action(**settings), message_by("webPush", expires_at=NOW + life))

    assert dict(parts.headers)["TTL"] == ttl


def test_urgency_and_topic_are_headers() -> None:
    headers = dict(rendered(action(urgency="high", topic="cart-{{ profile.orders }}")).headers)

    assert (headers["Urgency"], headers["Topic"]) == ("high", "cart-3")


@pytest.mark.parametrize("topic", ["{{ profile.name }} ", "a.b", "x" * 33, "a\nb", "ä"])
def test_a_topic_is_what_push_services_take(topic: str) -> None:
    if topic.strip() == "{{ profile.name }}":
        assert dict(rendered(action(topic=topic)).headers)["Topic"] == "Ann"
        return

    with pytest.raises(TemplateError, match="topic is not 1 to 32"):
        rendered(action(topic=topic))


@pytest.mark.parametrize(("ttl_s", "policy"), [(0, "no-cache"), (60, "cache")])
def test_windows_is_told_whether_it_may_keep_a_message(ttl_s: int, policy: str) -> None:
    windows = at("https://wns2-par02p.notify.windows.com/w/?token=BQ")

    assert dict(rendered(action(ttlS=ttl_s), windows).headers)["X-WNS-Cache-Policy"] == policy
    assert "X-WNS-Cache-Policy" not in dict(rendered(action(ttlS=ttl_s)).headers)


def test_a_message_may_have_3800_bytes_and_no_more() -> None:
    empty = len(browser().opened(rendered(action({"title": "Hi", "body": ""})).body))
    most = MOST_BYTES - empty

    fits = rendered(action({"title": "Hi", "body": "x" * most}))

    assert len(browser().opened(fits.body)) == MOST_BYTES
    assert len(fits.body) <= 4096
    with pytest.raises(TemplateError, match="3801 bytes; a web push takes 3800"):
        rendered(action({"title": "Hi", "body": "x" * (most + 1)}))


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://evil.example.com/x",
        "https://169.254.169.254/latest",
        "https://fcm.googleapis.com.evil.example.com/x",
        "https://xfcm.googleapis.com/x",
        "https://fcm.googleapis.com:8443/x",
        "https://push.apple.com/x",
        "https://evilpush.apple.com/x",
        "https://evil.example.com/.push.apple.com",
        "https://evil.example.com?.push.apple.com",
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com@evil.example.com/x",
    ],
)
def test_no_subscription_leads_to_another_host_than_a_push_service(endpoint: str) -> None:
    with pytest.raises(TemplateError, match=r"may not call|needs a subscription"):
        rendered(action(), at(endpoint))


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/a",
        "https://FCM.googleapis.com:443/fcm/send/a",
        "https://updates.push.services.mozilla.com/wpush/v2/a",
        "https://web.push.apple.com/Q1",
        "https://db5.notify.windows.com/?token=a",
    ],
)
def test_the_browsers_own_push_services_are_called(endpoint: str) -> None:
    assert rendered(action(), at(endpoint)).url == endpoint


def test_an_action_may_name_its_own_push_services_instead() -> None:
    spec = action(pushHosts=["[::1]:8443", "*.push.example.com:444"])

    assert rendered(spec, at("https://[::1]:8443/a")).url == "https://[::1]:8443/a"
    assert rendered(spec, at("https://a.push.example.com:444/a")).method == "POST"
    with pytest.raises(TemplateError, match="may not call"):
        rendered(spec, at("https://fcm.googleapis.com/a"))


def test_what_an_action_calls_is_known_where_it_is_one_host() -> None:
    assert action_target.of(action()).url == "https://*/*"
    assert action_target.of(action(pushHosts=["*.example.com"])).url == "https://*/*"
    assert action_target.of(action(pushHosts=["a.com:444"])).url == "https://a.com:444/*"


@pytest.mark.parametrize(
    "token", ["dL3f:APA91bH", "{}", subscription("https://fcm.googleapis.com/a")]
)
def test_a_token_that_is_no_subscription_gets_no_message(token: str) -> None:
    with pytest.raises(TemplateError, match="subscription"):
        rendered(action(), message_by("webPush", token=Secret(token)))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({}, r"payload\.title is missing"),
        ({"body": "Hi"}, r"payload\.title is missing"),
        ({"web": {"body": "Hi"}}, r"payload\.web\.title is missing"),
        ("Hi", r"payload\.title is missing"),
        ({"title": "Hi", "_xdm": {}}, r"payload\._xdm is added by itself"),
        ({"title": "Hi", "interaction": {"type": "OPEN"}}, r"interaction\.type is one of"),
        ({"title": "Hi", "interaction": {"type": 1}}, r"interaction\.type is one of"),
        ({"title": "Hi", "interaction": "x"}, r"interaction must be an object"),
        ({"title": "Hi", "interaction": {"type": "WEBURL"}}, r"interaction\.uri is missing"),
        ({"title": "Hi", "actions": []}, r"payload\.actions holds a list"),
        ({"title": "Hi", "actions": {"buttons": [{"type": "OPENAPP"}]}}, r"\[0\]\.label"),
        (
            {"title": "Hi", "actions": {"buttons": [{"label": "Go", "type": "DEEPLINK"}]}},
            r"buttons\[0\]\.uri is missing",
        ),
    ],
)
def test_what_the_service_worker_would_not_show_is_refused(payload: Any, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        ADAPTER.check(action(payload), GUARD)


def test_what_the_service_worker_shows_is_taken() -> None:
    buttons = [{"label": "Go", "type": "WEBURL", "uri": "https://shop.test/{{ profile.id }}"}]
    opening = {"type": "{{ parameters.type }}", "uri": "https://shop.test"}

    ADAPTER.check(
        action({"title": "Hi", "interaction": opening, "actions": {"buttons": buttons}}), GUARD
    )


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"ttlS": -1}, "ttlS must be"),
        ({"ttlS": 2_592_001}, "ttlS must be"),
        ({"ttlS": True}, "ttlS must be"),
        ({"urgency": "urgent"}, "urgency is one of"),
        ({"topic": 5}, "topic must be a text"),
        ({"topic": "{{ nobody.x }}"}, r"settings\.topic"),
        ({"pushHosts": []}, "1 to 50 hosts"),
        ({"pushHosts": "a.com"}, "1 to 50 hosts"),
        ({"pushHosts": [5]}, "holds hosts such as"),
        ({"pushHosts": ["https://a.com"]}, "holds hosts such as"),
        ({"pushHosts": ["a.com/x"]}, "holds hosts such as"),
        ({"pushHosts": ["u@a.com"]}, "holds hosts such as"),
        ({"pushHosts": ["*"]}, "holds hosts such as"),
        ({"pushHosts": ["*.com"]}, "holds hosts such as"),
        ({"pushHosts": ["a.*.com"]}, "holds hosts such as"),
        ({"pushHosts": ["a.com:0"]}, "no valid host or port"),
        ({"pushHosts": ["a.com:99999"]}, "cannot be read"),
        ({"pushHosts": ["10.0.0.1"]}, "may not be called"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidInputError, match=why):
        ADAPTER.check(action(**settings), GUARD)


def test_the_encryption_is_that_of_rfc_8291() -> None:
    """Source: RFC 8291, appendix A."""
    private = decoded("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94")
    public = (
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
    )
    auth = "BTBZMqHH6r4Tts7J_aSIgg"
    said = (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmY"
        "WAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexS"
        "gSxsj_Qulcy4a-fN"
    )
    text = b"When I grow up, I want to be a watermelon"
    key = ec.derive_private_key(int.from_bytes(private), ec.SECP256R1())
    theirs = read_subscription(subscription(auth=auth, p256dh=public))
    assert theirs is not None

    def opened(body: bytes) -> bytes:
        found: bytes = http_ece.decrypt(body, private_key=key, auth_secret=decoded(auth))
        return found

    ours = seal(text, theirs)

    assert opened(decoded(said)) == opened(ours) == text
    assert len(ours) == len(decoded(said))
    assert ours[16:21] == decoded(said)[16:21]


def test_every_message_has_a_key_and_a_salt_of_its_own() -> None:
    theirs = read_subscription(PushBrowser().subscription())
    assert theirs is not None

    bodies = [seal(b"x", theirs) for _ in range(3)]

    assert len({body[:16] for body in bodies}) == len({body[21:86] for body in bodies}) == 3


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
