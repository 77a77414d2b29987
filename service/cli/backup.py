"""``edgepost backup``."""

import os
from pathlib import Path

import click
from sqlalchemy import make_url

from service.cli.store import chosen_settings
from service.core.errors import EdgepostError
from service.db.copies import copy_store
from service.settings import KEY_FILE, STORE_FILE, Settings


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
def backup(folder: Path) -> None:
    """Copy the embedded store and its key to FOLDER; the service may run meanwhile.

    FOLDER is made if need be and must not hold a store. To restore, start with
    EDGEPOST_FOLDER=FOLDER, or put both files back into an empty folder.
    """
    settings = chosen_settings()
    store = _file_of(settings)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = [each for each in (STORE_FILE, KEY_FILE) if (folder / each).exists()]
        if kept:
            raise EdgepostError(f"{folder} holds {kept[0]} already: name another folder.")
        copy_store(store, folder / STORE_FILE)
        _write_key(folder / KEY_FILE, settings)
    except OSError as error:
        why = f"{error.strerror} ({error.filename})"
        raise EdgepostError(f"Nothing can be kept in {folder}: {why}.") from error
    click.echo(f"{folder / STORE_FILE} and {folder / KEY_FILE} are a whole backup.")


def _file_of(settings: Settings) -> Path:
    if not settings.is_embedded:
        raise EdgepostError(
            "The store is PostgreSQL: back it up with pg_dump, and EDGEPOST_SECRET_KEYS with it."
        )
    return Path(make_url(settings.database_url).database or "")


def _write_key(file: Path, settings: Settings) -> None:
    """Write the keys that are used now, wherever they came from; they are on the disk then."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as key:
        key.write("\n".join(settings.secret_keys) + "\n")
        key.flush()
        os.fsync(key.fileno())
