"""The command ``edgepost``: one group, its commands in modules of their own."""

import click

from service.cli import processes
from service.cli.credentials import credentials_group
from service.cli.ledger import ledger
from service.cli.profiles import profiles
from service.cli.sandboxes import sandboxes
from service.cli.secrets import secrets
from service.cli.store import chosen_settings, opened_store
from service.core.errors import EdgepostError
from service.core.secret import Keyring
from service.flows.prepare_store import prepare_store


class Commands(click.Group):
    """A group whose commands end with one line when something is wrong, not with a trace."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except EdgepostError as error:
            raise click.ClickException(error.detail) from error


@click.group(cls=Commands)
def main() -> None:
    """A companion service for mobile push tokens and messaging.

    Commands work on DATABASE_URL when it is set, else on the embedded service's folder
    (EDGEPOST_FOLDER, .edgepost).
    """


@main.command()
def migrate() -> None:
    """Bring the store to the newest migration and open the sandbox prod."""
    settings = chosen_settings()
    with opened_store(settings) as sessions:
        prepare_store(sessions, Keyring.of(settings.secret_keys))
    click.echo("The store is at the newest migration.")


for command in (
    processes.run,
    processes.web,
    processes.worker,
    processes.clock,
    credentials_group,
    ledger,
    profiles,
    sandboxes,
    secrets,
):
    main.add_command(command)
