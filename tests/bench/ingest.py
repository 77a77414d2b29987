"""Requests per second through real HTTP, against one transaction each and against a bare INSERT."""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import psycopg
import requests

from service.settings import normal_database_url
from tests.bench.ingest_world import CLIENTS, ORIGIN, Sent, World, prepare, requests_to
from tests.bench.load import Answers, send_all
from tests.support.admin_client import AdminClient, credentials_of
from tests.support.database import PostgresServer, free_port, running_postgres
from tests.support.deployments import Deployment, deployed

CONNECTIONS = 64
ROUNDS = 3
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "6000"))
UNBATCHED_REQUESTS = REQUESTS // 3
WARM_UP = 400
FLOOR_THREADS = (8, 32, 64)
WORKERS = "2"
_OK = 200


def main() -> None:
    """Print one JSON line for phones and one for pages."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres(durable=True) as server,
    ):
        assert_durable(server)
        url = normal_database_url(server.create_database("ingest"))
        with deployed(url, Path(folder), WEB_CONCURRENCY=WORKERS) as deployment:
            lines = _measure(server, deployment)
    for line in lines:
        print(json.dumps({"bench": "ingest", **line}))


def assert_durable(server: PostgresServer) -> None:
    """Refuse to measure a store that may lose what it acknowledged."""
    names = ("fsync", "synchronous_commit", "full_page_writes")
    with psycopg.connect(server.url()) as connection:
        found = {name: _setting(connection, name) for name in names}
    print(json.dumps(found), file=sys.stderr)
    assert set(found.values()) == {"on"}, found


def _setting(connection: psycopg.Connection[tuple[object, ...]], name: str) -> object:
    row = connection.execute(f"SHOW {name}".encode()).fetchone()
    assert row is not None
    return row[0]


def _measure(server: PostgresServer, deployment: Deployment) -> list[dict[str, object]]:
    printed = deployment.run("credentials", "create", "--name", "bench")
    web = deployment.start_web()
    world = prepare(AdminClient(web.url, **credentials_of(printed)))
    _check_handles(web.url, world)
    _rounds(web.url, world, "mobile", WARM_UP, 1, "warm")
    _analyze(server)
    kept = {client: _rounds(web.url, world, client, REQUESTS, ROUNDS, client) for client in CLIENTS}
    for rounds in kept.values():
        _verify(server, world, [sent for sents, _ in rounds for sent in sents])
    _verify_ledger(server)
    web.process.send_signal(signal.SIGTERM)
    web.process.wait(30)
    with _serving(deployment, "tests.bench.unbatched:application", 32) as url:
        _rounds(url, world, "mobile", WARM_UP, 1, "warm-each")
        each = _rounds(url, world, "mobile", UNBATCHED_REQUESTS, ROUNDS, "each")
    floor = _floor(server, deployment, world)
    unbatched = statistics.median(answers.per_s for _, answers in each)
    mobile, pages = (_figures([answers for _, answers in kept[client]]) for client in CLIENTS)
    beside = {
        "vs_unbatched": round(mobile["per_s"] / unbatched, 2),
        "vs_insert_floor": round(mobile["per_s"] / floor, 2),
        "unbatched_per_s": round(unbatched),
        "insert_floor_per_s": round(floor),
    }
    of_pages = {
        "vs_mobile": round(pages["per_s"] / mobile["per_s"], 2),
        "vs_insert_floor": round(pages["per_s"] / floor, 2),
    }
    return [{"client": "mobile", **mobile, **beside}, {"client": "web", **pages, **of_pages}]


def _figures(answers: Sequence[Answers]) -> dict[str, float]:
    """Return the medians over the rounds."""
    return {
        "per_s": round(statistics.median(each.per_s for each in answers)),
        "p50_ms": round(statistics.median(each.percentile(50) for each in answers), 1),
        "p99_ms": round(statistics.median(each.percentile(99) for each in answers), 1),
    }


def _check_handles(url: str, world: World) -> None:
    """Fail unless a page gets its identity and the cookie that keeps it."""
    (sent,) = requests_to(url, world, "web", 1, "handles")
    head, _, body = sent.request.partition(b"\r\n\r\n")
    answer = requests.post(
        url + head.split(b" ")[1].decode(), data=body, headers={"Origin": ORIGIN}, timeout=10
    )
    types = {each["type"] for each in answer.json()["handle"]}
    assert types == {"identity:result", "state:store"}, types


def _rounds(
    url: str,
    world: World,
    client: str,
    count: int,
    rounds: int,
    name: str,
) -> list[tuple[list[Sent], Answers]]:
    host, port = url.removeprefix("http://").split(":")
    made = []
    for number in range(rounds):
        sents = requests_to(url, world, client, count, f"{name}{number}")
        answers = send_all(
            host, int(port), [each.request for each in sents], connections=CONNECTIONS
        )
        assert set(answers.statuses) == {_OK}, f"{name}: {set(answers.statuses)}"
        print(
            json.dumps({"round": f"{name}{number}", "per_s": round(answers.per_s)}), file=sys.stderr
        )
        made.append((sents, answers))
    return made


def _floor(server: PostgresServer, deployment: Deployment, world: World) -> float:
    """Return the best median of the bare route over the thread counts."""
    with psycopg.connect(server.url("ingest"), autocommit=True) as connection:
        connection.execute("CREATE TABLE floor (id bigserial PRIMARY KEY, body json NOT NULL)")
    best = 0.0
    for threads in FLOOR_THREADS:
        with _serving(deployment, "tests.bench.bare_flask:application", threads) as url:
            _rounds(url, world, "mobile", WARM_UP, 1, "floor-warm")
            taken = _rounds(url, world, "mobile", REQUESTS, ROUNDS, "floor")
        median = statistics.median(answers.per_s for _, answers in taken)
        print(json.dumps({"floor_threads": threads, "per_s": round(median)}), file=sys.stderr)
        best = max(best, median)
    return best


@contextmanager
def _serving(deployment: Deployment, target: str, threads: int) -> Iterator[str]:
    port = free_port()
    command = (
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "wsgi",
        "--factory",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        WORKERS,
        "--blocking-threads",
        str(threads),
        "--no-ws",
        target,
    )
    with (deployment.folder / f"{target}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={**deployment.environment, "PYTHONPATH": str(Path.cwd())},
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_for(url, process)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        assert process.poll() is None, "the server ended"
        try:
            requests.get(f"{url}/healthz", timeout=2)
        except requests.RequestException:
            Event().wait(0.05)
        else:
            return
    raise AssertionError("the server did not answer")


def _analyze(server: PostgresServer) -> None:
    with psycopg.connect(server.url("ingest"), autocommit=True) as connection:
        connection.execute("ANALYZE")


def _verify(server: PostgresServer, world: World, sents: Sequence[Sent]) -> None:
    """Fail when anything of an acknowledged request is missing."""
    with psycopg.connect(server.url("ingest")) as connection:
        connection.execute("CREATE TEMP TABLE sent (event_id text, token text)")
        with connection.cursor() as cursor, cursor.copy("COPY sent FROM STDIN") as copy:
            for each in sents:
                copy.write_row((each.event_id, each.token))
        row = connection.execute(_FOUND, {"segment": world.segments["added to a cart"]}).fetchone()
    assert row is not None
    found = dict(zip(("events", "members", "instances", "tokens", "owners"), row, strict=True))
    print(json.dumps({"verified": found}), file=sys.stderr)
    announced = sum(each.token is not None for each in sents)
    wanted = dict.fromkeys(("events", "members", "instances"), len(sents))
    assert found == {**wanted, "tokens": announced, "owners": announced}, found


def _verify_ledger(server: PostgresServer) -> None:
    """Fail when the ledger counts other people than the journey holds."""
    with psycopg.connect(server.url("ingest")) as connection:
        entered = connection.execute(
            "SELECT SUM(amount) FROM ledger_delta WHERE book = 'people' AND entry = 'entered'",
        ).fetchone()
        instances = connection.execute("SELECT count(*) FROM journey_instance").fetchone()
    assert entered == instances, f"ledger {entered}, instances {instances}"


_FOUND = """
    SELECT count(e.id), count(m.profile_id), count(j.id), count(t.id), count(o.token_id)
    FROM sent AS s
    LEFT JOIN experience_event AS e ON e.event_id = s.event_id
    LEFT JOIN identity AS i ON i.id = e.identity_id
    LEFT JOIN push_token AS t ON t.token = s.token AND t.owner_id = i.id
    LEFT JOIN push_token_owner AS o ON o.token_id = t.id AND o.identity_id = i.id
        AND o.to_at IS NULL
    LEFT JOIN segment_membership AS m ON m.profile_id = i.profile_id
        AND m.segment_id = %(segment)s AND m.status = 'realized'
    LEFT JOIN journey_instance AS j ON j.identity_id = i.id
"""

if __name__ == "__main__":
    main()
