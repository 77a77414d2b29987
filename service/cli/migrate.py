"""The store, brought up to this code."""

import click

from service.cli.store import chosen_settings, unprepared_store
from service.core.secret import Keyring
from service.flows.prepare_store import prepare_store


@click.command()
def migrate() -> None:
    """Bring the store to the newest migration and open the sandbox prod."""
    settings = chosen_settings(makes=True)
    with unprepared_store(settings) as sessions:
        prepare_store(sessions, Keyring.of(settings.secret_keys))
    click.echo("The store is at the newest migration.")
