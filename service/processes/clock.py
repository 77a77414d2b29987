"""The clock decides when; it only enqueues, and workers do.

APScheduler ticks in memory. Each tick renews the lease, and the leader turns due slots into jobs
whose key is the slot, so neither a second clock nor a restarted one can run a slot twice.
Source: service/decisions/0010-clock.md.
"""

import os
import socket
from datetime import UTC, datetime, timedelta
from threading import Event
from uuid import uuid4

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.cron import CronTrigger

from service.core.errors import StoreUnavailableError
from service.db.session import SessionFactory, unit_of_work
from service.jobs import leases, schedules
from service.outbound import store_clock

ROLE = "clock"
TICK_S = 1
_LEASE = timedelta(seconds=5)
_GRACE_S = 60
_LOG = structlog.get_logger("service.processes.clock")


class LeadingClock:
    """One of possibly several clocks; at most one leads."""

    def __init__(self, sessions: SessionFactory) -> None:
        self._sessions = sessions
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._leads = False

    def tick(self) -> int:
        """Renew the lease and, as leader, enqueue what is due; return how many jobs that was."""
        try:
            with unit_of_work(self._sessions) as session:
                now = store_clock.read(session)
                fence = leases.take(
                    session,
                    ROLE,
                    self._owner,
                    now=now,
                    expires_at=now + _LEASE,
                )
                enqueued = (
                    0 if fence is None else schedules.enqueue_due(session, next_slot, now=now)
                )
        except StoreUnavailableError:
            _LOG.warning("clock_store_away")
            return 0
        if (fence is not None) != self._leads:
            self._leads = fence is not None
            _LOG.info("clock_leads" if self._leads else "clock_follows", fence=fence)
        return enqueued

    def give_up(self) -> None:
        """Let another clock lead at once."""
        try:
            with unit_of_work(self._sessions) as session:
                leases.give_up(session, ROLE, self._owner)
        except StoreUnavailableError:
            _LOG.warning("clock_store_away")


def run(sessions: SessionFactory, stopping: Event) -> None:
    """Tick every second until ``stopping`` is set."""
    leading = LeadingClock(sessions)
    scheduler = BackgroundScheduler(timezone=UTC)
    scheduler.add_job(
        leading.tick,
        "interval",
        seconds=TICK_S,
        coalesce=True,
        max_instances=1,
        misfire_grace_time=_GRACE_S,
    )
    scheduler.start()
    stopping.wait()
    scheduler.shutdown(wait=True)
    leading.give_up()


def next_slot(cron: str, after: datetime) -> datetime:
    """Return the first moment after ``after`` that a five-field cron line names, in UTC.

    Raises:
        ValueError: The line is not a cron line.
    """
    slot = CronTrigger.from_crontab(cron, timezone=UTC).get_next_fire_time(after, after)
    if slot is None:
        raise ValueError(f"{cron!r} never comes due")
    return slot.astimezone(UTC)  # type: ignore[no-any-return]
