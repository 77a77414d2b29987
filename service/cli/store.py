"""Which store a command works on, and how it is opened for the command's time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.db.engine import open_engine
from service.db.session import SessionFactory
from service.settings import Settings, embedded_settings, read_settings

FOLDER = ".edgepost"


def embedded_folder() -> Path:
    """Return the folder of the embedded service: ``EDGEPOST_FOLDER``, else ``.edgepost``."""
    return Path(os.environ.get("EDGEPOST_FOLDER", FOLDER))


def chosen_settings() -> Settings:
    """Return the settings of ``DATABASE_URL`` when it is set, else those of the embedded folder.

    Raises:
        SettingsError: A variable is missing or malformed; the message names it.
    """
    if "DATABASE_URL" in os.environ:
        return read_settings()
    return embedded_settings(embedded_folder())


@contextmanager
def opened_store(settings: Settings) -> Iterator[SessionFactory]:
    """Open the store for one command."""
    engine = open_engine(settings.database_url, pool_size=1)
    try:
        yield SessionFactory(engine)
    finally:
        engine.dispose()
