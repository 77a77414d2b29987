"""The shared world of the tests: two stores, one clock, and guards that fail a careless test."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from sqlalchemy import make_url

from service.db.engine import open_engine
from service.db.migrations import migrate
from service.db.session import SessionFactory, unit_of_work
from service.flows.open_sandbox import open_sandbox
from service.sandboxes.scope import Scope
from service.settings import normal_database_url
from tests.support import sandbox_check
from tests.support.clocks import START, FixedClock
from tests.support.database import memory, running_postgres

_SLOW = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
hypothesis_settings.register_profile(
    "dev", max_examples=50, deadline=None, suppress_health_check=_SLOW
)
hypothesis_settings.register_profile(
    "ci", max_examples=300, deadline=None, suppress_health_check=_SLOW
)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

_RUN = ExitStack()
_TEMPLATE = "edgepost_template"
sandbox_check.watch()


def pytest_configure(config: pytest.Config) -> None:
    """Start one PostgreSQL for the whole run, in the process that starts the workers."""
    if hasattr(config, "workerinput"):
        return
    if config.option.basetemp is None and (folder := memory()) is not None:
        scratch = TemporaryDirectory(prefix="edgepost-tests-", dir=folder)
        config.option.basetemp = _RUN.enter_context(scratch) + "/run"
    if "TEST_DATABASE_URL" not in os.environ:
        server = _RUN.enter_context(running_postgres())
        os.environ["TEST_DATABASE_URL"] = server.url()


def pytest_unconfigure() -> None:
    """Stop what this process started."""
    _RUN.close()


@pytest.fixture(autouse=True, scope="session")
def only_loopback() -> Iterator[None]:
    """Fail any connection of this process that leaves the machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and not str(address[0]).startswith(("127.", "::1")):
            raise AssertionError(f"a test connects to {address}")
        connect(self, address)

    patch = pytest.MonkeyPatch()
    patch.setattr(socket.socket, "connect", guarded)
    yield
    patch.undo()


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """Return the superuser URL of the run's PostgreSQL."""
    return os.environ["TEST_DATABASE_URL"]


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a migrated database of this worker that tests copy."""
    name = f"{_TEMPLATE}_{uuid4().hex[:12]}"
    _administer(postgres_url, f'CREATE DATABASE "{name}"')
    _prepare(_named(postgres_url, name))
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated SQLite file that tests copy."""
    path = tmp_path_factory.mktemp("template") / "edgepost.db"
    _prepare(f"sqlite:///{path}")
    return path


@pytest.fixture
def postgres_store(postgres_url: str, postgres_template: str) -> Iterator[SessionFactory]:
    """Yield a fresh PostgreSQL store with the sandbox ``prod``."""
    name = f"edgepost_{uuid4().hex[:12]}"
    _administer(
        postgres_url, f'CREATE DATABASE "{name}" TEMPLATE "{postgres_template}" STRATEGY FILE_COPY'
    )
    engine = open_engine(_named(postgres_url, name))
    yield SessionFactory(engine)
    engine.dispose()
    _administer(postgres_url, f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def sqlite_store(sqlite_template: Path, tmp_path: Path) -> Iterator[SessionFactory]:
    """Yield a fresh SQLite store with the sandbox ``prod``."""
    path = tmp_path / "edgepost.db"
    path.write_bytes(sqlite_template.read_bytes())
    engine = open_engine(f"sqlite:///{path}")
    yield SessionFactory(engine)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> SessionFactory:
    """Return a fresh store, once on each engine."""
    name = "sqlite_store" if request.param == "sqlite" else "postgres_store"
    factory: SessionFactory = request.getfixturevalue(name)
    return factory


@pytest.fixture
def scope() -> Scope:
    """Return the sandbox that every store of the tests has."""
    return Scope(1, "prod")


@pytest.fixture
def clock() -> FixedClock:
    """Return a clock that moves only when told."""
    return FixedClock()


def _prepare(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    with unit_of_work(SessionFactory(engine)) as session:
        open_sandbox(session, name="prod", title="Production", type_="production", now=START)
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
    engine.dispose()


def _named(url: str, database: str) -> str:
    return normal_database_url(
        make_url(url).set(database=database).render_as_string(hide_password=False),
    )


def _administer(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())
