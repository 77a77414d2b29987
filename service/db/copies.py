"""A copy of a SQLite store as one transaction saw it, while others go on writing.

What was committed last lies beside the file, in its write-ahead log, so a copy of the file alone
lacks it. Source: SQLite, "Online Backup API".
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from service.core.errors import StoreUnavailableError


def copy_store(file: Path, target: Path) -> None:
    """Write a whole copy to ``target``, which is its owner's only and must not be there yet.

    Writers are not held up: the pages are read in one step, under one snapshot.

    Raises:
        StoreUnavailableError: The store cannot be read or the copy not written; nothing is left.
    """
    target.touch(mode=0o600, exist_ok=False)
    try:
        with closing(sqlite3.connect(file)) as store, closing(sqlite3.connect(target)) as copy:
            store.backup(copy)
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise StoreUnavailableError(f"{file} cannot be copied to {target}: {error}.") from error
