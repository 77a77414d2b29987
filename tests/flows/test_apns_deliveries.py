"""Deliveries to APNs: the tokens of one environment, and those of live activities."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from service.core import json
from service.core.json import JsonObject
from service.db.session import SessionFactory, unit_of_work
from service.identity.identity_map import ECID
from service.identity.linking import Order
from service.identity.models import Identity
from service.outbound.new_action import NewAction
from service.outbound.transport import Call, Reply, ReplyKind
from service.profiles import live_activities
from service.profiles.incoming import AnnouncedLiveActivity
from service.profiles.models import LiveActivityToken, PushToken
from service.sandboxes.scope import Scope
from tests.support.builders import ecid
from tests.support.clocks import FixedClock
from tests.support.delivery_world import DeliveryWorld
from tests.support.fake_transport import FakeTransport
from tests.support.messages import apns_key

ALERT = NewAction(
    name="apns_push",
    adapter="apns",
    payload={"aps": {"alert": {"body": "Hi {{ profile.person.name }}"}}},
    auth={
        "type": "apnsKey",
        "teamId": "TEAM000001",
        "keyId": "KEY0000001",
        "privateKey": apns_key().reveal(),
    },
)
UPDATE = replace(
    ALERT,
    payload={"aps": {"content-state": {"minutes": 5}}},
    settings={
        "topic": "com.example.shop",
        "liveActivity": {"event": "update", "activityId": "order-{{ profile.order }}"},
    },
)
START = replace(
    ALERT,
    payload={
        "aps": {"content-state": {"minutes": 9}, "attributes": {}, "alert": {"title": "On its way"}}
    },
    settings={"liveActivity": {"event": "start", "attributeType": "Food"}},
)


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    return DeliveryWorld(store, scope, clock, FakeTransport(taken))


def taken(call: Call) -> Reply:
    return Reply(call.key, ReplyKind.ANSWERED, 200, (b"apns-id: x",), b"", 1_000_000, 6_000_000)


def gone(world: DeliveryWorld, at: float) -> None:
    """Let APNs say from now on that a token died ``at`` seconds from now."""
    died = int((world.clock.now() + timedelta(seconds=at)).timestamp() * 1000)
    body = json.encode({"reason": "Unregistered", "timestamp": died})

    def say(call: Call) -> Reply:
        return Reply(call.key, ReplyKind.ANSWERED, 410, (), body, 1_000_000, 6_000_000)

    wire(world).script = say


def wire(world: DeliveryWorld) -> FakeTransport:
    assert isinstance(world.transport, FakeTransport)
    return world.transport


def announce(world: DeliveryWorld, name: str, *said: tuple[str, str, str]) -> None:
    """Let a person's phone announce tokens of live activities: kind, name and token."""
    number = len(world.people)
    person, device, now = world.people[name], ecid(number), world.clock.now()
    order = Order(now, f"{name}:{said}")
    announced = [
        AnnouncedLiveActivity(
            kind, named, token, device, *(("com.example.shop", "apns") if kind == "start" else ())
        )
        for kind, named, token in said
    ]
    with unit_of_work(world.store) as session:
        if session.get(Identity, (world.scope.sandbox_id, device.key)) is None:
            links: dict[str, Any] = {"login_id": person, "parent_id": person, "had_login": True}
            places = {"graph_id": person, "profile_id": person}
            session.add(
                Identity(
                    sandbox_id=world.scope.sandbox_id,
                    id=device.key,
                    namespace=ECID,
                    value=device.value,
                    created_at=now,
                    **places,
                    **links,
                )
            )
            session.flush()
        live_activities.register(
            session, world.scope, [(each, order) for each in announced], now=now
        )


def paths(world: DeliveryWorld) -> list[str]:
    return [call.url.removeprefix("https://") for call in wire(world).started]


def reason(world: DeliveryWorld, delivery_id: UUID) -> tuple[str, str | None, JsonObject]:
    delivery = world.delivery(delivery_id)
    return delivery.state, delivery.reason, delivery.facts or {}


def test_a_message_goes_to_its_token_with_a_proof_of_ours(world: DeliveryWorld) -> None:
    world.add_action(ALERT)
    world.add_person("ann", platform="apns")
    (delivery_id,) = world.enter("ann")

    counts = world.deliver()

    (call,) = wire(world).started
    assert counts == {"sent": 1}
    assert call.url == "https://api.push.apple.com/3/device/ann-token-0"
    headers = dict(call.headers)
    assert headers["apns-topic"] == "com.example.shop"
    assert headers["apns-id"] == str(delivery_id)
    assert headers["Authorization"].startswith("bearer ey")
    assert world.delivery(delivery_id).vendor_message_id == "x"


