"""Rows and a carrier for trying sinks alone, over the transport that carries everything."""

from collections.abc import Sequence
from uuid import UUID

from service.core import json
from service.outbound.adapters.contract import ActionSpec
from service.outbound.adapters.registry import get_adapter
from service.outbound.egress import AddressGuard
from service.outbound.sinks.contract import Sink, SinkRow
from service.outbound.sinks.lane import RowCarrier
from service.outbound.transport import Call, LaneOptions, Reply
from service.outbound.transport_curl import CurlTransport
from tests.support.messages import NOW, message

LOOPBACK = AddressGuard.of("127.0.0.0/8")


def rows_of(action: ActionSpec, count: int) -> list[SinkRow]:
    """Return rows as the action renders them, to people with the names ``p0``, ``p1`` and so on."""
    adapter = get_adapter(action.adapter)
    made = []
    for number in range(count):
        key = UUID(int=number + 1)
        profile = {"name": f"p{number}", "orders": number}
        context = message(token=None, profile=profile, delivery_id=key)
        parts = adapter.render(action, context, now=NOW)
        made.append(SinkRow(key, parts))
    return made


def put(
    sink: Sink,
    rows: Sequence[SinkRow],
    *,
    guard: AddressGuard = LOOPBACK,
    ca_file: str | None = None,
    may_start: bool = True,
) -> list[Reply]:
    """Put rows in one call of a sink and return what became of each."""
    options = LaneOptions(slots=1, ca_file=ca_file)
    carrier = RowCarrier(CurlTransport(guard), options, lambda _: may_start)
    carrier.begin(
        [Call.of(row.key, row.parts, timeout_ms=10_000, connect_timeout_ms=5_000) for row in rows]
    )
    try:
        return list(sink.put(rows, carrier))
    finally:
        carrier.close()


def said(reply: Reply) -> object:
    """Return the JSON that a row's reply holds."""
    return json.decode(reply.body) if reply.body else None
