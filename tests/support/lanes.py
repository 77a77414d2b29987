"""Lanes to loopback, and calls that are complete."""

from collections.abc import Iterator
from contextlib import contextmanager

from service.outbound.egress import AddressGuard
from service.outbound.transport import Call, Headers, Lane, LaneOptions, OnStart, Reply
from service.outbound.transport_curl import CurlTransport

LOOPBACK = AddressGuard.of("127.0.0.0/8")


def call(
    url: str,
    key: str = "k",
    *,
    method: str = "POST",
    headers: Headers = (("Content-Type", "application/json"),),
    body: bytes = b'{"n":1}',
    timeout_ms: int = 3000,
) -> Call:
    return Call(key, method, url, headers, body, timeout_ms, 2000)


def _always(_: Call) -> bool:
    return True


@contextmanager
def open_lane(
    slots: int = 4,
    guard: AddressGuard = LOOPBACK,
    on_start: OnStart = _always,
    proxy: str | None = None,
    ca_file: str | None = None,
) -> Iterator[Lane]:
    transport = CurlTransport(guard, resolve=lambda _: ("127.0.0.1",))
    lane = transport.open_lane(LaneOptions(slots, proxy=proxy, ca_file=ca_file), on_start)
    yield lane
    lane.close()


def finish(lane: Lane) -> list[Reply]:
    replies: list[Reply] = []
    while lane.in_flight:
        replies += lane.run_once(1)
    return replies


def send(lane: Lane, *calls: Call) -> list[Reply]:
    for one in calls:
        lane.submit(one)
    return finish(lane)
