"""Actions with typed parameters, dynamic URLs and mapped answers, delivered."""

from dataclasses import replace
from typing import Any

import pytest

from service.core import json
from service.core.json import JsonObject
from service.db.session import SessionFactory
from service.outbound.action_parameters import ActionParameter, ParameterKind
from service.outbound.new_action import NewAction
from service.outbound.parameter_types import ParameterType
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import DeliveryWorld, total
from tests.support.fake_transport import FakeTransport, answered, unanswered

HOOK = NewAction(
    name="hook",
    adapter="webhook",
    parameters=(
        ActionParameter("member", ParameterType.STRING),
        ActionParameter("points", ParameterType.INTEGER, is_optional=True),
        ActionParameter("currency", ParameterType.STRING, ParameterKind.CONSTANT, "EUR"),
    ),
    answers={
        "response": {"points": {"path": "balance.points", "type": "integer"}},
        "errorResponse": {"why": {"path": "errors[0].message"}},
    },
)


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    return DeliveryWorld(store, scope, clock, FakeTransport())


def wire(world: DeliveryWorld) -> FakeTransport:
    assert isinstance(world.transport, FakeTransport)
    return world.transport


def answers(world: DeliveryWorld, body: Any, status: int = 200) -> None:
    raw = json.encode(body)
    wire(world).script = lambda call: answered(call, status, raw)


def deliver(world: DeliveryWorld, parameters: JsonObject, new: NewAction = HOOK) -> JsonObject:
    """Deliver one message and return what its instance was told."""
    world.add_action(new)
    world.add_person("ann")
    world.enter("ann", parameters=parameters)
    world.deliver()
    (told,) = world.told()
    return told


def test_typed_parameters_are_the_body_and_mapped_fields_reach_the_instance(
    world: DeliveryWorld,
) -> None:
    answers(world, {"balance": {"points": 250}, "secret": "not for the journey"})

    told = deliver(world, {"member": "m-1", "points": None})

    (call,) = wire(world).started
    assert json.decode(call.body) == {"member": "m-1", "currency": "EUR"}
    assert told["mapped"] == {"response": {"points": 250}}
    assert (told["outcome"], told["response"]) == ("sent", None)


def test_after_a_failure_the_fields_of_errors_reach_the_instance(world: DeliveryWorld) -> None:
    answers(world, {"errors": [{"message": "unknown member"}]}, 404)

    told = deliver(world, {"member": "m-1"})

    assert (told["outcome"], told["code"]) == ("failed", "404")
    assert told["mapped"] == {"errorResponse": {"why": "unknown member"}}


def test_without_an_answer_the_fields_of_errors_are_null(world: DeliveryWorld) -> None:
    wire(world).script = unanswered

    told = deliver(world, {"member": "m-1"})

    assert told["mapped"] == {"errorResponse": {"why": None}}


def test_an_action_that_maps_nothing_tells_its_whole_small_answer(world: DeliveryWorld) -> None:
    answers(world, {"balance": {"points": 250}})

    told = deliver(world, {"member": "m-1"}, replace(HOOK, answers={}))

    assert (told["response"], told["mapped"]) == ({"balance": {"points": 250}}, None)


@pytest.mark.parametrize(
    ("given", "detail"),
    [
        ({}, "The parameter member is missing."),
        ({"member": 5}, "The parameter member cannot be sent: expected string, got a number."),
        (
            {"member": "m-1", "points": "x"},
            "The parameter points cannot be sent: expected integer, got a text.",
        ),
    ],
)
def test_a_parameter_that_is_missing_or_of_another_type_fails_the_message_by_its_name(
    world: DeliveryWorld, given: JsonObject, detail: str
) -> None:
    told = deliver(world, given)

    (attempt,) = world.attempts()
    facts = world.delivery(attempt.delivery_id).facts
    assert (told["outcome"], told["code"]) == ("failed", "parameter")
    assert facts is not None
    assert facts["detail"] == detail
    assert wire(world).started == []
    assert total(world.balance()) == {"intended": 1, "failed": 1}


def test_a_dynamic_path_stays_under_the_cap_of_its_pattern(world: DeliveryWorld) -> None:
    world.url = "https://loyalty.example/members/*"
    world.cap(1)
    world.url = "https://loyalty.example/members/{{ profile.person.name }}/points"
    world.add_action(replace(HOOK, payload={"to": "{{ parameters.member }}"}))
    for name in ("ann", "b/c"):
        world.add_person(name)
    world.enter("ann", "b/c", parameters={"member": "m"})

    assert world.deliver() == {"capped": 1, "sent": 1}
    (call,) = wire(world).started
    assert call.url in {
        "https://loyalty.example/members/ann/points",
        "https://loyalty.example/members/b%2Fc/points",
    }


def test_a_value_that_would_leave_the_path_fails_alone(world: DeliveryWorld) -> None:
    world.url = "https://loyalty.example/members/{{ profile.person.name }}/points"
    world.add_action(replace(HOOK, payload={"to": "{{ parameters.member }}"}))
    for name in ("ann", ".."):
        world.add_person(name)
    world.enter("ann", "..", parameters={"member": "m"})

    assert world.deliver() == {"failed": 1, "sent": 1}
    assert [call.url for call in wire(world).started] == [
        "https://loyalty.example/members/ann/points"
    ]
