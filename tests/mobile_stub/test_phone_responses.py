"""What an app hears of the service's answers."""

import json
from typing import Any

import pytest

from mobile_stub import responses
from mobile_stub.answers import AnswerError
from mobile_stub.device import Kind
from mobile_stub.gateway_http import Reply, answer
from tests.mobile_stub.phones import Open, VirtualTime, event, refusal
from tests.mobile_stub.scripted_edge import ScriptedEdge, framed

PROBLEM = {
    "type": "https://ns.adobe.com/aep/errors/EXEG-0104-422",
    "status": 422,
    "title": "Unprocessable Entity",
    "detail": "Invalid request (report attached).",
    "report": {"errors": ["Allowed version is 1.0"], "requestId": "r", "orgId": "X@AdobeOrg"},
}
BOTH = list(Kind)


def multi_status(envelope: dict[str, Any]) -> Reply:
    return Reply(framed(envelope).payload.replace(b"200 OK", b"207 Multi-Status"))


@pytest.mark.parametrize("kind", BOTH)
def test_case_16_a_multi_status_answer_is_heard_as_handles_then_errors(
    edge: ScriptedEdge, open_phone: Open, kind: Kind
) -> None:
    item = {"type": "state:store", "payload": [{}], "eventIndex": 0}
    problem = {"status": 503, "title": "busy", "report": {"eventIndex": 0, "requestId": "r"}}
    edge.replies = [multi_status({"requestId": "r", "errors": [problem], "handle": [item]})]
    phone = open_phone(kind)

    hit = phone.act(event())
    phone.drain()

    assert hit is not None
    assert [(each.source, each.hit_id) for each in phone.responses] == [
        ("state:store", hit.id),
        (responses.ERROR, hit.id),
    ]
    assert phone.responses[1].payload == problem | {"report": {"requestId": "r"}}


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("status", [400, 422])
def test_case_17_and_18_a_fatal_error_drops_the_hit_and_is_heard_once(
    edge: ScriptedEdge, open_phone: Open, time: VirtualTime, kind: Kind, status: int
) -> None:
    body = json.dumps(PROBLEM | {"status": status}).encode()
    edge.replies = [answer(status, body, "application/problem+json")]
    phone = open_phone(kind)

    hit = phone.act(event())
    phone.drain()

    assert hit is not None
    assert phone.acknowledged == []
    assert time.waited == []
    assert [each.payload for each in phone.responses] == [PROBLEM | {"status": status}]
    assert phone.completed == {hit.id: ()}


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (Kind.ANDROID, b"busy", {"title": "busy", "type": "global"}),
        (Kind.IOS, b"busy", {"title": "Unexpected Error", "detail": "busy"}),
        (Kind.IOS, b"", {"title": "Unexpected Error", "detail": ""}),
    ],
)
def test_case_19_an_error_that_is_no_json_becomes_a_generic_one(
    edge: ScriptedEdge, open_phone: Open, kind: Kind, body: bytes, expected: dict[str, str]
) -> None:
    edge.replies = [answer(404, body, "text/plain")]
    phone = open_phone(kind)

    phone.act(event())
    phone.drain()

    assert [each.payload for each in phone.responses] == [expected]


@pytest.mark.parametrize("kind", BOTH)
def test_case_20_several_fragments_are_heard_one_by_one(
    edge: ScriptedEdge, open_phone: Open, kind: Kind
) -> None:
    edge.replies = [
        framed(*({"handle": [{"type": name, "payload": []}]} for name in ("a", "b", "c")))
    ]
    phone = open_phone(kind)

    phone.act(event())
    phone.drain()

    assert [each.source for each in phone.responses] == ["a", "b", "c"]


def test_case_21_errors_that_are_no_array_are_ignored_by_android_and_cost_ios_the_fragment(
    edge: ScriptedEdge, open_phone: Open
) -> None:
    edge.replies = [framed({"errors": {"title": "x"}})] * 2
    android, ios = open_phone(Kind.ANDROID), open_phone(Kind.IOS)
    for phone in (android, ios):
        phone.act(event())

    android.drain()
    with pytest.raises(AnswerError):
        ios.drain()

    assert android.responses == ios.responses == []
    assert len(android.acknowledged) == len(ios.acknowledged) == 1


@pytest.mark.parametrize("kind", BOTH)
def test_case_22_an_unknown_event_index_is_heard_without_a_request(
    edge: ScriptedEdge, open_phone: Open, kind: Kind
) -> None:
    edge.replies = [framed({"handle": [{"type": "x", "payload": [], "eventIndex": 10}]})]
    phone = open_phone(kind)

    hit = phone.act(event())
    phone.drain()

    assert hit is not None
    assert [(each.source, each.hit_id) for each in phone.responses] == [("x", None)]
    assert phone.completed == {hit.id: ()}


@pytest.mark.parametrize("kind", BOTH)
def test_case_23_a_handle_without_type_or_payload_is_heard_all_the_same(
    edge: ScriptedEdge, open_phone: Open, kind: Kind
) -> None:
    edge.replies = [framed({"handle": [{"payload": [{"a": 1}]}, {"type": "x"}]})]
    phone = open_phone(kind)

    phone.act(event())
    phone.drain()

    heard = [(each.source, each.payload) for each in phone.responses]
    assert heard == [(responses.GENERIC, [{"a": 1}]), ("x", [])]


@pytest.mark.parametrize("kind", BOTH)
def test_case_24_an_error_and_a_warning_are_two_events(
    edge: ScriptedEdge, open_phone: Open, kind: Kind
) -> None:
    edge.replies = [framed({"warnings": [{"title": "w"}], "errors": [{"title": "e"}]})]
    phone = open_phone(kind)

    phone.act(event())
    phone.drain()

    assert [each.payload["title"] for each in phone.responses] == ["e", "w"]


@pytest.mark.parametrize("kind", BOTH)
def test_case_38_each_completion_gets_its_own_handles_and_errors_complete_too(
    edge: ScriptedEdge, open_phone: Open, kind: Kind
) -> None:
    one, two = ({"type": "x", "payload": [{"n": n}]} for n in (1, 2))
    edge.replies = [framed({"handle": [one]}), refusal(400), framed({"handle": [two]})]
    phone = open_phone(kind)

    hits = [phone.act(event(name)) for name in ("a", "b", "c")]
    phone.drain()

    assert [phone.completed[hit.id] for hit in hits if hit] == [(one,), (), (two,)]


def test_errors_in_a_fatal_body_are_heard_as_such(edge: ScriptedEdge, open_phone: Open) -> None:
    body = json.dumps({"requestId": "r", "errors": [{"title": "a"}, {"title": "b"}]}).encode()
    edge.replies = [answer(400, body)]
    phone = open_phone()

    phone.act(event())
    phone.drain()

    assert [each.payload for each in phone.responses] == [{"title": "a"}, {"title": "b"}]
