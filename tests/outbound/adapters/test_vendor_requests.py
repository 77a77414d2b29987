"""What each vendor's adapter sends, held against what the vendor's own published client sends.

Both send the same message to a recorder on loopback, ours over the service's own transport. Method,
path, query, the headers of ``COMPARED`` and the body must be equal; what may differ is said, with
the reason, at the case.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID, uuid3

import onesignal  # type: ignore[import-untyped]
import pytest
import requests
from onesignal.api import default_api  # type: ignore[import-untyped]
from onesignal.model.include_aliases import IncludeAliases  # type: ignore[import-untyped]
from onesignal.model.language_string_map import LanguageStringMap  # type: ignore[import-untyped]
from onesignal.model.notification import Notification  # type: ignore[import-untyped]
from sendgrid import SendGridAPIClient  # type: ignore[import-untyped]
from sendgrid.helpers.mail import (  # type: ignore[import-untyped]
    Category,
    Content,
    CustomArg,
    DynamicTemplateData,
    Email,
    Mail,
    Personalization,
    To,
)
from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]
from urbanairship.client import BasicAuthClient, BearerTokenClient
from urbanairship.push.audience import android_channel, named_user
from urbanairship.push.core import Push
from urbanairship.push.payload import android, device_types, notification, options
from urbanairship.urls import Urls

from service.core import json
from service.core.secret import Secret
from service.outbound.adapters.registry import ADAPTERS, get_adapter
from service.outbound.adapters.vendor import VendorAdapter
from service.outbound.atlas_rules import OutcomeKind
from service.outbound.auth import ApiKeyAuth, AuthSpec, BasicAuth, authenticate
from service.outbound.transport import Call
from service.sandboxes.scope import Scope
from tests.support.lanes import LOOPBACK, open_lane, send
from tests.support.messages import NOW, action_for, message
from tests.support.sinks import Behaviour, Received, Sink, answer, running_sink
from tests.support.vendor_tokens import nobodys_tokens

COMPARED = ("Accept", "Authorization", "Content-Type", "On-Behalf-Of", "X-UA-Appkey")
ACCOUNT = "AC" + 32 * "0"
SERVICE = "MG" + 32 * "1"
APP = "00000000-0000-4000-8000-000000000009"
KEY = 22 * "k"
DELIVERY = UUID(int=1)
PROFILE = {
    "name": "Ann & Bo",
    "mobilePhone": {"number": "+1 (500) 555-0006"},
    "personalEmail": {"address": "ann@example.com"},
}
GREETING = "Hi {{ profile.name }}: “50 %” 你好 ✓"
SAID = "Hi Ann & Bo: “50 %” 你好 ✓"


@dataclass(frozen=True)
class Case:
    """One message: the action that sends it, the client that does, and what may differ.

    Attributes:
        other_headers: Headers that need not be equal, each with the reason.
    """

    adapter: str
    settings: Mapping[str, Any]
    payload: Any
    auth: AuthSpec
    send: Callable[[Sink], None]
    answer: Behaviour
    other_headers: Mapping[str, str] = field(default_factory=dict)


def said(status: str, body: Any) -> Behaviour:
    raw = json.encode(body)
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n"
    return answer(f"{head}X-Message-Id: m-1\r\n\r\n".encode() + raw)


class _ToRecorder(TwilioHttpClient):  # type: ignore[misc]
    """Twilio's own client, whose calls end at the recorder: hosts are no option of it."""

    def __init__(self, origin: str) -> None:
        super().__init__()
        self.origin = origin

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Response:
        here = url.replace("https://api.twilio.com", self.origin)
        return super().request(method, here, *args, **options)


def twilio_client(sink: Sink) -> Client:
    return Client(ACCOUNT, "t0ken", http_client=_ToRecorder(sink.url("")))


def twilio_from(sink: Sink) -> None:
    twilio_client(sink).messages.create(
        to="+15005550006",
        from_="+15005550001",
        body=SAID,
        media_url=["https://img.example/1.png", "https://img.example/2.png"],
        validity_period=3600,
        status_callback=f"https://hooks.example/r?m=1&deliveryId={DELIVERY}#rc=2",
        smart_encoded=True,
    )


def twilio_service(sink: Sink) -> None:
    twilio_client(sink).messages.create(
        to="whatsapp:+15005550006",
        messaging_service_sid=SERVICE,
        content_sid="HX" + 32 * "2",
        content_variables='{"1":"Ann & Bo"}',
        validity_period=60,
    )


def sendgrid_content(sink: Sink) -> None:
    mail = Mail(
        from_email=Email("shop@example.com", "Shop"),
        subject=SAID,
        plain_text_content=Content("text/plain", SAID),
        html_content=Content("text/html", f"<p>{SAID}</p>"),
    )
    person = Personalization()
    person.add_to(To("ann@example.com"))
    person.add_custom_arg(CustomArg("deliveryId", str(DELIVERY)))
    mail.add_personalization(person)
    mail.category = [Category("july"), Category("cart")]  # it writes them the other way round
    client = SendGridAPIClient("SG.key", host=sink.url(""), impersonate_subuser="eu-shop")
    assert client.send(mail).status_code == 202


