"""Deliveries that go together: one permit and one call for many, and an end for each."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from service.core import json
from service.db.session import SessionFactory, unit_of_work
from service.outbound.connection_spec import ConnectionSpec
from service.outbound.egress import AddressGuard
from service.outbound.follow_up import OnUnknown
from service.outbound.new_action import NewAction
from service.outbound.transport import Call, CallParts, Reply, Trouble
from service.outbound.transport_curl import CurlTransport
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import DeliveryWorld, total
from tests.support.fake_transport import FakeTransport, Script, answered, silent, unanswered
from tests.support.sinks import Exchange, running_sink

BATCH = NewAction(
    name="batch",
    adapter="batchPost",
    payload={"text": "Hi {{ profile.person.name }}"},
    auth={"type": "apiKey", "name": "X-API-Key", "value": "stub-api-key"},
    settings={"maxWaitMs": 0, "results": {"path": "results", "by": "id"}},
)


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    return DeliveryWorld(store, scope, clock, FakeTransport(taking()))


def wire(world: DeliveryWorld) -> FakeTransport:
    assert isinstance(world.transport, FakeTransport)
    return world.transport


def taking(**refused: Any) -> Script:
    """Answer each row by its id; those of ``refused``, by text, with what is said of them."""

    def script(call: Call) -> Reply:
        rows = json.decode(call.body)
        results = [{"id": row["id"], **refused.get(row["text"][3:], {})} for row in rows]
        return answered(call, 200, json.encode({"results": results[::-1]}))

    return script


def enter(world: DeliveryWorld, count: int) -> list[Any]:
    names = [f"p{number:02d}" for number in range(count)]
    for name in names:
        world.add_person(name, tokens=0)
    return world.enter(*names)


def settings(**changes: Any) -> NewAction:
    return replace(BATCH, settings={**BATCH.settings, **changes})


def sizes(world: DeliveryWorld) -> list[int]:
    return [len(json.decode(call.body)) for call in wire(world).started]


def test_rows_go_together_and_each_is_recorded_told_and_balanced(world: DeliveryWorld) -> None:
    world.add_action(BATCH)
    ids = enter(world, 5)

    assert world.deliver() == {"sent": 5}

    (call,) = wire(world).started
    rows = json.decode(call.body)
    assert {row["id"] for row in rows} == {str(each) for each in ids}
    assert {row["text"] for row in rows} == {f"Hi p{number:02d}" for number in range(5)}
    assert ("X-API-Key", "stub-api-key") in call.headers
    assert "Delivery-Id" not in dict(call.headers)
    assert {world.delivery(each).vendor_message_id for each in ids} == {str(each) for each in ids}
    assert total(world.balance()) == {"intended": 5, "sent": 5}
    assert world.balance().differences == ()


def test_one_permit_is_good_for_one_call_whatever_it_holds(world: DeliveryWorld) -> None:
    world.add_action(settings(maxRows=4))
    world.cap(2)
    enter(world, 12)
    runner = world.runner()

    for _ in range(6):
        runner.step(0.05)
        world.clock.wait(0.1)
    runner.close()

    assert sizes(world) == [4, 4]
    assert world.states() == {"sent": 8, "capped": 4}


def test_only_the_refused_rows_go_again(world: DeliveryWorld, clock: FixedClock) -> None:
    world.add_action(BATCH)
    enter(world, 4)
    wire(world).script = taking(
        p01={"status": 503, "error": "busy"}, p02={"status": 422, "error": "noSuchUser"}
    )

    assert world.deliver() == {"failed": 1, "sent": 2}
    wire(world).script = taking()
    clock.advance(5)
    assert world.deliver() == {"sent": 1}

    assert sizes(world) == [4, 1]
    (told,) = [each for each in world.told() if each["outcome"] == "failed"]
    assert told["code"] == "422"
    assert json.decode(wire(world).started[1].body)[0]["text"] == "Hi p01"


def test_rows_are_told_apart_by_their_place_too(world: DeliveryWorld) -> None:
    world.add_action(settings(results={"status": "ok"}))
    ids = enter(world, 3)
    oks: dict[str, bool] = {}

    def by_place(call: Call) -> Reply:
        found = [{"ok": not row["text"].endswith("p01")} for row in json.decode(call.body)]
        oks.update(
            {row["id"]: each["ok"] for row, each in zip(json.decode(call.body), found, strict=True)}
        )
        return answered(call, 207, json.encode(found))

    wire(world).script = by_place

    assert world.deliver() == {"failed": 1, "sent": 2}
    assert [world.delivery(each).state == "sent" for each in ids] == [oks[str(i)] for i in ids]


def test_a_row_of_which_the_answer_says_nothing_is_unknown(world: DeliveryWorld) -> None:
    world.add_action(BATCH)
    enter(world, 3)

    def forgetful(call: Call) -> Reply:
        first = json.decode(call.body)[0]
        return answered(call, 200, json.encode({"results": [{"id": first["id"]}]}))

    wire(world).script = forgetful

    assert world.deliver() == {"sent": 1, "unknown": 2}


def test_a_list_of_another_length_says_nothing_of_any_row(world: DeliveryWorld) -> None:
    world.add_action(settings(results={"path": "results"}))
    enter(world, 2)
    wire(world).script = lambda call: answered(call, 200, b'{"results":[{"status":200}]}')

    assert world.deliver() == {"unknown": 2}


def test_what_is_too_much_goes_again_in_halves_and_the_row_that_is_it_fails(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    world.add_action(BATCH)
    enter(world, 8)

    def full(call: Call) -> Reply | None:
        rows = json.decode(call.body)
        if len(rows) > 2 or any(row["text"].endswith("p03") for row in rows):
            return answered(call, 413, b"")
        return taking()(call)

    wire(world).script = full
    runner = world.runner()
    for _ in range(60):
        runner.step(0.05)
        clock.wait(0.1)
    runner.close()

    assert world.states() == {"sent": 7, "failed": 1}
    assert sizes(world)[:2] == [8, 4]
    assert max(each.number for each in world.attempts()) == 1
    assert total(world.balance()) == {"intended": 8, "sent": 7, "failed": 1}


def test_rows_beyond_the_bytes_of_a_call_wait_for_the_next_permit(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    world.add_action(settings(maxBytes=130))
    enter(world, 3)
    runner = world.runner()

    for _ in range(8):
        runner.step(0.05)
        clock.wait(0.1)
    runner.close()

    assert world.states() == {"sent": 3}
    assert sizes(world) == [2, 1]


def test_a_call_in_doubt_leaves_every_row_in_doubt_and_is_repeated_only_if_allowed(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    world.add_action(BATCH)
    enter(world, 2)
    wire(world).script = lambda call: unanswered(call, Trouble.TIMEOUT)
    assert world.deliver() == {"unknown": 2}

    world.add_action(replace(BATCH, name="again", on_unknown=OnUnknown.RETRY))
    world.end_instances()
    world.enter("p00", "p01")
    assert world.deliver() == {}
    wire(world).script = taking()
    clock.advance(10)

    assert world.deliver() == {"sent": 2}


def test_a_row_whose_message_cannot_be_made_does_not_hold_up_the_others(
    world: DeliveryWorld,
) -> None:
    world.add_action(replace(BATCH, payload={"text": "Hi {{ profile.person.nick }}"}))
    world.add_person("p00", {"person": {"nick": "p00"}}, tokens=0)
    world.add_person("p01", tokens=0)
    world.enter("p00", "p01")

    assert world.deliver() == {"failed": 1, "sent": 1}


def test_nothing_is_sent_after_the_permit(world: DeliveryWorld, clock: FixedClock) -> None:
    world.add_action(BATCH)
    enter(world, 2)
    wire(world).before_start = lambda: clock.advance(3)
    runner = world.runner()

    runner.step(0.5)
    runner.drain()

    assert wire(world).started == []
    assert len(world.due()) == 2


def test_rows_wait_for_others_but_not_long(world: DeliveryWorld, clock: FixedClock) -> None:
    world.add_action(settings(maxWaitMs=2000))
    enter(world, 1)
    runner = world.runner()
    runner.step(0.05)
    runner.step(0.05)
    for name in ("q1", "q2"):
        world.add_person(name, tokens=0)
        world.enter(name)
        clock.advance(0.5)
        runner.step(0.05)
    assert sizes(world) == [1]

    clock.advance(2)
    runner.step(0.05)
    runner.close()

    assert sizes(world) == [1, 2]


def test_a_call_of_rows_that_failed_is_one_failure_of_the_destination(
    world: DeliveryWorld,
) -> None:
    world.add_action(BATCH)
    enter(world, 60)
    wire(world).script = lambda call: answered(call, 502, b"")

    world.deliver()

    assert {each.status_code for each in world.attempts()} == {502}
    assert len(world.due()) == 60
    host = world.tools.destinations.last(world.scope, "push.example")
    assert host.held_until(world.clock.now()) is None


def test_a_refused_token_is_replaced_once_for_all_rows_of_the_call(world: DeliveryWorld) -> None:
    given: list[int] = []

    def endpoint(parts: CallParts, _: ConnectionSpec) -> bytes:
        given.append(1)
        return json.encode({"access_token": f"t-{len(given)}", "expires_in": 3600})

    world.token_endpoint = endpoint
    world.tools = world.tools_of("worker-1")
    auth = {
        "type": "oauth2",
        "tokenUrl": "https://login.example/token",
        "clientId": "me",
        "clientSecret": "s3cret",
    }
    world.add_action(replace(BATCH, auth=auth))
    enter(world, 3)
    wire(world).script = lambda call: (
        taking()(call)
        if ("Authorization", "Bearer t-2") in call.headers
        else answered(call, 401, b"")
    )

    assert world.deliver() == {}
    assert world.deliver() == {"sent": 3}
    assert len(given) == 2


def echo(exchange: Exchange) -> None:
    rows = [json.decode(line) for line in exchange.request.body.splitlines()]
    body = json.encode([{"id": row["id"], "status": 201} for row in rows])
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
    exchange.send(head.encode() + body)


def test_over_real_http_with_a_row_a_line(
    store: SessionFactory, scope: Scope, clock: FixedClock
) -> None:
    transport = CurlTransport(AddressGuard.of("127.0.0.0/8"))
    with running_sink(echo) as sink:
        world = DeliveryWorld(store, scope, clock, transport, url=sink.url("/rows"))
        world.add_action(settings(format="ndjson", results={"by": "id"}, maxRows=2000))
        enter(world, 700)

        assert world.deliver() == {"sent": 700}

    (request,) = sink.received
    assert request.header("Content-Type") == "application/x-ndjson"
    assert request.header("X-API-Key") == "stub-api-key"
    assert request.header("Delivery-Id") is None
    assert len(request.body.splitlines()) == 700


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda new: replace(new, method="PUT"), "POST"),
        (lambda new: replace(new, headers={"X-A": "{{ profile.x }}"}), "share the header"),
        (lambda new: replace(new, headers={"X-A": "a\r\nb"}), "share the header"),
        (lambda new: replace(new, settings={"maxRows": 0}), "maxRows must be 1 to"),
        (lambda new: replace(new, settings={"maxRows": True}), "maxRows must be 1 to"),
        (lambda new: replace(new, settings={"splitOn": [500]}), "splitOn"),
        (lambda new: replace(new, settings={"results": {"where": "x"}}), "results has"),
        (lambda new: replace(new, settings={"idField": False, "results": {"by": "id"}}), "idField"),
        (lambda new: replace(new, settings={"format": "ndjson", "wrapper": "rows"}), "wrapper"),
        (lambda new: replace(new, payload=["x"]), "must be an object"),
    ],
)
def test_what_could_not_be_sent_is_refused_when_it_is_saved(
    world: DeliveryWorld, change: Callable[[NewAction], NewAction], why: str
) -> None:
    with pytest.raises(Exception, match=why):
        world.add_action(change(BATCH))


def test_a_call_is_closed_in_doubt_when_the_lane_has_to_go(
    world: DeliveryWorld, clock: FixedClock
) -> None:
    world.add_action(BATCH)
    enter(world, 2)
    wire(world).script = silent
    runner = world.runner()
    runner.step(0.05)
    assert runner.is_busy

    with_other = replace(BATCH, url=world.url, settings={"maxWaitMs": 1})

    clock.advance(2)
    with unit_of_work(world.store) as session:
        world.book.update(session, world.scope, world.action_id, with_other, now=clock.now())
    runner.step(0.05)
    runner.close()

    assert world.states() == {"unknown": 2}
