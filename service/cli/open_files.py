"""How many files a process may open; each connection is one."""

import resource
from contextlib import suppress

_ENOUGH = 8192


def allow_many_files() -> None:
    """Raise the process's own limit as far as the system lets it; it often begins at 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(_ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
