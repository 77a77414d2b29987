"""Clients of the admin API."""

import click

from service.access import credentials
from service.access.credentials import NewCredential
from service.access.permissions import ALL_SANDBOXES, Permission
from service.cli.store import chosen_settings, opened_store
from service.core.clock import SystemClock
from service.db.session import unit_of_work
from service.sandboxes import registry

_CLOCK = SystemClock()
_LONGEST_NAME = 128


def _readable_name(_context: click.Context, _option: click.Parameter, name: str) -> str:
    """Return a name that a list can show on one line."""
    if not name.strip() or not name.isprintable():
        raise click.BadParameter("say who will use it, in characters that can be seen.")
    if len(name) > _LONGEST_NAME:
        raise click.BadParameter(f"it is longer than {_LONGEST_NAME} characters.")
    return name.strip()


@click.group(name="credentials")
def credentials_group() -> None:
    """Clients of the admin API."""


@credentials_group.command("create")
@click.option("--name", required=True, callback=_readable_name, help="Who will use it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([each.value for each in Permission]),
    help="A permission; may be repeated. Left out, all of them.",
)
@click.option(
    "--sandbox",
    "sandboxes",
    multiple=True,
    help="A sandbox; may be repeated. Left out, all of them.",
)
def create_credential(name: str, scopes: tuple[str, ...], sandboxes: tuple[str, ...]) -> None:
    """Create a client and print its secret, which is shown only now."""
    permissions = [Permission(each) for each in scopes] or list(Permission)
    new = NewCredential(name, permissions, sandboxes or (ALL_SANDBOXES,))
    with opened_store(chosen_settings()) as sessions, unit_of_work(sessions) as session:
        for sandbox in sandboxes:
            registry.get(session, sandbox)
        made, secret = credentials.create(session, new, now=_CLOCK.now())
    click.echo(f"client_id: {made.client_id}")
    click.echo(f"client_secret: {secret.reveal()}")


@credentials_group.command("list")
def list_credentials() -> None:
    """List clients; secrets cannot be shown."""
    with opened_store(chosen_settings()) as sessions, unit_of_work(sessions) as session:
        known = credentials.list_all(session)
    for each in known:
        state = "active" if each.revoked_at is None else f"revoked {each.revoked_at.isoformat()}"
        scopes = ",".join(each.permissions)
        click.echo(f"{each.client_id}\t{each.name}\t{state}\t{','.join(each.sandboxes)}\t{scopes}")


@credentials_group.command("revoke")
@click.argument("client_id")
def revoke_credential(client_id: str) -> None:
    """End a client; its access tokens end within five seconds."""
    with opened_store(chosen_settings()) as sessions, unit_of_work(sessions) as session:
        credentials.revoke(session, client_id, now=_CLOCK.now())
    click.echo(f"{client_id} is revoked.")
