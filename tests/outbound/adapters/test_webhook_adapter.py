from typing import Any

import pytest

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.adapters.registry import get_adapter
from service.outbound.auth import ApiKeyAuth, NoAuth, ServiceAccountTokens, authenticate
from service.outbound.egress import AddressGuard
from service.outbound.templating import TemplateError
from service.outbound.transport import Call, LaneOptions
from service.outbound.transport_curl import CurlTransport
from tests.support.clocks import FixedClock
from tests.support.messages import NOW, TOKEN, action_for, message
from tests.support.sinks import running_sink

ADAPTER = get_adapter("webhook")


def test_the_request_is_the_payload_with_the_key_of_its_delivery() -> None:
    action = action_for("webhook", method="PUT", headers=(("X-Who", "{{ profile.name }}"),))

    parts = ADAPTER.render(action, message(), now=NOW)

    assert (parts.method, parts.url) == ("PUT", "https://api.example.com/push")
    assert dict(parts.headers) == {
        "X-Who": "Ann",
        "Content-Type": "application/json",
        "Idempotency-Key": "idem-1",
    }
    assert json.decode(parts.body) == {"text": "Hi Ann", "n": 3}


def test_every_variable_can_be_named() -> None:
    payload = {
        "a": "{{ event.eventType }}",
        "b": "{{ parameters.offer }}",
        "c": "{{ delivery.id }}/{{ delivery.idempotencyKey }}/{{ delivery.expiresAt }}",
        "d": "{{ journey.versionID }}/{{ journey.instanceID }}/{{ journey.nodeID }}",
        "e": "{{ token }}",
        "f": "{{ tracking }}",
    }
    adapter, action = get_adapter("push"), action_for("push", payload=payload)
    adapter.check(action, AddressGuard())

    sent = json.decode(adapter.render(action, message(), now=NOW).body)

    assert sent["a"] == "commerce.purchases"
    assert sent["b"] == "-10%"
    assert sent["c"].endswith("-000000000001/idem-1/2026-07-01T11:00:00+00:00")
    assert sent["d"].endswith("-000000000003/node-1")
    assert sent["e"] == TOKEN
    assert list(sent["f"]) == ["cjm"]


def test_a_content_type_of_the_action_is_kept() -> None:
    action = action_for("webhook", headers=(("content-type", "application/vnd.x+json"),))

    parts = ADAPTER.render(action, message(), now=NOW)

    assert [value for name, value in parts.headers if name.lower() == "content-type"] == [
        "application/vnd.x+json"
    ]


def test_a_value_cannot_split_a_header() -> None:
    action = action_for("webhook", headers=(("X-Who", "{{ profile.name }}"),))

    with pytest.raises(TemplateError, match="X-Who"):
        ADAPTER.render(action, message(profile={"name": "a\r\nX: b", "orders": 0}), now=NOW)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"method": "DELETE"}, "POST or PUT"),
        ({"method": "GET"}, "POST or PUT"),
        ({"url": ""}, "webhook needs a url"),
        ({"url": "https://api.example.com/{{ profile.id }}"}, "static for now"),
        ({"url": "https://api.example.com/{%if true%}a{%endif%}"}, "static for now"),
        ({"url": "https://u:p@api.example.com/"}, "credentials"),
        ({"headers": ((".hidden", "x"),)}, "not a header's name"),
        ({"headers": (("$x", "x"),)}, "not a header's name"),
        ({"headers": (("X A", "x"),)}, "not a header's name"),
        ({"headers": (("", "x"),)}, "not a header's name"),
        ({"headers": (("X-A", "x\ny"),)}, "control characters"),
        ({"headers": (("Host", "evil.example"),)}, "set by the service"),
        ({"headers": (("Transfer-Encoding", "chunked"),)}, "set by the service"),
        ({"headers": (("idempotency-key", "x"),)}, "set by the service"),
        ({"headers": (("Content-Type", "text/xml"),)}, "must stay JSON"),
        ({"headers": (("X-A", "{{ x"),)}, "not a valid template"),
        ({"auth": ApiKeyAuth("Host", Secret("x"))}, "set by the service"),
        ({"auth": ApiKeyAuth("X-Key", Secret("a\r\nb"))}, "control characters"),
    ],
)
def test_what_could_not_be_sent_is_refused_when_it_is_saved(
    changed: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidInputError, match=problem):
        ADAPTER.check(action_for("webhook", **changed), AddressGuard())


def test_an_open_endpoint_is_allowed() -> None:
    ADAPTER.check(action_for("webhook", auth=NoAuth()), AddressGuard())


def test_a_message_goes_all_the_way_from_action_to_outcome() -> None:
    guard = AddressGuard.of("127.0.0.0/8")
    tokens = ServiceAccountTokens(lambda _url, _fields: b"", FixedClock())
    with running_sink() as sink:
        action = action_for("push", url=sink.url("/push"))
        adapter = get_adapter("push")
        adapter.check(action, guard)
        parts = authenticate(adapter.render(action, message(), now=NOW), action.auth, tokens)
        lane = CurlTransport(guard).open_lane(LaneOptions(slots=1), lambda _: True)
        lane.submit(Call.of("d-1", parts, timeout_ms=3000, connect_timeout_ms=1000))
        (reply,) = lane.run_once(3) or lane.run_once(3)
        lane.close()

    (got,) = sink.received
    outcome = adapter.read(reply, now=NOW)
    assert (outcome.kind, outcome.vendor_message_id) == ("sent", "m-1")
    assert (got.header("X-API-Key"), got.header("Idempotency-Key")) == ("s3cret-key", "idem-1")
    assert json.decode(got.body)["to"] == TOKEN
