"""A vendor that reads a message whole and closes without an answer gets it once all the same."""

import pytest

from mobile_stub.gateway_faults import Fault, FaultKind, Route
from tests.e2e import campaigns, worlds
from tests.e2e.fleet import phones_at
from tests.support.deployments import Deployment

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
PHONES = 24
CONNECTIONS = 2


def test_a_vendor_that_reads_all_and_closes_gets_each_message_once(
    deployment: Deployment, database: str, seed: int
) -> None:
    web = deployment.start_web(WEB_CONCURRENCY="1")
    world = worlds.prepare(deployment, web)
    every_other = Fault(FaultKind.CLOSE, Route.PUSH, after=1, every=2, accepted=True)
    with campaigns.playing_vendor(every_other) as vendor:
        campaigns.limit_connections(world, vendor, CONNECTIONS)
        campaigns.open_campaign(world, campaigns.push_action(vendor))
        tokens = campaigns.fill_carts(phones_at([world.edge(web)], PHONES, seed))
        deployment.start("worker")

        states = campaigns.ended_deliveries(database, PHONES)
        received = vendor.addresses()

    assert received == dict.fromkeys(tokens, 1)
    assert states == {"sent": PHONES / 2, "unknown": PHONES / 2}
    deployment.run("ledger", "check")
