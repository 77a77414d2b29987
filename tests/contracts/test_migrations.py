"""Migrations end in exactly the tables of the models, on both engines."""

import importlib
import pkgutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

import service
from service.core.ids import new_key
from service.db.base import Base
from service.db.engine import open_engine
from service.db.migrations import FOLDER, is_current, migrate
from service.db.session import SessionFactory, unit_of_work
from service.profiles.models import LiveActivityOwner, LiveActivityToken
from tests.support.clocks import START


def _load_models() -> None:
    for module in pkgutil.walk_packages(service.__path__, "service."):
        if module.name.endswith(".models"):
            importlib.import_module(module.name)


def test_the_migrated_store_has_the_tables_of_the_models(store: SessionFactory) -> None:
    _load_models()
    with store.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)

        assert compare_metadata(context, Base.metadata) == []
        assert is_current(connection)


def test_migrating_again_changes_nothing(store: SessionFactory) -> None:
    migrate(store.engine)

    with store.engine.connect() as connection:
        assert is_current(connection)


def test_every_table_leads_with_its_sandbox_or_stands_above_them() -> None:
    _load_models()
    above = {"sandbox", "api_credential", "signing_key", "process_lease"}

    for table in Base.metadata.sorted_tables:
        if table.name not in above:
            assert next(iter(table.primary_key.columns)).name == "sandbox_id", table.name


@pytest.fixture(params=["sqlite", "postgresql"])
def older_store(request: pytest.FixtureRequest, tmp_path: Path) -> SessionFactory:
    """Return a store as it was before revision 0003."""
    if request.param == "sqlite":
        older = SessionFactory(open_engine(f"sqlite:///{tmp_path}/older.db"))
        _move(older, "0002", command.upgrade)
    else:
        older = request.getfixturevalue("postgres_store")
        _move(older, "0002", command.downgrade)
    return older


def test_a_live_activity_token_of_before_is_on_the_device_that_announced_it_last(
    older_store: SessionFactory,
) -> None:
    key, first, second = new_key(), new_key(), new_key()
    known = {"sandbox_id": 1, "kind": "start", "name": "Ride", "token": "80f3", "token_id": key}
    with unit_of_work(older_store) as session:
        for device, at in ((first, START), (second, START + timedelta(seconds=1))):
            announced = {"announced_at": at, "announced_event": "e", "registered_at": START}
            session.add(LiveActivityToken(device_id=device, **known, **announced))

    migrate(older_store.engine)

    with older_store.opened() as session:
        assert session.get_one(LiveActivityOwner, (1, key)).device_id == second


def _move(store: SessionFactory, revision: str, step: Callable[[Config, str], object]) -> None:
    with store.engine.connect() as connection, connection.begin():
        config = Config()
        config.set_main_option("script_location", str(FOLDER))
        config.attributes["connection"] = connection
        step(config, revision)
