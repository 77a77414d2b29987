"""Real processes of the service over a real PostgreSQL, as a platform would start them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import requests

from service.core.secret import new_secret_key
from tests.support.database import free_port

_READY_TRIES = 300
_POLL_S = 0.05
_STOP_S = 20


@dataclass(slots=True)
class Deployment:
    """The environment of one deployment and the processes that this test started in it.

    Attributes:
        folder: Where each process writes its log.
        extra: Further environment variables.
    """

    database_url: str
    folder: Path
    extra: dict[str, str] = field(default_factory=dict)
    secret_key: str = field(default_factory=new_secret_key)
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Return what every process sees."""
        return {
            **{name: value for name, value in os.environ.items() if name in _INHERITED},
            "DATABASE_URL": self.database_url,
            "EDGEPOST_SECRET_KEYS": self.secret_key,
            "EDGEPOST_ALLOW_PRIVATE_HOSTS": "127.0.0.0/8",
            "HOST": "127.0.0.1",
            **self.extra,
        }

    def run(self, *arguments: str) -> str:
        """Run a command to its end and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"edgepost {' '.join(arguments)}: {done.stderr[-2000:]}")
        return done.stdout

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process and return at once."""
        log = (self.folder / f"{arguments[0]}-{len(self.running)}.log").open("wb")
        process = subprocess.Popen(
            [sys.executable, "-m", "service.cli", *arguments],
            env={**self.environment, **environment},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self.running.append(process)
        return process

    def start_web(self, port: int | None = None, **environment: str) -> "Web":
        """Start a web process and return when it answers."""
        port = port or free_port()
        process = self.start("web", PORT=str(port), **environment)
        web = Web(process, f"http://127.0.0.1:{port}")
        web.wait_ready()
        return web

    def logs(self) -> str:
        """Return the end of every log, for a failing test to show."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted(self.folder.glob("*.log"))
        )

    def stop_all(self) -> None:
        """Ask every process to stop, and kill what does not."""
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                kill(process)


@dataclass(frozen=True, slots=True)
class Web:
    """A running web process."""

    process: subprocess.Popen[bytes]
    url: str

    def wait_ready(self) -> None:
        """Return when the process answers; fail when it has ended or takes too long."""
        for _ in range(_READY_TRIES):
            if self.process.poll() is not None:
                raise AssertionError(f"the web process ended with {self.process.returncode}")
            try:
                if requests.get(f"{self.url}/healthz", timeout=2).ok:
                    return
            except requests.RequestException:
                pass
            Event().wait(_POLL_S)
        raise AssertionError("the web process did not answer")


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children at once: they are one group that this test made."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def deployed(
    database_url: str,
    folder: Path,
    *,
    prepare: Sequence[Sequence[str]] = (("migrate",),),
    **extra: str,
) -> Iterator[Deployment]:
    """Yield a migrated deployment and stop whatever was started in it."""
    deployment = Deployment(database_url, folder, extra)
    try:
        for arguments in prepare:
            deployment.run(*arguments)
        yield deployment
    finally:
        deployment.stop_all()


_INHERITED = frozenset({"PATH", "HOME", "LANG", "TZ", "VIRTUAL_ENV", "PYTHONPATH", "TMPDIR"})
