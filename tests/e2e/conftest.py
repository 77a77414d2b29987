"""A deployment of real processes over a PostgreSQL database of its own."""

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from service.settings import normal_database_url
from tests.support.deployments import Deployment, deployed

_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run these tests one after the other: each of them fills the machine by itself."""
    for item in items:
        if item.path.parent == _HERE:
            item.add_marker(pytest.mark.xdist_group("processes"))


@pytest.fixture
def database(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """Yield the URL of a fresh database with the sandbox ``prod``, as psycopg reads it."""
    name = f"edgepost_e2e_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{postgres_template}"'.encode())
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


@pytest.fixture
def deployment(database: str, tmp_path: Path) -> Iterator[Deployment]:
    """Yield a deployment without processes; the ends of their logs are shown if the test fails."""
    with deployed(normal_database_url(database), tmp_path, prepare=()) as made:
        yield made
    sys.stdout.write(made.logs())


@pytest.fixture
def seed() -> int:
    """Return what fixes every random choice; ``EDGEPOST_TEST_SEED`` repeats an earlier run."""
    chosen = int(os.environ.get("EDGEPOST_TEST_SEED", random.randrange(2**32)))
    sys.stdout.write(f"EDGEPOST_TEST_SEED={chosen}\n")
    return chosen
