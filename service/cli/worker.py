"""``edgepost worker``."""

from threading import Event

import click

from service.bootstrap import build_services
from service.cli.platform import platform_settings, refuse_unready
from service.jobs.wakeup import CHANNEL
from service.processes import embedded
from service.processes import worker as worker_process
from service.processes.wakeups import PostgresWakeup


@click.command()
def worker() -> None:
    """Plan journeys, deliver messages and do jobs, until SIGTERM."""
    settings = platform_settings()
    refuse_unready(settings)
    stopping = Event()
    embedded.stop_on_signals(stopping)
    services = build_services(settings)
    wakeup = PostgresWakeup(settings.database_url, CHANNEL, services.clock, stopping)
    wakeup.start()
    worker_process.run(services, wakeup, stopping)
