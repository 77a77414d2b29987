"""Two clocks run each slot once, also when the one that leads is killed."""

from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import uuid4

import psycopg
import pytest

from tests.e2e.patience import eventually
from tests.support.deployments import Deployment, kill

pytestmark = [pytest.mark.e2e, pytest.mark.faults]
SLOTS = 24
SPACING_S = 0.5
LEASE_S = 5
TICK_S = 1
KILLED_AFTER = 8
ONCE_A_YEAR = "0 0 29 2 *"
ADD = """
    INSERT INTO schedule (sandbox_id, id, name, kind, cron, payload, is_active, next_slot_at,
        created_at)
    VALUES (1, %s, %s, 'evaluate_segments', %s, '{}', true, %s, now())
"""
JOBS = """
    SELECT j.dedupe_key, j.created_at - j.due_at FROM job AS j WHERE j.kind = 'evaluate_segments'
"""


def test_two_clocks_run_each_slot_once_and_the_other_leads_within_the_lease(
    deployment: Deployment, database: str
) -> None:
    clocks = {each.pid: each for each in (deployment.start("clock"), deployment.start("clock"))}
    first = eventually(lambda: leader(database), within_s=15, what="a clock leads")
    schedules = add_schedules(database)

    eventually(lambda: len(jobs(database)) >= KILLED_AFTER, within_s=15, what="slots are due")
    kill(clocks[first])
    killed_at = monotonic()
    second = eventually(
        lambda: other_leader(database, first), within_s=LEASE_S + 3 * TICK_S, what="the other leads"
    )
    took_s = monotonic() - killed_at
    eventually(
        lambda: len(jobs(database)) >= len(schedules), within_s=20, what="all slots have their jobs"
    )

    assert {first, second} == set(clocks)
    assert clocks[second].poll() is None
    assert took_s < LEASE_S + 3 * TICK_S
    done = jobs(database)
    assert sorted(name for name, _ in done) == sorted(schedules), "a slot ran twice or never"
    latest = max(late for _, late in done)
    assert latest < timedelta(seconds=LEASE_S + 4 * TICK_S), f"a slot waited {latest}"


def leader(database: str) -> int:
    """Return the process id of the clock that holds the lease, 0 when none does."""
    with psycopg.connect(database) as connection:
        row = connection.execute(
            "SELECT owner FROM process_lease WHERE role = 'clock' AND expires_at > now()",
        ).fetchone()
    return int(row[0].split(":")[1]) if row else 0


def other_leader(database: str, first: int) -> int:
    """Return the process id of the leading clock unless it is still ``first``."""
    now = leader(database)
    return 0 if now == first else now


def add_schedules(database: str) -> list[str]:
    """Make one schedule due every half second, and none of them again this year."""
    start = datetime.now(UTC) + timedelta(seconds=1)
    made = []
    with psycopg.connect(database) as connection:
        for number in range(SLOTS):
            key, slot = uuid4(), start + timedelta(seconds=number * SPACING_S)
            connection.execute(ADD, (key, f"slot {number}", ONCE_A_YEAR, slot))
            made.append(str(key))
    return made


def jobs(database: str) -> list[tuple[str, timedelta]]:
    """Return the schedule of each job that was enqueued for one, and how late that was."""
    with psycopg.connect(database) as connection:
        found = connection.execute(JOBS).fetchall()
    return [(key.split(":")[0], late) for key, late in found]
