"""Nothing acknowledged is lost, however often and whenever web processes are killed."""

import os
import random
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event

import pytest

from mobile_stub import sdk
from mobile_stub.device import new_token
from tests.e2e import worlds
from tests.e2e.fleet import Fleet, RememberingPhone, phones_at
from tests.e2e.phone_books import assert_kept
from tests.e2e.ports import lasting_port
from tests.support.deployments import Deployment, Web, kill

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
PROCESSES = 2
KILLS = int(os.environ.get("EDGEPOST_TEST_KILLS", "20"))
PHONES = 24
PAUSE_S = 0.15
SHORTEST_LIFE_S, LONGEST_LIFE_S = 0.05, 1.0


def shop(phone: RememberingPhone, source: random.Random) -> None:
    """Install first, then browse; now and then log in or out, or get a new token."""
    device = phone.device
    chance = source.random()
    if device.token is None or chance < 0.1:
        token = new_token(device.platform, source)
        phone.act(lambda held, now: sdk.install(held, token, now))
    elif chance < 0.3:
        person = f"C-{device.ecid[-12:]}"
        phone.change(sdk.logout if device.identities else lambda held: sdk.login(held, person))
        phone.act(lambda held, now: sdk.event(held, "application.launch", now))
    else:
        phone.act(lambda held, now: sdk.event(held, "commerce.productListAdds", now))


def test_twenty_kills_of_web_processes_lose_nothing_acknowledged(
    deployment: Deployment, database: str, seed: int
) -> None:
    with ThreadPoolExecutor(PROCESSES) as threads:
        webs = list(threads.map(lambda _: start_web(deployment, lasting_port()), range(PROCESSES)))
        world = worlds.prepare(deployment, webs[0])
        edges = [world.edge(web) for web in webs]
        fleet = Fleet(phones_at(edges, PHONES, seed), shop, seed, PAUSE_S)

        with fleet.playing():
            seeds = [random.Random(f"{seed}/{number}") for number in range(PROCESSES)]
            list(threads.map(partial(kill_again_and_again, deployment), webs, seeds))

    assert len(fleet.acknowledged) > KILLS * PHONES / 2, "there was no load to speak of"
    assert any(answer.status is None for answer in fleet.answers), "no kill was felt"
    assert_kept(fleet, database)


def kill_again_and_again(deployment: Deployment, web: Web, moments: random.Random) -> None:
    """Kill a web process and all its children, start it again, and so on."""
    port = int(web.url.rpartition(":")[2])
    for _ in range(KILLS // PROCESSES):
        Event().wait(moments.uniform(SHORTEST_LIFE_S, LONGEST_LIFE_S))
        kill(web.process)
        web = start_web(deployment, port)


def start_web(deployment: Deployment, port: int) -> Web:
    """Start one server process and its parent."""
    return deployment.start_web(port, WEB_CONCURRENCY="1")
