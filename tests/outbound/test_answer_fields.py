from typing import Any

import pytest

from service.core import json
from service.core.errors import InvalidInputError
from service.outbound.answer_fields import Answers, parse_answers

BODY = {
    "id": "m-1",
    "balance": {"points": 5.0, "open": True},
    "items": [{"sku": "a"}, {"sku": "b", "tags": ["x", None]}],
    "big": "x" * 9000,
    "nul": "a\0b",
}


def read(mapped: dict[str, Any], body: Any = BODY, *, is_error: bool = False) -> Any:
    answers = parse_answers({"errorResponse" if is_error else "response": mapped})
    assert answers is not None
    raw = body if isinstance(body, bytes) else json.encode(body)
    return answers.read(raw, is_error=is_error)


@pytest.mark.parametrize(
    ("path", "kind", "value"),
    [
        ("id", "string", "m-1"),
        ("balance.points", "integer", 5),
        ("balance.open", "boolean", True),
        ("items[1].sku", "string", "b"),
        ("items[1].tags", "listString", ["x"]),
        ("items[1].tags[0]", "string", "x"),
        ("balance.points", "string", None),
        ("items[7].sku", "string", None),
        ("items.sku", "string", None),
        ("id.deeper", "string", None),
        ("id[0]", "string", None),
        ("nothing", "string", None),
        ("nothing", "listString", None),
        ("big", "string", None),
        ("nul", "string", None),
    ],
)
def test_a_field_is_found_by_its_path_and_of_its_type(path: str, kind: str, value: Any) -> None:
    assert read({"f": {"path": path, "type": kind}}) == {"response": {"f": value}}


def test_a_list_is_read_from_its_root() -> None:
    assert read({"f": {"path": "[1].a"}}, [1, {"a": "b"}]) == {"response": {"f": "b"}}


@pytest.mark.parametrize("body", [b"", b"<html>", b"null", b'"text"', b"[" * 5000])
def test_an_answer_without_the_fields_has_nulls(body: bytes) -> None:
    assert read({"f": {"path": "a"}}, body) == {"response": {"f": None}}


def test_after_a_failure_the_fields_of_errors_are_read() -> None:
    answers = parse_answers(
        {"response": {"ok": {"path": "id"}}, "errorResponse": {"why": {"path": "balance.open"}}}
    )

    assert answers is not None
    found = answers.read(b'{"id": "x", "balance": {"open": "why"}}', is_error=True)
    assert found == {"errorResponse": {"why": "why"}}


def test_what_is_kept_is_bounded_in_all() -> None:
    body = {"a": "x" * 5000}
    mapped = {name: {"path": "a"} for name in ("one", "two")}

    kept = read(mapped, body)["response"]

    assert (len(kept["one"]), kept["two"]) == (5000, None)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"respose": {}}, "response and errorResponse"),
        ({"response": []}, "object of fields"),
        ({"response": {"a b": {"path": "x"}}}, "letters, digits"),
        ({"response": {"a": "x"}}, "path and type"),
        ({"response": {"a": {"path": "x", "default": 1}}}, "path and type"),
        ({"response": {"a": {"path": ""}}}, "names joined by dots"),
        ({"response": {"a": {"path": "a..b"}}}, "names joined by dots"),
        ({"response": {"a": {"path": "a[b]"}}}, "names joined by dots"),
        ({"response": {"a": {"path": "a.[0]"}}}, "names joined by dots"),
        ({"response": {"a": {"path": "x" * 257}}}, "names joined by dots"),
        ({"response": {"a": {"path": "x", "type": "object"}}}, "is one of string"),
        ({"errorResponse": {f"a{n}": {"path": "x"} for n in range(51)}}, "at most 50"),
    ],
)
def test_a_mapping_that_cannot_be_used_is_refused(written: Any, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        parse_answers(written)


@pytest.mark.parametrize("written", [None, {}, {"response": {}}])
def test_without_fields_nothing_is_mapped(written: Any) -> None:
    assert parse_answers(written) is None


def test_an_empty_group_reads_nothing() -> None:
    assert Answers().read(b"{}", is_error=False) == {"response": {}}
