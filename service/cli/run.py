"""``edgepost run``."""

import os
from dataclasses import replace
from pathlib import Path
from threading import Event

import click

from service.bootstrap import build_services
from service.cli.store import embedded_folder
from service.flows.prepare_store import prepare_store
from service.processes import embedded
from service.processes.embedded import Embedded
from service.processes.wakeups import LocalWakeup
from service.settings import Settings, embedded_settings
from service.web import logging
from service.web.main import build_application


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


def _embedded(folder: Path, port: int) -> Settings:
    settings = embedded_settings(folder)
    allowed = os.environ.get("EDGEPOST_ALLOW_PRIVATE_HOSTS", "")
    return replace(settings, port=port).allowing(allowed)
