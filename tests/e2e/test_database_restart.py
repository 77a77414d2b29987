"""A database that goes away under load costs patience, never an event."""

import random
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest
import requests

from mobile_stub import sdk
from mobile_stub.device import new_token
from service.settings import normal_database_url
from tests.e2e import worlds
from tests.e2e.fleet import Answer, Fleet, RememberingPhone, phones_at
from tests.e2e.patience import eventually
from tests.e2e.phone_books import assert_kept
from tests.e2e.ports import lasting_port
from tests.support.database import PostgresServer, initialise, start, stop
from tests.support.deployments import deployed

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
PHONES = 24
PAUSE_S = 0.1
UP_S, DOWN_S = 2.0, 1.5
RECOVERY_S = 15
OK, UNAVAILABLE = 200, 503


@dataclass(slots=True)
class Database:
    """A server of this test's own."""

    server: PostgresServer
    process: subprocess.Popen[bytes]

    def end(self, number: signal.Signals) -> None:
        """Stop it: SIGINT ends the sessions first, SIGQUIT leaves the rest to the log."""
        self.process.send_signal(number)
        self.process.wait(30)

    def begin(self) -> None:
        """Start it again over the same files."""
        self.process = start(self.server, durable=True)


@pytest.fixture
def own_database() -> Iterator[Database]:
    """Yield a server that keeps what it acknowledged, for a test that ends it."""
    folder = Path(tempfile.mkdtemp(prefix="edgepost-pg-"))
    try:
        server = PostgresServer(folder, lasting_port())
        initialise(server)
        database = Database(server, start(server, durable=True))
        try:
            yield database
        finally:
            stop(database.process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def install_or_browse(phone: RememberingPhone, source: random.Random) -> None:
    """Get a token at first and now and then; log in at some time; look at things."""
    device = phone.device
    chance = source.random()
    if device.token is None or chance < 0.1:
        token = new_token(device.platform, source)
        phone.act(lambda held, now: sdk.install(held, token, now))
        return
    if chance < 0.2 and not device.identities:
        phone.change(lambda held: sdk.login(held, f"C-{held.ecid[-12:]}"))
    phone.act(lambda held, now: sdk.event(held, "commerce.productViews", now))


def test_a_database_that_restarts_under_load_is_answered_503_and_loses_nothing(
    own_database: Database, tmp_path: Path, seed: int
) -> None:
    url = own_database.server.create_database("restarted")
    with deployed(normal_database_url(url), tmp_path) as deployment:
        web = deployment.start_web(WEB_CONCURRENCY="1")
        world = worlds.prepare(deployment, web)
        fleet = Fleet(phones_at([world.edge(web)], PHONES, seed), install_or_browse, seed, PAUSE_S)
        with fleet.playing(), probing(f"{web.url}/datastreams", world.headers) as probes:
            for way in (signal.SIGINT, signal.SIGQUIT):
                Event().wait(UP_S)
                own_database.end(way)
                Event().wait(DOWN_S)
                assert requests.get(f"{web.url}/readyz", timeout=10).status_code == UNAVAILABLE
                own_database.begin()
                eventually(
                    lambda: requests.get(f"{web.url}/readyz", timeout=10).ok,
                    within_s=RECOVERY_S,
                    what="the web process is ready again",
                )

    answers = [*fleet.answers, *probes]
    assert {answer.status for answer in fleet.answers} == {OK, UNAVAILABLE}
    assert {answer.status for answer in probes} == {OK, UNAVAILABLE}
    assert all(int(answer.retry_after or 0) > 0 for answer in answers if answer.status != OK)
    assert_kept(fleet, url)


@contextmanager
def probing(url: str, headers: dict[str, str]) -> Iterator[list[Answer]]:
    """Ask the admin API for something over and over while the block runs."""
    over = Event()
    answers: list[Answer] = []
    failures: list[BaseException] = []

    def repeat() -> None:
        try:
            while not over.wait(0.1):
                sent_at = monotonic()
                answer = requests.get(url, headers=headers, timeout=10)
                retry_after = answer.headers.get("Retry-After")
                answers.append(Answer(answer.status_code, retry_after, sent_at, monotonic()))
        except BaseException as error:  # noqa: BLE001 - raised again below
            failures.append(error)

    thread = Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join(30)
    assert not failures, failures
