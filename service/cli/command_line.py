"""Commands of ours, spelled as they work when they are typed where they are printed."""

import os
import sys
from pathlib import Path
from shlex import quote

FOLDER = Path(".edgepost")


def command_line(*words: str, folder: Path | None = None) -> str:
    """Return a command for the program that runs now, such as ``.venv/bin/edgepost migrate``.

    Given the folder of the embedded service, it works on that folder whatever the environment of
    this process says: the next terminal may have another one.
    """
    program = Path(sys.argv[0])
    named = [sys.executable, "-m", "service.cli"] if program.suffix == ".py" else [sys.argv[0]]
    typed = " ".join(quote(word) for word in (*named, *words))
    if folder is not None and folder != FOLDER:
        typed = f"EDGEPOST_FOLDER={quote(str(folder))} {typed}"
    if folder is not None and "DATABASE_URL" in os.environ:
        typed = f"env -u DATABASE_URL {typed}"
    return typed
