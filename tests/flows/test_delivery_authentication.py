"""Deliveries whose proof is a token: got once, renewed once when refused, and waited for."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from service.core.clock import SystemClock
from service.db.session import SessionFactory
from service.outbound.egress import AddressGuard
from service.outbound.follow_up import OnUnknown
from service.outbound.transport import Call, Reply
from service.outbound.transport_curl import CurlTransport
from service.outbound.transport_form import FormError, ask_token
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import PUSH, DeliveryWorld, total
from tests.support.fake_transport import FakeTransport, answered
from tests.support.sinks import Exchange, answer, closed_port, running_sink
from tests.support.vendor_tokens import TokenEndpoint

OAUTH = {
    "type": "oauth2",
    "tokenUrl": "https://idp.example/token",
    "clientId": "shop",
    "clientSecret": "s3cret",
}
CUSTOM = {
    "type": "customAuthorization",
    "endpoint": "https://idp.example/token",
    "method": "GET",
    "tokenInResponse": "json://access_token",
    "authorizationType": "queryParam",
    "tokenTarget": "key",
}


class Vendor:
    """Takes the tokens it is told to, and answers 401 to all others."""

    def __init__(self, *good: str) -> None:
        self.good = good
        self.seen: list[str] = []
        self.first: list[int] = []

    def __call__(self, call: Call) -> Reply:
        headers = dict(call.headers)
        token = headers.get("Authorization", call.url.rpartition("key=")[2])
        self.seen.append(token.removeprefix("Bearer "))
        if self.first:
            return answered(call, self.first.pop(0), b"")
        return answered(call) if self.seen[-1] in self.good else answered(call, 401, b"")


def world_of(
    store: SessionFactory, scope: Scope, clock: FixedClock, vendor: Vendor, auth: Any = None
) -> tuple[DeliveryWorld, TokenEndpoint]:
    endpoint = TokenEndpoint()
    world = DeliveryWorld(store, scope, clock, FakeTransport(vendor), token_endpoint=endpoint)
    world.add_action(replace(PUSH, auth=auth or OAUTH, on_unknown=OnUnknown.RECORD))
    world.add_person("ann")
    return world, endpoint


@pytest.mark.parametrize("auth", [OAUTH, CUSTOM], ids=lambda each: each["type"])
def test_a_refused_token_is_renewed_and_the_message_sent_again_once(
    store: SessionFactory, scope: Scope, clock: FixedClock, auth: dict[str, str]
) -> None:
    vendor = Vendor("token-2")
    world, endpoint = world_of(store, scope, clock, vendor, auth)
    world.enter("ann")

    first, second = world.deliver(), world.deliver()

    assert (first, second) == ({}, {"sent": 1})
    assert vendor.seen == ["token-1", "token-2"]
    assert len(endpoint.asked) == 2
    assert total(world.balance()) == {"intended": 1, "sent": 1}


def test_a_second_refusal_is_the_end(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    vendor = Vendor()
    world, endpoint = world_of(store, scope, clock, vendor)
    (delivery_id,) = world.enter("ann")

    for _ in range(4):
        world.deliver()

    ended = world.delivery(delivery_id)
    assert (ended.state, ended.reason, ended.attempts) == ("failed", "webhook.401", 2)
    assert vendor.seen == ["token-1", "token-2"]
    assert len(endpoint.asked) == 2


def test_a_token_that_ended_while_a_message_waited_is_renewed_too(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    vendor = Vendor("token-2")
    vendor.first = [503]
    world, _ = world_of(store, scope, clock, vendor)
    world.enter("ann")

    for _ in range(3):
        world.deliver()
        clock.advance(2)

    assert world.states() == {"sent": 1}
    assert vendor.seen == ["token-1", "token-1", "token-2"]


def test_a_burst_of_refusals_asks_for_one_token(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    vendor = Vendor("token-2")
    world, endpoint = world_of(store, scope, clock, vendor)
    names = [f"p{number}" for number in range(20)]
    for name in names:
        world.add_person(name)
    world.enter(*names)

    world.deliver()
    world.deliver()

    assert world.states() == {"sent": 20}
    assert len(endpoint.asked) == 2


def test_a_constant_that_is_refused_is_not_sent_again(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    vendor = Vendor()
    world, _ = world_of(store, scope, clock, vendor, PUSH.auth)
    world.enter("ann")

    world.deliver()

    assert world.states() == {"failed": 1}
    assert len(vendor.seen) == 1


def test_while_the_token_endpoint_is_away_messages_wait_inside_their_budget(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    vendor = Vendor("token-1", "token-2", "token-3")
    world, endpoint = world_of(store, scope, clock, vendor)
    endpoint.trouble = FormError("The token endpoint cannot be connected to.")
    world.enter("ann")

    world.deliver()
    waiting = world.states()
    endpoint.trouble = None
    clock.advance(2)
    world.deliver()

    assert (waiting, world.states()) == ({"waiting": 1}, {"sent": 1})
    assert len(vendor.seen) == 1


def test_a_token_endpoint_that_stays_away_is_named_in_the_end(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    vendor = Vendor()
    world, endpoint = world_of(store, scope, clock, vendor)
    endpoint.trouble = FormError("The token endpoint answered 503.", status=503)
    (delivery_id,) = world.enter("ann")

    for _ in range(6):
        world.deliver()
        clock.advance(5)

    ended = world.delivery(delivery_id)
    assert (ended.state, ended.reason) == ("failed", "auth")
    assert (ended.facts or {})["detail"] == "The token endpoint answered 503."
    assert vendor.seen == []
    assert total(world.balance()) == {"intended": 1, "failed": 1}


def test_a_refused_credential_ends_the_message_at_once_and_says_so(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    vendor = Vendor()
    world, endpoint = world_of(store, scope, clock, vendor)
    endpoint.trouble = FormError(
        "The token endpoint answered 401.",
        status=401,
        may_retry=False,
        body=b'{"error":"invalid_client","error_description":"s3cret"}',
    )
    (delivery_id,) = world.enter("ann")

    world.deliver()

    ended = world.delivery(delivery_id)
    assert ended.state == "failed"
    assert "invalid_client" in str((ended.facts or {})["detail"])
    assert "s3cret" not in str(ended.facts) + str(world.told())


def test_two_workers_send_with_one_token(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    vendor = Vendor("token-1")
    world, endpoint = world_of(store, scope, clock, vendor)
    world.enter("ann")
    world.deliver()
    world.end_instances()
    world.tools = world.tools_of("worker-2")
    world.enter("ann")

    world.deliver()

    assert world.states() == {"sent": 2}
    assert len(endpoint.asked) == 1


def test_a_delivery_and_its_token_go_through_the_actions_proxy(
    store: SessionFactory, scope: Scope
) -> None:
    guard = AddressGuard.of("127.0.0.0/8")
    body = b'{"access_token":"t-1","expires_in":3600}'
    token = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with running_sink(tunnel, answer(token), tunnel, answer()) as proxy, closed_port() as port:
        target = f"http://127.0.0.1:{port}"
        world = DeliveryWorld(
            store,
            scope,
            SystemClock(),
            CurlTransport(guard),
            url=f"{target}/send",
            token_endpoint=partial(ask_token, timeout=5, guard=guard),
        )
        via = {"proxy": proxy.url("").replace("://", "://jo:pw@")}
        auth = {**OAUTH, "tokenUrl": f"{target}/token"}
        world.add_action(replace(PUSH, auth=auth, connection=via))
        world.add_person("ann")
        world.enter("ann")

        world.deliver()

    asked = [each.head.split()[:2] for each in proxy.received]
    connect = ["CONNECT", f"127.0.0.1:{port}"]
    assert world.states() == {"sent": 1}
    assert asked == [connect, ["POST", "/token"], connect, ["POST", "/send"]]
    assert proxy.received[3].header("authorization") == "Bearer t-1"


def tunnel(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
