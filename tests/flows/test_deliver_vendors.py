"""Deliveries to addresses of people: whose consent is asked, and who has no address."""

from dataclasses import replace
from urllib.parse import parse_qs

import pytest

from service.audit import gate_traces
from service.core import json
from service.core.json import JsonObject
from service.db.session import SessionFactory, unit_of_work
from service.outbound.new_action import NewAction
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import JOURNEY_ID, DeliveryWorld, total
from tests.support.fake_transport import FakeTransport, answered

ACCOUNT = "AC" + 32 * "0"
TWILIO = NewAction(
    name="cart_sms",
    adapter="twilio",
    payload={"Body": "Hi {{ profile.person.name }}"},
    auth={"type": "basic", "username": ACCOUNT, "password": "t0ken"},
    settings={"accountSid": ACCOUNT, "from": "+15005550001"},
)
BRAZE = NewAction(
    name="cart_push",
    adapter="braze",
    payload={"messages": {"android_push": {"title": "Cart", "alert": "Hi"}}},
    auth={"type": "apiKey", "name": "Authorization", "value": "Bearer b-key"},
    settings={"endpoint": "https://rest.iad-01.braze.com"},
)
TEXTED: JsonObject = {"mobilePhone": {"number": "+1 500 555 0006"}}


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    accepted = b'{"sid":"SM1","message":"success","dispatch_id":"d-1"}'
    return DeliveryWorld(
        store, scope, clock, FakeTransport(lambda call: answered(call, 201, accepted))
    )


def wire(world: DeliveryWorld) -> FakeTransport:
    assert isinstance(world.transport, FakeTransport)
    return world.transport


def consenting(channel: str, value: str) -> JsonObject:
    return {**TEXTED, "consents": {"marketing": {channel: {"val": value}}}}


def test_a_text_goes_to_the_number_of_the_profile(world: DeliveryWorld) -> None:
    world.add_action(TWILIO)
    world.add_person("ann", TEXTED, tokens=0)
    (delivery_id,) = world.enter("ann")

    assert world.deliver() == {"sent": 1}

    (call,) = wire(world).started
    form = parse_qs(call.body.decode(), strict_parsing=True)
    assert call.url == f"https://api.twilio.com/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert form["To"] == ["+15005550006"]
    assert form["Body"] == ["Hi ann"]
    assert dict(call.headers)["Authorization"].startswith("Basic ")
    assert world.delivery(delivery_id).vendor_message_id == "SM1"


def test_who_has_no_number_is_passed_over_and_it_can_be_explained(
    world: DeliveryWorld, scope: Scope
) -> None:
    world.add_action(TWILIO)
    world.add_person("ann")
    world.add_person("bob", {"mobilePhone": {"number": "call me"}})
    ann, bob = world.enter("ann", "bob")

    assert world.deliver() == {"suppressed": 2}

    assert wire(world).started == []
    assert world.delivery(ann).reason == "noAddress"
    assert world.delivery(bob).reason == "addressMalformed"
    with unit_of_work(world.store) as session:
        kept = gate_traces.list_traces(session, scope, [world.people["bob"]], JOURNEY_ID)
    assert [(each.gate, each.reason) for each in kept] == [("address", "addressMalformed")]
    assert "call me" not in str([each.facts for each in kept])
    assert total(world.balance()) == {"intended": 2, "suppressed": 2}
    assert world.balance().differences == ()


@pytest.mark.parametrize(
    ("consents", "state"),
    [
        (consenting("sms", "n"), "suppressed"),
        (consenting("any", "n"), "suppressed"),
        (consenting("push", "n"), "sent"),
        (consenting("sms", "y"), "sent"),
    ],
)
def test_a_text_asks_for_the_consent_to_texts(
    world: DeliveryWorld, consents: JsonObject, state: str
) -> None:
    world.add_action(TWILIO)
    world.add_person("ann", consents, tokens=0)
    world.enter("ann")

    assert world.deliver() == {state: 1}


def test_a_vendor_that_knows_our_people_is_told_who_is_in_the_journey(
    world: DeliveryWorld,
) -> None:
    world.add_action(BRAZE)
    world.add_person("c-77", tokens=0)
    world.enter("c-77")

    assert world.deliver() == {"sent": 1}

    (call,) = wire(world).started
    assert json.decode(call.body)["external_user_ids"] == ["c-77"]


def test_an_address_can_come_from_the_event(world: DeliveryWorld) -> None:
    address = "{% if event.eventType == 'cart.abandoned' %}+15005550009{% endif %}"
    settings = {**TWILIO.settings, "address": address}
    world.add_action(replace(TWILIO, settings=settings))
    world.add_person("ann", tokens=0)
    world.enter("ann")

    assert world.deliver() == {"sent": 1}

    assert b"%2B15005550009" in wire(world).started[0].body


def test_a_call_in_doubt_is_not_repeated(world: DeliveryWorld) -> None:
    wire(world).script = lambda call: answered(call, 500, b"")
    world.add_action(TWILIO)
    world.add_person("ann", TEXTED, tokens=0)
    world.enter("ann")

    assert world.deliver() == {"unknown": 1}

    assert len(wire(world).started) == 1
    assert total(world.balance()) == {"intended": 1, "unknown": 1}
