"""``edgepost clock``."""

from threading import Event

import click

from service.cli.platform import platform_settings, refuse_unready
from service.cli.store import opened_store
from service.processes import clock as clock_process
from service.processes import embedded


@click.command()
def clock() -> None:
    """Turn due schedules into jobs, until SIGTERM; of several clocks one leads."""
    settings = platform_settings()
    refuse_unready(settings)
    stopping = Event()
    embedded.stop_on_signals(stopping)
    with opened_store(settings) as sessions:
        clock_process.run(sessions, stopping)
