"""Send test request: the same way as a delivery, and nothing kept of it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from service.core import json
from service.core.errors import NotFoundError
from service.core.secret import Secret
from service.db.session import SessionFactory, unit_of_work
from service.flows import test_action
from service.flows.test_action import Trial, TrialResult
from service.outbound import connections
from service.outbound.action_parameters import ActionParameter
from service.outbound.connections import ConnectionLimit
from service.outbound.egress import AddressGuard
from service.outbound.models import (
    ConnectionLease,
    Delivery,
    DeliveryAttempt,
    DeliveryDue,
    PermitGrant,
)
from service.outbound.new_action import NewAction
from service.outbound.parameter_types import ParameterType
from service.outbound.transport import Call, Reply, ReplyKind, Trouble
from service.outbound.transport_curl import CurlTransport
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import PUSH, DeliveryWorld
from tests.support.fake_transport import FakeTransport, answered, not_sent
from tests.support.sinks import answer, running_sink

KEY = "stub-api-key"
ANN = ("CRMID", "ann")


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    return DeliveryWorld(store, scope, clock, FakeTransport())


def wire(world: DeliveryWorld) -> FakeTransport:
    assert isinstance(world.transport, FakeTransport)
    return world.transport


def send(world: DeliveryWorld, **trial: Any) -> TrialResult:
    return test_action.send(world.tools, world.scope, world.action_id, Trial(**trial))


def preview(world: DeliveryWorld, **trial: Any) -> TrialResult:
    return test_action.preview(world.tools, world.scope, world.action_id, Trial(**trial))


def count(world: DeliveryWorld, table: Any) -> int:
    with unit_of_work(world.store) as session:
        chosen = select(func.count()).select_from(table).where(table.sandbox_id == 1)
        return int(session.scalar(chosen) or 0)


def headers(result: TrialResult) -> Mapping[str, str]:
    assert result.request is not None
    return dict(result.request.headers)


def test_a_test_request_goes_the_way_of_a_delivery(world: DeliveryWorld) -> None:
    world.add_action()
    world.add_person("ann")
    world.enter("ann")

    result = send(world, identity=ANN)
    world.deliver()

    tested, delivered = wire(world).started
    assert (tested.method, tested.url, tested.body) == (
        delivered.method,
        delivered.url,
        delivered.body,
    )
    assert [pair for pair in tested.headers if pair[0] != "Idempotency-Key"] == [
        pair for pair in delivered.headers if pair[0] != "Idempotency-Key"
    ]
    assert (result.outcome, result.advice, result.elapsed_ms) == ("sent", "", 5)
    assert result.reply is not None
    assert (result.reply.status, result.reply.body) == (200, '{"id":"m-1"}')


def test_nothing_is_kept_of_a_test_request_but_its_permit(world: DeliveryWorld) -> None:
    world.add_action()
    world.add_person("ann")

    send(world, identity=ANN)

    tables = (Delivery, DeliveryDue, DeliveryAttempt, ConnectionLease)
    assert [count(world, table) for table in tables] == [0, 0, 0, 0]
    assert count(world, PermitGrant) == 1


def test_a_test_request_takes_a_permit_and_may_be_capped(world: DeliveryWorld) -> None:
    world.add_action()
    config_id = world.cap(2)
    world.add_person("ann")

    results = [send(world, identity=ANN) for _ in range(3)]

    assert [each.outcome for each in results] == ["sent", "sent", "capped"]
    assert len(wire(world).started) == 2
    assert results[2].facts["configId"] == str(config_id)
    assert results[2].facts["maxCallsCount"] == 2
    assert results[2].facts["retryAfterMs"] > 0


def test_deliveries_and_test_requests_share_one_cap(world: DeliveryWorld) -> None:
    world.add_action()
    world.cap(1)
    world.add_person("ann")
    world.enter("ann")

    first = send(world, identity=ANN)

    assert (first.outcome, world.deliver()) == ("sent", {"capped": 1})


def test_without_a_free_connection_a_test_request_is_capped(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    world.add_action()
    limit = ConnectionLimit(world.cap(10, connections=1), 1)
    world.add_person("ann")
    with unit_of_work(world.store) as session:
        connections.lease(session, world.scope, limit, "other", wanted=1, ttl_s=3600, clock=clock)

    result = send(world, identity=ANN)

    assert (result.outcome, result.reason) == ("capped", "connections")
    assert (wire(world).started, count(world, PermitGrant)) == ([], 0)


def test_the_proof_is_masked_in_what_was_sent_and_in_what_came_back(world: DeliveryWorld) -> None:
    world.add_action()
    world.add_person("ann")

    def echo(call: Call) -> Reply:
        body = json.encode({"seen": dict(call.headers), "token": "ann-token-0"})
        lines = (b"HTTP/1.1 401 No", b"Set-Cookie: s=1", f"X-Echo: {KEY}".encode())
        return Reply(call.key, ReplyKind.ANSWERED, 401, lines, body, 1, 2)

    wire(world).script = echo

    result = send(world, identity=ANN)

    assert result.reply is not None
    assert headers(result)["X-API-Key"] == "***"
    assert dict(result.reply.headers) == {"Set-Cookie": "***", "X-Echo": "***"}
    assert '"X-API-Key":"***"' in result.reply.body
    shown = repr(result) + str(result.request) + str(result.reply)
    for text in (shown, result.reply.body, result.request.body if result.request else ""):
        assert KEY not in text
        assert "ann-token-0" not in text
    assert result.advice


@pytest.mark.parametrize(
    ("auth", "masked", "secrets"),
    [
        (
            {"type": "basic", "username": "jo", "password": "s3cret"},
            {"Authorization": "***"},
            ("s3cret", "am86czNjcmV0"),
        ),
        ({"type": "apiKey", "name": "key", "value": "s3 cret", "location": "query"}, {}, ("s3",)),
    ],
)
def test_every_kind_of_proof_is_masked(
    world: DeliveryWorld, auth: Any, masked: dict[str, str], secrets: tuple[str, ...]
) -> None:
    world.add_action(replace(PUSH, adapter="webhook", payload={"a": "b"}, auth=auth))
    wire(world).script = lambda call: answered(call, 200, f"{call.url}{call.headers}".encode())

    result = send(world)

    assert result.request is not None
    assert result.reply is not None
    assert masked.items() <= headers(result).items()
    assert result.request.url.endswith("?key=***") == (not masked)
    for secret in secrets:
        assert secret not in result.request.url + result.reply.body


def test_a_token_at_hand_is_used_and_shown(world: DeliveryWorld) -> None:
    world.add_action(replace(PUSH, payload={"to": "{{ token }}"}))

    result = send(world, token=Secret("token-at-hand"))

    assert wire(world).started[0].body == b'{"to":"token-at-hand"}'
    assert result.request is not None
    assert result.request.body == '{"to":"token-at-hand"}'


def test_parameters_and_event_are_those_of_the_test(world: DeliveryWorld) -> None:
    new = replace(
        PUSH,
        adapter="webhook",
        payload={"n": "{{ parameters.n }}", "why": "{{ event.eventType }}"},
        parameters=(ActionParameter("n", ParameterType.INTEGER),),
        answers={"response": {"id": {"path": "id"}}},
    )
    world.add_action(new)

    result = send(world, parameters={"n": 5}, event={"eventType": "order"})

    assert wire(world).started[0].body == b'{"n":5,"why":"order"}'
    assert result.fields == {"response": {"id": "m-1"}}


@pytest.mark.parametrize(
    ("trial", "outcome", "reason"),
    [
        ({}, "failed", "template"),
        ({"token": Secret("t")}, "failed", "template"),
        ({"identity": ("CRMID", "nobody")}, "suppressed", "profileAbsent"),
        ({"identity": ("CRMID", "bea")}, "suppressed", "consent"),
        ({"identity": ("CRMID", "cy")}, "suppressed", "noToken"),
        ({"identity": ANN, "parameters": {"n": "five"}}, "failed", "parameter"),
        ({"identity": ANN, "parameters": {"m": 5}}, "failed", "parameter"),
    ],
)
def test_what_is_no_message_is_told_and_takes_no_permit(
    world: DeliveryWorld, trial: dict[str, Any], outcome: str, reason: str
) -> None:
    declared = (ActionParameter("n", ParameterType.INTEGER, is_optional=True),)
    world.add_action(replace(PUSH, parameters=declared))
    world.add_person("ann")
    world.add_person("bea", {"consents": {"marketing": {"push": {"val": "n"}}}})
    world.add_person("cy", tokens=0)

    sent, shown = send(world, **trial), preview(world, **trial)

    assert (sent.outcome, sent.reason) == (outcome, reason) == (shown.outcome, shown.reason)
    assert (wire(world).started, count(world, PermitGrant)) == ([], 0)


def test_a_preview_is_what_would_be_sent_and_sends_nothing(world: DeliveryWorld) -> None:
    world.add_action()
    world.add_person("ann")

    result = preview(world, identity=ANN)

    assert (result.outcome, result.reply) == ("rendered", None)
    assert result.request is not None
    assert result.request.body == '{"to":"…oken-0","text":"Hi ann"}'
    assert headers(result)["X-API-Key"] == "***"
    assert (wire(world).started, count(world, PermitGrant)) == ([], 0)


def test_a_call_that_never_left_says_why(world: DeliveryWorld) -> None:
    world.add_action()
    world.add_person("ann")
    wire(world).script = lambda call: not_sent(call, Trouble.DNS)

    result = send(world, identity=ANN)

    assert (result.outcome, result.reply, result.facts) == ("notSent", None, {"trouble": "dns"})
    assert result.advice


def test_a_permit_that_ran_out_before_the_start_is_not_used(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    world.add_action()
    world.add_person("ann")
    wire(world).before_start = lambda: clock.advance(2.1)

    result = send(world, identity=ANN)

    assert (result.outcome, wire(world).started) == ("notSent", [])


def test_an_action_of_another_sandbox_is_not_tested(world: DeliveryWorld) -> None:
    world.add_action()

    with pytest.raises(NotFoundError):
        test_action.send(world.tools, Scope(2, "dev"), world.action_id, Trial())
    with pytest.raises(NotFoundError):
        test_action.preview(world.tools, world.scope, UUID(int=5), Trial())
    with pytest.raises(NotFoundError):
        test_action.send(world.tools, world.scope, uuid4(), Trial())


def test_a_test_request_passes_guard_and_transport(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    long = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nX-A: 1\r\nX-A: 2\r\n\r\n" + b"x" * 5000
    with running_sink(answer(long)) as sink:
        transport = CurlTransport(AddressGuard.of("127.0.0.0/8"))
        world = DeliveryWorld(store, scope, clock, transport, url=sink.url("/a/{{ event.id }}"))
        new = NewAction(name="look", adapter="webhook", method="GET", query={"q": "{{ event.q }}"})
        world.add_action(new)

        result = send(world, event={"id": "b/c", "q": "d&e"})

        (got,) = sink.received
        assert got.head.startswith("GET /a/b%2Fc?q=d%26e HTTP/1.1\r\n")
        assert (got.header("content-type"), got.header("content-length")) == (None, None)
        assert result.reply is not None
        assert (len(result.reply.body), result.reply.is_body_cut) == (4096, True)
        assert result.request is not None
        assert (result.request.method, result.request.body) == ("GET", "")

        refused = replace(world.tools, transport=CurlTransport(AddressGuard()))
        held = test_action.send(refused, scope, world.action_id, Trial(event={"id": 1, "q": 2}))

    assert (held.outcome, held.facts) == ("notSent", {"trouble": "address_refused"})
    assert len(sink.received) == 1


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH", "PUT"])
def test_every_method_goes_on_the_wire_as_it_is(
    sqlite_store: SessionFactory, scope: Scope, clock: FixedClock, method: str
) -> None:
    with running_sink() as sink:
        transport = CurlTransport(AddressGuard.of("127.0.0.0/8"))
        world = DeliveryWorld(sqlite_store, scope, clock, transport, url=sink.url())
        has_body = method in ("PATCH", "PUT")
        payload = {"a": 1} if has_body else {}
        world.add_action(NewAction(name="a", adapter="webhook", method=method, payload=payload))

        result = send(world)

    (got,) = sink.received
    assert result.outcome == "sent"
    assert got.head.startswith(f"{method} /hook HTTP/1.1\r\n")
    assert got.body == (b'{"a":1}' if has_body else b"")
    assert got.header("content-type") == ("application/json" if has_body else None)
