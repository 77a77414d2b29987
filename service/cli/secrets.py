"""Keys of stored secrets and of access tokens."""

import click

from service.access import signing_keys
from service.cli.store import chosen_settings, opened_store
from service.core.clock import SystemClock
from service.core.secret import Keyring, new_secret_key
from service.db.session import unit_of_work
from service.flows import rotate_secrets

_CLOCK = SystemClock()


@click.group()
def secrets() -> None:
    """Keys of stored secrets and of access tokens."""


@secrets.command("new-key")
def make_key() -> None:
    """Print a fresh key: put it first in EDGEPOST_SECRET_KEYS."""
    click.echo(new_secret_key())


@secrets.command("rotate")
def rotate_stored_secrets() -> None:
    """Re-encrypt stored secrets with the newest key; may be ended and started again."""
    settings = chosen_settings()
    keyring = Keyring.of(settings.secret_keys)
    with opened_store(settings) as sessions:
        with unit_of_work(sessions) as session:
            rotate_secrets.check_keys(session, keyring)
        rotation = rotate_secrets.rotate(sessions, keyring)
        with unit_of_work(sessions) as session:
            uses = rotate_secrets.key_uses(session, keyring)
    click.echo(f"{rotation.rewritten} secrets were re-encrypted with {keyring.current_id}.")
    for column, count in sorted(rotation.unreadable.items()):
        click.echo(f"{column}: {count} were altered and cannot be read.", err=True)
    old = [use for use in uses if use.key_id != keyring.current_id]
    for use in old:
        click.echo(f"{use.column} still needs {use.key_id} ({use.count}).")
    if not old:
        click.echo("No older key is needed any more.")


@secrets.command("rotate-signing-key")
def rotate_signing_key() -> None:
    """Sign access tokens with a new key; tokens that are out stay valid until they end."""
    settings = chosen_settings()
    keyring = Keyring.of(settings.secret_keys)
    with opened_store(settings) as sessions, unit_of_work(sessions) as session:
        key = signing_keys.rotate(
            session,
            keyring,
            token_life_s=settings.access_token_s,
            now=_CLOCK.now(),
        )
    click.echo(f"Access tokens are signed with {key.kid}.")
