"""A worker that is killed in the middle of sending leaves nothing uncounted."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
import requests

from service.core.clock import SystemClock
from service.db.session import SessionFactory
from service.flows import deliver
from service.sandboxes.scope import Scope
from tests.support.clocks import FixedClock
from tests.support.delivery_world import DeliveryWorld, total
from tests.support.fake_transport import FakeTransport

PEOPLE = 300
_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sink() -> Iterator[str]:
    command = [sys.executable, "-m", "mobile_stub", "gateway", "--bare", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT) as process:  # noqa: S603 - our own stub
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["url"])
        process.terminate()


def received(sink: str) -> int:
    with requests.Session() as vendor:
        vendor.trust_env = False
        return len(vendor.get(f"{sink}/_received/arrivals", timeout=10).json()["ns"])


def start_worker(world: DeliveryWorld, name: str) -> subprocess.Popen[bytes]:
    url = world.store.engine.url.render_as_string(hide_password=False)
    module = "tests.support.delivery_process"
    command = [sys.executable, "-m", module, url, world.key, str(world.action_id), name]
    return subprocess.Popen(command, cwd=_ROOT)  # noqa: S603 - our own module


def wait_until_received(sink: str, count: int) -> None:
    for _ in range(3000):
        if received(sink) >= count:
            return
        Event().wait(0.01)
    raise AssertionError("the worker sends nothing")


@pytest.mark.e2e
@pytest.mark.faults
def test_a_worker_killed_while_sending_leaves_balanced_ledgers(
    postgres_store: SessionFactory, scope: Scope, sink: str
) -> None:
    clock = SystemClock()
    world = DeliveryWorld(postgres_store, scope, clock, FakeTransport(), url=f"{sink}/push")
    world.add_action()
    names = [f"p{number}" for number in range(PEOPLE)]
    for name in names:
        world.add_person(name)
    world.enter(*names)

    killed = start_worker(world, "killed")
    wait_until_received(sink, 40)
    killed.kill()
    killed.wait(timeout=10)
    after_kill = world.balance()
    later = FixedClock(clock.now().replace(year=clock.now().year + 1))
    reaper = DeliveryWorld(postgres_store, scope, later, FakeTransport(), key=world.key)
    doubtful = deliver.reap_doubtful(reaper.tools)
    counts = total(world.balance())

    assert after_kill.is_balanced
    assert world.balance().is_balanced
    assert counts.get("unknown", 0) == doubtful
    assert counts.get("sent", 0) <= received(sink) <= counts.get("sent", 0) + doubtful
    assert sum(counts.values()) == 2 * PEOPLE
