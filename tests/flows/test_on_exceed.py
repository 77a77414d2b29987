"""What ``drop`` and ``errorPath`` of a cap do to a delivery is the same, as 0021 says."""

from typing import Any

import pytest

from service.core.json import JsonObject
from service.db.session import SessionFactory, unit_of_work
from service.outbound import endpoint_configs
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import DeliveryWorld, total
from tests.support.fake_transport import FakeTransport


def deploy_cap(world: DeliveryWorld, own: JsonObject | None) -> None:
    """Deploy a cap of one call with our own terms."""
    rating = {"maxCallsCount": 1, "periodInMs": 60_000}
    services = {"action": {"maxHttpConnections": 5, "rating": rating}}
    document: Any = {"url": world.url, "methods": ["POST"], "services": services, "_edgepost": own}
    with unit_of_work(world.store) as session:
        now = world.clock.now()
        config = endpoint_configs.create(session, world.scope, document, now=now)
        endpoint_configs.deploy(session, world.scope, config.id, now=now)


@pytest.mark.parametrize("own", [None, {"onExceed": "drop"}, {"onExceed": "errorPath"}])
def test_what_exceeds_a_cap_is_told_as_capped_at_once(
    store: SessionFactory, scope: Scope, clock: FixedClock, own: JsonObject | None
) -> None:
    world = DeliveryWorld(store, scope, clock, FakeTransport())
    world.add_action()
    deploy_cap(world, own)
    names = ["ann", "ben", "cat"]
    for name in names:
        world.add_person(name)
    world.enter(*names)

    states = world.deliver()

    assert states == {"capped": 2, "sent": 1} == world.states()
    told = sorted((each["outcome"], each["code"]) for each in world.told())
    assert told[:2] == [("capped", "capped")] * 2
    assert total(world.balance()) == {"intended": 3, "sent": 1, "capped": 2}
    assert world.due() == []
