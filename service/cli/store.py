"""Which store a command works on, and how it is opened for the command's time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url

from service.cli.command_line import FOLDER, command_line
from service.core.errors import EdgepostError
from service.core.secret import SecretKeyError
from service.db.engine import open_engine
from service.db.migrations import is_current
from service.db.session import SessionFactory, unit_of_work
from service.settings import Settings, embedded_settings, has_store, read_settings


def embedded_folder() -> Path:
    """Return the folder of the embedded service: ``EDGEPOST_FOLDER``, else ``.edgepost``."""
    return Path(os.environ.get("EDGEPOST_FOLDER") or FOLDER)


def chosen_settings(*, makes: bool = False) -> Settings:
    """Return the settings of ``DATABASE_URL`` when it is set, else those of the embedded folder.

    Nothing is written, unless ``makes`` says that the command may begin a new store.

    Raises:
        SettingsError: A variable is missing or malformed; the message names it.
        EdgepostError: The embedded service has never run in the folder.
    """
    if "DATABASE_URL" in os.environ:
        return read_settings()
    folder = embedded_folder()
    if not makes and not has_store(folder):
        start, migrate = (command_line(word, folder=folder) for word in ("run", "migrate"))
        raise EdgepostError(
            f"There is no store in {folder} yet: start the service once with `make run` or "
            f"`{start}`, or make the store with `{migrate}`.",
        )
    return embedded_settings(folder, makes=makes)


@contextmanager
def opened_store(settings: Settings) -> Iterator[SessionFactory]:
    """Open a store that is ready for this code, for one command.

    Raises:
        EdgepostError: There is none, or it lacks migrations; nothing was made.
        StoreUnavailableError: It cannot be reached.
    """
    migrate = f"run `{command_line('migrate')}` first"
    _refuse_missing_file(settings, migrate)
    with unprepared_store(settings) as sessions:
        with unit_of_work(sessions) as session:
            if not is_current(session.connection()):
                raise EdgepostError(f"The store lacks migrations: {migrate}.")
        yield sessions


@contextmanager
def unprepared_store(settings: Settings) -> Iterator[SessionFactory]:
    """Open a store as it is, to bring it to this code."""
    engine = open_engine(settings.database_url, pool_size=1)
    try:
        with naming_key_file(settings):
            yield SessionFactory(engine)
    finally:
        engine.dispose()


@contextmanager
def naming_key_file(settings: Settings) -> Iterator[None]:
    """Say in an error about keys that they lie in a file, where they do."""
    try:
        yield
    except SecretKeyError as error:
        if settings.key_file is None:
            raise
        raise SecretKeyError(
            f"{error.detail} Here the keys are those of {settings.key_file}: "
            "restore that file from the backup.",
        ) from error


def _refuse_missing_file(settings: Settings, migrate: str) -> None:
    """SQLite makes a file that is not there; only a migration should."""
    file = make_url(settings.database_url).database
    if settings.is_embedded and file and file != ":memory:" and not Path(file).exists():
        raise EdgepostError(f"There is no store in {file} yet: {migrate}.")
