"""What the adapter fcm sends, held against Google's own client and Google's own schema."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import firebase_admin
import pytest
from firebase_admin import credentials, messaging
from google.auth.credentials import AnonymousCredentials

from service.core import json
from service.core.secret import Secret
from service.outbound.adapters.fcm import FcmAdapter
from tests.support.discovery import discovery_document, problems
from tests.support.messages import NOW, action_for, message
from tests.support.sinks import Received, answer, running_sink

pytestmark = pytest.mark.filterwarnings(
    "ignore:Message.token is deprecated. Use Message.fid instead.:DeprecationWarning"
)
ADAPTER = FcmAdapter()
DOCUMENT = discovery_document("fcm.v1")
TOKEN = "dL3f-token"
_BODY = b'{"name":"projects/shop-1/messages/1"}'
_ANSWER = answer(
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    + f"Content-Length: {len(_BODY)}\r\n\r\n".encode()
    + _BODY
)
PAYLOAD = {
    "adb_title": "Hi {{ profile.name }}",
    "adb_body": "“Straße” & 你好",
    "adb_act": [{"label": "Open", "uri": "shop://{{ profile.orders }}", "type": "DEEPLINK"}],
    "adb_n_count": "{{ profile.orders }}",
    "vip": True,
}
SETTINGS = [
    {},
    {"priority": "NORMAL", "ttlS": 60},
    {"collapseKey": "cart", "ttlS": 0},
]


class _Anonymous(credentials.Base):  # type: ignore[misc]
    """Credentials of an app whose requests nobody authenticates."""

    def get_credential(self) -> AnonymousCredentials:
        return AnonymousCredentials()  # type: ignore[no-untyped-call]


@pytest.fixture
def app() -> Iterator[Any]:
    made = firebase_admin.initialize_app(_Anonymous(), {"projectId": "shop-1"}, name=uuid4().hex)
    yield made
    firebase_admin.delete_app(made)


def rendered(settings: dict[str, Any]) -> Any:
    action = action_for("fcm", payload=PAYLOAD, settings=settings)
    return ADAPTER.render(action, message(token=Secret(TOKEN)), now=NOW)


def sent_by_firebase_admin(app: Any, settings: dict[str, Any]) -> Received:
    """Send the message that the adapter renders through Google's client; return its request."""
    ours = json.decode(rendered(settings).body)["message"]
    theirs = messaging.Message(
        token=ours["token"],
        data=ours["data"],
        android=messaging.AndroidConfig(
            priority=settings.get("priority", "HIGH").lower(),
            ttl=settings.get("ttlS", 3600),
            collapse_key=settings.get("collapseKey"),
        ),
    )
    with running_sink(_ANSWER) as sink:
        service = messaging._get_messaging_service(app)  # noqa: SLF001 - its URL has no setting
        service._fcm_url = service._fcm_url.replace(  # noqa: SLF001 - as above
            "https://fcm.googleapis.com", sink.url("")
        )
        assert messaging.send(theirs, app=app) == "projects/shop-1/messages/1"
        return sink.received[0]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_the_request_is_the_one_that_googles_client_makes(
    app: Any, settings: dict[str, Any]
) -> None:
    theirs = sent_by_firebase_admin(app, settings)
    ours = rendered(settings)

    method, path, _ = theirs.head.split(" ", 2)
    body = json.decode(theirs.body)
    android = body["message"]["android"]
    # The schema names the priorities in capitals; Google's client writes them small.
    android["priority"] = android["priority"].upper()
    assert (ours.method, ours.url) == (method, f"https://fcm.googleapis.com{path}")
    assert (theirs.header("Content-Type") or "").split(";")[0] == "application/json"
    assert "application/json" in dict(ours.headers)["Content-Type"]
    assert json.decode(ours.body) == body


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_field_is_in_googles_schema_with_its_type(settings: dict[str, Any]) -> None:
    body = json.decode(rendered(settings).body)

    assert problems(DOCUMENT, "SendMessageRequest", body) == []


def test_method_and_path_are_those_of_googles_schema() -> None:
    send = DOCUMENT["resources"]["projects"]["resources"]["messages"]["methods"]["send"]
    parts = rendered({})

    assert parts.method == send["httpMethod"]
    path = send["flatPath"].replace("{projectsId}", "shop-1")
    assert parts.url == f"{DOCUMENT['rootUrl']}{path}"


@pytest.mark.parametrize(
    ("message_", "problem"),
    [
        ({"tokn": "x"}, "SendMessageRequest.message.tokn is unknown"),
        ({"token": 7}, "SendMessageRequest.message.token is no string"),
        ({"data": {"n": 3}}, "SendMessageRequest.message.data.n is no string"),
        ({"android": {"ttl": "soon"}}, "SendMessageRequest.message.android.ttl is no duration"),
        (
            {"android": {"priority": "high"}},
            "SendMessageRequest.message.android.priority is none of ['NORMAL', 'HIGH']",
        ),
        ({"android": []}, "SendMessageRequest.message.android is no object"),
    ],
)
def test_the_schema_tells_what_is_wrong(message_: dict[str, Any], problem: str) -> None:
    assert problems(DOCUMENT, "SendMessageRequest", {"message": message_}) == [problem]