@pytest.mark.parametrize(
    ("settings", "platform", "host"),
    [
        ({}, "apns", "api.push.apple.com"),
        ({"platform": "apnsSandbox"}, "apnsSandbox", "api.sandbox.push.apple.com"),
    ],
)
def test_an_action_sends_to_the_tokens_of_its_environment_only(
    world: DeliveryWorld, settings: JsonObject, platform: str, host: str
) -> None:
    other = "apns" if platform == "apnsSandbox" else "apnsSandbox"
    world.add_action(replace(ALERT, settings=settings))
    world.add_person("ann", platform=platform)
    world.add_person("bob", platform=other)
    _, bobs = world.enter("ann", "bob")

    counts = world.deliver()

    assert counts == {"sent": 1, "suppressed": 1}
    assert paths(world) == [f"{host}/3/device/ann-token-0"]
    state, why, facts = reason(world, bobs)
    assert (state, why, facts["platform"]) == ("suppressed", "noToken", platform)


def test_an_update_goes_to_the_live_activity_that_it_names(world: DeliveryWorld) -> None:
    world.add_action(UPDATE)
    world.add_person("ann", {"order": 1}, platform="apns")
    announce(world, "ann", ("update", "order-1", "aa11"), ("update", "order-2", "aa22"))
    world.add_person("bob", {"order": 2}, platform="apns")
    announce(world, "bob", ("update", "order-2", "bb22"))
    world.enter("ann", "bob")

    counts = world.deliver()

    assert counts == {"sent": 2}
    assert sorted(paths(world)) == [f"api.push.apple.com/3/device/{t}" for t in ("aa11", "bb22")]
    (topic,) = {dict(call.headers)["apns-topic"] for call in wire(world).started}
    assert topic == "com.example.shop.push-type.liveactivity"


def test_a_start_goes_to_the_token_of_its_attribute_type(world: DeliveryWorld) -> None:
    world.add_action(START)
    world.add_person("ann", platform="apns")
    announce(world, "ann", ("start", "Ride", "aa11"), ("start", "Food", "aa22"))
    world.enter("ann")

    world.deliver()

    (call,) = wire(world).started
    assert call.url.endswith("/3/device/aa22")
    assert json.decode(call.body)["aps"]["attributes-type"] == "Food"


@pytest.mark.parametrize("attributes", [{"order": 7}, {}], ids=["another", "none named"])
def test_who_has_no_such_live_activity_is_passed_over(
    world: DeliveryWorld, attributes: JsonObject
) -> None:
    world.add_action(UPDATE)
    world.add_person("ann", attributes, platform="apns")
    announce(world, "ann", ("update", "order-1", "aa11"))
    (delivery_id,) = world.enter("ann")

    counts = world.deliver()

    assert counts == {"suppressed": 1}
    assert wire(world).started == []
    assert reason(world, delivery_id)[:2] == ("suppressed", "noToken")


def test_a_dead_live_activity_is_denylisted_and_the_push_token_stays(world: DeliveryWorld) -> None:
    world.add_action(UPDATE)
    world.add_person("ann", {"order": 1}, platform="apns")
    announce(world, "ann", ("update", "order-1", "aa11"))
    advance(world, 60)
    gone(world, 0)
    world.enter("ann")
    first = world.deliver()
    world.end_instances()
    (again,) = world.enter("ann")
    second = world.deliver()

    assert (first, second) == ({"failed": 1}, {"suppressed": 1})
    assert reason(world, again)[1] == "tokenDenylisted"
    assert denylisted(world) == ({"aa11"}, set())


def test_a_live_activity_announced_after_the_call_stays(world: DeliveryWorld) -> None:
    world.add_action(UPDATE)
    world.add_person("ann", {"order": 1}, platform="apns")
    announce(world, "ann", ("update", "order-1", "aa11"))
    advance(world, 60)
    gone(world, -90)
    say_gone = wire(world).script

    def announced_meanwhile(call: Call) -> Reply | None:
        advance(world, 1)
        announce(world, "ann", ("update", "order-1", "aa11"))
        return say_gone(call)

    wire(world).script = announced_meanwhile
    world.enter("ann")
    world.deliver()

    assert denylisted(world) == (set(), set())


def advance(world: DeliveryWorld, seconds: float) -> None:
    assert isinstance(world.clock, FixedClock)
    world.clock.advance(seconds)


def denylisted(world: DeliveryWorld) -> tuple[set[str], set[str]]:
    """Return the dead tokens of live activities, and the dead push tokens."""
    of_sandbox = {"sandbox_id": world.scope.sandbox_id}
    with unit_of_work(world.store) as session:
        return (
            {
                row.token
                for row in session.scalars(select(LiveActivityToken).filter_by(**of_sandbox))
                if row.denylisted_at is not None and row.token is not None
            },
            {
                row.token
                for row in session.scalars(select(PushToken).filter_by(**of_sandbox))
                if row.denylisted_at is not None
            },
        )
