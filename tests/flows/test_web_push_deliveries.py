"""Deliveries to browsers: their own push services, one proof each, and no host of a stranger's."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from service.core import json
from service.db.session import SessionFactory, unit_of_work
from service.flows.delivery_lane import LaneRunner
from service.outbound import endpoint_configs
from service.outbound.new_action import NewAction
from service.outbound.transport import Call, Reply, ReplyKind
from service.profiles.models import PushToken
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import DeliveryWorld
from tests.support.fake_transport import FakeTransport
from tests.support.messages import apns_key, vapid
from tests.support.push_browsers import PushBrowser

GOOGLE = "https://fcm.googleapis.com/fcm/send/"
APPLE = "https://web.push.apple.com/"
PUSH = NewAction(
    name="web_push",
    adapter="webPush",
    payload={"title": "Hi {{ profile.person.name }}"},
    auth={
        "type": "vapid",
        "subject": "mailto:push@example.com",
        "privateKey": apns_key().reveal(),
    },
)


@pytest.fixture
def world(store: SessionFactory, scope: Scope, clock: FixedClock) -> DeliveryWorld:
    world = DeliveryWorld(store, scope, clock, FakeTransport(taken))
    world.add_action(PUSH)
    return world


def taken(call: Call) -> Reply:
    location = (b"Location: https://push.test/m/1",)
    return Reply(call.key, ReplyKind.ANSWERED, 201, location, b"", 1_000_000, 6_000_000)


def refused_by(host: str, status: int, reason: str = "") -> FakeTransport:
    """Return a transport on which one push service refuses whatever it gets."""

    def script(call: Call) -> Reply:
        if not call.url.startswith(host):
            return taken(call)
        body = json.encode({"reason": reason}) if reason else b""
        return Reply(call.key, ReplyKind.ANSWERED, status, (), body, 1_000_000, 6_000_000)

    return FakeTransport(script)


def wire(world: DeliveryWorld) -> FakeTransport:
    assert isinstance(world.transport, FakeTransport)
    return world.transport


def subscribe(world: DeliveryWorld, name: str, endpoint: str) -> PushBrowser:
    browser = PushBrowser()
    token = browser.subscription(f"{endpoint}{name}")
    world.add_person(name, platform="web", app_id="shop-web", token=token)
    return browser


def test_a_message_goes_to_its_browser_and_nobody_else_reads_it(world: DeliveryWorld) -> None:
    anns, bobs = subscribe(world, "ann", GOOGLE), subscribe(world, "bob", APPLE)
    anns_id, bobs_id = world.enter("ann", "bob")

    counts = world.deliver()

    assert counts == {"sent": 2}
    calls = {call.url: call for call in wire(world).started}
    for browser, url, delivery_id, name in (
        (anns, f"{GOOGLE}ann", anns_id, "ann"),
        (bobs, f"{APPLE}bob", bobs_id, "bob"),
    ):
        web = browser.read(calls[url].body)["web"]
        experience = web["_xdm"]["mixins"]["_experience"]["customerJourneyManagement"]
        proof = dict(calls[url].headers)["Authorization"]
        assert web["title"] == f"Hi {name}"
        assert experience["messageExecution"]["messageID"] == str(delivery_id)
        assert proof.startswith("vapid t=ey")
        assert proof.endswith(f", k={vapid().public_key}")
        assert world.delivery(delivery_id).vendor_message_id == "https://push.test/m/1"


def test_a_subscription_of_a_strangers_host_is_never_called(world: DeliveryWorld) -> None:
    subscribe(world, "eve", "https://169.254.169.254/latest/")
    (delivery_id,) = world.enter("eve")

    counts = world.deliver()

    delivery = world.delivery(delivery_id)
    assert (counts, wire(world).started) == ({"failed": 1}, [])
    assert (delivery.facts or {})["setting"] == "pushHosts"


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_has_ended_is_denylisted(world: DeliveryWorld, status: int) -> None:
    wire(world).script = refused_by(GOOGLE, status).script
    subscribe(world, "ann", GOOGLE)
    world.enter("ann")

    counts = world.deliver()

    with unit_of_work(world.store) as session:
        (token,) = session.scalars(select(PushToken).filter_by(sandbox_id=1))
        is_dead = token.denylisted_at is not None
    assert (counts, is_dead) == ({"failed": 1}, True)


def test_one_browser_with_another_key_keeps_its_token(world: DeliveryWorld) -> None:
    wire(world).script = refused_by(GOOGLE, 403).script
    subscribe(world, "ann", GOOGLE)
    (delivery_id,) = world.enter("ann")

    world.deliver()

    with unit_of_work(world.store) as session:
        (token,) = session.scalars(select(PushToken).filter_by(sandbox_id=1))
        is_dead = token.denylisted_at is not None
    facts = world.delivery(delivery_id).facts or {}
    assert (is_dead, facts["rule"]) == (False, "webPush.403.other_key")


def test_a_push_service_that_refuses_everything_does_not_hold_up_the_others(
    world: DeliveryWorld,
) -> None:
    wire(world).script = refused_by(APPLE, 403, "BadJwtToken").script
    names = [f"a{number}" for number in range(12)]
    for name in names:
        subscribe(world, name, APPLE)
    subscribe(world, "ann", GOOGLE)
    world.enter(*names)
    runner = world.runner()
    step(world, runner)
    world.enter("ann")
    step(world, runner)
    runner.close()

    assert world.states() == {"failed": 12, "sent": 1}


def step(world: DeliveryWorld, runner: LaneRunner) -> None:
    """Let a lane work until nothing is left to do."""
    for _ in range(30):
        runner.step()
        world.clock.wait(0.1)


def test_a_cap_of_one_push_service_holds_though_the_host_varies(world: DeliveryWorld) -> None:
    service = {"maxHttpConnections": -1, "rating": {"maxCallsCount": 1, "periodInMs": 60_000}}
    document = {
        "url": f"{GOOGLE}*",
        "methods": ["POST"],
        "services": {"action": service},
    }
    with unit_of_work(world.store) as session:
        config = endpoint_configs.create(session, world.scope, document, now=world.clock.now())
        endpoint_configs.deploy(session, world.scope, config.id, now=world.clock.now())
    for name in ("ann", "bob"):
        subscribe(world, name, GOOGLE)
    world.enter("ann", "bob")

    counts = world.deliver()

    assert counts == {"sent": 1, "capped": 1}
    assert len(wire(world).started) == 1


def test_a_message_that_may_not_wait_says_so(world: DeliveryWorld) -> None:
    world.add_action(replace(PUSH, name="now_or_never", settings={"ttlS": 0}))
    subscribe(world, "ann", GOOGLE)
    world.enter("ann", expires_in_s=timedelta(hours=2).total_seconds())

    world.deliver()

    assert dict(wire(world).started[0].headers)["TTL"] == "0"
