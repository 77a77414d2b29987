from typing import Any

import pytest

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.action_parameters import ActionParameter, ParameterKind
from service.outbound.adapters.registry import get_adapter
from service.outbound.auth import ApiKeyAuth, NoAuth, authenticate
from service.outbound.egress import AddressGuard
from service.outbound.parameter_types import ParameterType
from service.outbound.rendering import render
from service.outbound.templating import TemplateError
from service.outbound.transport import Call, LaneOptions
from service.outbound.transport_curl import CurlTransport
from service.sandboxes.scope import Scope
from tests.support.messages import NOW, TOKEN, action_for, message
from tests.support.sinks import running_sink
from tests.support.vendor_tokens import nobodys_tokens

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
        ({"method": "DELETE"}, "DELETE has no body"),
        ({"method": "GET"}, "GET has no body"),
        ({"method": "HEAD"}, "one of POST, PUT, PATCH, GET, DELETE"),
        ({"url": ""}, "webhook needs a url"),
        ({"url": "https://{{ profile.id }}.example.com/"}, "scheme, host and port are static"),
        ({"url": "https://api.example.com/{%if true%}a{%endif%}"}, "no tags"),
        ({"url": "http://127.0.0.1/{{ profile.id }}"}, "may not be called"),
        ({"url": "https://u:p@api.example.com/{{ profile.id }}"}, "credentials"),
        ({"query": ((".x", "a"),)}, "not a query parameter's name"),
        ({"query": (("x", "{{ token }}"),)}, "variable token"),
        ({"headers": (("X-A", "a"), ("x-a", "b"))}, "there twice"),
        ({"settings": {"idempotencyHeader": ""}}, "name of a header, or false"),
        ({"settings": {"idempotencyHeader": 5}}, "name of a header, or false"),
        ({"settings": {"idempotencyHeader": "a b"}}, "not a header's name"),
        ({"settings": {"idempotencyHeader": "Host"}}, "set by the service"),
        (
            {"settings": {"idempotencyHeader": "X-Key"}, "headers": (("x-key", "a"),)},
            "set by the service",
        ),
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


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_look_up_has_path_and_query_and_no_body(method: str) -> None:
    action = action_for(
        "webhook",
        method=method,
        url="https://api.example.com/people/{{ profile.name }}/points",
        query=(("since", "{{ parameters.offer }}"),),
        payload={},
    )
    ADAPTER.check(action, AddressGuard())

    parts = ADAPTER.render(action, message(profile={"name": "Ann B/C"}), now=NOW)

    assert (parts.method, parts.body) == (method, b"")
    assert parts.url == "https://api.example.com/people/Ann%20B%2FC/points?since=-10%25"
    assert dict(parts.headers) == {"Idempotency-Key": "idem-1"}


@pytest.mark.parametrize(
    ("setting", "header"),
    [("X-Request-Id", "X-Request-Id"), (True, "Idempotency-Key"), (False, None)],
)
def test_the_key_of_a_delivery_goes_where_the_endpoint_takes_it(
    setting: object, header: str | None
) -> None:
    action = action_for("webhook", settings={"idempotencyHeader": setting})
    ADAPTER.check(action, AddressGuard())

    headers = dict(ADAPTER.render(action, message(), now=NOW).headers)

    headers.pop("Content-Type")
    assert headers == ({} if header is None else {header: "idem-1"})


def test_an_author_may_set_the_usual_header_when_the_key_goes_elsewhere() -> None:
    action = action_for(
        "webhook",
        settings={"idempotencyHeader": False},
        headers=(("Idempotency-Key", "{{ delivery.id }}"),),
    )

    ADAPTER.check(action, AddressGuard())


def test_declared_parameters_are_the_body_of_an_action_without_a_payload() -> None:
    declared = (
        ActionParameter("who.first", ParameterType.STRING),
        ActionParameter("kind", ParameterType.STRING, ParameterKind.CONSTANT, "VIP"),
        ActionParameter("note", ParameterType.STRING, is_optional=True),
    )
    action = action_for("webhook", payload={}, parameters=declared)

    parts = render(action, message(parameters={"who": {"first": "Ann"}}), now=NOW)

    assert json.decode(parts.body) == {"who": {"first": "Ann"}, "kind": "VIP"}


def test_declared_parameters_are_typed_before_a_template_sees_them() -> None:
    declared = (ActionParameter("count", ParameterType.INTEGER),)
    action = action_for("webhook", payload={"n": "{{ parameters.count }}"}, parameters=declared)

    sent = render(action, message(parameters={"count": 5.0}), now=NOW)

    assert sent.body == b'{"n":5}'
    with pytest.raises(TemplateError, match="The parameter count cannot be sent"):
        render(action, message(parameters={"count": "five"}), now=NOW)


def test_an_open_endpoint_is_allowed() -> None:
    ADAPTER.check(action_for("webhook", auth=NoAuth()), AddressGuard())


def test_a_message_goes_all_the_way_from_action_to_outcome() -> None:
    guard = AddressGuard.of("127.0.0.0/8")
    with running_sink() as sink:
        action = action_for("push", url=sink.url("/push"))
        adapter = get_adapter("push")
        adapter.check(action, guard)
        rendered = adapter.render(action, message(), now=NOW)
        parts = authenticate(rendered, action.auth, nobodys_tokens(), Scope(1, "prod"))
        lane = CurlTransport(guard).open_lane(LaneOptions(slots=1), lambda _: True)
        lane.submit(Call.of("d-1", parts, timeout_ms=3000, connect_timeout_ms=1000))
        (reply,) = lane.run_once(3) or lane.run_once(3)
        lane.close()

    (got,) = sink.received
    outcome = adapter.read(reply, now=NOW)
    assert (outcome.kind, outcome.vendor_message_id) == ("sent", "m-1")
    assert (got.header("X-API-Key"), got.header("Idempotency-Key")) == ("s3cret-key", "idem-1")
    assert json.decode(got.body)["to"] == TOKEN
