import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mobile_stub import answers, sdk
from mobile_stub.answers import AnswerError
from mobile_stub.device import Device, Hit, Kind, LocationHint, Platform, new_device

NOW = datetime(2026, 7, 1, tzinfo=UTC)
DEVICE, _HIT = sdk.event(new_device(Kind.ANDROID, "app", Platform.FCM, 1), "a.b", NOW)
assert _HIT is not None
HIT: Hit = _HIT
EMPTY = {"requestId": "r", "handle": []}


def after(device: Device, handle_type: str, *payload: object) -> Device:
    envelope = {"handle": [{"type": handle_type, "payload": list(payload)}]}
    return answers.apply(device, HIT, (envelope,), NOW)


def entries(device: Device) -> dict[str, str]:
    return {entry.key: entry.value for entry in device.state}


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("end", ["\n", ""])
def test_framed_fragments_are_read_with_or_without_the_last_line_feed(kind: Kind, end: str) -> None:
    body = f"\0{json.dumps(EMPTY)}\n\0{json.dumps(EMPTY)}{end}".encode()

    assert answers.fragments_of(kind, body) == (EMPTY, EMPTY)


@pytest.mark.parametrize("kind", list(Kind))
def test_an_empty_body_has_no_fragments(kind: Kind) -> None:
    assert answers.fragments_of(kind, b"") == ()


def test_plain_json_loses_its_brace_on_android_and_is_read_on_ios() -> None:
    body = json.dumps(EMPTY).encode()

    assert answers.fragments_of(Kind.IOS, body) == (EMPTY,)
    with pytest.raises(AnswerError):
        answers.fragments_of(Kind.ANDROID, body)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    "body",
    [
        b"\0" + json.dumps(EMPTY, indent=2).encode() + b"\n",
        b'\0{"requestId": "r"',
        b"\0[]\n",
        b"\0\xff\n",
        b"<html>busy</html>",
    ],
    ids=["pretty-printed", "cut short", "no object", "not UTF-8", "HTML"],
)
def test_an_unreadable_answer_fails_loudly(kind: Kind, body: bytes) -> None:
    with pytest.raises(AnswerError):
        answers.fragments_of(kind, body)


def test_ios_does_not_split_at_crlf() -> None:
    body = f"\0{json.dumps(EMPTY)}\r\n\0{json.dumps(EMPTY)}\r\n".encode()

    with pytest.raises(AnswerError):
        answers.fragments_of(Kind.IOS, body)


@pytest.mark.parametrize(
    "wrong",
    [
        {"errors": {}},
        {"errors": [{"status": "503"}]},
        {"warnings": [{"report": {"eventIndex": "0"}}]},
        {"warnings": [{"report": {"cause": {"code": "202"}}}]},
        {"handle": [{"type": "x", "payload": [1]}]},
        {"requestId": 7},
    ],
)
def test_a_wrong_type_costs_ios_the_whole_fragment_and_android_nothing(
    wrong: dict[str, Any],
) -> None:
    body = f"\0{json.dumps(wrong)}\n".encode()

    assert answers.fragments_of(Kind.ANDROID, body) == (wrong,)
    with pytest.raises(AnswerError):
        answers.fragments_of(Kind.IOS, body)


def test_a_multi_status_problem_of_the_documented_shape_is_read_by_ios() -> None:
    problem = {
        "type": "https://ns.adobe.com/aep/errors/EXEG-0204-200",
        "status": 200,
        "title": "A warning occurred",
        "report": {"eventIndex": 0, "cause": {"message": "no customer", "code": 202}},
    }
    body = f"\0{json.dumps(EMPTY | {'warnings': [problem]})}\n".encode()

    assert answers.fragments_of(Kind.IOS, body) == (EMPTY | {"warnings": [problem]},)


def test_state_is_stored_replaced_and_deleted_by_max_age() -> None:
    device = after(
        DEVICE,
        "state:store",
        {"key": "a", "value": "1", "maxAge": 1800, "attrs": {"SameSite": "None"}},
        {"key": "b", "value": "2", "maxAge": 60},
        {"key": "c", "value": "3", "maxAge": 0},
    )
    changed = after(
        device,
        "state:store",
        {"key": "a", "value": "9", "maxAge": 5},
        {"key": "b", "value": "2", "maxAge": -1},
    )

    assert entries(device) == {"a": "1", "b": "2"}
    assert device.state[0].expires_at == NOW + timedelta(seconds=1800)
    assert entries(changed) == {"a": "9"}


@pytest.mark.parametrize(
    "entry",
    [
        {"value": "1", "maxAge": 5},
        {"key": "a", "value": "1"},
        {"key": "a", "value": 1, "maxAge": 5},
        {"key": "a", "value": "1", "maxAge": "5"},
        "text",
    ],
)
def test_a_state_entry_with_a_missing_or_wrong_field_is_ignored(entry: object) -> None:
    assert after(DEVICE, "state:store", entry) == DEVICE


def test_the_edge_hint_is_kept_until_its_time() -> None:
    device = after(
        DEVICE,
        "locationHint:result",
        {"scope": "Target", "hint": "35", "ttlSeconds": 1800},
        {"scope": "EdgeNetwork", "hint": "or2", "ttlSeconds": 1800},
    )

    assert device.hint == LocationHint("or2", NOW + timedelta(seconds=1800))


@pytest.mark.parametrize(
    "payload",
    [
        {"scope": "EdgeNetwork", "ttlSeconds": 1800},
        {"scope": "EdgeNetwork", "hint": "", "ttlSeconds": 1800},
        {"scope": "EdgeNetwork", "hint": "va6"},
        {"scope": "EdgeNetwork", "hint": "va6", "ttlSeconds": "1800"},
        {"scope": "AAM", "hint": "9", "ttlSeconds": 1800},
    ],
)
def test_case_08_a_bad_hint_leaves_the_present_one(payload: dict[str, Any]) -> None:
    device = replace(DEVICE, hint=LocationHint("or2", NOW))

    assert after(device, "locationHint:result", payload) == device


def test_an_answer_to_a_hit_from_before_a_reset_stores_nothing() -> None:
    fresh = sdk.reset_identities(DEVICE)

    stored = after(fresh, "state:store", {"key": "a", "value": "1", "maxAge": 5})
    hinted = after(
        fresh, "locationHint:result", {"scope": "EdgeNetwork", "hint": "or2", "ttlSeconds": 5}
    )

    assert stored == hinted == fresh


@pytest.mark.parametrize(
    "envelope", [{}, {"handle": {}}, {"handle": [{"payload": [{}]}]}, {"handle": [{"type": "x"}]}]
)
def test_a_handle_without_type_or_payload_does_no_harm(envelope: dict[str, Any]) -> None:
    assert answers.apply(DEVICE, HIT, (envelope,), NOW) == DEVICE
