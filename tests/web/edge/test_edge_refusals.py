from typing import Any

import pytest

from service.web.body import MAX_DEPTH
from service.web.edge.protocol import MAX_EVENTS
from tests.support.edge_documents import TOKEN, mobile, nested, one_event, parsed, refused


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "0105-400"),
        (b"  \n", "0105-400"),
        (b"{", "0101-400"),
        (b"\xff\xfe", "0101-400"),
        (b'{"events": [{"xdm": {"a": "\xff"}}]}', "0101-400"),
        (b'{"events": [{"xdm": {"a": NaN}}]}', "0101-400"),
        (b'{"events": [{"xdm": {"a": "\\ud800"}}]}', "0101-400"),
        (b"[]", "0102-400"),
        (b'"text"', "0102-400"),
        (b"null", "0102-400"),
        (b"{}", "0103-400"),
        (b'{"events": []}', "0103-400"),
        (b'{"events": [{"data": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}]}", "0102-400"),
        (b'{"events": [{"xdm": {"a": 1e999}}]}', "0102-400"),
    ],
)
def test_a_body_that_cannot_be_read_has_its_code(body: bytes, code: str) -> None:
    assert refused(body).code == code


def test_an_empty_body_is_400_because_phones_retry_a_408_for_ever() -> None:
    assert refused(b"").status == 400


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"events": {}}, "$.events"),
        ({"events": [1]}, "$.events[0]"),
        (one_event(xdm=[]), "$.events[0].xdm"),
        (one_event(data="x"), "$.events[0].data"),
        (one_event(xdm={"_id": 5}), "$.events[0].xdm._id"),
        (one_event(xdm={"_id": "x" * 257}), "$.events[0].xdm._id"),
        (one_event(xdm={"eventType": ["a"]}), "$.events[0].xdm.eventType"),
        (one_event(xdm={"timestamp": 1719829000}), "$.events[0].xdm.timestamp"),
        (one_event(xdm={"timestamp": "yesterday"}), "$.events[0].xdm.timestamp"),
        (one_event(xdm={"timestamp": "2026-07-01T10:15:30"}), "$.events[0].xdm.timestamp"),
        (one_event(xdm={"timestamp": "0001-01-01T00:00:00+14:00"}), "$.events[0].xdm.timestamp"),
        (one_event(xdm={"timestamp": "9999-12-31T23:59:59-14:00"}), "$.events[0].xdm.timestamp"),
        (one_event(xdm={"timestamp": "1969-12-31T23:59:59Z"}), "$.events[0].xdm.timestamp"),
        (one_event(xdm={"identityMap": []}), "$.events[0].xdm.identityMap"),
        (one_event(xdm={"identityMap": {"A": [{}]}}), "$.events[0].xdm.identityMap[...][0]"),
        (
            one_event(xdm={"identityMap": {"A": [{"id": 7}]}}),
            "$.events[0].xdm.identityMap[...][0].id",
        ),
        (one_event(xdm={"identityMap": {"": [{"id": "a"}]}}), "$.events[0].xdm.identityMap"),
        (one_event(xdm={"identityMap": {"n" * 65: [{"id": "a"}]}}), "$.events[0].xdm.identityMap"),
        ({"events": [{}], "xdm": {"identityMap": {"A": {}}}}, "$.xdm.identityMap[...]"),
        ({"events": [{}], "meta": []}, "$.meta"),
        ({"events": [{}], "query": {"identity": {"fetch": "ECID"}}}, "$.query.identity.fetch"),
        (
            {"events": [{}], "meta": {"konductorConfig": {"streaming": {"enabled": "yes"}}}},
            "$.meta.konductorConfig.streaming.enabled",
        ),
        (
            one_event(data={"pushNotificationDetails": {}}),
            "$.events[0].data.pushNotificationDetails",
        ),
        (
            one_event(data={"pushNotificationDetails": [TOKEN | {"token": 5}]}),
            "$.events[0].data.pushNotificationDetails[0].token",
        ),
        (
            one_event(data={"pushNotificationDetails": [TOKEN | {"token": "a" * 4097}]}),
            "$.events[0].data.pushNotificationDetails[0].token",
        ),
        (
            one_event(data={"pushNotificationDetails": [TOKEN | {"appID": "a" * 256}]}),
            "$.events[0].data.pushNotificationDetails[0].appID",
        ),
        (
            one_event(data={"pushNotificationDetails": [TOKEN | {"identity": None}]}),
            "$.events[0].data.pushNotificationDetails[0].identity",
        ),
        ({"events": [{}] * (MAX_EVENTS + 1)}, "$.events"),
    ],
)
def test_a_wrong_field_is_named(document: dict[str, Any], path: str) -> None:
    error = refused(document)

    assert error.code == "0102-400"
    assert error.report["errors"][0].startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ({"xdm": {"a": {"b": ["x\0y"]}}}, "$.events[0].xdm.a.b[0]"),
        ({"xdm": {"_id": "\0"}}, "$.events[0].xdm._id"),
        ({"xdm": {"a\0": 1}}, "$.events[0].xdm"),
        ({"data": {"token": "\0"}}, "$.events[0].data.token"),
        ({"query": {"unread": "\0"}}, "$.events[0].query.unread"),
        (
            {"xdm": {"identityMap": {"CRMID": [{"id": "a\0"}]}}},
            "$.events[0].xdm.identityMap.CRMID[0].id",
        ),
    ],
)
def test_a_nul_character_is_refused_wherever_it_stands(event: dict[str, Any], path: str) -> None:
    error = refused(mobile(**event))

    assert error.code == "0102-400"
    assert error.report["errors"][0].startswith(f"{path}: ")


def test_the_text_that_spells_a_nul_is_no_nul() -> None:
    request = parsed(mobile(xdm={"path": "C:\\u0000"}))

    assert request.incoming.events[0].xdm["path"] == "C:\\u0000"


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH])
def test_nesting_is_taken_up_to_a_bound(levels: int) -> None:
    assert len(parsed(nested(levels)).incoming.events) == 1


@pytest.mark.parametrize("levels", [MAX_DEPTH + 1, MAX_DEPTH + 100, 20_000])
def test_nesting_beyond_the_bound_is_refused(levels: int) -> None:
    error = refused(nested(levels))

    assert error.code == "0102-400"
    assert "nested" in error.detail
