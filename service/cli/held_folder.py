"""One ``edgepost run`` at a time in a folder.

A lock of the operating system ends with the process that holds it, however that ends.
Source: service/decisions/0009-embedded-mode.md.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from service.core.errors import EdgepostError
from service.settings import LOCK_FILE


def refuse_held(folder: Path) -> None:
    """Return when nobody is known to run in a folder, which need not be there.

    Nothing is written. A folder that cannot be used is complained of by whoever uses it.

    Raises:
        EdgepostError: A process does; the message names it.
    """
    with (
        suppress(FileNotFoundError, NotADirectoryError, PermissionError),
        (folder / LOCK_FILE).open("r+") as lock,
    ):
        _take(lock, folder)


@contextmanager
def held_folder(folder: Path) -> Iterator[None]:
    """Keep every other ``edgepost run`` out of a folder while the block runs.

    Raises:
        EdgepostError: Another process keeps it; the message names it.
    """
    try:
        opened = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        why = f"{error.strerror} ({error.filename})"
        raise EdgepostError(f"The folder {folder} cannot be used: {why}.") from error
    with os.fdopen(opened, "r+") as lock:
        _take(lock, folder)
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _take(lock: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = lock.read().strip() or "that is just starting"
        raise EdgepostError(
            f"Process {holder} runs in {folder} already: end it, or name another folder with "
            "--folder.",
        ) from error
