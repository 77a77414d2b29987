"""The gateway's Twilio, as Twilio's own client sees it."""

import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from twilio.base.exceptions import TwilioRestException  # type: ignore[import-untyped]
from twilio.http.http_client import TwilioHttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.rest import Client  # type: ignore[import-untyped]

from mobile_stub.gateway_http import Reply, ServerThread, answer
from mobile_stub.gateway_twilio import signature
from mobile_stub.gateway_wire import Request
from tests.mobile_stub.vendor_caller import Vendor

OURS, THEIRS = "+15005550006", "+15005550010"


class _ToGateway(TwilioHttpClient):  # type: ignore[misc]
    """Twilio's own client, whose calls end at the gateway: hosts are no option of it."""

    def __init__(self, origin: str) -> None:
        super().__init__()
        self.origin = origin

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Response:
        here = url.replace("https://api.twilio.com", self.origin)
        return super().request(method, here, *args, **options)


@pytest.fixture
def twilio(vendor: Vendor) -> Iterator[Client]:
    known = vendor.get("/_vendors")["twilio"]
    client = _ToGateway(known["url"])
    yield Client(known["accountSid"], known["authToken"], http_client=client)
    client.session.close()


class Hooks:
    """The customer's address for status callbacks."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.calls: list[Request] = []
        self.complete = threading.Event()

    def early(self, head: Request) -> Reply | None:
        """Never interfere."""

    def handle(self, request: Request) -> Reply:
        self.calls.append(request)
        if len(self.calls) == self.wanted:
            self.complete.set()
        return answer(204)


def test_a_message_is_queued_and_remembered(twilio: Client, vendor: Vendor) -> None:
    message = twilio.messages.create(to=THEIRS, from_=OURS, body="Zoë " * 50)

    (row,) = vendor.get("/_received")
    assert (message.status, message.num_segments, message.error_code) == ("queued", "3", None)
    assert (row["route"], row["address"], row["id"]) == ("twilio", THEIRS, message.sid)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"to": "+15005550001"}, (400, 21211)),
        ({"to": "+15005550004"}, (400, 21610)),
        ({"to": "+15005550009"}, (400, 21614)),
        ({"to": "nobody"}, (400, 21211)),
        ({"from_": "+15005550007"}, (400, 21606)),
        ({"body": None}, (400, 21602)),
        ({"body": "x" * 1601}, (400, 21617)),
        ({"from_": None}, (400, 21603)),
    ],
)
def test_a_message_is_refused_with_twilios_code(
    twilio: Client, vendor: Vendor, changed: dict[str, Any], expected: tuple[int, int]
) -> None:
    with pytest.raises(TwilioRestException) as caught:
        twilio.messages.create(**{"to": THEIRS, "from_": OURS, "body": "Hi"} | changed)

    assert (caught.value.status, caught.value.code) == expected
    assert vendor.get("/_received/count")["accepted"] == 0


def test_a_wrong_password_and_a_wrong_account_are_refused(twilio: Client, vendor: Vendor) -> None:
    known = vendor.get("/_vendors")["twilio"]
    statuses = [
        requests.post(
            f"{vendor.url}/2010-04-01/Accounts/{account}/Messages.json",
            auth=(known["accountSid"], password),
            timeout=5,
        ).status_code
        for account, password in ((known["accountSid"], "x"), ("AC1", known["authToken"]))
    ]

    assert statuses == [401, 404]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"kind": "throttled"}, (429, 20429)),
        ({"kind": "unavailable"}, (503, 20503)),
        ({"kind": "refused", "code": "21635", "route": "twilio"}, (400, 21635)),
    ],
)
def test_a_scripted_failure_speaks_twilios_words(
    twilio: Client, vendor: Vendor, fault: dict[str, Any], expected: tuple[int, int]
) -> None:
    vendor.script(fault)

    with pytest.raises(TwilioRestException) as caught:
        twilio.messages.create(to=THEIRS, from_=OURS, body="Hi")

    assert (caught.value.status, caught.value.code) == expected


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        ([], [("sent", None), ("delivered", None)]),
        (
            [{"kind": "undelivered", "code": "30005"}],
            [("sent", None), ("undelivered", "30005")],
        ),
    ],
)
def test_the_status_is_called_back_with_a_signature_that_twilios_validator_takes(
    twilio: Client,
    vendor: Vendor,
    faults: list[dict[str, Any]],
    expected: list[tuple[str, str | None]],
) -> None:
    vendor.script(*faults)
    hooks = Hooks(len(expected))
    with ServerThread(lambda _url: hooks) as server:
        url = f"{server.url}/hook?m=42"
        sid = twilio.messages.create(
            to=THEIRS, from_=OURS, body="Hi", status_callback=url + "#rc=2"
        ).sid
        assert hooks.complete.wait(5)

    validator = RequestValidator(vendor.get("/_vendors")["twilio"]["authToken"])
    forms = [dict(parse_qsl(call.body.decode())) for call in hooks.calls]
    assert [(form["MessageStatus"], form.get("ErrorCode")) for form in forms] == expected
    assert {form["MessageSid"] for form in forms} == {sid}
    for call, form in zip(hooks.calls, forms, strict=True):
        assert f"{call.path}?{call.query}" == "/hook?m=42"
        assert validator.validate(url, form, call.headers[b"x-twilio-signature"].decode())


def test_the_signature_is_that_of_the_known_vector() -> None:
    fields = {
        "MessageSid": "SM00000000000000000000000000000001",
        "MessageStatus": "delivered",
        "To": "+15005550006",
        "AccountSid": "AC00000000000000000000000000000001",
    }

    signed = signature("https://hooks.example.test/tw/cb?m=42", fields, "secret-token")

    assert signed == "dFsYvxID3epK2U9jT0Br5ewaypI="
