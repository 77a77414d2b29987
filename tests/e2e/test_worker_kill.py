"""A worker killed in the middle of its calls leaves doubts, and they are told as such."""

import random
from functools import partial
from uuid import UUID

import psycopg
import pytest

from mobile_stub.gateway_faults import Fault, FaultKind
from tests.e2e import campaigns, worlds
from tests.e2e.fleet import phones_at
from tests.e2e.patience import eventually
from tests.support.deployments import Deployment, kill

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
PHONES = 50
CONNECTIONS = 10
LATENCY_MS = 400
KILLS = 2
SENT_WITHIN_S = 20


def test_workers_killed_mid_send_leave_balanced_ledgers_and_doubts_as_unknown(
    deployment: Deployment, database: str, seed: int
) -> None:
    moments = random.Random(seed)
    web = deployment.start_web(WEB_CONCURRENCY="1")
    world = worlds.prepare(deployment, web)
    with campaigns.playing_vendor(
        Fault(FaultKind.SLOW, latency_ms=LATENCY_MS, accepted=True)
    ) as vendor:
        campaigns.limit_connections(world, vendor, CONNECTIONS)
        campaigns.open_campaign(world, campaigns.push_action(vendor))
        phones = phones_at([world.edge(web)], PHONES, seed)
        tokens = campaigns.fill_carts(phones)
        doubtful: set[UUID] = set()
        worker = deployment.start("worker")
        for _ in range(KILLS):
            enough = len(vendor.received()) + moments.randint(5, 15)
            eventually(
                partial(vendor.has, enough),
                within_s=SENT_WITHIN_S,
                what="the worker sends",
            )
            kill(worker)
            doubtful |= open_calls(database)
            let_leases_pass(database)
            worker = deployment.start("worker")

        states = campaigns.ended_deliveries(database, PHONES)
        received = vendor.addresses()

    assert len(doubtful) >= KILLS, "the worker had nothing in hand"
    assert states == {"sent": PHONES - len(doubtful), "unknown": len(doubtful)}
    assert unknown_deliveries(database) == doubtful
    assert states["sent"] <= received.total() <= states["sent"] + states["unknown"]
    assert set(received) <= set(tokens)
    assert set(received.values()) == {1}, "somebody got a message twice"
    deployment.run("ledger", "check")


def open_calls(database: str) -> set[UUID]:
    """Return the deliveries whose calls have begun and not ended, now that nobody calls."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT delivery_id FROM delivery_attempt WHERE ended_at IS NULL",
        ).fetchall()
    return {key for (key,) in rows}


def unknown_deliveries(database: str) -> set[UUID]:
    """Return the deliveries that ended in doubt."""
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT id FROM delivery WHERE state = 'unknown'").fetchall()
    return {key for (key,) in rows}


def let_leases_pass(database: str) -> None:
    """Do what a minute would: end the leases of the worker that is gone."""
    with psycopg.connect(database) as connection:
        connection.execute(
            "UPDATE delivery_attempt SET leased_until = now() - interval '1 second' "
            "WHERE ended_at IS NULL",
        )
        connection.execute("UPDATE connection_lease SET expires_at = now() - interval '1 second'")
