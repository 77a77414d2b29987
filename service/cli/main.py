"""The command ``edgepost``: one group whose commands are imported when they are called.

The whole service takes a second to import; ``edgepost secrets new-key`` should not.
"""

from importlib import import_module

import click

from service.core.errors import EdgepostError

_COMMANDS = {
    "backup": "service.cli.backup:backup",
    "clock": "service.cli.clock:clock",
    "credentials": "service.cli.credentials:credentials_group",
    "ledger": "service.cli.ledger:ledger",
    "migrate": "service.cli.migrate:migrate",
    "profiles": "service.cli.profiles:profiles",
    "run": "service.cli.run:run",
    "sandboxes": "service.cli.sandboxes:sandboxes",
    "secrets": "service.cli.secrets:secrets",
    "web": "service.cli.web:web",
    "worker": "service.cli.worker:worker",
}


class Commands(click.Group):
    """A group whose commands end with one line when something is wrong, not with a trace."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, ``None`` when there is none of this name."""
        del ctx
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

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
