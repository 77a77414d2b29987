"""Isolated worlds in one installation."""

import click

from service.cli.store import chosen_settings, opened_store
from service.core.clock import SystemClock
from service.db.session import unit_of_work
from service.flows.open_sandbox import open_sandbox
from service.sandboxes import registry

_CLOCK = SystemClock()


@click.group()
def sandboxes() -> None:
    """Isolated worlds in one installation."""


@sandboxes.command("create")
@click.argument("name")
@click.option("--title", help="A name for people.")
@click.option("--type", "type_", type=click.Choice(registry.TYPES), default="development")
def create_sandbox(name: str, title: str | None, type_: str) -> None:
    """Open a sandbox with its namespaces, merge policy and daily segmentation."""
    with opened_store(chosen_settings()) as sessions, unit_of_work(sessions) as session:
        open_sandbox(session, name=name, title=title or name, type_=type_, now=_CLOCK.now())
    click.echo(f"{name} is open.")


@sandboxes.command("list")
def list_sandboxes() -> None:
    """List sandboxes, oldest first."""
    with opened_store(chosen_settings()) as sessions, unit_of_work(sessions) as session:
        known = registry.list_all(session)
    for each in known:
        click.echo(f"{each.name}\t{each.type}\t{each.title}")
