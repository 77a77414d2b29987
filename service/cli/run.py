"""``edgepost run``."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import click

from service.bootstrap import build_services
from service.cli.command_line import command_line
from service.cli.held_folder import held_folder, refuse_held
from service.cli.open_files import allow_many_files
from service.cli.ports import refuse_taken_port
from service.cli.store import embedded_folder, naming_key_file
from service.flows.prepare_store import prepare_store
from service.processes import embedded
from service.processes.embedded import Embedded
from service.processes.wakeups import LocalWakeup
from service.settings import EMBEDDED_HOST, Settings, embedded_settings
from service.web import logging
from service.web.main import build_application


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), help="Where database and key lie.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    show_default=True,
    help="0 takes any free port.",
)
def run(folder: Path | None, port: int) -> None:
    """Run everything in one process on one SQLite file, until SIGTERM or Ctrl-C."""
    folder = folder or embedded_folder()
    refuse_held(folder)
    refuse_taken_port(EMBEDDED_HOST, port, "--port, or `make run PORT=…`")
    allow_many_files()
    settings = replace(embedded_settings(folder, makes=True), port=port)
    with held_folder(folder):
        _serve(settings, folder)


def _serve(settings: Settings, folder: Path) -> None:
    logging.configure(settings.log_level)
    wakeup = LocalWakeup()
    services = build_services(settings, on_commit=wakeup.hint)
    with naming_key_file(settings):
        prepare_store(services.sessions, services.keyring)
    application = build_application(services)

    def show(listening: int) -> None:
        url = f"http://{settings.host}:{listening}"
        click.echo(f"url: {url}")
        click.echo(f"documentation: {url}/docs (OpenAPI 3.1 at {url}/openapi.json)")
        access = command_line("credentials", "create", "--name", "me", folder=folder)
        click.echo(f"access: {access}")
        click.echo(f"        and, with what it prints, POST {url}/ims/token/v3")

    embedded.run(Embedded(services, application, wakeup, show), Event())
