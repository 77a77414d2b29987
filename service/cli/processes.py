"""The processes of a deployment, and the embedded all-in-one."""

import os
from dataclasses import replace
from pathlib import Path
from threading import Event

import click
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from service.bootstrap import build_services
from service.cli.store import embedded_folder
from service.core.errors import EdgepostError
from service.core.secret import Keyring
from service.db.migrations import is_current
from service.db.session import unit_of_work
from service.flows import rotate_secrets
from service.flows.prepare_store import prepare_store
from service.jobs.wakeup import CHANNEL
from service.processes import clock as clock_process
from service.processes import embedded
from service.processes import worker as worker_process
from service.processes.embedded import Embedded
from service.processes.wakeups import LocalWakeup, PostgresWakeup
from service.settings import Settings, embedded_settings, read_settings
from service.web import logging
from service.web.main import build_application

# A router in front keeps connections for 90 s; the server must not close them first.
_KEEP_ALIVE_MS = 100_000


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where database and key lie.")
@click.option("--port", type=int, default=8080, show_default=True, help="0 takes any free port.")
def run(folder: Path | None, port: int) -> None:
    """Run everything in one process on one SQLite file, until SIGTERM or Ctrl-C."""
    settings = _embedded(folder or embedded_folder(), port)
    logging.configure(settings.log_level)
    wakeup = LocalWakeup()
    services = build_services(settings, on_commit=wakeup.hint)
    prepare_store(services.sessions, services.keyring)
    application = build_application(services)

    def show(listening: int) -> None:
        url = f"http://{settings.host}:{listening}"
        click.echo(f"url: {url}")
        click.echo(f"documentation: {url}/docs (OpenAPI 3.1 at {url}/openapi.json)")
        click.echo("access: edgepost credentials create --name me, then POST /ims/token/v3")

    embedded.run(Embedded(services, application, wakeup, show), Event())


@click.command()
def web() -> None:
    """Answer HTTP on PORT, with WEB_CONCURRENCY server processes."""
    settings = _platform_settings()
    _refuse_unready(settings)
    Granian(
        "service.web.main:application",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.web_concurrency,
        blocking_threads=settings.request_threads,
        websockets=False,
        factory=True,
        http1_settings=HTTP1Settings(header_read_timeout=_KEEP_ALIVE_MS),
        log_level=LogLevels(settings.log_level.lower()),
    ).serve()


@click.command()
def worker() -> None:
    """Plan journeys, deliver messages and do jobs, until SIGTERM."""
    settings = _platform_settings()
    _refuse_unready(settings)
    stopping = Event()
    embedded.stop_on_signals(stopping)
    services = build_services(settings)
    wakeup = PostgresWakeup(settings.database_url, CHANNEL, services.clock, stopping)
    wakeup.start()
    worker_process.run(services, wakeup, stopping)


@click.command()
def clock() -> None:
    """Turn due schedules into jobs, until SIGTERM; of several clocks one leads."""
    settings = _platform_settings()
    _refuse_unready(settings)
    stopping = Event()
    embedded.stop_on_signals(stopping)
    clock_process.run(build_services(settings).sessions, stopping)


def _embedded(folder: Path, port: int) -> Settings:
    settings = embedded_settings(folder)
    allowed = os.environ.get("EDGEPOST_ALLOW_PRIVATE_HOSTS", "")
    return replace(settings, port=port).allowing(allowed)


def _platform_settings() -> Settings:
    """Return the environment's settings; several processes on one SQLite file are refused."""
    settings = read_settings()
    if settings.is_embedded:
        raise EdgepostError(
            "DATABASE_URL names a SQLite file, which one process may write: use `edgepost run`, "
            "or set DATABASE_URL to PostgreSQL.",
        )
    logging.configure(settings.log_level)
    return settings


def _refuse_unready(settings: Settings) -> None:
    """End at once, by name, when the store cannot serve this code or these keys."""
    services = build_services(settings)
    try:
        with unit_of_work(services.sessions) as session:
            if not is_current(session.connection()):
                raise EdgepostError("The store lacks migrations: run `edgepost migrate` first.")
            rotate_secrets.check_keys(session, Keyring.of(settings.secret_keys))
    finally:
        services.sessions.engine.dispose()
