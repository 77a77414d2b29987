"""The embedded service stops without losing an answer, and starts where it ended."""

import random
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from mobile_stub import sdk
from mobile_stub.device import new_token
from tests.e2e import worlds
from tests.e2e.fleet import Fleet, RememberingPhone, phones_at
from tests.e2e.patience import eventually
from tests.e2e.phone_books import assert_kept
from tests.e2e.ports import lasting_port
from tests.support.deployments import Deployment, Web, deployed

pytestmark = pytest.mark.e2e
PHONES = 24
PAUSE_S = 0.05
READ_WITHIN_S = 0.3
STOP_WITHIN_S = 20


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Deployment]:
    """Yield the deployment of one folder; nothing has been started in it yet."""
    folder = tmp_path / "edgepost"
    with deployed(f"sqlite:///{folder / 'edgepost.db'}", tmp_path, prepare=()) as made:
        yield made


def start_run(deployment: Deployment, folder: Path, port: int) -> Web:
    """Start ``edgepost run``; later commands use the key that it made."""
    process = deployment.start("run", "--folder", str(folder), "--port", str(port))
    web = Web(process, f"http://127.0.0.1:{port}")
    web.wait_ready()
    deployment.secret_key = (folder / "secret.key").read_text().strip()
    return web


@contextmanager
def held_store(folder: Path) -> Iterator[None]:
    """Keep every writer waiting while the block runs, as a slow disk would."""
    with closing(sqlite3.connect(folder / "edgepost.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def browse(phone: RememberingPhone, source: random.Random) -> None:
    """Install, log in, and look at things."""
    device = phone.device
    if device.token is None:
        token = new_token(device.platform, source)
        phone.act(lambda held, now: sdk.install(held, token, now))
    if not device.identities:
        phone.change(lambda held: sdk.login(held, f"C-{held.ecid[-12:]}"))
    phone.act(lambda held, now: sdk.event(held, "commerce.productViews", now))


def test_sigterm_under_load_answers_what_was_accepted_and_keeps_what_was_answered(
    embedded: Deployment, tmp_path: Path, seed: int
) -> None:
    folder, port = tmp_path / "edgepost", lasting_port()
    web = start_run(embedded, folder, port)
    edge = worlds.prepare(embedded, web).edge(web)
    fleet = Fleet(phones_at([edge], PHONES, seed), browse, seed, PAUSE_S)

    with fleet.playing():
        Event().wait(1)
        with held_store(folder):
            Event().wait(READ_WITHIN_S * 2)
            stopped_at = monotonic()
            web.process.send_signal(signal.SIGTERM)
            Event().wait(READ_WITHIN_S)
        exit_code = web.process.wait(STOP_WITHIN_S)
        start_run(embedded, folder, port)

    in_hand = [
        answer
        for answer in fleet.answers
        if answer.sent_at < stopped_at - READ_WITHIN_S and answer.ended_at > stopped_at
    ]
    assert exit_code == 0
    assert len(in_hand) > PHONES / 2, "SIGTERM came when there was nothing to do"
    assert {answer.status for answer in in_hand} == {200}
    assert_kept(fleet, embedded.database_url)


def test_the_processes_of_several_refuse_a_file_and_name_the_command_that_takes_it(
    embedded: Deployment, tmp_path: Path
) -> None:
    started = {name: embedded.start(name) for name in ("web", "worker", "clock")}

    codes = {name: process.wait(STOP_WITHIN_S) for name, process in started.items()}

    assert set(codes.values()) == {1}
    for number, name in enumerate(started):
        assert "edgepost run" in (tmp_path / f"{name}-{number}.log").read_text()


def test_the_command_that_is_printed_works_as_it_is_printed(
    embedded: Deployment, tmp_path: Path
) -> None:
    folder = tmp_path / "my data"
    embedded.start("run", "--folder", str(folder), "--port", "0")
    log = tmp_path / "run-0.log"
    (printed,) = eventually(
        lambda: re.findall(r"^access: (.+)\n", log.read_text(), re.MULTILINE),
        within_s=STOP_WITHIN_S,
        what="the command",
    )

    done = subprocess.run(
        ["sh", "-c", printed],
        env=embedded.environment,
        capture_output=True,
        text=True,
        timeout=STOP_WITHIN_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [
        "client_id",
        "client_secret",
    ]
