"""Known profiles in, from a file."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from service.bootstrap import Services, build_services
from service.catalog import inlets
from service.catalog.inlets import NewInlet
from service.catalog.models import Inlet
from service.cli.store import chosen_settings, opened_store
from service.core.clock import SystemClock
from service.core.errors import EdgepostError
from service.core.ids import new_key
from service.core.json import JsonObject
from service.db.session import SessionFactory, unit_of_work
from service.flows.open_sandbox import DEFAULT_SANDBOX
from service.flows.sources import InletSource
from service.sandboxes import registry
from service.sandboxes.scope import Scope
from service.web.collection.file import FileLine, read_lines
from service.web.collection.keeping import KEPT, Delivery, Outcome, keep

_CLOCK = SystemClock()
_LINES_AT_ONCE = 512
_INLETS_NAMED = 20
_OWN_INLET = "import"


@click.group()
def profiles() -> None:
    """People that are known before their first phone speaks."""


@profiles.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--inlet",
    help="The id of the inlet that the records come from. Left out, it is the only inlet of the "
    "sandbox prod; when there is none, an inlet named import is made.",
)
def import_profiles(file: Path, inlet: str | None) -> None:
    """Import FILE: one XDM profile record or streaming message per line.

    Blank lines are passed over. A refused line is named with its reason and does not stop the
    others; exit status 1 says that there was one. Lines that were kept may be sent again.
    """
    settings = chosen_settings()
    with opened_store(settings) as sessions:
        inlet = inlet or _usual_inlet(sessions, settings.org_id)
    services = build_services(settings)
    try:
        source = services.sources.inlet(inlet)
        if not isinstance(source, InletSource):
            raise EdgepostError(f"There is no enabled inlet {inlet}: create one with POST /inlets.")
        kept, refused = _import(services, source, file)
    finally:
        services.committer.close()
        services.sessions.engine.dispose()
    click.echo(f"{kept} kept, {refused} refused")
    if refused:
        sys.exit(1)


def _import(services: Services, source: InletSource, file: Path) -> tuple[int, int]:
    """Import a file and return how many lines were kept and how many refused."""
    kept = refused = 0
    with file.open("rb") as lines, Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size)
        for size, piece in read_lines(lines, _LINES_AT_ONCE):
            problems = list(_problems(services, source, piece))
            for number, problem in problems:
                click.echo(f"line {number}: {problem}", err=True)
            kept += len(piece) - len(problems)
            refused += len(problems)
            progress.advance(task, size)
    return kept, refused


def _problems(
    services: Services, source: InletSource, piece: list[FileLine]
) -> Iterator[tuple[int, str]]:
    """Keep the lines of a piece; yield the numbers of those that are refused, and why."""
    messages = {each.number: each.message for each in piece if each.message is not None}
    arrived_at = services.clock.now()
    delivery = Delivery(source, str(new_key()), arrived_at, list(messages.values()))
    outcomes = zip(messages, keep(services.committer, delivery), strict=True)
    refused = {number: _reason(each) for number, each in outcomes if each.status != KEPT}
    for line in piece:
        problem = line.problem or refused.get(line.number)
        if problem:
            yield line.number, problem


def _reason(outcome: Outcome) -> str:
    """Return why a message was refused, with the places in its entity that are wrong."""
    violations = outcome.error.violations if outcome.error else ()
    return ": ".join(
        [outcome.reason, *(f"{_place(each)}: {each['message']}" for each in violations)]
    )


def _place(violation: JsonObject) -> str:
    pointer: str = violation["pointerToViolation"]
    return pointer.removeprefix("#").removeprefix("/body/xdmEntity") or "/"


def _usual_inlet(sessions: SessionFactory, org_id: str) -> str:
    """Return the id of the only inlet of ``prod``; make one when there is none.

    Raises:
        EdgepostError: There are several, or the only one is switched off; the message names them.
    """
    with unit_of_work(sessions) as session:
        sandbox = registry.get(session, DEFAULT_SANDBOX)
        scope = Scope(sandbox.id, sandbox.name)
        known = inlets.list_page(session, scope, limit=_INLETS_NAMED)
        if not known:
            made = inlets.create(session, scope, NewInlet(_OWN_INLET, org_id), now=_CLOCK.now())
            click.echo(f"inlet: {made.id} ({_OWN_INLET}, just made)")
            return str(made.id)
        if len(known) > 1:
            raise EdgepostError(
                f"The sandbox {scope.sandbox} has several inlets: say with --inlet which one the "
                f"records come from: {', '.join(map(_spelled, known))}.",
            )
        if not known[0].is_enabled:
            raise EdgepostError(
                f"The only inlet of the sandbox {scope.sandbox} is disabled: {_spelled(known[0])}. "
                "Enable it with PATCH /inlets/{id}, or create another one with POST /inlets.",
            )
        return str(known[0].id)


def _spelled(inlet: Inlet) -> str:
    return f"{inlet.id} ({inlet.name})"
