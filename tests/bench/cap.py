"""Measures caps: four processes hammer one cap in bulk; no window may hold more than it allows.

    python -m tests.bench.cap

Starts are real requests to a sink, swept over CLOCK_MONOTONIC; the sink's own fullest window is
printed beside. Arrivals are bunched by the network and the sink, so that figure may be higher.
PostgreSQL commits with fsync.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import requests

from service.db.engine import open_engine
from service.db.migrations import migrate
from service.outbound.capping import Cap
from service.settings import normal_database_url
from tests.support.cap_hammer import CAP_ID, Hammer, hammer_together, sweep
from tests.support.database import PostgresServer, running_postgres

_PROCESSES = 4
_RUNS = 3
_DURABLE = ("fsync", "synchronous_commit", "full_page_writes")


@dataclass(frozen=True, slots=True)
class Case:
    """One cap, and how it is hammered."""

    max_calls_count: int
    period_in_ms: int
    bulk: int
    seconds: float


CASES = (Case(100, 200, 10, 4), Case(2000, 1000, 100, 8))


@contextmanager
def bare_sink() -> Iterator[str]:
    """Run the vendor stub as a sink that answers and counts; yield its URL."""
    command = [sys.executable, "-m", "mobile_stub", "gateway", "--bare", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield str(json.loads(process.stdout.readline())["url"])
    finally:
        process.terminate()
        process.wait(timeout=10)


def fresh_store(server: PostgresServer, name: str) -> str:
    """Return the URL of a new, migrated database."""
    url = normal_database_url(server.create_database(name))
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    return url


def arrivals(sink: str) -> list[int]:
    """Return when the sink got each request, and forget them."""
    with requests.Session() as vendor:
        vendor.trust_env = False
        found: list[int] = vendor.get(f"{sink}/_received/arrivals", timeout=10).json()["ns"]
        vendor.delete(f"{sink}/_received", timeout=10).raise_for_status()
    return found


def measure(server: PostgresServer, sink: str, case: Case, run: int) -> dict[str, object]:
    """Return one run's figures."""
    url = fresh_store(server, f"cap_{case.max_calls_count}_{run}")
    hammer = Hammer(
        url, case.max_calls_count, case.period_in_ms, case.bulk, case.seconds, sink=sink
    )
    starts = [start for each in hammer_together(hammer, _PROCESSES) for start in each]
    swept = sweep(starts, hammer.cap)
    at_sink = sweep(arrivals(sink), Cap(CAP_ID, case.max_calls_count, case.period_in_ms))
    return {
        "bench": "cap",
        "cap": case.max_calls_count,
        "period_ms": case.period_in_ms,
        "processes": _PROCESSES,
        "starts": swept.starts,
        "max_in_window": swept.max_in_window,
        "over": swept.over,
        "used": swept.used,
        "sink_received": at_sink.starts,
        "sink_max_in_window": at_sink.max_in_window,
    }


def main() -> None:
    """Print one line per cap: the fullest window of all runs and the median use."""
    with running_postgres(durable=True) as server, bare_sink() as sink:
        with psycopg.connect(server.url()) as connection:
            durable = {name: _setting(connection, name) for name in _DURABLE}
        assert set(durable.values()) == {"on"}, durable
        for case in CASES:
            runs = [measure(server, sink, case, run) for run in range(_RUNS)]
            worst = max(runs, key=lambda run: run["max_in_window"])  # type: ignore[arg-type,return-value]
            used = statistics.median(float(str(run["used"])) for run in runs)
            print(json.dumps({**worst, "used": used, **durable}), flush=True)


def _setting(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


if __name__ == "__main__":
    main()
