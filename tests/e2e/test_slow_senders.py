"""Whoever sends a byte a second keeps nobody waiting, and no stop either."""

import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from time import monotonic

import pytest
import requests

from tests.e2e import worlds
from tests.e2e.ports import lasting_port
from tests.support.deployments import Deployment, Web, deployed
from tests.support.edge_world import plain_body

pytestmark = pytest.mark.e2e
SLOW = 64
THREADS = 4
REQUESTS = 12
PAUSE_S = 0.15
ANSWERED_WITHIN_S = 1
STOP_WITHIN_S = 10
LINE = b"POST /ee/v1/interact?configId=x HTTP/1.1\r\nHost: a\r\n"
HEADERS = LINE + b"X-Slow: "
BODY = LINE + b"Content-Length: 1000\r\n\r\n{"


def start(kind: str, deployment: Deployment, folder: Path) -> Web:
    """Start one server process with few threads to answer with."""
    few = {"EDGEPOST_REQUEST_THREADS": str(THREADS), "WEB_CONCURRENCY": "1"}
    if kind == "web":
        return deployment.start_web(lasting_port(), **few)
    port = lasting_port()
    arguments = ("run", "--folder", str(folder / "edgepost"), "--port", str(port))
    web = Web(deployment.start(*arguments, **few), f"http://127.0.0.1:{port}")
    web.wait_ready()
    deployment.secret_key = (folder / "edgepost" / "secret.key").read_text().strip()
    return web


@contextmanager
def trickling(url: str, begun: bytes) -> Iterator[None]:
    """Keep connections open that send a byte a second, for as long as they are let."""
    host, port = url.removeprefix("http://").split(":")
    stopping = Event()
    with ExitStack() as owned:
        made = [
            owned.enter_context(socket.create_connection((host, int(port)))) for _ in range(SLOW)
        ]

        def trickle() -> None:
            while not stopping.wait(1):
                for each in made:
                    with suppress(OSError):
                        each.sendall(b"a")

        for each in made:
            each.sendall(begun)
        sending = Thread(target=trickle)
        sending.start()
        try:
            yield
        finally:
            stopping.set()
            sending.join()


def times_of_requests(url: str, datastream: str) -> list[float]:
    """Return how long ordinary requests took, in ascending order; each is kept."""
    took = []
    for number in range(REQUESTS):
        asked = {"configId": datastream, "requestId": f"r-{number}"}
        began = monotonic()
        reply = requests.post(
            f"{url}/ee/v1/interact", params=asked, data=plain_body(), timeout=STOP_WITHIN_S
        )
        took.append(monotonic() - began)
        assert reply.status_code == 200
        Event().wait(PAUSE_S)
    return sorted(took)


@pytest.mark.parametrize("kind", ["web", "run"])
def test_slow_senders_hold_up_neither_requests_nor_the_stop(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with ExitStack() as owned:
        if kind == "web":
            deployment = request.getfixturevalue("deployment")
        else:
            store = f"sqlite:///{tmp_path / 'edgepost' / 'edgepost.db'}"
            deployment = owned.enter_context(deployed(store, tmp_path, prepare=()))
        web = start(kind, deployment, tmp_path)
        datastream = worlds.prepare(deployment, web).datastream

        with trickling(web.url, HEADERS), trickling(web.url, BODY):
            took = times_of_requests(web.url, datastream)
            web.process.send_signal(signal.SIGTERM)
            code = web.process.wait(STOP_WITHIN_S)

    assert took[-2] < ANSWERED_WITHIN_S, "one may have met a hiccup of the machine"
    assert code == 0
