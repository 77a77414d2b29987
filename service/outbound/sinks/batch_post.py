"""One POST of many rows, and the answer read row by row.

Source: service/decisions/0029-sinks.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import msgspec

from service.core import json
from service.outbound.adapters import sink
from service.outbound.adapters.contract import ActionSpec
from service.outbound.sinks.contract import Carrier, SinkRow, alike, split, with_header
from service.outbound.transport import CallParts, Reply, ReplyKind

ROW_CODE = "X-Row-Code"
_LINES = ("Content-Type", "application/x-ndjson")
_OK = range(200, 300)
_HTTP = range(100, 600)
_ABSENT = object()


class BatchPostSink:
    """An endpoint that takes arrays of rows."""

    def __init__(self, action: ActionSpec) -> None:
        settings = action.settings
        self._is_lines = settings.get("format") == "ndjson"
        self._wrapper = settings.get("wrapper")
        self._split_on = frozenset(
            settings.get("splitOn", [int(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)])
        )
        self._results: Mapping[str, Any] | None = settings.get("results")
        self._id_field = sink.id_field(settings)

    def put(self, rows: Sequence[SinkRow], carrier: Carrier) -> Sequence[Reply]:
        """Post the rows and return what became of each."""
        reply = carrier.call(self._parts(rows))
        if reply.kind is not ReplyKind.ANSWERED:
            return alike(rows, reply)
        if reply.status in self._split_on:
            return split(rows, reply)
        if reply.status not in _OK or self._results is None:
            return alike(rows, reply)
        return self._mapped(rows, reply, self._results)

    def _parts(self, rows: Sequence[SinkRow]) -> CallParts:
        """Return the call; its proof is the newest row's."""
        newest = rows[-1].parts
        headers = tuple(each for each in newest.headers if each[0] != sink.DELIVERY_ID)
        parts = replace(newest, headers=headers)
        documents = [row.document for row in rows]
        if self._is_lines:
            headers = tuple(each for each in parts.headers if each != sink.JSON_TYPE)
            return CallParts(
                parts.method, parts.url, (*headers, _LINES), b"\n".join(documents) + b"\n"
            )
        body = b"[" + b",".join(documents) + b"]"
        if self._wrapper is not None:
            body = b"{" + json.encode(self._wrapper) + b":" + body + b"}"
        return replace(parts, body=body)

    def _mapped(
        self, rows: Sequence[SinkRow], reply: Reply, results: Mapping[str, Any]
    ) -> list[Reply]:
        """Return what the answer says of each row; unknown where it says nothing."""
        try:
            answer = json.decode(reply.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            answer = None
        listed = _at(answer, results.get("path", ""))
        items = listed if isinstance(listed, list) else []
        if results.get("by") == "id":
            known = {_name(_at(item, results.get("id", "id"))): item for item in items}
            found = [known.get(self._id_of(row), _ABSENT) for row in rows]
        elif len(items) == len(rows):
            found = items
        else:  # which row an item is about cannot be known
            found = [_ABSENT] * len(rows)
        return [
            _row_reply(row, item, reply, results) for row, item in zip(rows, found, strict=True)
        ]

    def _id_of(self, row: SinkRow) -> str:
        return _name(_at(json.decode(row.document), self._id_field or ""))


def _row_reply(row: SinkRow, item: Any, reply: Reply, results: Mapping[str, Any]) -> Reply:
    if item is _ABSENT:
        return replace(reply, key=row.key, kind=ReplyKind.UNKNOWN, body=b"")
    status, error = _verdict(item, results)
    own = replace(reply, key=row.key, status=status, body=json.encode(item))
    code = error if isinstance(error, str | int) and not isinstance(error, bool) else ""
    return with_header(own, ROW_CODE, str(code)[:100]) if code else own


def _verdict(item: Any, results: Mapping[str, Any]) -> tuple[int, Any]:
    """Return a row's status and what was wrong with it."""
    error = _at(item, results.get("error", "error"))
    said = _at(item, results.get("status", "status"))
    is_refused = error not in (None, _ABSENT, False, "")
    if isinstance(said, bool):
        is_refused = is_refused or not said
    elif isinstance(said, int) and said in _HTTP:
        return said, error
    return int(HTTPStatus.UNPROCESSABLE_ENTITY if is_refused else HTTPStatus.OK), error


def _at(value: Any, path: str) -> Any:
    for step in filter(None, path.split(".")):
        value = value.get(step, _ABSENT) if isinstance(value, Mapping) else _ABSENT
    return value


def _name(value: Any) -> str:
    return "" if value is _ABSENT or value is None else str(value)
