"""Known profiles in, from a file."""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from service.bootstrap import build_services
from service.cli.store import chosen_settings
from service.core.errors import EdgepostError
from service.core.ids import new_key
from service.flows.sources import InletSource
from service.web.collection.file import read_lines
from service.web.collection.keeping import KEPT, Delivery, keep

_LINES_AT_ONCE = 512


@click.group()
def profiles() -> None:
    """People that are known before their first phone speaks."""


@profiles.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--inlet", required=True, help="The id of the inlet that the records come from.")
def import_profiles(file: Path, inlet: str) -> None:
    """Import FILE: one XDM profile record or streaming message per line.

    A refused line is named with its reason and does not stop the others; exit status 1 says that
    there was one. Lines that were kept may be sent again.
    """
    services = build_services(chosen_settings())
    source = services.sources.inlet(inlet)
    if not isinstance(source, InletSource):
        raise EdgepostError(f"There is no enabled inlet {inlet}: create one with POST /inlets.")
    refused = 0
    kept = 0
    with file.open("rb") as lines, Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size)
        for number, raw, messages in read_lines(lines, _LINES_AT_ONCE):
            delivery = Delivery(source, str(new_key()), services.clock.now(), messages)
            outcomes = keep(services.committer, delivery)
            for offset, outcome in enumerate(outcomes):
                if outcome.status == KEPT:
                    kept += 1
                    continue
                refused += 1
                reason = str(outcome.error) if outcome.error else outcome.reason
                click.echo(f"line {number + offset}: {reason}", err=True)
            progress.advance(task, raw)
    services.committer.close()
    click.echo(f"{kept} kept, {refused} refused")
    if refused:
        sys.exit(1)