def sendgrid_template(sink: Sink) -> None:
    mail = Mail(from_email="shop@example.com")
    mail.template_id = "d-1"
    person = Personalization()
    person.add_to(To("ann@example.com"))
    person.add_custom_arg(CustomArg("deliveryId", str(DELIVERY)))
    person.dynamic_template_data = DynamicTemplateData({"name": "Ann & Bo", "orders": 3}).get()
    mail.add_personalization(person)
    SendGridAPIClient("SG.key", host=sink.url("")).send(mail)


def onesignal_api(sink: Sink) -> default_api.DefaultApi:
    configuration = onesignal.Configuration(host=sink.url(""), rest_api_key="os-key")
    return default_api.DefaultApi(onesignal.ApiClient(configuration))


def onesignal_alias(sink: Sink) -> None:
    notification = Notification(
        app_id=APP,
        name=str(DELIVERY),
        idempotency_key=str(uuid3(UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8"), str(DELIVERY))),
        include_aliases=IncludeAliases(external_id=["c-1"]),
        target_channel="push",
        contents=LanguageStringMap(en=SAID),
        data={"cart": 3},
        collapse_id="cart",
        ttl=3600,
    )
    onesignal_api(sink).create_notification(notification)


def onesignal_subscription(sink: Sink) -> None:
    notification = Notification(
        app_id=APP,
        name="Cart",
        idempotency_key=str(uuid3(UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8"), str(DELIVERY))),
        include_subscription_ids=["s-1"],
        template_id="t-1",
        ttl=60,
    )
    onesignal_api(sink).create_notification(notification)


def airship_push(client: Any, sink: Sink, audience: Any) -> Any:
    client.urls = Urls(base_url=sink.url("/api/"))
    push = Push(client)
    push.audience = audience
    push.notification = notification(
        alert=SAID, android=android(collapse_key="cart", extra={"cart": "3"})
    )
    return push


def airship_basic(sink: Sink) -> None:
    client = BasicAuthClient(KEY, 22 * "s")
    push = airship_push(client, sink, named_user("c-1"))
    push.device_types = "all"
    push.options = options(expiry=3600)
    push.send()


def airship_bearer(sink: Sink) -> None:
    client = BearerTokenClient(KEY, "t0ken")
    channel = "9c36e8c7-5a73-47c0-9716-99fd3d4197d5"
    push = airship_push(client, sink, android_channel(channel))
    push.device_types = device_types("android")
    push.options = options(expiry=60)
    push.send()


def braze_send(sink: Sink) -> None:
    """Send the request of Braze's page: no client of Braze's own speaks Python."""
    requests.post(
        sink.url("/messages/send"),
        headers={"Authorization": "Bearer b-key"},
        timeout=5,
        json={
            "external_user_ids": ["c-1"],
            "campaign_id": "9c2fefcd-9115-3932-f771-c7f43d18d6b6",
            "messages": {
                "apple_push": {
                    "alert": {"title": "Shop", "body": SAID},
                    "message_variation_id": "iosPush-640",
                    "expiry": "2026-07-01T11:00:00+00:00",
                },
                "android_push": {
                    "title": "Shop",
                    "alert": SAID,
                    "message_variation_id": "androidPush-641",
                    "time_to_live": 3600,
                },
            },
        },
    )


_NO_ACCEPT = {"Accept": "the client asks for anything; the API answers JSON only"}
CASES = {
    "twilio from": Case(
        "twilio",
        {
            "accountSid": ACCOUNT,
            "from": "+15005550001",
            "statusCallback": "https://hooks.example/r?m=1#rc=2",
        },
        {
            "Body": GREETING,
            "MediaUrl": ["https://img.example/1.png", "https://img.example/2.png"],
            "SmartEncoded": True,
            "ContentSid": "{{ profile.nothing | default: nil }}",
        },
        BasicAuth(ACCOUNT, Secret("t0ken")),
        twilio_from,
        said("201 Created", {"sid": "SM1", "status": "queued"}),
    ),
    "twilio service": Case(
        "twilio",
        {
            "accountSid": ACCOUNT,
            "messagingServiceSid": SERVICE,
            "address": "whatsapp:{{ profile.mobilePhone.number }}",
            "channel": "whatsApp",
            "ttlS": 60,
        },
        {"ContentSid": "HX" + 32 * "2", "ContentVariables": {"1": "{{ profile.name }}"}},
        BasicAuth(ACCOUNT, Secret("t0ken")),
        twilio_service,
        said("201 Created", {"sid": "SM1", "status": "queued"}),
    ),
    "sendgrid content": Case(
        "sendgrid",
        {"onBehalfOf": "eu-shop"},
        {
            "from": {"email": "shop@example.com", "name": "Shop"},
            "subject": GREETING,
            "content": [
                {"type": "text/plain", "value": GREETING},
                {"type": "text/html", "value": f"<p>{GREETING}</p>"},
            ],
            "categories": ["cart", "july"],
        },
        ApiKeyAuth("Authorization", Secret("Bearer SG.key")),
        sendgrid_content,
        said("202 Accepted", {}),
    ),
    "sendgrid template": Case(
        "sendgrid",
        {},
        {
            "from": {"email": "shop@example.com"},
            "template_id": "d-1",
            "dynamic_template_data": {"name": "{{ profile.name }}", "orders": 3},
        },
        ApiKeyAuth("Authorization", Secret("Bearer SG.key")),
        sendgrid_template,
        said("202 Accepted", {}),
    ),
    "oneSignal alias": Case(
        "oneSignal",
        {"oneSignalAppId": APP},
        {"contents": {"en": GREETING}, "data": {"cart": 3}, "collapse_id": "cart"},
        ApiKeyAuth("Authorization", Secret("Key os-key")),
        onesignal_alias,
        said("200 OK", {"id": "n-1"}),
    ),
    "oneSignal subscription": Case(
        "oneSignal",
        {"oneSignalAppId": APP, "target": "subscription", "address": "s-1", "ttlS": 60},
        {"template_id": "t-1", "name": "Cart"},
        ApiKeyAuth("Authorization", Secret("Key os-key")),
        onesignal_subscription,
        said("200 OK", {"id": "n-1"}),
    ),
    "airship basic": Case(
        "airship",
        {},
        {
            "notification": {
                "alert": GREETING,
                "android": {"collapse_key": "cart", "extra": {"cart": "3"}},
            }
        },
        BasicAuth(KEY, Secret(22 * "s")),
        airship_basic,
        said("202 Accepted", {"ok": True, "operation_id": "o-1", "push_ids": ["p-1"]}),
    ),
    "airship bearer": Case(
        "airship",
        {
            "appKey": KEY,
            "selector": "android_channel",
            "address": "9c36e8c7-5a73-47c0-9716-99fd3d4197d5",
            "ttlS": 60,
        },
        {
            "notification": {
                "alert": GREETING,
                "android": {"collapse_key": "cart", "extra": {"cart": "3"}},
            },
            "device_types": ["android"],
        },
        ApiKeyAuth("Authorization", Secret("Bearer t0ken")),
        airship_bearer,
        said("202 Accepted", {"ok": True, "operation_id": "o-1", "push_ids": ["p-1"]}),
    ),
    "braze": Case(
        "braze",
        {"campaignId": "9c2fefcd-9115-3932-f771-c7f43d18d6b6"},
        {
            "messages": {
                "apple_push": {
                    "alert": {"title": "Shop", "body": GREETING},
                    "message_variation_id": "iosPush-640",
                },
                "android_push": {
                    "title": "Shop",
                    "alert": GREETING,
                    "message_variation_id": "androidPush-641",
                },
            }
        },
        ApiKeyAuth("Authorization", Secret("Bearer b-key")),
        braze_send,
        said("201 Created", {"message": "success", "dispatch_id": "d-1"}),
        _NO_ACCEPT,
    ),
}


def theirs_of(case: Case) -> Received:
    with running_sink(case.answer) as sink:
        case.send(sink)
        assert sink.wait_for(1)
        return sink.received[0]


def ours_of(case: Case) -> Received:
    """Send what the adapter renders, as an action whose endpoint is the recorder."""
    adapter = get_adapter(case.adapter)
    context = message(delivery_id=DELIVERY, profile=PROFILE, identity=("CRMID", "c-1"))
    with running_sink(case.answer) as sink, open_lane() as lane:
        settings = {**case.settings, "endpoint": sink.url("")}
        action = action_for(case.adapter, settings=settings, payload=case.payload, auth=case.auth)
        adapter.check(action, LOOPBACK)
        parts = adapter.render(action, context, now=NOW)
        parts = authenticate(parts, action.auth, nobodys_tokens(), Scope(1, "prod"))
        call = Call.of("d-1", parts, timeout_ms=3000, connect_timeout_ms=1000)
        (reply,) = send(lane, call)
        assert adapter.read(reply, now=NOW).kind is OutcomeKind.SENT
        return sink.received[0]


def body_of(content_type: str, body: bytes) -> Any:
    if content_type.startswith("application/x-www-form-urlencoded"):
        return parse_qs(body.decode(), strict_parsing=True)
    return json.decode(body)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_request_is_the_one_that_the_vendors_client_makes(case: Case) -> None:
    theirs, ours = theirs_of(case), ours_of(case)

    assert ours.head.split("\r\n")[0] == theirs.head.split("\r\n")[0]
    for name in COMPARED:
        if name not in case.other_headers:
            assert ours.header(name) == theirs.header(name), name
    content_type = ours.header("Content-Type") or ""
    assert body_of(content_type, ours.body) == body_of(content_type, theirs.body)


def test_every_vendor_is_held_against_a_client() -> None:
    vendors = {name for name, each in ADAPTERS.items() if isinstance(each, VendorAdapter)}

    assert vendors == {case.adapter for case in CASES.values()}
