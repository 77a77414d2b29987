"""Event Grid: the SDK's own request, carried by our transport to a recorder that speaks TLS."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridPublisherClient

from service.core import json
from service.core.errors import InvalidInputError
from service.core.secret import Secret
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.registry import get_adapter
from service.outbound.atlas_rules import OutcomeKind
from service.outbound.auth import ApiKeyAuth, KeyLocation
from service.outbound.egress import AddressGuard
from service.outbound.outcomes import classify
from service.outbound.sinks.event_grid import EventGridSink
from service.outbound.transport import Reply, ReplyKind, Trouble
from tests.support.certificates import loopback_certificate
from tests.support.messages import NOW, action_for
from tests.support.sink_calls import put, rows_of
from tests.support.sinks import Behaviour, answer, close_unanswered, running_sink

KEY = "c3RvcmVkLWtleS1vZi10aGUtdG9waWM="
TAKEN = b"HTTP/1.1 200 OK\r\nx-ms-request-id: r-1\r\nContent-Length: 0\r\n\r\n"


def action(endpoint: str, **settings: Any) -> ActionSpec:
    return action_for(
        "eventGrid",
        settings={
            "endpoint": endpoint,
            "source": "/shop",
            "eventType": "shop.greeting",
            **settings,
        },
        auth=ApiKeyAuth("aeg-sas-key", Secret(KEY)),
    )


def refusing(status: int, headers: str = "") -> Behaviour:
    body = b'{"error":{"code":"Refused","message":"no"}}'
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}"
    return answer(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def outcome(reply: Reply) -> tuple[OutcomeKind, str]:
    found = classify("eventGrid", reply, now=NOW)
    return found.kind, found.rule_id


def test_events_go_in_one_array_just_as_the_sdk_sends_them(tmp_path: Path) -> None:
    ca_file, tls = loopback_certificate(tmp_path)
    with running_sink(answer(TAKEN), tls=tls) as topic:
        endpoint = topic.url("/api/events")
        spec = action(endpoint, subject="people/{{ profile.name }}")
        rows = rows_of(spec, 3)
        replies = put(EventGridSink(spec), rows, ca_file=str(ca_file))
        events: list[CloudEvent[Any]] = [
            CloudEvent.from_dict(json.decode(row.document)) for row in rows
        ]
        with EventGridPublisherClient(endpoint, AzureKeyCredential(KEY)) as client:
            client.send(events, connection_verify=str(ca_file))

    ours, theirs = topic.received
    assert json.decode(ours.body) == json.decode(theirs.body)
    assert ours.head.split("\r\n")[0] == theirs.head.split("\r\n")[0]
    for name in ("aeg-sas-key", "content-type"):
        assert ours.header(name) == theirs.header(name)
    assert ours.header("aeg-sas-key") == KEY
    first = json.decode(ours.body)[0]
    assert first["subject"] == "people/p0"
    assert (first["id"], first["source"]) == (rows[0].delivery_id, "/shop")
    assert first["data"] == {"id": first["id"], "text": "Hi p0"}
    found = [classify("eventGrid", reply, now=NOW) for reply in replies]
    assert {(each.kind, each.vendor_message_id) for each in found} == {(OutcomeKind.SENT, "r-1")}


@pytest.mark.parametrize("status", [400, 413])
def test_a_call_that_is_refused_for_its_events_goes_again_in_halves(status: int) -> None:
    with running_sink(refusing(status)) as topic:
        spec = action(topic.url("/api/events"))
        split = put(EventGridSink(spec), rows_of(spec, 4))
        (alone,) = put(EventGridSink(spec), rows_of(spec, 1))

    assert {(each.kind, each.trouble) for each in split} == {
        (ReplyKind.NOT_SENT, Trouble.CALL_FULL)
    }
    assert outcome(alone) == (OutcomeKind.FAILED, f"eventGrid.{status}")


@pytest.mark.parametrize(
    ("status", "kind", "rule"),
    [
        (401, OutcomeKind.FAILED, "eventGrid.401"),
        (403, OutcomeKind.FAILED, "eventGrid.403"),
        (404, OutcomeKind.FAILED, "eventGrid.404"),
        (429, OutcomeKind.RETRY, "eventGrid.429"),
        (503, OutcomeKind.RETRY, "eventGrid.5xx.later"),
    ],
)
def test_any_other_refusal_is_every_rows_and_the_sdk_repeats_nothing(
    status: int, kind: OutcomeKind, rule: str
) -> None:
    with running_sink(refusing(status, "Retry-After: 7\r\n")) as topic:
        spec = action(topic.url("/api/events"))
        replies = put(EventGridSink(spec), rows_of(spec, 3))

    assert {outcome(each) for each in replies} == {(kind, rule)}
    assert len(topic.received) == 1


def test_a_call_without_an_answer_leaves_every_event_in_doubt() -> None:
    with running_sink(close_unanswered) as topic:
        spec = action(topic.url("/api/events"))
        replies = put(EventGridSink(spec), rows_of(spec, 2))

    assert {each.kind for each in replies} == {ReplyKind.UNKNOWN}


def test_the_guard_judges_the_address_of_each_call() -> None:
    with running_sink() as topic:
        spec = action(topic.url("/api/events"))
        replies = put(EventGridSink(spec), rows_of(spec, 2), guard=AddressGuard())

    assert {each.trouble for each in replies} == {Trouble.ADDRESS_REFUSED}
    assert topic.received == []


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda spec: replace(spec, settings={}), "endpoint must be a text"),
        (lambda spec: replace(spec, auth=ApiKeyAuth("x", Secret("k"))), "aeg-sas-key"),
        (
            lambda spec: replace(
                spec, auth=ApiKeyAuth("aeg-sas-key", Secret("k"), KeyLocation.QUERY)
            ),
            "aeg-sas-key",
        ),
        (lambda spec: replace(spec, settings={**spec.settings, "eventType": 3}), "eventType"),
    ],
)
def test_what_could_not_be_published_is_refused(
    change: Callable[[ActionSpec], ActionSpec], why: str
) -> None:
    with pytest.raises(InvalidInputError, match=why):
        get_adapter("eventGrid").check(change(action_for("eventGrid")), AddressGuard())


def test_without_the_sdk_the_refusal_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.eventgrid", None)

    with pytest.raises(InvalidInputError, match=r"pip install 'edgepost\[eventgrid\]'"):
        get_adapter("eventGrid").check(action_for("eventGrid"), AddressGuard())
